package projection_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// update writes the golden file anew: go test ./pkg/projection -run TestFold_is_what_it_was -update. If the rules have
// changed, RulesVersion goes up with it.
var update = flag.Bool("update", false, "write testdata/golden/fold.txt anew")

// TestFold_is_what_it_was pins what each of the 44 types does to the tables, row by row and field by field, for this
// version of the rules: state that other rules have folded is told from ours by the version alone.
func TestFold_is_what_it_was(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	fmt.Fprintf(&told, "rules version %d\n", projection.RulesVersion)
	state, seen := &projection.Memory{}, map[event.Type]bool{}
	for _, ev := range story(t) {
		overlay := projection.NewOverlay(state)
		_, err := projection.Fold(overlay, ev)
		require.NoError(t, err)
		require.NotEmpty(t, overlay.Rows(), "%s at %d changes nothing", ev.Type, ev.Position)
		fmt.Fprintf(&told, "\n%d %s\n", ev.Position, ev.Type)
		for _, row := range overlay.Rows() {
			fmt.Fprintf(&told, "%s %s\n", row.Key().Table, projection.RowJSON(row))
		}
		overlay.MergeInto(state)
		seen[ev.Type] = true
	}
	for _, descriptor := range event.All() {
		require.True(t, seen[descriptor.Type], "the story has no %s", descriptor.Type)
	}
	const path = "testdata/golden/fold.txt"
	if *update {
		require.NoError(t, os.MkdirAll("testdata/golden", 0o755))
		require.NoError(t, os.WriteFile(path, told.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), told.String(), "the rules fold to another state: raise RulesVersion, and go test ./pkg/projection -run TestFold_is_what_it_was -update")
}

// story is a log in which every type occurs and changes something.
func story(t *testing.T) []projection.Event {
	t.Helper()
	log := registered(t)
	won, refused, missed := projectiontest.Long("won"), projectiontest.Long("refused"), projectiontest.Long("missed")
	won.Strategy = projectiontest.StrategyID
	add(t, log, &eventv1.StrategyUpdated{StrategyId: projectiontest.StrategyID.String(), Version: 2, RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}})
	tellVenue(t, log)
	tellEntry(t, log, won)
	tellExit(t, log, won)
	add(t, log, log.Armed(refused), log.Detected(refused), log.Proposed(refused))
	failed := log.Failed(refused)
	failed.AccountBreach = true
	add(t, log, failed, &eventv1.SignalRejected{
		SignalId: refused.SignalID().String(), PositionId: refused.PositionID().String(), Reason: eventv1.SignalRejection_SIGNAL_REJECTION_RISK,
	}, &eventv1.PositionDisarmed{PositionId: refused.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_RISK_REFUSED})
	add(t, log, log.Armed(missed), log.Detected(missed))
	add(t, log, &eventv1.SignalExpired{SignalId: missed.SignalID().String(), PositionId: missed.PositionID().String(), ExpiredAt: timestamppb.New(log.Now)})
	add(t, log, panicked("1"), &eventv1.StrategyDisabled{StrategyId: projectiontest.StrategyID.String(), Reason: "over"})
	add(t, log, log.RunFound("run", "balance:spot/USDT", eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR))
	run := log.Reconciled("run")
	run.Status, run.BalanceMismatches, run.Resolved = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_REPAIRED, 1, 1
	run.ResolvedIds = []string{projectiontest.ID("run runbalance:spot/USDT").String()}
	add(t, log, run, log.SnapshotMade("s1", 10), log.Rebuilt("r1", 10), log.Rotated("key-2"))
	return log.Events
}

// tellVenue tells of lines, balances and loans.
func tellVenue(t *testing.T, log *projectiontest.Log) {
	t.Helper()
	account := projectiontest.Margin.String()
	add(t, log, log.Connected("c1"), log.Disconnected("c1"), log.RequestFailed(), log.RateLimited(5000), log.Sample("1", "USDT", "10000"))
	deposit := &eventv1.BalanceAdjusted{
		AccountId: projectiontest.Spot.String(), Wallet: "spot", Asset: "USDT", Delta: "5", Kind: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT,
		ClearedAt: timestamppb.New(log.Now),
	}
	add(t, log, deposit, log.Transferred("1", "0.5"), log.MarginLevel("1", "0.5"),
		&eventv1.MarginBorrowed{AccountId: account, Symbol: "BTCUSDT", Asset: "BTC", Amount: "0.5", TranId: "2", Via: eventv1.BorrowVia_BORROW_VIA_EXPLICIT},
		&eventv1.MarginRepaid{AccountId: account, Symbol: "BTCUSDT", Asset: "BTC", Amount: "0.31", Principal: "0.3", Interest: "0.01", TranId: "3"})
}

// tellEntry opens a position and puts a resting stop under it.
func tellEntry(t *testing.T, log *projectiontest.Log, plan projectiontest.Plan) {
	t.Helper()
	add(t, log, log.Armed(plan), log.Detected(plan), log.StopAnalyzed(plan), log.Proposed(plan), log.Passed(plan),
		&eventv1.SignalAccepted{SignalId: plan.SignalID().String(), PositionId: plan.PositionID().String(), DecisionId: plan.DecisionID().String()})
	add(t, log, log.Entry(plan))
	add(t, log, log.Claim(plan.EntryID(), 1))
	entry := log.Intent(plan.EntryID())
	add(t, log, log.Uncertain(entry, 1, "place"), log.Ack(entry, 1))
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.06666", Fee: "6.3327", FeeAsset: "USDT"}))
	add(t, log, log.Opened(plan, "95000", "0.06666"), log.Protect(plan, 1, "0.06666", plan.Stop))
	add(t, log, log.Claim(projectiontest.ProtectID(plan, 1), 1))
	add(t, log, log.StopMoved(plan, "93500", "94500", "96000"))
}

// tellExit leaves it: the stop is canceled, a first order expires, a second is refused, a third fills.
func tellExit(t *testing.T, log *projectiontest.Log, plan projectiontest.Plan) {
	t.Helper()
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	add(t, log, log.Cancel(plan, log.Intent(projectiontest.ProtectID(plan, 1)).OrderID.UUID))
	add(t, log, log.Canceled(log.Intent(projectiontest.ProtectID(plan, 1)), 1, "0"))
	add(t, log, log.Exit(plan, 1, "0.06666"))
	exit := projectiontest.ExitID(plan, 1)
	for attempt, outcome := range []func(*projection.Intent, int32) proto.Message{
		func(i *projection.Intent, n int32) proto.Message { return log.Expired(i, n, "0") },
		func(i *projection.Intent, n int32) proto.Message { return log.Rejected(i, n) },
		func(i *projection.Intent, n int32) proto.Message {
			return log.Fill(i, n, projectiontest.Trade{ID: "t2", Price: "96000", Quantity: "0.06666", Fee: "6.4", FeeAsset: "USDT"})
		},
	} {
		n := int32(attempt + 1)
		add(t, log, log.Claim(exit, n))
		add(t, log, outcome(log.Intent(exit), n))
	}
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
}
