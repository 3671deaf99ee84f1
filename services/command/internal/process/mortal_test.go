package process_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/command/internal/worldtest"
)

// mortal is a world as one process sees it that dies at its so many-eth deed: before it is done, or after, with the
// answer lost. The dead do nothing more.
type mortal struct {
	*worldtest.World
	before bool

	mu    sync.Mutex
	left  int // deeds until it dies; it lives for ever from below 0 on
	dead  bool
	deeds int
}

var errDead = fault.New(fault.Unavailable, "DEAD", "this process is no more")

// deed does one thing that changes the world, unless death comes first.
func deed[A any](m *mortal, do func() (A, error)) (answer A, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return answer, errDead
	}
	m.deeds++
	m.left--
	m.dead = m.left == 0
	if m.dead && m.before {
		return answer, errDead
	}
	done, err := do()
	if m.dead {
		return answer, errDead
	}
	return done, err
}

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func (m *mortal) Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	return deed(m, func() (*eventlogv1.AppendResponse, error) { return m.World.Append(ctx, in, opts...) })
}

func (m *mortal) SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.SaveCheckpointResponse, error) {
	if m.isDead() {
		return nil, errDead
	}
	return m.World.SaveCheckpoint(ctx, in, opts...)
}

func (m *mortal) Execute(ctx context.Context, in *connectorv1.ExecuteRequest, opts ...grpc.CallOption) (*connectorv1.ExecuteResponse, error) {
	return deed(m, func() (*connectorv1.ExecuteResponse, error) { return m.World.Execute(ctx, in, opts...) })
}

func (m *mortal) EndIntent(ctx context.Context, in *connectorv1.EndIntentRequest, opts ...grpc.CallOption) (*connectorv1.EndIntentResponse, error) {
	return deed(m, func() (*connectorv1.EndIntentResponse, error) { return m.World.EndIntent(ctx, in, opts...) })
}

// life is a position from its opening to its end. play asks for what users ask, and moves the market.
type life struct {
	name    string
	product eventv1.Product
	side    eventv1.PositionSide
	behave  []worldtest.Behaviour
	play    func(t *testing.T, b *testBundle, id string)
	// either says that the monitor and the stop at the venue may both be first to leave the position.
	either bool
}

func lives() []life {
	closing := func(t *testing.T, b *testBundle, id string) {
		t.Helper()
		_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
		require.NoError(t, err)
	}
	return []life{
		{name: "trailed and stopped", product: spot, side: long, play: func(t *testing.T, b *testBundle, _ string) {
			b.survive(t, 1, "POSITION_OPENED")
			b.survive(t, 2, "ORDER_SUBMITTED")
			for _, price := range []string{"95500", "97000", "95500"} {
				b.survivedTick(t, price)
			}
		}},
		{name: "a short, closed by the user", product: margin, side: short, play: func(t *testing.T, b *testBundle, id string) {
			b.survive(t, 2, "ORDER_SUBMITTED")
			b.survivedTick(t, "94000")
			closing(t, b, id)
		}},
		{name: "a stop moved by the user, then hit at the venue", product: spot, side: long, either: true, play: func(t *testing.T, b *testBundle, id string) {
			b.survive(t, 2, "ORDER_SUBMITTED")
			_, err := b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: id, NewStop: "94500"})
			require.NoError(t, err)
			b.survive(t, 3, "ORDER_SUBMITTED")
			b.Tick("94000")
		}},
		{
			name: "half an entry, then a panic", product: spot, side: long,
			behave: []worldtest.Behaviour{worldtest.FillHalfAndRest},
			play: func(t *testing.T, b *testBundle, _ string) {
				b.survive(t, 1, "POSITION_OPENED")
				_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account, Note: "fire"})
				require.NoError(t, err)
			},
		},
		{
			name: "exits rejected and half filled", product: spot, side: long,
			behave: []worldtest.Behaviour{worldtest.FillAll, worldtest.FillAll, worldtest.Reject, worldtest.FillHalf},
			play: func(t *testing.T, b *testBundle, id string) {
				b.survive(t, 2, "ORDER_SUBMITTED")
				closing(t, b, id)
			},
		},
		{
			name: "an entry rejected", product: spot, side: long,
			behave: []worldtest.Behaviour{worldtest.Reject},
			play:   func(*testing.T, *testBundle, string) {},
		},
		{
			name: "closed before the entry was filled", product: spot, side: long,
			behave: []worldtest.Behaviour{worldtest.Rest},
			play: func(t *testing.T, b *testBundle, id string) {
				b.survive(t, 1, "ORDER_SUBMITTED")
				closing(t, b, id)
			},
		},
	}
}

