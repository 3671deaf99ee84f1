package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/venue"
)

// What an entity's name begins with, by what it is.
const (
	ofOrder    = "order:"
	ofPosition = "position:"
	ofLoan     = "loan:"
)

// positions looks for what the account's positions must have, whatever happens at the venue: a technical stop, and while active one live
// stop order for all of it.
func (r *run) positions(ctx context.Context) ([]finding, error) {
	held, err := r.ledger.HeldPositions(ctx, r.account.String(), r.logAt)
	if err != nil {
		return nil, err
	}
	live, err := r.ledger.LiveOrders(ctx, r.account.String())
	if err != nil {
		return nil, err
	}
	r.standing = held
	var found []finding
	stops, exits := map[string][]*projectorv1.Order{}, map[string]int{}
	for _, o := range live {
		switch o.GetReduceIntent() {
		case eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE:
			stops[o.GetPositionId()] = append(stops[o.GetPositionId()], o)
		case eventv1.ReduceIntent_REDUCE_INTENT_EXIT:
			exits[o.GetPositionId()]++
		default:
		}
	}
	for _, p := range held {
		if r.isYoung(p.GetUpdatedAt().AsTime()) {
			continue
		}
		r.checked[ofPosition+p.GetPositionId()] = true
		if n := exits[p.GetPositionId()]; n > 1 {
			found = append(found, lacks(p, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH,
				map[string]string{"live_exits": "at most 1"}, map[string]string{"live_exits": fmt.Sprint(n)}))
		}
		more, err := r.stopped(ctx, p, stops[p.GetPositionId()])
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// lacks is a finding about a position.
func lacks(p *projectorv1.Position, kind eventv1.DiscrepancyKind, expected, actual map[string]string) finding {
	return finding{Difference: fact.Difference{
		Kind: kind, Entity: ofPosition + p.GetPositionId(), Severity: eventv1.Severity_SEVERITY_CRITICAL,
		Expected: expected, Actual: actual, Position: ledger.OptionalID(p.GetPositionId()),
	}}
}

// isYoung says whether what happened then may not have come to rest yet.
func (r *run) isYoung(at time.Time) bool { return r.clock.Now().Sub(at) < r.config.Young }

// stopped says what an active position lacks of its protection: a technical stop, and one live stop order for all of it.
func (r *run) stopped(ctx context.Context, p *projectorv1.Position, stops []*projectorv1.Order) ([]finding, error) {
	var found []finding
	add := func(kind eventv1.DiscrepancyKind, expected, actual map[string]string) {
		found = append(found, lacks(p, kind, expected, actual))
	}
	if p.GetTechnicalStopPrice() == "" {
		add(eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, map[string]string{"technical_stop_price": "set"}, map[string]string{"technical_stop_price": "none"})
	}
	if p.GetState() != projectorv1.PositionState_POSITION_STATE_ACTIVE {
		return found, nil
	}
	if len(stops) != 1 {
		add(eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, map[string]string{"live_stops": "1"}, map[string]string{"live_stops": fmt.Sprint(len(stops))})
		return found, nil
	}
	if r.isYoung(stops[0].GetUpdatedAt().AsTime()) {
		return found, nil
	}
	instrument, err := r.lines.Market.Instrument(ctx, p.GetSymbol())
	if err != nil {
		return nil, fmt.Errorf("lot of %s: %w", p.GetSymbol(), err)
	}
	quantity := amount(p.GetCurrentQuantity())
	covered := amount(stops[0].GetQuantity()).Sub(amount(stops[0].GetFilledQuantity()))
	if left := quantity.Sub(covered); left.IsNegative() || !left.LessThan(instrument.Lot.Step) { // what is less than a lot cannot be stopped
		add(eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH,
			map[string]string{"stop_quantity": money.Format(quantity)}, map[string]string{"stop_quantity": money.Format(covered)})
	}
	return found, nil
}

// stale are the long positions for which the account does not hold enough any more, by a sheet: it was sold, or taken away, behind our back.
// Where several positions share an asset nobody can say which is meant, and all are. Weighed are the positions that were looked at.
func (r *run) stale(ctx context.Context, held totals) (found []finding, weighed []string, err error) {
	wallet := r.lines.Ref.Wallet()
	needed := map[string]decimal.Decimal{}
	of := map[string][]*projectorv1.Position{}
	for _, p := range r.standing {
		if p.GetSide() != eventv1.PositionSide_POSITION_SIDE_LONG || r.isYoung(p.GetUpdatedAt().AsTime()) {
			continue
		}
		instrument, err := r.lines.Market.Instrument(ctx, p.GetSymbol())
		if err != nil {
			return nil, nil, fmt.Errorf("assets of %s: %w", p.GetSymbol(), err)
		}
		weighed = append(weighed, ofPosition+p.GetPositionId())
		asset := instrument.BaseAsset
		needed[asset], of[asset] = needed[asset].Add(amount(p.GetCurrentQuantity())), append(of[asset], p)
	}
	for asset, quantity := range needed {
		has := held[holding{wallet, asset}]
		if !has.LessThan(quantity) {
			continue
		}
		for _, p := range of[asset] {
			found = append(found, lacks(p, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION,
				map[string]string{"held_by_positions": money.Format(quantity), "asset": asset}, map[string]string{"held_at_venue": money.Format(has)}))
		}
	}
	return found, weighed, nil
}

// loans holds what the venue says is owed against the loans in the log; weighed are all of them.
func (r *run) loans(ctx context.Context, sheet venue.BalanceSheet) (found []finding, weighed []string, err error) {
	symbol := r.lines.Ref.MarginSymbol
	if symbol == "" {
		return nil, nil, nil
	}
	ours, err := r.ledger.Loans(ctx, r.account.String(), 0)
	if err != nil {
		return nil, nil, err
	}
	expected, actual := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	for _, loan := range ours {
		expected[loan.GetAsset()] = amount(loan.GetBorrowed())
	}
	for _, b := range sheet.Balances {
		if b.Wallet == venue.IsolatedWallet(symbol) {
			actual[b.Asset] = b.Borrowed
		}
	}
	for asset := range expected {
		actual[asset] = actual[asset].Add(decimal.Zero) // an asset that is all gone is listed no more
	}
	for asset, borrowed := range actual {
		entity := ofLoan + venue.IsolatedWallet(symbol) + "/" + asset
		weighed = append(weighed, entity)
		if !borrowed.Equal(expected[asset]) {
			found = append(found, finding{Difference: fact.Difference{
				Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, Entity: entity, Severity: eventv1.Severity_SEVERITY_CRITICAL,
				Expected: map[string]string{"borrowed": money.Format(expected[asset])}, Actual: map[string]string{"borrowed": money.Format(borrowed)},
			}})
		}
	}
	return found, weighed, nil
}
