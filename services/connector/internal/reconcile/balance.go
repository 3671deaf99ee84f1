package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// observationsMax is how often balances are asked for before one that does not fit is reported.
const observationsMax = 3

// moving are the events that change what an account holds.
var moving = []string{"FILL_RECEIVED", "BALANCE_ADJUSTED", "MARGIN_TRANSFERRED", "MARGIN_BORROWED", "MARGIN_REPAID", "DISCREPANCY_DETECTED"}

// holding is an asset in a wallet.
type holding struct{ wallet, asset string }

func (h holding) entity() string { return "balance:" + h.wallet + "/" + h.asset }

type totals map[holding]decimal.Decimal

// balanceName names the checkpoint of the run whose samples the next run counts from, balanceEnd that of the position at which the last look
// ends that this run may be counted from: later ones were broken off, or not of one moment.
func balanceName(account uuid.UUID) string { return "reconcile-balance/" + account.String() }

func balanceEnd(account uuid.UUID) string { return "reconcile-balance-end/" + account.String() }

// observation is what the venue holds at a moment, and what it should hold by the book of that moment.
type observation struct {
	logAt   int64 // where the log was before the question
	sheet   venue.BalanceSheet
	actual  totals
	differs totals // actual less expected, where that is not zero
	settled bool
	// suspect is what cannot be, by the sheet; weighed are the positions and loans that were held against it.
	suspect []finding
	weighed []string
}

// balances holds what the account has against what it had at an earlier run and all that has moved since, by the log. No
// clocks are compared: between the two looks for trades around the question the venue has made none, and the log holds
// all that it made before, so that the answer and the log are of one moment.
func (r *run) balances(ctx context.Context) error {
	base, position, err := r.baseline(ctx)
	if err != nil {
		return err
	}
	var suspected map[string]bool
	for try := 1; r.skipped == 0 && !r.behind; try++ {
		seen, err := r.observe(ctx, base, position)
		if err != nil {
			return err
		}
		if seen.settled && (len(seen.differs)+len(seen.suspect) == 0 || try == observationsMax) {
			if err := r.accuse(ctx, seen, suspected); err != nil {
				return err
			}
			return r.keep(ctx, base, seen)
		}
		if try == observationsMax {
			r.note("balances: the account trades without pause: the next run counts on from what this one would have")
			return nil
		}
		suspected = keysOf(seen.suspect)
		if err := clock.Sleep(ctx, r.clock, r.config.Young); err != nil {
			return err
		}
	}
	r.note("balances: not held against a book that lacks what the venue does not list yet, or what was left to the next run")
	return nil
}

