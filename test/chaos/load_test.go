package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/test/internal/wire"
)

const (
	// workersPerTenant append for one tenant at once.
	workersPerTenant = 3
	// together is the most appends that one batch or stream of the load carries.
	togetherMax = 20
	// paceMax is the longest wait between two steps of a worker: the load is there to be disturbed, not to fill the machine.
	paceMax = 60 * time.Millisecond
	// accountsMax is how many accounts a tenant may get.
	accountsMax = 12
)

// load is clients that live random legal histories.
type load struct {
	tenants []*tenant
	stopped chan struct{}
	running sync.WaitGroup
	codes   *tally

	mu  sync.Mutex
	err error
}

// begin makes a tenant's log with an account and two strategies in it.
func (t *tenant) begin(ctx context.Context, c *client) error {
	if _, err := c.settle(ctx, t, created(t.id), true); err != nil {
		return err
	}
	return t.open(ctx, c)
}

// open adds an account and its strategies by one append.
func (t *tenant) open(ctx context.Context, c *client) error {
	account := uuid.NewString()
	both := []*strategy{{uuid.NewString(), account}, {uuid.NewString(), account}}
	out, err := c.settle(ctx, t, opened(account, both...), true)
	if err != nil || out.refused != nil {
		return errors.Join(err, out.refused)
	}
	t.accounts.add(account)
	t.strategies.add(both...)
	return nil
}

// startLoad lets workers loose on tenants; limit bounds their calls.
func startLoad(ctx context.Context, replicas []*replica, tenants []*tenant, limit time.Duration, seed uint64) *load {
	l := &load{tenants: tenants, stopped: make(chan struct{}), codes: newTally()}
	for i, t := range tenants {
		for j := range workersPerTenant {
			r := rand.New(rand.NewPCG(seed, uint64(i*workersPerTenant+j)))
			// One worker of each tenant minds no rendezvous, so that two replicas are at its log in turn.
			w := &worker{tenant: t, client: &client{replicas: replicas, rand: r, anywhere: j == 0, codes: l.codes, limit: limit}, rand: r}
			l.running.Go(func() { l.note(w.live(ctx, l.stopped)) })
		}
	}
	return l
}

func (l *load) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// stop lets every worker settle what it is at, and gives what went wrong.
func (l *load) stop() error {
	close(l.stopped)
	l.running.Wait()
	return l.err
}

// worker is one client with a history of its own.
type worker struct {
	tenant *tenant
	client *client
	rand   *rand.Rand
}

// live takes steps until it is told to stop.
func (w *worker) live(ctx context.Context, stopped <-chan struct{}) error {
	for {
		if err := w.step(ctx); err != nil {
			return err
		}
		timer := time.NewTimer(some(w.rand, 0, paceMax))
		select {
		case <-timer.C:
		case <-stopped:
			timer.Stop()
			return nil
		}
	}
}

// step does one thing.
func (w *worker) step(ctx context.Context) error {
	switch n := w.rand.IntN(100); {
	case n < 40:
		_, err := w.client.settle(ctx, w.tenant, w.sample(), false)
		return err
	case n < 52:
		return w.client.settleBatch(ctx, w.tenant, w.samples())
	case n < 64:
		return w.client.settleStream(ctx, w.tenant, w.samples())
	case n < 78:
		return w.toggle(ctx)
	case n < 84:
		return w.swap(ctx)
	case n < 86:
		return w.more(ctx)
	case n < 90:
		return w.contradict(ctx)
	default:
		return w.resend(ctx)
	}
}

func (w *worker) sample() *eventlogv1.AppendRequest {
	account, _ := w.tenant.accounts.pick(w.rand)
	return sampled(w.rand, account)
}

func (w *worker) samples() []*eventlogv1.AppendRequest {
	requests := make([]*eventlogv1.AppendRequest, 1+w.rand.IntN(togetherMax))
	for i := range requests {
		requests[i] = w.sample()
	}
	return requests
}

