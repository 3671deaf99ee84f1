package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
)

// resolvedMax is how many discrepancies one run closes; the contract has no room for more. The next run closes others.
const resolvedMax = 100

// Report is what a run came to.
type Report struct {
	Completed *eventv1.ReconciliationCompleted
	// Found is what the run told, oldest first; Facts what it took in, by the event that explains it.
	Found []*eventv1.Event
	Facts map[string][]string
	// Open is what was open before and still is.
	Open     []*projectorv1.Discrepancy
	Symbols  []SymbolReport
	Skipped  int
	Position int64
	// Notes say what could not be looked at, and why.
	Notes []string
}

// SymbolReport is what was looked through of a symbol.
type SymbolReport struct {
	Symbol             string
	FromTrade, ToTrade int64
	FromOrder, ToOrder int64
	Trades, Orders     int
}

// checkResolve refuses to close what is not open.
func (m *Manager) checkResolve(ctx context.Context, account string, resolve []string) error {
	if len(resolve) == 0 {
		return nil
	}
	now, err := m.ledger.Reached(ctx, account)
	if err != nil {
		return err
	}
	open, err := m.ledger.OpenDiscrepancies(ctx, account, now)
	if err != nil {
		return err
	}
	for n, id := range resolve {
		if !slices.ContainsFunc(open, func(d *projectorv1.Discrepancy) bool { return strings.EqualFold(d.GetDiscrepancyId(), id) }) {
			return fault.InvalidField(fmt.Sprintf("resolve[%d]", n), "%s is no open discrepancy of account %s", id, account)
		}
	}
	return nil
}

// lasting are the kinds that a run sees again each time it looks, so that it can tell that one no longer holds.
var lasting = map[eventv1.DiscrepancyKind]bool{
	eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH:     true,
	eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH:   true,
	eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSING_ON_EXCHANGE: true,
}

// over says whether what was open before holds no longer: what it is about was looked at whole, and agrees in this now.
func (r *run) over(d *projectorv1.Discrepancy) bool {
	held := r.held[fact.DifferenceKey(d.GetKind(), d.GetEntity(), d.GetActual())]
	seen, weighed := r.checked[d.GetEntity()] && !held, r.weighed[d.GetEntity()] && !held
	ofARun := d.GetRunId() != "" // the fold's own is of our events alone
	switch {
	case strings.HasPrefix(d.GetEntity(), ofOrder):
		switch d.GetKind() {
		case eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL:
			return r.agreed[d.GetEntity()] // the fills that the end of an order counted have come
		case eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER:
			return r.claimed[d.GetEntity()]
		case eventv1.DiscrepancyKind_DISCREPANCY_KIND_OVERFILL:
			return ofARun && seen
		default:
			return lasting[d.GetKind()] && seen
		}
	case strings.HasPrefix(d.GetEntity(), ofPosition):
		stale := d.GetKind() == eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION
		return ofARun && (r.isOver(d.GetEntity()) || stale && weighed || lasting[d.GetKind()] && seen)
	case strings.HasPrefix(d.GetEntity(), ofLoan):
		return weighed
	default:
		return false
	}
}

// isOver says whether a position is closed: what it lacked does not matter any more.
func (r *run) isOver(entity string) bool {
	return !slices.ContainsFunc(r.standing, func(p *projectorv1.Position) bool { return ofPosition+p.GetPositionId() == entity })
}

// finish closes what holds no longer and what an operator wants closed, records that the run has ended, and moves the
// checkpoints: in this order, so that a run that is broken off before is done again.
func (r *run) finish(ctx context.Context, resolve []string) error {
	var resolved []string
	for _, d := range r.open {
		wanted := slices.ContainsFunc(resolve, func(id string) bool { return strings.EqualFold(id, d.GetDiscrepancyId()) })
		if wanted || r.over(d) || r.replaced[d.GetDiscrepancyId()] {
			resolved = append(resolved, d.GetDiscrepancyId())
		} else {
			r.report.Open = append(r.report.Open, d)
		}
	}
	open, err := r.ledger.OpenDiscrepancies(ctx, r.account.String(), r.position)
	if err != nil {
		return err
	}
	for _, d := range open { // what the fold has told since of an order that this run took in without its claim, before it took in that
		if d.GetKind() == eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER && r.over(d) && !slices.Contains(resolved, d.GetDiscrepancyId()) {
			resolved = append(resolved, d.GetDiscrepancyId())
		}
	}
	slices.SortStableFunc(resolved, func(a, b string) int { // what was asked for before what was found out
		return index(resolve, a) - index(resolve, b)
	})
	resolved = resolved[:min(len(resolved), resolvedMax)]
	if err := r.count(ctx, resolved, len(open)-len(resolved)); err != nil {
		return err
	}
	if err := r.record(ctx, fact.Reconciled(r.account, r.id, r.report.Completed, r.clock.Now())); err != nil {
		return err
	}
	r.report.Position = r.position
	return r.move(ctx)
}

