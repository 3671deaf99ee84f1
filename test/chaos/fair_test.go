package chaos_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// modestTenants append modestRate times a second each.
	modestTenants = 10
	modestRate    = 10
	// greedyStreams flood one tenant's log.
	greedyStreams = 32
	// greedyWindow is how many appends each lets be under way: together more than may wait.
	greedyWindow = 400
	// fairShort and fairLong are how long each of the two measurements takes.
	fairShort, fairLong = 2 * time.Second, 20 * time.Second
	// fairFactor bounds what a greedy tenant may do to the others' p99, and fairLeast is what they must bear in any case: that of
	// a batch of the greedy one's before their own.
	fairFactor = 10
	fairLeast  = 150 * time.Millisecond
)

// runFair lets one tenant flood the log while others append at a modest rate: item 5 of the issue.
func runFair(t *testing.T, r *rig, seed uint64) {
	d := fairShort
	if *long {
		d = fairLong
	}
	one := r.replicas[:1] // all at one replica: the others would only hide it
	tenants := newTenants(t, r, modestTenants+1, seed)
	greedy, modest := tenants[0], tenants[1:]
	alone := modestly(t, one, modest, d, seed)

	own, err := dial(one[0].address) // what is in one connection with the others' calls would be in their way before it is at the log
	require.NoError(t, err)
	flooding, stop := context.WithCancel(t.Context())
	flood := startFlood(flooding, eventlogv1.NewAppendServiceClient(own), greedy, seed)
	beside := modestly(t, one, modest, d, seed+1)
	require.NoError(t, await(t.Context(), "the greedy tenant meets its limit", readyMax, func() error {
		if flood.turnedAway.Load() == 0 {
			return errors.New("everything was taken")
		}
		return nil
	}))
	stop()
	require.NoError(t, errors.Join(flood.wait(), own.Close()))
	require.Zero(t, flood.unadvised.Load(), "RESOURCE_EXHAUSTED says when to come again")
	t.Logf("modest tenants alone: p50 %s p99 %s; beside a greedy one: p50 %s p99 %s", at(alone, 50), at(alone, 99), at(beside, 50), at(beside, 99))
	t.Logf("the greedy one: %.0f appends/s, %d turned away", float64(flood.taken.Load())/d.Seconds(), flood.turnedAway.Load())
	if *long {
		require.Less(t, at(beside, 99), max(fairLeast, fairFactor*at(alone, 99)))
	}
}

// modestly appends at a rate for each tenant and gives the latencies from the intended start, in order. All must succeed at the
// first try.
func modestly(t *testing.T, replicas []*replica, tenants []*tenant, d time.Duration, seed uint64) []time.Duration {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	var latencies []time.Duration
	var errs []error
	begin := now()
	for i, tenant := range tenants {
		source := rand.New(rand.NewPCG(seed, uint64(200+i)))
		account, _ := tenant.accounts.pick(source)
		group.Go(func() {
			for n := range int(d.Seconds() * modestRate) {
				request := sampled(source, account)
				due := begin.Add(time.Duration(n)*time.Second/modestRate + time.Duration(i)*time.Second/modestRate/modestTenants)
				within(t.Context(), due.Sub(now()))
				group.Go(func() {
					c := &client{replicas: replicas, codes: newTally(), limit: patientMax}
					_, err := c.call(t.Context(), replicas[0], tenant.id, request, false)
					mu.Lock()
					defer mu.Unlock()
					latencies = append(latencies, now().Sub(due))
					errs = append(errs, err)
				})
			}
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...), "an append of a modest tenant failed")
	slices.Sort(latencies)
	return latencies
}

// at is a percentile of sorted latencies.
func at(latencies []time.Duration, percentile int) time.Duration {
	return latencies[min(len(latencies)*percentile/100, len(latencies)-1)].Round(10 * time.Microsecond)
}

// flood is a tenant that appends as fast as it may, and faster.
type flood struct {
	taken, turnedAway, unadvised atomic.Int64
	running                      sync.WaitGroup
	errs                         []error
}

func startFlood(ctx context.Context, to eventlogv1.AppendServiceClient, t *tenant, seed uint64) *flood {
	f := &flood{errs: make([]error, greedyStreams)}
	for i := range greedyStreams {
		source := rand.New(rand.NewPCG(seed, uint64(300+i)))
		f.running.Go(func() { f.errs[i] = f.stream(ctx, to, t, source) })
	}
	return f
}

func (f *flood) wait() error {
	f.running.Wait()
	return errors.Join(f.errs...)
}

// stream sends without end, greedyWindow appends ahead of the answers.
func (f *flood) stream(ctx context.Context, to eventlogv1.AppendServiceClient, t *tenant, source *rand.Rand) error {
	account, _ := t.accounts.pick(source)
	stream, err := to.AppendStream(as(ctx, asConnector, t.id, false))
	if err != nil {
		return gone(ctx, err)
	}
	places := make(chan struct{}, greedyWindow)
	received := make(chan error, 1)
	go func() { received <- f.receive(stream, places) }()
	for ctx.Err() == nil {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		if err := stream.Send(&eventlogv1.AppendStreamRequest{Append: sampled(source, account)}); err != nil {
			break // why is told by Recv
		}
	}
	return gone(ctx, <-received)
}

func (f *flood) receive(stream eventlogv1.AppendService_AppendStreamClient, places chan struct{}) error {
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		<-places
		switch err := resultError(out.GetResult()); {
		case err == nil:
			f.taken.Add(1)
		case status.Code(err) == codes.ResourceExhausted:
			f.turnedAway.Add(1)
			if retryDelay(err) <= 0 {
				f.unadvised.Add(1)
			}
		default:
			return err
		}
	}
}

// gone is nil for what follows from our own stopping.
func gone(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