// standing is how a strategy stands: its stream's last seq, and whether it is enabled.
func (w *worker) standing(ctx context.Context, s *strategy) (seq int64, enabled bool, err error) {
	ctx, cancel := w.client.bounded(as(ctx, asCommand, w.tenant.id, false))
	defer cancel()
	replicas := w.client.choose(w.tenant.id)
	out, err := replicas[0].read.ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: s.stream(), Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: 1})
	if err != nil {
		return 0, false, err
	}
	if len(out.GetEvents()) != 1 {
		return 0, false, fmt.Errorf("stream %s has seq %d and no last event", s.stream(), out.GetLastSeq())
	}
	return out.GetLastSeq(), out.GetEvents()[0].GetPayload().GetStrategyEnabled() != nil, nil
}

func (s *strategy) toggled(enabled bool) *eventv1.Payload {
	if enabled {
		return s.disabled()
	}
	return s.enabled()
}

// toggle switches a strategy by what its stream says. Others do too: it may be told that it is too late.
func (w *worker) toggle(ctx context.Context) error {
	s, _ := w.tenant.strategies.pick(w.rand)
	seq, enabled, err := w.standing(ctx, s)
	if err != nil {
		return closed(err)
	}
	_, err = w.client.settle(ctx, w.tenant, decided(streamOf(s.stream(), exactly(seq), s.toggled(enabled))), true)
	return err
}

// swap switches two strategies by one append, both or none.
func (w *worker) swap(ctx context.Context) error {
	one, _ := w.tenant.strategies.pick(w.rand)
	other, _ := w.tenant.strategies.pick(w.rand)
	if one == other {
		return nil
	}
	_, first, err := w.standing(ctx, one)
	if err != nil {
		return closed(err)
	}
	_, second, err := w.standing(ctx, other)
	if err != nil {
		return closed(err)
	}
	request := decided(streamOf(one.stream(), exists, one.toggled(first)), streamOf(other.stream(), exists, other.toggled(second)))
	_, err = w.client.settle(ctx, w.tenant, request, true)
	return err
}

// closed keeps errors of reads that a fault does not explain.
func closed(err error) error {
	if isOpen(err) {
		return nil
	}
	return err
}

// more opens another account.
func (w *worker) more(ctx context.Context) error {
	if len(w.tenant.accounts.after(0)) >= accountsMax {
		return nil
	}
	return w.tenant.open(ctx, w.client)
}

// resend sends an acknowledged append again: it is recognised, and its receipt is the first one.
func (w *worker) resend(ctx context.Context) error {
	a, ok := w.tenant.ledger.acks.pick(w.rand)
	if !ok {
		return nil
	}
	out, err := w.client.settle(ctx, w.tenant, a.request, a.user)
	if err != nil || out.refused != nil {
		return errors.Join(err, out.refused)
	}
	if !out.receipt.GetDuplicate() {
		return fmt.Errorf("command %s was acknowledged and is taken in once more", a.request.GetCommandId())
	}
	return nil
}

// contradict reports a fact again with another value: it is a duplicate, and the difference is recorded.
func (w *worker) contradict(ctx context.Context) error {
	a, ok := w.tenant.ledger.acks.pick(w.rand)
	if !ok || a.user {
		return nil
	}
	sample := proto.CloneOf(a.request.GetStreams()[0].GetEvents()[0].GetPayload().GetBalanceSampled())
	sample.Free = fmt.Sprintf("%d.5", w.rand.IntN(1000))
	other := factOf(sample.GetAccountId(), anyStream, sample)
	out, err := w.client.settle(ctx, w.tenant, other, false)
	if err != nil || out.refused != nil {
		return errors.Join(err, out.refused)
	}
	if !out.receipt.GetDuplicate() || out.receipt.GetDiscrepancyId() == "" {
		return fmt.Errorf("command %s was reported with another value, and the answer is %v", other.GetCommandId(), out.receipt)
	}
	w.tenant.ledger.differ(wire.DiscrepancyCommand(uuid.MustParse(other.GetCommandId()), other.GetRequestDigest()).String(), out.receipt.GetDiscrepancyId())
	return nil
}