// survive waits until the log holds so many events of a type, and starts a new process whenever one has died.
func (b *testBundle) survive(t *testing.T, count int, eventType string) {
	t.Helper()
	b.outlive(t, func() bool { return b.count(eventType) >= count }, "waiting for "+eventType)
	b.settled(t)
}

// settled waits until everything in the log was reacted to.
func (b *testBundle) settled(t *testing.T) {
	t.Helper()
	b.outlive(t, func() bool {
		reacted, busy := b.manager.Progress(b.Tenant)
		return busy == 0 && reacted == int64(len(b.Events()))
	}, "settling")
}

// survivedTick moves the market and waits until the monitor has handled it or nothing is left to guard.
func (b *testBundle) survivedTick(t *testing.T, price string) {
	t.Helper()
	sequence := b.Tick(price)
	b.outlive(t, func() bool {
		if slices.Contains(b.Types(), "EXIT_TRIGGERED") {
			return true
		}
		prices := b.monitor.Prices(b.Tenant)
		return len(prices) == 1 && prices[0].GetSequence() >= sequence && prices[0].GetPrice() != ""
	}, "waiting for a tick")
	b.settled(t)
}

func (b *testBundle) outlive(t *testing.T, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, func() bool {
		if b.world.isDead() {
			b.stop()
			b.world = &mortal{World: b.World, left: -1}
			b.run(t)
		}
		return holds()
	}, 10*time.Second, 100*time.Microsecond, "%s in %v, alerts %v", what, b.Types(), b.alerts)
}

// end is how a life ended: the position, and how often each thing happened.
func (b *testBundle) end(id string) string {
	position, counts := b.Position(id), map[string]int{}
	for _, name := range b.Types() {
		counts[name]++
	}
	text := fmt.Sprint(position.GetState(), position.GetExitReason(), position.GetRealizedPnl(), position.GetNetPnl(),
		position.GetTotalFees(), position.GetExitQuantity(), position.GetDustQuantity())
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf(" %s:%d", name, counts[name])
	}
	return text
}

// live plays a life with a process that dies at its so many-eth deed, and tells how many deeds it did.
func (l life) live(t *testing.T, deeds int, before bool) (end string, done int) {
	t.Helper()
	b := setup(t, l.product)
	first := &mortal{World: b.World, left: deeds, before: before}
	b.world = first
	b.Behave(l.behave...)
	id := b.open(t, l.side)
	b.run(t)
	l.play(t, b, id)
	b.survive(t, 1, "POSITION_CLOSED")
	b.noTwice(t)
	b.stop()
	end = b.end(id)
	if l.either {
		end = strings.Replace(end, "trailing_stop", "insurance_stop", 1)
	}
	return end, first.deeds
}

// Wherever in a position's life the process dies, before or after anything it does, a new one brings it to the same end:
// nothing is lost, nothing is doubled, no order is sent twice.
func TestManager_DiesAtEveryDeed(t *testing.T) {
	t.Parallel()
	for _, l := range lives() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			whole, done := l.live(t, -1, false)
			require.Positive(t, done)
			for _, before := range []bool{true, false} {
				for deeds := 1; deeds <= done; deeds++ {
					end, _ := l.live(t, deeds, before)
					require.Equal(t, whole, end, "died at deed %d of %d, before it: %v", deeds, done, before)
				}
			}
		})
	}
}
