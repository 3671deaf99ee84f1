package server

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/rows"
)

// entryDriftMax is how far an order at the market may risk more than its signal says, as the market is not where the signal
// says: a fifth. Sizing goes by the signal's entry, and what the order pays is the market's price.
var entryDriftMax = decimal.RequireFromString("1.2")

// sensible refuses a signal that nobody can have meant, and says why a detector's is rejected.
func sensible(at *situation, signal engine.Signal, orderType eventv1.OrderType) (eventv1.SignalRejection, error) {
	switch {
	case signal.Stop.Equal(signal.Entry):
		return eventv1.SignalRejection_SIGNAL_REJECTION_WRONG_SIDE,
			fault.InvalidField("technical_stop", "must not equal the entry price, %s", signal.Entry)
	case !rightSide(signal) && signal.Side == engine.Short:
		return eventv1.SignalRejection_SIGNAL_REJECTION_WRONG_SIDE,
			fault.InvalidField("technical_stop", "must be above the entry price of a short, %s", signal.Entry)
	case !rightSide(signal):
		return eventv1.SignalRejection_SIGNAL_REJECTION_WRONG_SIDE,
			fault.InvalidField("technical_stop", "must be below the entry price of a long, %s", signal.Entry)
	case orderType == eventv1.OrderType_ORDER_TYPE_LIMIT:
		return 0, nil
	}
	reader := &rows.Reader{}
	last := reader.Amount(at.market.GetLastPrice())
	if reader.Err != nil || !last.IsPositive() {
		return 0, reader.Err // The venue tells no price yet: the signal's is all there is.
	}
	found := engine.Signal{Side: signal.Side, Entry: last, Stop: signal.Stop}
	planned, risked := signal.Entry.Sub(signal.Stop).Abs(), last.Sub(signal.Stop).Abs()
	switch {
	case !rightSide(found):
		return eventv1.SignalRejection_SIGNAL_REJECTION_WRONG_SIDE,
			fault.InvalidField("technical_stop", "is where the market has been: it stands at %s, and the position would be left at once", last)
	case risked.GreaterThan(planned.Mul(entryDriftMax)):
		// No gate has spoken: it is the stop that is too far from where the entry would be.
		return eventv1.SignalRejection_SIGNAL_REJECTION_STOP_BOUNDS,
			fault.InvalidField("entry_price", "is not where the market is, %s: an order at the market would risk %s times what is planned; leave it out, or enter by a limit order",
				last, risked.DivRound(planned, 1))
	default:
		return 0, nil
	}
}

// rightSide says whether the stop is where a loss is.
func rightSide(signal engine.Signal) bool {
	if signal.Side == engine.Short {
		return signal.Stop.GreaterThan(signal.Entry)
	}
	return signal.Stop.LessThan(signal.Entry)
}
