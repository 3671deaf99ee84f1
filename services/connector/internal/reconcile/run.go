package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// run is one reconciliation of one account. It is used by one goroutine.
type run struct {
	ledger  *ledger.Ledger
	clock   clock.Clock
	config  Config
	account uuid.UUID
	row     *projectorv1.Account
	lines   line.Lines

	stamp, before stamp
	id            uuid.UUID
	started       time.Time
	logFrom       int64 // where the log was when the run before had begun
	logAt         int64 // where it was when this one had

	open    []*projectorv1.Discrepancy
	held    map[string]bool // by difference key: open before, and found again
	checked map[string]bool // entities that were looked at whole
	agreed  map[string]bool // orders that lack nothing and come to the same on both sides
	weighed map[string]bool // positions and loans that were held against a sheet of balances
	claimed map[string]bool // orders whose claim the log holds
	raised  map[string]bool // by difference key: told by this run
	symbols map[string]*symbolRange
	// standing are the positions that are entered and not over.
	standing []*projectorv1.Position
	foreign  []fact.Fact
	orders   int
	skipped  int
	// behind: the venue does not list all trades of an order, so that the log cannot hold all that has moved balances.
	behind bool
	// lags counts how often this run has waited for the venue's lists to agree; notes say what could not be looked at.
	lags  int
	notes []string
	// balancesChecked counts the balances held against the book; replaced are open differences of balances that another
	// one, or an explanation, has taken the place of.
	balancesChecked int
	replaced        map[string]bool
	position        int64
	report          Report
}

// symbolRange is what was looked through of a symbol.
type symbolRange struct {
	fromTrade, toTrade venue.TradeID
	fromOrder, toOrder venue.OrderID
	nextTrade          venue.TradeID
	nextOrder          venue.OrderID
	// passed is the last trade that the runs before this one have seen: one up to it that they have not was listed late.
	passed         venue.TradeID
	trades, orders int
}

// notesMax bounds what a report says of what could not be looked at; how much that was is counted.
const notesMax = 100

// finding is a difference, and the facts that explain it, if there are any.
type finding struct {
	fact.Difference
	origin fact.Origin
	facts  []fact.Fact
}

// do runs it from begin to end. A run that fails is gone on with by the next one.
func (r *run) do(ctx context.Context, resolve []string) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	found, err := r.twice(ctx)
	if err != nil {
		return err
	}
	repaired, err := r.tell(ctx, found, true)
	if err != nil {
		return err
	}
	if repaired {
		before := keysOf(found)
		found, err = r.twice(ctx) // the book is read before the venue: what happens in between is seen by one look
		if err != nil {
			return err
		}
		// What can be explained only now has come since: the stream's business, and the next run's. So is what a position lacks by
		// what was taken in just now: it is being seen to.
		found = slices.DeleteFunc(found, func(f finding) bool {
			fresh := strings.HasPrefix(f.Entity, ofPosition) && !before[f.Key()]
			if fresh {
				delete(r.checked, f.Entity)
			}
			return fresh
		})
		if _, err := r.tell(ctx, found, false); err != nil {
			return err
		}
	}
	if err := r.balances(ctx); err != nil {
		return err
	}
	return r.finish(ctx, resolve)
}

func (r *run) prepare(ctx context.Context) error {
	var err error
	r.logFrom, err = r.ledger.Checkpoint(ctx, logName(r.account))
	if err != nil {
		return err
	}
	r.logAt, err = r.ledger.Reached(ctx, r.account.String())
	if err != nil {
		return err
	}
	r.open, err = r.ledger.OpenDiscrepancies(ctx, r.account.String(), r.logAt)
	return err
}

// twice looks, and where something is missing looks again after as long as the stream may take. It gives what was found
// both times; what was found once is young, and left to the next run.
func (r *run) twice(ctx context.Context) ([]finding, error) {
	first, err := r.look(ctx)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	if err := clock.Sleep(ctx, r.clock, r.config.Young); err != nil {
		return nil, err
	}
	before := keysOf(first)
	second, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	var both []finding
	for _, f := range second {
		if before[f.Key()] {
			both = append(both, f)
			continue
		}
		r.skip(f)
	}
	return both, nil
}

func keysOf(found []finding) map[string]bool {
	keys := map[string]bool{}
	for _, f := range found {
		keys[f.Key()] = true
	}
	return keys
}

