package explain

import (
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

// moneyOf tells what the subject's trades did: one trade, those of an order, or those of a position.
func moneyOf(x *Explanation, events Events) *Money {
	m := &Money{Fills: []Fill{}, Fees: map[string]decimal.Decimal{}}
	legs := map[string]string{}
	for _, e := range events {
		if s := e.GetPayload().GetOrderSubmitted(); s != nil {
			legs[s.GetOrderId()] = enumText(s.GetReduceIntent().String(), "REDUCE_INTENT_")
		}
	}
	counted := map[string]bool{} // a trade counts once, however often it was told
	for _, e := range events {
		if f := e.GetPayload().GetFillReceived(); f != nil && x.owns(f, legs) && !counted[f.GetFillId()] {
			counted[f.GetFillId()] = true
			m.take(e, legs[f.GetOrderId()])
		}
		if c := e.GetPayload().GetPositionClosed(); c != nil && x.Subject.Kind == KindPosition && c.GetPositionId() == x.Subject.ID {
			m.Closed = &Closed{
				Position: e.GetPosition(), Reason: enumText(c.GetExitReason().String(), "EXIT_REASON_"),
				RealizedPnL: c.GetRealizedPnl(), TotalFees: c.GetTotalFees(), NetPnL: c.GetNetPnl(), Dust: c.GetDustQuantity(),
			}
		}
	}
	return m
}

// owns says whether a trade belongs to the subject. One of an order of the position may name no position.
func (x *Explanation) owns(f *eventv1.FillReceived, legs map[string]string) bool {
	switch x.Subject.Kind {
	case KindFill:
		return f.GetFillId() == x.Subject.ID
	case KindOrder:
		return f.GetOrderId() == x.Subject.ID
	default:
		_, submitted := legs[f.GetOrderId()]
		return f.GetPositionId() == x.Subject.ID || f.GetPositionId() == "" && submitted
	}
}

// take adds a trade to the list and the sums.
func (m *Money) take(e *eventv1.Event, leg string) {
	f := e.GetPayload().GetFillReceived()
	quote, fee := quoteOf(f), amount(f.GetFee())
	m.Fills = append(m.Fills, Fill{
		Position: e.GetPosition(), FillID: f.GetFillId(), OrderID: f.GetOrderId(), Leg: leg, Side: enumText(f.GetSide().String(), "SIDE_"),
		Quantity: amount(f.GetFillQuantity()), Price: amount(f.GetFillPrice()), Quote: quote, Fee: fee, FeeAsset: f.GetFeeAsset(),
		FeeQuote: f.GetFeeQuote(), FilledAt: f.GetFilledAt().AsTime(),
	})
	switch leg {
	case "entry":
		m.EntryCost = m.EntryCost.Add(quote)
	case "exit", "insurance":
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
