package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// The load under which the stack is killed.
const (
	kills      = 3
	traders    = 4
	tradesMin  = 10 // acknowledged commands between two kills
	killJitter = 400 * time.Millisecond
	holdMax    = 600 * time.Millisecond
	loadPace   = 25 // milliseconds between two ticks
	retriesMax = 2000
)

// trader trades on an account of its own until it is told to stop, and remembers what was acknowledged.
type trader struct {
	u            *user
	account      string
	symbol       string
	distance     int // of the stop, quote
	acknowledged *atomic.Int64
	outcomes     []*commandv1.Outcome
}

// run opens, moves the stop and closes, again and again. Each command is sent until it is answered, under one id.
func (t *trader) run(over <-chan struct{}) error {
	for {
		select {
		case <-over:
			return nil
		default:
		}
		stop, err := t.stop()
		if err != nil {
			return err
		}
		var opened *commandv1.OpenPositionResponse
		err = t.send(func(ctx context.Context) (*commandv1.Outcome, error) {
			var err error
			opened, err = t.u.trading().OpenPosition(ctx, &commandv1.OpenPositionRequest{AccountId: t.account, Symbol: t.symbol, Side: long, Capital: "1000", TechnicalStop: stop})
			return opened.GetOutcome(), err
		})
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if opened.GetPositionId() == "" {
			continue // the position before it is still on its way out
		}
		select { // some are left by their stop meanwhile, some are closed while they are entered
		case <-time.After(rand.N(holdMax)):
		case <-over:
		}
		err = t.send(func(ctx context.Context) (*commandv1.Outcome, error) {
			response, err := t.u.trading().ClosePosition(ctx, &commandv1.ClosePositionRequest{PositionId: opened.GetPositionId()})
			if response.GetAlreadyExiting() {
				return nil, err // what it tells is another command's
			}
			return response.GetOutcome(), err
		})
		if err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
}

// stop is a little below the market, so that some positions are left by it.
func (t *trader) stop() (stop string, err error) {
	return stop, t.send(func(ctx context.Context) (*commandv1.Outcome, error) {
		market, err := t.u.paper().GetMarket(ctx, &connectorv1.GetMarketRequest{Symbol: t.symbol})
		if err != nil {
			return nil, err
		}
		whole, _, _ := strings.Cut(market.GetMarket().GetPrice(), ".")
		price, err := strconv.Atoi(whole)
		stop = strconv.Itoa(price - t.distance)
		return nil, err
	})
}

// send sends a command until it is answered. A refusal by a rule is an answer: nothing was written.
func (t *trader) send(call func(ctx context.Context) (*commandv1.Outcome, error)) error {
	ctx := t.u.named(uuid.New())
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	var err error
	for range retriesMax {
		var outcome *commandv1.Outcome
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		outcome, err = call(limited)
		cancel()
		switch status.Code(err) {
		case codes.OK:
			if outcome != nil {
				t.outcomes = append(t.outcomes, outcome)
				t.acknowledged.Add(1)
			}
			return nil
		case codes.FailedPrecondition, codes.InvalidArgument: // the market may have fallen below the stop
			return nil
		case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted:
			<-pause.C
		default:
			return err
		}
	}
	return fmt.Errorf("no answer after %d tries: %w", retriesMax, err)
}

// walk gives a symbol a seeded walk that goes on by itself.
func (u *user) walk(symbol, price string, seed uint64, stepMax int32) {
	u.t.Helper()
	stream, err := u.paper().LoadMarket(u.ctx())
	require.NoError(u.t, err)
	require.NoError(u.t, stream.Send(&connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Header{Header: &connectorv1.MarketHeader{
		Symbol: symbol, Source: &connectorv1.MarketHeader_Synthetic{Synthetic: &connectorv1.SyntheticSource{
			Seed: seed, StartPrice: price, StartTime: timestamppb.New(marketStart), TickMs: 1000, Ticks: 1_000_000, StepMax: stepMax,
		}},
	}}}))
	_, err = stream.CloseAndRecv()
	require.NoError(u.t, err)
	_, err = u.paper().SetPace(u.ctx(), &connectorv1.SetPaceRequest{Symbol: symbol, TickIntervalMs: loadPace})
	require.NoError(u.t, err)
}