// accuse reports what cannot be by this observation and could not by the one before.
func (r *run) accuse(ctx context.Context, seen observation, before map[string]bool) error {
	for _, entity := range seen.weighed {
		r.weighed[entity] = true
	}
	for _, f := range seen.suspect {
		if !before[f.Key()] {
			delete(r.weighed, f.Entity) // neither that it is so nor that it is not
			continue
		}
		if err := r.raise(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// baseline is what the account held at an earlier run, and the position in the log at which it did; nil before the first.
func (r *run) baseline(ctx context.Context) (totals, int64, error) {
	from, err := r.ledger.Checkpoint(ctx, balanceName(r.account))
	if err != nil || from == 0 {
		return nil, 0, err
	}
	events, err := r.ledger.EventsOf(ctx, stamp(from).runID(r.account).String(), "BALANCE_SAMPLED")
	if err != nil {
		return nil, 0, err
	}
	if len(events) == 0 {
		return nil, 0, fmt.Errorf("reconciliation %s has sampled no balances", stamp(from).runID(r.account))
	}
	end, err := r.ledger.Checkpoint(ctx, balanceEnd(r.account))
	if err != nil {
		return nil, 0, err
	}
	last := events[len(events)-1]
	if events[0].GetPosition() > end { // broken off between the two checkpoints: nothing was sampled since
		if err := r.ledger.MoveCheckpoint(ctx, balanceEnd(r.account), last.GetPosition()); err != nil {
			return nil, 0, err
		}
	} else {
		later := slices.IndexFunc(events, func(e *eventv1.Event) bool { return e.GetPosition() > end })
		if later > 0 {
			last = events[later-1]
		}
	}
	base := totals{}
	for _, e := range events {
		sample := e.GetPayload().GetBalanceSampled()
		if sample.GetSampledAt().AsTime().Equal(last.GetPayload().GetBalanceSampled().GetSampledAt().AsTime()) { // not one of before the run was broken off
			base[holding{sample.GetWallet(), sample.GetAsset()}] = amount(sample.GetTotal())
		}
	}
	return base, last.GetPosition(), nil
}

func (r *run) observe(ctx context.Context, base totals, position int64) (observation, error) {
	var o observation
	var err error
	_, o.logAt, err = r.ledger.EventsAfter(ctx, r.account.String(), r.logAt, moving...)
	if err != nil {
		return o, err
	}
	o.sheet, err = r.lines.Wallets.Balances(ctx)
	if err != nil {
		return o, fmt.Errorf("balances: %w", err)
	}
	o.actual, o.differs = totals{}, totals{}
	for _, b := range o.sheet.Balances {
		o.actual[holding{b.Wallet, b.Asset}] = b.Free.Add(b.Locked)
	}
	if base != nil {
		events, _, err := r.ledger.EventsAfter(ctx, r.account.String(), position, moving...)
		if err != nil {
			return o, err
		}
		expected := maps.Clone(base)
		for _, e := range events {
			if err := r.follow(ctx, expected, e); err != nil {
				return o, err
			}
		}
		for at := range expected {
			o.actual[at] = o.actual[at].Add(decimal.Zero) // an asset that is all gone is listed no more
		}
		for at, total := range o.actual {
			if difference := total.Sub(expected[at]); !difference.IsZero() {
				o.differs[at] = difference
			}
		}
	}
	o.suspect, o.weighed, err = r.stale(ctx, o.actual)
	if err != nil {
		return o, err
	}
	owed, loans, err := r.loans(ctx, o.sheet)
	if err != nil {
		return o, err
	}
	o.suspect, o.weighed = append(o.suspect, owed...), append(o.weighed, loans...)
	o.settled, err = r.quiet(ctx, o)
	return o, err
}

// quiet says whether nothing has moved since the question about balances: no event of the log, and no trade at the venue since this
// run looked, be it in a symbol that the account had not traded by then.
func (r *run) quiet(ctx context.Context, seen observation) (bool, error) {
	events, _, err := r.ledger.EventsAfter(ctx, r.account.String(), r.logAt, append([]string{"ORDER_SUBMITTED"}, moving...)...)
	if err != nil {
		return false, err
	}
	traded, moved := map[string]bool{}, totals{}
	for _, e := range events {
		if claim := e.GetPayload().GetOrderSubmitted(); claim != nil {
			traded[claim.GetSymbol()] = true
			continue
		}
		if e.GetPosition() <= seen.logAt {
			continue
		}
		if err := r.follow(ctx, moved, e); err != nil || len(moved) > 0 {
			return false, err
		}
	}
	if err := r.addPairs(ctx, traded, seen.sheet); err != nil {
		return false, err
	}
	for symbol := range traded {
		if r.symbols[symbol] == nil {
			return false, nil
		}
	}
	for symbol, s := range r.symbols {
		later, err := r.lines.Trading.Trades(ctx, symbol, s.toTrade+1, 1)
		if err != nil || len(later) > 0 {
			return false, err
		}
	}
	return true, nil
}

// follow moves what an event of the log has moved.
func (r *run) follow(ctx context.Context, t totals, e *eventv1.Event) error {
	wallet := r.lines.Ref.Wallet()
	add := func(wallet, asset string, delta decimal.Decimal) {
		at := holding{wallet, asset}
		t[at] = t[at].Add(delta)
	}
	p := e.GetPayload()
	switch {
	case p.GetFillReceived() != nil:
		f := p.GetFillReceived()
		return r.trade(ctx, add, wallet, f.GetSymbol(), f.GetSide() == eventv1.Side_SIDE_BUY, map[string]string{
			"quantity": f.GetFillQuantity(), "quote_quantity": f.GetQuoteQuantity(), "fee": f.GetFee(), "fee_asset": f.GetFeeAsset(),
		})
	case p.GetDiscrepancyDetected() != nil:
		d := p.GetDiscrepancyDetected()
		if strings.HasPrefix(d.GetEntity(), "exchange_trade:") { // made by hand: it moves balances and no position
			return r.trade(ctx, add, wallet, d.GetActual()["symbol"], d.GetActual()["side"] == string(venue.Buy), d.GetActual())
		}
	case p.GetBalanceAdjusted() != nil:
		if a := p.GetBalanceAdjusted(); a.GetKind() != eventv1.AdjustmentKind_ADJUSTMENT_KIND_EXTERNAL_LOCK {
			add(a.GetWallet(), a.GetAsset(), amount(a.GetDelta()))
		}
	case p.GetMarginTransferred() != nil:
		m := p.GetMarginTransferred()
		delta := amount(m.GetAmount())
		if m.GetDirection() == eventv1.TransferDirection_TRANSFER_DIRECTION_ISOLATED_TO_SPOT {
			delta = delta.Neg()
		}
		add(venue.IsolatedWallet(m.GetSymbol()), m.GetAsset(), delta)
		add(venue.SpotWallet, m.GetAsset(), delta.Neg())
	case p.GetMarginBorrowed() != nil:
		add(wallet, p.GetMarginBorrowed().GetAsset(), amount(p.GetMarginBorrowed().GetAmount()))
	case p.GetMarginRepaid() != nil:
		add(wallet, p.GetMarginRepaid().GetAsset(), amount(p.GetMarginRepaid().GetAmount()).Neg())
	}
	return nil
}

// trade moves what a trade has moved.
func (r *run) trade(ctx context.Context, add func(wallet, asset string, delta decimal.Decimal), wallet, symbol string, bought bool, text map[string]string) error {
	instrument, err := r.lines.Market.Instrument(ctx, symbol)
	if err != nil {
		return fmt.Errorf("assets of %s: %w", symbol, err)
	}
	base, quote := amount(text["quantity"]), amount(text["quote_quantity"])
	if bought {
		quote = quote.Neg()
	} else {
		base = base.Neg()
	}
	add(wallet, instrument.BaseAsset, base)
	add(wallet, instrument.QuoteAsset, quote)
	if fee := amount(text["fee"]); !fee.IsZero() {
		add(wallet, text["fee_asset"], fee.Neg())
	}
	return nil
}

// keep reports what nothing explains, and makes what was seen what the next run counts from.
func (r *run) keep(ctx context.Context, base totals, seen observation) error {
	if base == nil {
		r.note("balances: nothing to count from before this run")
	} else {
		r.balancesChecked = len(seen.actual)
	}
	order := slices.SortedFunc(maps.Keys(seen.differs), func(a, b holding) int { return strings.Compare(a.entity(), b.entity()) })
	for _, at := range order {
		if err := r.unexplained(ctx, at, seen.actual[at], seen.differs[at]); err != nil {
			return err
		}
	}
	same := base != nil && len(seen.differs) == 0 && maps.EqualFunc(base, seen.actual, decimal.Decimal.Equal)
	if same || len(seen.actual) == 0 {
		return nil // it holds as it is
	}
	sample := fact.Sample{
		Account: r.account, Run: "reconcile/" + r.id.String() + "/" + uuid.NewString(), At: seen.sheet.Time, Source: eventv1.SampleSource_SAMPLE_SOURCE_RECONCILE,
	}
	listed := map[holding]venue.Balance{}
	for at := range seen.actual {
		listed[at] = venue.Balance{Wallet: at.wallet, Asset: at.asset}
	}
	for _, b := range seen.sheet.Balances {
		listed[holding{b.Wallet, b.Asset}] = b
	}
	for _, at := range slices.SortedFunc(maps.Keys(listed), func(a, b holding) int { return strings.Compare(a.entity(), b.entity()) }) {
		if err := r.record(ctx, fact.Sampled(sample, listed[at]).InRun(r.id, "")); err != nil {
			return err
		}
	}
	end := r.position
	quiet, err := r.quiet(ctx, seen) // else the samples are not of the moment that the log is at
	if err != nil || !quiet {
		return err
	}
	if err := r.ledger.MoveCheckpoint(ctx, balanceName(r.account), int64(r.stamp)); err != nil {
		return err
	}
	return r.ledger.MoveCheckpoint(ctx, balanceEnd(r.account), end)
}

// unexplained reports by how much a balance differs, together with what was open of it: one that comes to nothing has
// been explained since, by a report that came late.
func (r *run) unexplained(ctx context.Context, at holding, total, difference decimal.Decimal) error {
	for _, d := range r.open {
		if isBalance(d) && d.GetEntity() == at.entity() {
			difference = difference.Add(amount(d.GetActual()["difference"]))
			r.replaced[d.GetDiscrepancyId()] = true
		}
	}
	if difference.IsZero() {
		return nil
	}
	return r.raise(ctx, finding{Difference: fact.Difference{
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, Entity: at.entity(), Severity: eventv1.Severity_SEVERITY_CRITICAL,
		Expected: map[string]string{"total": money.Format(total.Sub(difference))},
		Actual:   map[string]string{"total": money.Format(total), "difference": money.Format(difference)},
	}})
}

// isBalance says whether a discrepancy is one that unexplained raised.
func isBalance(d *projectorv1.Discrepancy) bool {
	return d.GetKind() == eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH && d.GetActual()["difference"] != ""
}