// skip leaves what a finding is about to the next run.
func (r *run) skip(f finding) {
	if !r.checked[f.Entity] {
		return
	}
	delete(r.checked, f.Entity)
	r.skipped++
	r.note("%s: %s came while it was looked at: left to the next run", f.Entity, lower(f.Kind.String(), "DISCREPANCY_KIND_"))
}

// note says, for people, what could not be looked at.
func (r *run) note(format string, args ...any) {
	if len(r.notes) < notesMax {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// look holds every order and trade of the account against the venue's. Where the venue shows a trade before its order, it looks anew
// after as long as the stream may take: what was listed before the pause would be compared with what came after it.
func (r *run) look(ctx context.Context) ([]finding, error) {
	for {
		found, err := r.lookOnce(ctx)
		if !lags(err) {
			return found, err
		}
		r.lags++
		if err := clock.Sleep(ctx, r.clock, r.config.Young); err != nil {
			return nil, err
		}
	}
}

func (r *run) lookOnce(ctx context.Context) ([]finding, error) {
	r.held, r.checked, r.agreed, r.claimed = map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	r.symbols, r.foreign, r.notes, r.orders, r.skipped = map[string]*symbolRange{}, nil, nil, 0, 0
	r.behind = false
	local, err := r.localOrders(ctx)
	if err != nil {
		return nil, err
	}
	symbols, err := r.symbolsOf(ctx, local)
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, symbol := range symbols {
		more, err := r.symbol(ctx, symbol, local)
		if err != nil {
			return nil, fmt.Errorf("symbol %s: %w", symbol, err)
		}
		found = append(found, more...)
	}
	more, err := r.rest(ctx, local)
	if err != nil {
		return nil, err
	}
	found = append(found, more...)
	more, err = r.positions(ctx)
	return append(found, more...), err
}

// tell records what was found: each difference with the facts that explain it, or for an operator. It says whether facts
// were taken in.
func (r *run) tell(ctx context.Context, found []finding, repair bool) (repaired bool, err error) {
	if err := r.recordAll(ctx, r.foreign); err != nil {
		return false, err
	}
	for _, f := range found {
		switch {
		case len(f.facts) > 0 && repair:
			if err := r.repair(ctx, f); err != nil {
				return repaired, err
			}
			repaired = true
		case len(f.facts) > 0:
			r.skip(f)
		default:
			if err := r.raise(ctx, f); err != nil {
				return repaired, err
			}
		}
	}
	return repaired, nil
}

func (r *run) record(ctx context.Context, f fact.Fact) error {
	receipt, err := r.ledger.RecordOne(ctx, f)
	r.position = max(r.position, receipt.Position)
	return err
}

// recordAll records what follows from nothing else, many at a time: a first run of an account that has long been used may have much to tell.
func (r *run) recordAll(ctx context.Context, facts []fact.Fact) error {
	inRun := make([]fact.Fact, len(facts))
	for n, f := range facts {
		inRun[n] = f.InRun(r.id, "")
	}
	position, err := r.ledger.Record(ctx, inRun...)
	r.position = max(r.position, position)
	return err
}

// repair tells why, then takes the facts in.
func (r *run) repair(ctx context.Context, f finding) error {
	detected := fact.Detected(r.account, r.id, f.Difference, eventv1.Resolution_RESOLUTION_AUTO_REPAIRED, r.clock.Now(), f.origin)
	receipt, err := r.ledger.RecordOne(ctx, detected)
	if err != nil {
		return err
	}
	for _, missed := range f.facts {
		if err := r.record(ctx, missed.InRun(r.id, receipt.EventID)); err != nil {
			return err
		}
	}
	return nil
}

// raise tells an operator, unless the same is open already.
func (r *run) raise(ctx context.Context, f finding) error {
	key := f.Key()
	for _, d := range r.open {
		if fact.DifferenceKey(d.GetKind(), d.GetEntity(), d.GetActual()) == key {
			r.held[key] = true
			return nil
		}
	}
	if r.raised[key] {
		return nil
	}
	r.raised[key] = true
	return r.record(ctx, fact.Detected(r.account, r.id, f.Difference, eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR, r.clock.Now(), f.origin))
}

// isMissing says whether a venue does not know an order.
func isMissing(err error) bool {
	return errors.Is(err, venue.ErrOrderNotFound) || errors.Is(err, venue.ErrOrderArchived)
}
