package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
)

// fault is something that breaks and is mended.
type fault struct {
	name string
	// strike breaks it and mends it again; hold waits in between, for a random time.
	strike func(ctx context.Context, r *rig, rand *rand.Rand, hold func()) error
	// allowed are the codes that clients may meet; nil: any that leave the outcome open.
	allowed []codes.Code
}

// What breaks: event logs, and what they stand on.
var (
	ofReplicas = []fault{
		{name: "an event log is killed", strike: killReplica},
		// Nothing but "go elsewhere": whoever stops in order loses nobody's append and nobody's answer.
		{name: "an event log is stopped in order", strike: drain, allowed: []codes.Code{codes.Unavailable}},
	}
	ofDatabase = []fault{
		{name: "PostgreSQL is killed", strike: killDatabase},
		{name: "the network is cut", strike: disturb(cut)},
		{name: "the network is silent", strike: disturb(stalled)},
		{name: "the network is slow", strike: slow},
	}
)

// both is one of each at once.
func both(one, other fault) fault {
	return fault{name: one.name + ", and " + other.name, strike: func(ctx context.Context, r *rig, source *rand.Rand, hold func()) error {
		first, second := rand.New(rand.NewPCG(source.Uint64(), 0)), rand.New(rand.NewPCG(source.Uint64(), 1))
		struck := make(chan error, 1)
		go func() { struck <- one.strike(ctx, r, first, hold) }()
		err := other.strike(ctx, r, second, hold)
		return errors.Join(err, <-struck)
	}}
}

// killReplica kills an event log, and starts it again after a while.
func killReplica(ctx context.Context, r *rig, rand *rand.Rand, hold func()) error {
	victim := r.replicas[rand.IntN(len(r.replicas))]
	victim.process.kill()
	hold()
	return errors.Join(victim.start(), victim.ready(ctx))
}

// drain stops an event log in order, and starts it again.
func drain(ctx context.Context, r *rig, rand *rand.Rand, hold func()) error {
	victim := r.replicas[rand.IntN(len(r.replicas))]
	if err := victim.process.stop(); err != nil {
		return err
	}
	hold()
	return errors.Join(victim.start(), victim.ready(ctx))
}

// killDatabase kills PostgreSQL, and starts it again at once: it recovers while clients call.
func killDatabase(ctx context.Context, r *rig, _ *rand.Rand, _ func()) error {
	if err := r.database.kill(); err != nil {
		return err
	}
	return r.restartDatabase(ctx)
}

// disturb puts the links of some event logs into a state for a while.
func disturb(s state) func(ctx context.Context, r *rig, rand *rand.Rand, hold func()) error {
	return func(_ context.Context, r *rig, rand *rand.Rand, hold func()) error {
		links := r.someLinks(rand)
		for _, l := range links {
			l.set(s, 0)
		}
		hold()
		for _, l := range links {
			l.set(open, 0)
		}
		return nil
	}
}

// slow delays what passes, each way, by what distance makes or by what an overloaded switch does.
func slow(_ context.Context, r *rig, rand *rand.Rand, hold func()) error {
	links := r.someLinks(rand)
	for _, l := range links {
		l.set(open, some(rand, 5*time.Millisecond, 150*time.Millisecond))
	}
	hold()
	for _, l := range links {
		l.set(open, 0)
	}
	return nil
}

// someLinks are that of one event log, or all.
func (r *rig) someLinks(rand *rand.Rand) []*link {
	if rand.IntN(2) == 0 {
		return []*link{r.replicas[rand.IntN(len(r.replicas))].link}
	}
	var links []*link
	for _, replica := range r.replicas {
		links = append(links, replica.link)
	}
	return links
}

// callMax bounds clients' calls. Where they may not meet a deadline, they are patient.
func (f fault) callMax() time.Duration {
	if f.allowed != nil {
		return patientMax
	}
	return callMax
}

// permits says whether clients met only what the fault allows.
func (f fault) permits(t *tally) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for code, n := range t.counts {
		fine := code == codes.OK || code == codes.Aborted || code == codes.FailedPrecondition || f.allowed == nil
		for _, allowed := range f.allowed {
			fine = fine || code == allowed
		}
		if !fine {
			return fmt.Errorf("%s: %d calls ended with %s", f.name, n, code)
		}
	}
	return nil
}
