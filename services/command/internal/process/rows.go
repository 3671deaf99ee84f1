package process

import (
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/rows"
)

// reader turns rows into what package lifecycle knows.
type reader struct{ rows.Reader }

var positionStates = map[projectorv1.PositionState]lifecycle.PositionState{
	projectorv1.PositionState_POSITION_STATE_ARMED:    lifecycle.Armed,
	projectorv1.PositionState_POSITION_STATE_ENTERING: lifecycle.Entering,
	projectorv1.PositionState_POSITION_STATE_ACTIVE:   lifecycle.Active,
	projectorv1.PositionState_POSITION_STATE_EXITING:  lifecycle.Exiting,
	projectorv1.PositionState_POSITION_STATE_CLOSED:   lifecycle.Closed,
	projectorv1.PositionState_POSITION_STATE_ERROR:    lifecycle.Failed,
}

func (r *reader) position(row *projectorv1.Position) lifecycle.Position {
	state, known := positionStates[row.GetState()]
	if !known {
		r.Fail(fault.New(fault.Corrupt, "ROW_STATE", "position %s has unknown state %s", row.GetPositionId(), row.GetState()))
	}
	return lifecycle.Position{
		ID: row.GetPositionId(), AccountID: row.GetAccountId(), StrategyID: row.GetStrategyId(),
		Symbol: row.GetSymbol(), Side: row.GetSide(), State: state,
		TechnicalStop: r.Amount(row.GetTechnicalStopPrice()), TechnicalDistance: r.Amount(row.GetTechnicalStopDistance()),
		TrailingStop: r.Amount(row.GetTrailingStopPrice()), EntryDone: row.GetEntryDone(),
		EntryQuantity: r.Amount(row.GetEntryQuantity()), EntryCost: r.Amount(row.GetEntryCost()),
		ExitQuantity: r.Amount(row.GetExitQuantity()), ExitProceeds: r.Amount(row.GetExitProceeds()),
		ExitBaseFee: r.Amount(row.GetExitBaseFee()), ExitBaseFeeCost: r.Amount(row.GetExitBaseFeeCost()),
		Open: r.Amount(row.GetCurrentQuantity()), TotalFees: r.Amount(row.GetTotalFees()),
		ExitTriggers: int(row.GetExitTriggers()),
	}
}

func (r *reader) order(row *projectorv1.Order) lifecycle.Order {
	return lifecycle.Order{
		ID: row.GetOrderId(), IntentID: row.GetIntentId(), Role: row.GetReduceIntent(), Side: row.GetSide(), Type: row.GetOrderType(),
		Ended: rows.Ended(row.GetStatus()), Unresolved: row.GetNeedsResolution(),
		Quantity: r.Amount(row.GetQuantity()), Filled: r.Amount(row.GetFilledQuantity()), StopPrice: r.Amount(row.GetStopPrice()),
	}
}

// intent reads an intent. The order of its newest attempt carries it out; before a claim it is that of the first.
func (r *reader) intent(row *projectorv1.Intent) lifecycle.Intent {
	intent := lifecycle.Intent{
		ID: row.GetIntentId(), Type: row.GetIntentType(), OrderID: row.GetOrderId(), CancelsOrderID: row.GetCancelsOrderId(),
		Ended: row.GetEnded() || row.GetStatus() == projectorv1.IntentStatus_INTENT_STATUS_FAILED,
	}
	if intent.OrderID == "" && intent.Type != eventv1.IntentType_INTENT_TYPE_CANCEL {
		id, err := uuid.Parse(row.GetIntentId())
		if err != nil {
			r.Fail(fault.Wrap(err, fault.Corrupt, "ROW_ID", "read intent id %q of a row", row.GetIntentId()))
		}
		intent.OrderID = event.OrderID(id, 1).String()
	}
	return intent
}

// baseFeeRate is the part of what a short buys back that the venue keeps. A venue that took the fee of the entry, a
// sale, in the quote asset takes that of a purchase in the base asset; one that took it elsewhere goes on doing so.
func (r *reader) baseFeeRate(orders []*projectorv1.Order, market *connectorv1.GetInstrumentResponse) decimal.Decimal {
	for _, order := range orders {
		if order.GetReduceIntent() != eventv1.ReduceIntent_REDUCE_INTENT_ENTRY {
			continue
		}
		if fee := order.GetFees()[market.GetInstrument().GetQuoteAsset()]; r.Amount(fee).IsPositive() {
			return r.Amount(market.GetTakerFeeRate())
		}
	}
	return decimal.Zero
}