func index(list []string, id string) int {
	at := slices.IndexFunc(list, func(other string) bool { return strings.EqualFold(other, id) })
	if at < 0 {
		return len(list)
	}
	return at
}

// count makes the summary: its counts are those of the run's events in the log, those of a life before this one too.
func (r *run) count(ctx context.Context, resolved []string, unresolved int) error {
	events, err := r.ledger.EventsOf(ctx, r.id.String())
	if err != nil {
		return err
	}
	r.report.Facts = map[string][]string{}
	counts := map[eventv1.DiscrepancyKind]int32{}
	for _, e := range events {
		if d := e.GetPayload().GetDiscrepancyDetected(); d != nil {
			counts[d.GetKind()]++
			r.report.Found = append(r.report.Found, e)
		} else if e.GetCausationId() != "" {
			r.report.Facts[e.GetCausationId()] = append(r.report.Facts[e.GetCausationId()], e.GetEventType())
		}
	}
	status := eventv1.ReconciliationStatus_RECONCILIATION_STATUS_CLEAN
	switch {
	case unresolved > 0:
		status = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED
	case len(r.report.Found) > 0:
		status = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_REPAIRED
	}
	trades := 0
	for symbol, s := range r.symbols {
		trades += s.trades
		r.report.Symbols = append(r.report.Symbols, SymbolReport{
			Symbol: symbol, FromTrade: int64(s.fromTrade), ToTrade: int64(s.toTrade), FromOrder: int64(s.fromOrder), ToOrder: int64(s.toOrder),
			Trades: s.trades, Orders: s.orders,
		})
	}
	slices.SortFunc(r.report.Symbols, func(a, b SymbolReport) int { return strings.Compare(a.Symbol, b.Symbol) })
	from := r.row.GetCreatedAt().AsTime()
	if r.before > 0 {
		from = r.before.at()
	}
	if from.After(r.started) {
		from = r.started
	}
	r.report.Skipped, r.report.Notes = r.skipped, r.notes
	r.report.Completed = &eventv1.ReconciliationCompleted{
		RunId: r.id.String(), AccountId: r.account.String(), Trigger: r.stamp.trigger(),
		WindowFrom: timestamppb.New(from), WindowTo: timestamppb.New(r.started),
		OrdersChecked: int32(r.orders), FillsChecked: int32(trades), BalancesChecked: int32(r.balancesChecked),
		MissingFills:      counts[eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL],
		MissingAcks:       counts[eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_ACK],
		UnknownOrders:     counts[eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER],
		BalanceMismatches: counts[eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH],
		Resolved:          int32(len(resolved)), Unresolved: int32(max(0, unresolved)), ResolvedIds: resolved, Status: status,
		DurationMs: int32(r.clock.Now().Sub(r.started) / time.Millisecond),
	}
	return nil
}

// move lets the next run go on from here.
func (r *run) move(ctx context.Context) error {
	for symbol, s := range r.symbols {
		if err := r.ledger.MoveCheckpoint(ctx, tradesName(r.account, symbol), int64(s.nextTrade)); err != nil {
			return err
		}
		if err := r.ledger.MoveCheckpoint(ctx, passedName(r.account, symbol), int64(s.toTrade)); err != nil {
			return err
		}
		if err := r.ledger.MoveCheckpoint(ctx, ordersName(r.account, symbol), int64(s.nextOrder)); err != nil {
			return err
		}
	}
	if r.skipped == 0 { // what was left is looked at again by the next run
		if err := r.ledger.MoveCheckpoint(ctx, logName(r.account), r.logAt); err != nil {
			return err
		}
	}
	return r.ledger.MoveCheckpoint(ctx, endedName(r.account), int64(r.stamp))
}

func lower(text, prefix string) string { return strings.ToLower(strings.TrimPrefix(text, prefix)) }
