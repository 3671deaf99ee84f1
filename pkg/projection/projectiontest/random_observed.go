package projectiontest

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// observe is what the lines to the venue and our own services may tell. It comes late and twice like any report.
func (h *history) observe() error {
	h.made++
	name := fmt.Sprint(rapid.IntRange(1, 4).Draw(h.t, "observed"))
	switch rapid.IntRange(0, 9).Draw(h.t, "observes") {
	case 0:
		return h.tell(h.Connected(name))
	case 1:
		return h.tell(h.Disconnected(name))
	case 2:
		return h.tell(h.RequestFailed())
	case 3:
		return h.tell(h.RateLimited(int32(rapid.IntRange(-1, 9).Draw(h.t, "seconds") * 1000)))
	case 4:
		return h.margin()
	case 5:
		resolution := rapid.SampledFrom([]eventv1.Resolution{
			eventv1.Resolution_RESOLUTION_AUTO_REPAIRED, eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR, eventv1.Resolution_RESOLUTION_OBSERVED,
		}).Draw(h.t, "resolution")
		return h.tell(h.RunFound(name, fmt.Sprint("balance:", rapid.IntRange(1, 3).Draw(h.t, "entity")), resolution))
	case 6:
		return h.tell(h.reconciled(name))
	case 7:
		made := h.SnapshotMade(fmt.Sprint(h.made), int64(rapid.IntRange(-1, len(h.Events)+1).Draw(h.t, "as of")))
		made.Scope, made.ScopeId = h.scope()
		return h.tell(made)
	case 8:
		rebuilt := h.Rebuilt(name, int64(rapid.IntRange(0, len(h.Events)+1).Draw(h.t, "to")))
		rebuilt.Identical = rapid.Bool().Draw(h.t, "identical")
		if rapid.Bool().Draw(h.t, "of an account") {
			rebuilt.Scope, rebuilt.ScopeId = eventv1.RebuildScope_REBUILD_SCOPE_ACCOUNT, Spot.String()
		}
		return h.tell(rebuilt)
	}
	return h.try(h.Rotated("key-" + name))
}

// scope is what a snapshot is of: now and then of something that is not there.
func (h *history) scope() (eventv1.SnapshotScope, string) {
	switch rapid.IntRange(0, 2).Draw(h.t, "scope") {
	case 0:
		return eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY, StrategyID.String()
	case 1:
		return eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION, rapid.SampledFrom(h.plans).Draw(h.t, "scope of").PositionID().String()
	}
	return eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT, Spot.String()
}

// margin is what may become of a margin account.
func (h *history) margin() error {
	amount := fmt.Sprint(rapid.IntRange(-1, 9).Draw(h.t, "margin amount"))
	id := fmt.Sprint(h.made)
	switch rapid.IntRange(0, 4).Draw(h.t, "margin") {
	case 0:
		moved := h.Transferred(id, amount)
		moved.Direction = rapid.SampledFrom([]eventv1.TransferDirection{
			eventv1.TransferDirection_TRANSFER_DIRECTION_SPOT_TO_ISOLATED, eventv1.TransferDirection_TRANSFER_DIRECTION_ISOLATED_TO_SPOT,
		}).Draw(h.t, "direction")
		return h.tell(moved)
	case 1:
		return h.tell(&eventv1.MarginBorrowed{
			AccountId: Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: amount, TranId: id, Via: eventv1.BorrowVia_BORROW_VIA_EXPLICIT,
		})
	case 2:
		return h.tell(&eventv1.MarginRepaid{
			AccountId: Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: amount, Principal: "2", Interest: "0.5", TranId: id,
		})
	case 3:
		kind := eventv1.AdjustmentKind(rapid.IntRange(1, 5).Draw(h.t, "adjusted by"))
		return h.tell(&eventv1.BalanceAdjusted{
			AccountId: Spot.String(), Wallet: "spot", Asset: "USDT", Delta: amount, Kind: kind, ClearedAt: h.stamp(),
		})
	}
	level := h.MarginLevel(id, amount)
	level.Status = eventv1.MarginStatus(rapid.IntRange(1, 5).Draw(h.t, "margin status"))
	level.SampledAt = timestamppb.New(h.Now.Add(-time.Duration(rapid.IntRange(0, 60).Draw(h.t, "seconds ago")) * time.Second))
	return h.tell(level)
}

// reconciled ends a run that says whatever it says of the discrepancies there are.
func (h *history) reconciled(name string) proto.Message {
	run := h.Reconciled(name)
	run.Status = eventv1.ReconciliationStatus(rapid.IntRange(1, 3).Draw(h.t, "run status"))
	run.Unresolved, run.Resolved = int32(rapid.IntRange(0, 2).Draw(h.t, "unresolved")), int32(rapid.IntRange(0, 2).Draw(h.t, "resolved"))
	for _, row := range h.State.Rows() {
		found, ok := row.(*projection.Discrepancy)
		if ok && len(run.GetResolvedIds()) < 3 && rapid.Bool().Draw(h.t, "resolves") {
			run.ResolvedIds = append(run.ResolvedIds, found.DiscrepancyID.String())
		}
	}
	return run
}
