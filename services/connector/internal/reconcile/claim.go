package reconcile

import (
	"context"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/venue"
)

// isClaimed says whether our log holds the claim of an order.
func (p *pair) isClaimed() bool { return p.claimed || p.row.GetKnown() }

// unclaimed is for an order under a name of ours whose claim the log does not hold. Where it is what one of our intents wanted, the claim is
// taken in from that: it is given to be recorded after the acknowledgement, and the order's further facts follow from its intent. Where it
// is something else than its intent wanted, that is told, and the order stays nobody's; so does one without an intent, of which the log has
// told itself, as unknown_order, by the first fact about it.
func (r *run) unclaimed(ctx context.Context, p *pair) (claim, differs []finding, err error) {
	if p.isClaimed() || p.at.Status == venue.StatusRejected {
		return nil, nil, nil
	}
	intent, attempt, err := r.ledger.IntentOf(ctx, r.account.String(), p.order.ID, r.logAt)
	if err != nil || intent == nil || !isOfOrder(intent.GetIntentType()) {
		return nil, nil, err
	}
	if wanted, found := r.against(intent, p.at); len(wanted) > 0 {
		f := p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER, wanted, found)
		f.Severity = eventv1.Severity_SEVERITY_CRITICAL
		return nil, []finding{f}, nil
	}
	p.order.Origin, err = r.ledger.Follow(ctx, intent.GetLastEventId())
	if err != nil {
		return nil, nil, err
	}
	of := r.lines.Claim(intent, p.order, attempt)
	p.order.Intent, p.order.Position = ledger.OptionalID(of.GetIntentId()), ledger.OptionalID(of.GetPositionId())
	return []finding{p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER,
		map[string]string{"claim": "recorded"}, map[string]string{"claim": "absent", "intent_id": intent.GetIntentId()},
		fact.Recovered(p.order, of, p.at.CreatedAt))}, nil, nil
}

// isOfOrder says whether an intent is one to place an order.
func isOfOrder(kind eventv1.IntentType) bool {
	return kind == eventv1.IntentType_INTENT_TYPE_ENTRY || kind == eventv1.IntentType_INTENT_TYPE_EXIT || kind == eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP
}

// against gives what an intent wanted of its order where the venue's is another.
func (r *run) against(intent *projectorv1.Intent, at venue.Order) (wanted, found map[string]string) {
	wanted, found = map[string]string{}, map[string]string{}
	order := r.lines.NewOrder(intent, at.ClientOrderID, at.CreatedAt)
	for name, value := range map[string][2]string{
		"symbol": {order.Symbol, at.Symbol}, "side": {string(order.Side), string(at.Side)}, "type": {string(order.Type), string(at.Type)},
		"quantity": {money.Format(order.Quantity), money.Format(at.Quantity)}, "price": {money.Format(order.Price), money.Format(at.Price)},
		"stop_price": {money.Format(order.StopPrice), money.Format(at.StopPrice)},
	} {
		if value[0] != value[1] {
			wanted[name], found[name] = value[0], value[1]
		}
	}
	return wanted, found
}
