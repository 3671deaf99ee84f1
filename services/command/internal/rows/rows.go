// Package rows reads the text of rows that other services of ours serve into exact numbers.
package rows

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

// Reader reads amounts. The first that is none is kept as Err: rows come from our own services, so it means that one of
// them is broken.
type Reader struct{ Err error }

// Amount reads an amount; an absent one is zero.
func (r *Reader) Amount(text string) decimal.Decimal { return r.AmountOr(text, decimal.Zero) }

// AmountOr reads an amount, or gives another for an absent one.
func (r *Reader) AmountOr(text string, other decimal.Decimal) decimal.Decimal {
	if text == "" {
		return other
	}
	value, err := decimal.NewFromString(text)
	if err != nil {
		r.Fail(fault.Wrap(err, fault.Corrupt, "ROW_AMOUNT", "read amount %q of a row", text))
	}
	return value
}

// Fail keeps an error unless there is one.
func (r *Reader) Fail(err error) {
	if r.Err == nil {
		r.Err = err
	}
}

// Instrument reads the venue's rules for orders of a type. The entry, if known, bounds the quantity by the largest
// notional.
func (r *Reader) Instrument(answer *connectorv1.GetInstrumentResponse, orderType eventv1.OrderType, entry decimal.Decimal) engine.Instrument {
	row := answer.GetInstrument()
	instrument := engine.Instrument{
		Symbol: row.GetSymbol(), BaseAsset: row.GetBaseAsset(), QuoteAsset: row.GetQuoteAsset(),
		TickSize: r.Amount(row.GetTickSize()), StepSize: r.Amount(row.GetStepSize()),
		MinQuantity: r.Amount(row.GetMinQuantity()), MaxQuantity: r.Amount(row.GetMaxQuantity()),
		MinNotional: r.Amount(row.GetMinNotional()),
	}
	if orderType == eventv1.OrderType_ORDER_TYPE_MARKET {
		// The venue's steps are powers of ten, so the larger satisfies both.
		instrument.StepSize = decimal.Max(instrument.StepSize, r.Amount(row.GetMarketStepSize()))
		instrument.MaxQuantity = lower(instrument.MaxQuantity, r.Amount(row.GetMarketMaxQuantity()))
		if !row.GetMinNotionalAppliesToMarket() {
			instrument.MinNotional = decimal.Zero
		}
	}
	if most := r.Amount(row.GetMaxNotional()); most.IsPositive() && entry.IsPositive() {
		quantity, _ := most.QuoRem(entry, quantityPlaces)
		instrument.MaxQuantity = lower(instrument.MaxQuantity, quantity)
	}
	return instrument
}

// quantityPlaces is how many decimals a venue's quantity has at most.
const quantityPlaces = 8

// lower is the smaller of two bounds of which zero is none.
func lower(a, b decimal.Decimal) decimal.Decimal {
	if a.IsZero() || b.IsPositive() && b.LessThan(a) {
		return b
	}
	return a
}

// Ended says whether an order can do no more.
func Ended(status projectorv1.OrderStatus) bool {
	switch status {
	case projectorv1.OrderStatus_ORDER_STATUS_FILLED, projectorv1.OrderStatus_ORDER_STATUS_CANCELED,
		projectorv1.OrderStatus_ORDER_STATUS_REJECTED, projectorv1.OrderStatus_ORDER_STATUS_EXPIRED:
		return true
	default:
		return false
	}
}

// Exiting says whether a position is being left.
func Exiting(position *projectorv1.Position) bool {
	return position.GetState() == projectorv1.PositionState_POSITION_STATE_EXITING ||
		position.GetState() == projectorv1.PositionState_POSITION_STATE_ERROR && position.GetExitTriggers() > 0
}

// Waiting says whether a signal waits for its answer. One that led to a decision does not, even if its status says so: the
// logs of before signals were accepted and rejected are full of them.
func Waiting(signal *projectorv1.Signal) bool {
	return signal.GetStatus() == projectorv1.SignalStatus_SIGNAL_STATUS_DETECTED && signal.GetDecisionId() == ""
}

// Limits reads the account's limits.
func (r *Reader) Limits(risk *projectorv1.Risk) engine.Limits {
	return engine.Limits{
		RiskPercentMax: r.Amount(risk.GetRiskPercentMax()), MaxExposure: r.Amount(risk.GetMaxExposure()),
		MaxPositionNotional: r.Amount(risk.GetMaxPositionNotional()), DailyLossLimit: r.Amount(risk.GetDailyLossLimit()),
		MaxDrawdown: r.Amount(risk.GetMaxDrawdown()), MonthlyBudgetPercent: r.Amount(risk.GetMonthlyBudgetPercent()),
		CapitalBase: r.Amount(risk.GetCapitalBase()), MaxOpenPositions: risk.GetMaxOpenPositions(),
	}
}

// Usage reads a risk row; the day's and month's sums come from the period rows of the deciding time.
func (r *Reader) Usage(risk *projectorv1.Risk, periods []*projectorv1.PnLPeriod) engine.Usage {
	usage := engine.Usage{
		Exposure: r.Amount(risk.GetTotalExposure()), LatentRisk: r.Amount(risk.GetOpenRisk()),
		OpenPositions: risk.GetOpenPositions(), Drawdown: r.Amount(risk.GetDrawdown()),
	}
	for _, period := range periods {
		if period.GetStrategyId() != risk.GetStrategyId() || period.GetAccountId() != risk.GetAccountId() {
			continue
		}
		if len(period.GetPeriod()) == len("2006-01") {
			usage.MonthlyPnL = r.Amount(period.GetNetPnl())
		} else {
			usage.DailyPnL = r.Amount(period.GetNetPnl())
		}
	}
	return usage
}
