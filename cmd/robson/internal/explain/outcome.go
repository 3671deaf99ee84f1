package explain

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// averagePlaces is how many places of an average an outcome shows, rounded half to even.
const averagePlaces = 8

// aboutOrder are the ids that the events of an order name. Of an order that is not known a trade or an ack tells.
func aboutOrder(events Events, id string) About {
	about := About{OrderID: id}
	for _, e := range events {
		if field(e, "order_id") != id {
			continue
		}
		take(&about.AccountID, field(e, "account_id"))
		take(&about.Symbol, field(e, "symbol"))
		take(&about.PositionID, field(e, "position_id"))
		if submitted := e.GetPayload().GetOrderSubmitted(); submitted != nil {
			take(&about.Side, enumText(submitted.GetSide().String(), "SIDE_"))
		}
	}
	return about
}

// aboutPosition are the ids that the events of a position name.
func aboutPosition(events Events, id string) About {
	about := About{PositionID: id}
	for _, e := range events {
		take(&about.AccountID, field(e, "account_id"))
		take(&about.StrategyID, field(e, "strategy_id"))
		take(&about.Symbol, field(e, "symbol"))
		if armed := e.GetPayload().GetPositionArmed(); armed != nil {
			take(&about.Side, enumText(armed.GetSide().String(), "POSITION_SIDE_"))
		}
	}
	return about
}

// take fills in what is not known yet.
func take(into *string, text string) {
	if *into == "" {
		*into = text
	}
}

// enumText is the name of a contract's value as the log writes it.
func enumText(name, prefix string) string {
	text := strings.ToLower(strings.TrimPrefix(name, prefix))
	if text == "unspecified" {
		return ""
	}
	return text
}

// outcome says in one sentence what became of the subject.
func outcome(x *Explanation, events Events) string {
	switch x.Subject.Kind {
	case KindPosition:
		return outcomeOfPosition(events, x.Subject.ID)
	case KindFill:
		return outcomeOfFill(x)
	default:
		return outcomeOfOrder(events, x.Subject.ID)
	}
}

// outcomeOfPosition takes the last word of the position's own events.
func outcomeOfPosition(events Events, id string) string {
	text := "named by other events only: it was never armed here"
	for _, e := range events {
		if field(e, "position_id") != id {
			continue
		}
		switch p := e.GetPayload(); {
		case p.GetPositionArmed() != nil:
			text = "armed: waits for a signal"
		case p.GetIntentCreated().GetIntentType() == eventv1.IntentType_INTENT_TYPE_ENTRY:
			text = "entering: the venue has not filled the entry"
		case p.GetSignalRejected() != nil:
			text = "armed: its signal was rejected, " + enumText(p.GetSignalRejected().GetReason().String(), "SIGNAL_REJECTION_")
		case p.GetPositionOpened() != nil:
			text = "open: entered at " + p.GetPositionOpened().GetEntryPrice()
		case p.GetExitTriggered() != nil:
			text = "being left: " + enumText(p.GetExitTriggered().GetReason().String(), "EXIT_REASON_")
		case p.GetPositionDisarmed() != nil:
			text = "disarmed: " + disarmed(events, p.GetPositionDisarmed())
		case p.GetPositionClosed() != nil:
			closed := p.GetPositionClosed()
			text = fmt.Sprintf("closed by %s: gross %s - fees %s = net %s", enumText(closed.GetExitReason().String(), "EXIT_REASON_"),
				rounded(closed.GetRealizedPnl()), rounded(closed.GetTotalFees()), rounded(closed.GetNetPnl()))
		}
	}
	return text
}

// disarmed says why a position was given up; the gates' reasons, where they refused it.
func disarmed(events Events, p *eventv1.PositionDisarmed) string {
	reason := enumText(p.GetReason().String(), "DISARM_REASON_")
	if p.GetReason() != eventv1.DisarmReason_DISARM_REASON_RISK_REFUSED {
		return reason
	}
	for _, e := range events {
		if failed := e.GetPayload().GetRiskCheckFailed(); failed != nil {
			reason = "refused by the risk gates: " + failed.GetViolationReason()
		}
	}
	return reason
}

// outcomeOfOrder goes by the rule of the books: filled wins, whatever came when.
func outcomeOfOrder(events Events, id string) string {
	var submitted *eventv1.OrderSubmitted
	filled, quote := decimal.Zero, decimal.Zero
	end, uncertain, answered := "", "", false
	for _, e := range events {
		if field(e, "order_id") != id {
			continue
		}
		switch p := e.GetPayload(); {
		case p.GetOrderSubmitted() != nil:
			submitted = p.GetOrderSubmitted()
		case p.GetFillReceived() != nil:
			filled, quote, answered = filled.Add(amount(p.GetFillReceived().GetFillQuantity())), quote.Add(quoteOf(p.GetFillReceived())), true
		case p.GetOrderAcked() != nil:
			answered = true
		case p.GetOrderRejected() != nil:
			end = fmt.Sprintf("rejected (%s): %s", enumText(p.GetOrderRejected().GetStage().String(), "REJECT_STAGE_"), p.GetOrderRejected().GetReason())
		case p.GetOrderCanceled() != nil:
			end = "canceled by " + enumText(p.GetOrderCanceled().GetCanceledBy().String(), "CANCELED_BY_")
		case p.GetOrderExpired() != nil:
			end = strings.TrimSuffix("expired: "+p.GetOrderExpired().GetExpiryReason(), ": ")
		case p.GetExchangeStateUncertain() != nil:
			uncertain = "UNKNOWN: the venue gave no clear answer (" + enumText(p.GetExchangeStateUncertain().GetCause().String(), "UNCERTAIN_CAUSE_") + "); it is being asked"
		}
	}
	return orderText(submitted, filled, quote, endOf(end, uncertain, answered))
}

// endOf is how an order ended, or what is waited for.
func endOf(end, uncertain string, answered bool) string {
	switch {
	case end != "":
		return end
	case uncertain != "" && !answered:
		return uncertain
	case answered:
		return "rests at the venue"
	default:
		return "submitted: the venue has not answered"
	}
}

// orderText joins what was filled and how it ended.
func orderText(submitted *eventv1.OrderSubmitted, filled, quote decimal.Decimal, end string) string {
	fills := "nothing filled"
	if filled.IsPositive() {
		fills = fmt.Sprintf("%s filled at %s", money.Format(filled), money.Format(money.Div18(quote, filled).RoundBank(averagePlaces)))
	}
	if submitted == nil {
		return "not known here: the venue reported it, and no order of ours was submitted under its id; " + fills
	}
	quantity := amount(submitted.GetQuantity())
	if filled.GreaterThanOrEqual(quantity) && filled.IsPositive() {
		return "filled: " + fills
	}
	return fmt.Sprintf("%s; of %s %s", end, money.Format(quantity), fills)
}

func outcomeOfFill(x *Explanation) string {
	for _, e := range x.Events {
		fill := e.GetPayload().GetFillReceived()
		if fill.GetFillId() != x.Subject.ID || fill == nil {
			continue
		}
		return fmt.Sprintf("%s %s %s at %s: %s quote, fee %s %s", enumText(fill.GetSide().String(), "SIDE_"), fill.GetFillQuantity(), fill.GetSymbol(),
			fill.GetFillPrice(), money.Format(quoteOf(fill)), fill.GetFee(), fill.GetFeeAsset())
	}
	return ""
}

// rounded is an amount as an outcome shows it.
func rounded(text string) string { return money.Format(amount(text).RoundBank(averagePlaces)) }
