package explain

import (
	"math"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// amount reads an amount of the log; what is none counts as nothing, as it does in the books.
func amount(text string) decimal.Decimal {
	d, err := money.Parse(text)
	if err != nil {
		return decimal.Zero
	}
	return d
}

// quoteOf is what a trade was worth: as the venue gave it, else price times quantity.
func quoteOf(f *eventv1.FillReceived) decimal.Decimal {
	if f.GetQuoteQuantity() != "" {
		return amount(f.GetQuoteQuantity())
	}
	return amount(f.GetFillPrice()).Mul(amount(f.GetFillQuantity()))
}

// claim is what an order's ORDER_SUBMITTED says of its trades.
type claim struct {
	leg, positionID string
	// position is where the claim is in the log.
	position int64
}

// claimsOf are the claims of orders, by order. A manual order's leg is told by its side, as in the books.
func claimsOf(events Events) map[string]claim {
	claims := map[string]claim{}
	enters := eventv1.Side_SIDE_BUY
	for _, e := range events {
		if e.GetPayload().GetPositionArmed().GetSide() == eventv1.PositionSide_POSITION_SIDE_SHORT {
			enters = eventv1.Side_SIDE_SELL
		}
		s := e.GetPayload().GetOrderSubmitted()
		if s == nil {
			continue
		}
		leg := enumText(s.GetReduceIntent().String(), "REDUCE_INTENT_")
		if s.GetReduceIntent() == eventv1.ReduceIntent_REDUCE_INTENT_MANUAL && s.GetPositionId() != "" {
			leg = "manual exit"
			if s.GetSide() == enters {
				leg = "manual entry"
			}
		}
		claims[s.GetOrderId()] = claim{leg: leg, positionID: s.GetPositionId(), position: e.GetPosition()}
	}
	return claims
}

// moneyOf tells what the subject's trades did: one trade, those of an order, or those of a position.
func moneyOf(x *Explanation, events Events) *Money {
	m := &Money{Fills: []Fill{}, Fees: map[string]decimal.Decimal{}}
	claims := claimsOf(events)
	end := x.ended(events, m)
	counted := map[string]bool{} // a trade counts once, however often it was told
	for _, e := range events {
		f := e.GetPayload().GetFillReceived()
		if f == nil || counted[f.GetFillId()] {
			continue
		}
		of, claimed := claims[f.GetOrderId()]
		switch {
		case x.Subject.Kind == KindFill && f.GetFillId() != x.Subject.ID, x.Subject.Kind == KindOrder && f.GetOrderId() != x.Subject.ID:
			continue
		case x.Subject.Kind == KindPosition && claimed && of.positionID != x.Subject.ID, x.Subject.Kind == KindPosition && !claimed && f.GetPositionId() != x.Subject.ID:
			continue
		}
		counted[f.GetFillId()] = true
		known := claimed && max(e.GetPosition(), of.position) < end
		m.take(e, of.leg, known || x.Subject.Kind != KindPosition)
	}
	return m
}

// ended is where a position ended, past all positions if it has not; what POSITION_CLOSED says goes into the money.
func (x *Explanation) ended(events Events, m *Money) int64 {
	for _, e := range events {
		if x.Subject.Kind != KindPosition || field(e, "position_id") != x.Subject.ID {
			continue
		}
		if c := e.GetPayload().GetPositionClosed(); c != nil {
			m.Closed = &Closed{
				Position: e.GetPosition(), Reason: enumText(c.GetExitReason().String(), "EXIT_REASON_"),
				RealizedPnL: c.GetRealizedPnl(), TotalFees: c.GetTotalFees(), NetPnL: c.GetNetPnl(), Dust: c.GetDustQuantity(),
			}
			return e.GetPosition()
		}
		if e.GetPayload().GetPositionDisarmed() != nil {
			return e.GetPosition()
		}
	}
	return math.MaxInt64
}

// take adds a trade to the list and, if it counts, to the sums. As in the books, a trade does not count for its position while
// its order is not claimed, nor when it comes after the position has ended.
func (m *Money) take(e *eventv1.Event, leg string, counts bool) {
	f := e.GetPayload().GetFillReceived()
	quote, fee := quoteOf(f), amount(f.GetFee())
	m.Fills = append(m.Fills, Fill{
		Position: e.GetPosition(), FillID: f.GetFillId(), OrderID: f.GetOrderId(), Leg: leg, Side: enumText(f.GetSide().String(), "SIDE_"),
		Quantity: amount(f.GetFillQuantity()), Price: amount(f.GetFillPrice()), Quote: quote, Fee: fee, FeeAsset: f.GetFeeAsset(),
		FeeQuote: f.GetFeeQuote(), FilledAt: f.GetFilledAt().AsTime(), Counts: counts,
	})
	if !counts {
		return
	}
	switch leg {
	case "entry", "manual entry":
		m.EntryCost = m.EntryCost.Add(quote)
	case "exit", "insurance", "manual exit":
		m.ExitProceeds = m.ExitProceeds.Add(quote)
	}
	if fee.IsZero() {
		return
	}
	m.Fees[f.GetFeeAsset()] = m.Fees[f.GetFeeAsset()].Add(fee)
	if f.GetFeeQuote() == "" {
		m.FeesUnvalued++
		return
	}
	m.FeesQuote = m.FeesQuote.Add(amount(f.GetFeeQuote()))
}