// TestKilledUnderLoadNothingAcknowledgedIsLost kills the whole stack at random moments while traders trade on moving
// markets, and starts it again. What was acknowledged is there, once; each order was sent at most once; every position
// reaches its end; the log is whole and the tables are its fold.
func TestKilledUnderLoadNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	s := ownStack(t)
	u := s.newUser(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	u.walk(btc, "95000", seed, 2000)
	u.walk(eth, "2000", seed+1, 40)
	var acknowledged atomic.Int64
	list := make([]*trader, traders)
	for i := range list {
		account := u.account(func(r *commandv1.RegisterAccountRequest) {
			r.RiskLimits.DailyLossLimit, r.RiskLimits.MaxDrawdown, r.RiskLimits.MonthlyBudgetPercent = "1000000", "1000000", "10000"
		})
		list[i] = &trader{u: u, account: account, symbol: btc, distance: 200, acknowledged: &acknowledged}
		if i%2 == 1 {
			list[i].symbol, list[i].distance = eth, 4
		}
	}
	over := make(chan struct{})
	errs := make([]error, traders)
	var wait sync.WaitGroup
	for i, one := range list {
		wait.Go(func() { errs[i] = one.run(over) })
	}
	for range kills {
		due := acknowledged.Load() + tradesMin
		eventually(t, "the traders trade", settleMax, func() string {
			if acknowledged.Load() < due {
				return fmt.Sprintf("%d commands are acknowledged", acknowledged.Load())
			}
			return ""
		})
		<-time.After(time.Duration(random.Int64N(int64(killJitter))))
		s.kill()
		s.up(t)
		require.Contains(t, s.process.output.String(), "taken over from a run that was killed", "the database goes on")
	}
	close(over)
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	u.flatten()
	for _, symbol := range []string{btc, eth} {
		_, err := u.paper().SetPace(u.ctx(), &connectorv1.SetPaceRequest{Symbol: symbol})
		require.NoError(t, err)
	}
	u.settle()
	t.Logf("%d commands were acknowledged, %d events are in the log", acknowledged.Load(), u.head())

	for _, one := range list {
		u.requireAcknowledged(one.outcomes)
	}
	u.requireWhole()
	u.requirePlacedOnce()
	u.requireEnded()
	who := []string{"--data-dir", s.dir, "--token", u.token, "--tenant-id", u.tenant}
	for _, line := range [][]string{{"verify"}, {"demo", "--attach", "--market-data", marketData()}} {
		p := start(t, "", nil, append(who, line...)...)
		require.Zero(t, p.end(t, demoMax), "%s\n%s", strings.Join(line, " "), p.output)
	}
}

// requireAcknowledged holds that what was acknowledged is in the log as it was told.
func (u *user) requireAcknowledged(outcomes []*commandv1.Outcome) {
	u.t.Helper()
	for _, outcome := range outcomes {
		command, err := u.log().GetCommand(u.ctx(), &eventlogv1.GetCommandRequest{CommandId: outcome.GetCommandId()})
		require.NoError(u.t, err, "command %s was acknowledged", outcome.GetCommandId())
		require.Len(u.t, command.GetReceipt().GetEvents(), len(outcome.GetEvents()))
		for i, told := range outcome.GetEvents() {
			require.Equal(u.t, told.GetEventId(), command.GetReceipt().GetEvents()[i].GetEventId())
			event, err := u.log().GetEvent(u.ctx(), &eventlogv1.GetEventRequest{EventId: told.GetEventId()})
			require.NoError(u.t, err)
			require.Equal(u.t, []any{told.GetPosition(), told.GetStreamKey(), told.GetSeq(), told.GetEventType()},
				[]any{event.GetEvent().GetPosition(), event.GetEvent().GetStreamKey(), event.GetEvent().GetSeq(), event.GetEvent().GetEventType()})
		}
	}
}

// requireWhole holds that the log has no gap and no double, and that each event names the hash of the one before.
func (u *user) requireWhole() {
	u.t.Helper()
	hash, last, seen, seqs := strings.Repeat("0", 64), "", map[string]bool{}, map[string]int64{}
	closed := map[string]int{} // commands whose append has ended
	for i, e := range u.readLog(0) {
		require.Equal(u.t, int64(i+1), e.GetPosition())
		require.Equal(u.t, hash, e.GetPrevHash(), "position %d", e.GetPosition())
		require.False(u.t, seen[e.GetEventId()])
		require.Less(u.t, last, e.GetEventId(), "event ids never go backwards")
		seqs[e.GetStreamKey()]++
		require.Equal(u.t, seqs[e.GetStreamKey()], e.GetSeq())
		require.Contains(u.t, []int{0, i}, closed[e.GetCommandId()], "command %s is in the log twice", e.GetCommandId())
		closed[e.GetCommandId()] = i + 1
		hash, last, seen[e.GetEventId()] = e.GetHash(), e.GetEventId(), true
	}
}

// requireEnded holds that every position was opened, left and closed at most once, and is at its end.
func (u *user) requireEnded() {
	u.t.Helper()
	open, err := u.state().ListPositions(u.ctx(), &projectorv1.ListPositionsRequest{States: append(unended, projectorv1.PositionState_POSITION_STATE_ARMED)})
	require.NoError(u.t, err)
	require.Empty(u.t, open.GetPositions())
	counts := map[string]int{}
	for _, e := range u.readLog(0) {
		switch e.GetEventType() {
		case "POSITION_OPENED", "EXIT_TRIGGERED", "POSITION_CLOSED", "POSITION_DISARMED":
			counts[e.GetStreamKey()+" "+e.GetEventType()]++
		case "DISCREPANCY_DETECTED":
			require.Fail(u.t, "a discrepancy", "%v", e)
		}
	}
	for name, n := range counts {
		require.Equal(u.t, 1, n, name)
	}
}
