package replay

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// Place is a place in a tenant's log.
type Place struct {
	Position int64
	// IngestedAt is when the event there was taken in.
	IngestedAt time.Time
}

// Beginning is the first event of a stream.
type Beginning struct {
	Position int64
	// Account and PositionID are those that it names; Nil for none.
	Account, PositionID uuid.UUID
}

// Past is what was.
type Past interface {
	// PlaceOf finds a position; Invalid for one that is past the head.
	PlaceOf(ctx context.Context, tenant uuid.UUID, position int64) (Place, error)
	// PlaceAt finds the last event that was taken in up to a time; NotFound where there is none.
	PlaceAt(ctx context.Context, tenant uuid.UUID, at time.Time) (Place, error)
	// Head is the last event.
	HeadOf(ctx context.Context, tenant uuid.UUID) (Place, error)
	// Began finds the first event of a stream; NotFound.
	Began(ctx context.Context, tenant uuid.UUID, stream event.StreamKey) (Beginning, error)
	// WithSnapshot runs fn with the newest snapshot of a scope, at or before a position, that is fit; with nil where there is none.
	// fn may run again with an older one: where it gives *snapshot.Unfit, for that is found out as blocks are wanted.
	WithSnapshot(ctx context.Context, tenant uuid.UUID, scopes []projection.Scope, at int64, fn func(*Opened) error) error
	// Events calls each with the events of a span of the tenant's log.
	Events(ctx context.Context, tenant uuid.UUID, span Span, each func(*projection.Event) error) error
}

// Question is what is asked about the past.
type Question struct {
	// Position, or Time by the clock of taking in, or with Occurred by that of happening.
	Position int64
	Time     time.Time
	Occurred bool
	// What is asked for.
	Kind event.Kind
	ID   uuid.UUID
}

// ofAccount says whether an account is asked for.
func (q Question) ofAccount() bool { return q.Kind == event.KindAccount }

// Answer is a state of the past.
type Answer struct {
	AsOf       int64
	IngestedAt time.Time
	Snapshot   uuid.UUID
	Events     int64
	// Rows are those that are wanted, by key.
	Rows []projection.Row
	// Moment is the time that says which day and month it was.
	Moment time.Time
}

// HistorianConfig bounds questions about the past. The zero value of each field gets its default.
type HistorianConfig struct {
	// RowsMax is how many rows may be folded in memory where there is no snapshot. Default 150 000, some 1.5 kB each.
	RowsMax int
	// AsksMax is how many questions are answered at a time. Default 4.
	AsksMax int
	// RetryAfter is the delay that is advised where that is reached. Default 1 s.
	RetryAfter time.Duration
}

// Historian answers what was. It is safe for concurrent use.
type Historian struct {
	past  Past
	cfg   HistorianConfig
	slots chan struct{}
}

// NewHistorian makes a Historian.
func NewHistorian(past Past, cfg HistorianConfig) *Historian {
	if cfg.RowsMax <= 0 {
		cfg.RowsMax = 150_000
	}
	if cfg.AsksMax <= 0 {
		cfg.AsksMax = 4
	}
	if cfg.RetryAfter <= 0 {
		cfg.RetryAfter = time.Second
	}
	return &Historian{past: past, cfg: cfg, slots: make(chan struct{}, cfg.AsksMax)}
}

// enter takes one of the slots for questions.
func (h *Historian) enter() (leave func(), err error) {
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	default:
		return nil, fault.New(fault.Exhausted, "TOO_MANY_QUESTIONS", "%d questions about the past are being answered already", h.cfg.AsksMax).
			WithRetryAfter(h.cfg.RetryAfter)
	}
}

// StateAt answers a question.
func (h *Historian) StateAt(ctx context.Context, tenant uuid.UUID, q Question) (*Answer, error) {
	leave, err := h.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	place, err := h.place(ctx, tenant, q)
	if err != nil {
		return nil, err
	}
	began, err := h.past.Began(ctx, tenant, event.StreamKey{Kind: q.Kind, ID: q.ID})
	if err != nil {
		return nil, err
	}
	if began.Position > place.Position {
		return nil, fault.New(fault.NotFound, "NOT_YET", "%s %s is not there yet at position %d; it begins at %d", q.Kind, q.ID, place.Position, began.Position)
	}
	if q.Kind == event.KindAccount {
		began.Account = q.ID
	}
	if q.Kind == event.KindPosition {
		began.PositionID = q.ID
	}
	a := &Answer{AsOf: place.Position, IngestedAt: place.IngestedAt, Moment: place.IngestedAt}
	if !q.Time.IsZero() {
		a.Moment = q.Time
	}
	return a, h.answer(ctx, tenant, q, began, a)
}

// place finds where in the log the question is.
func (h *Historian) place(ctx context.Context, tenant uuid.UUID, q Question) (Place, error) {
	switch {
	case q.Occurred:
		return h.past.HeadOf(ctx, tenant)
	case !q.Time.IsZero():
		return h.past.PlaceAt(ctx, tenant, q.Time)
	}
	return h.past.PlaceOf(ctx, tenant, q.Position)
}

// answer folds, on a snapshot if there is one that serves.
func (h *Historian) answer(ctx context.Context, tenant uuid.UUID, q Question, began Beginning, a *Answer) error {
	if q.Occurred {
		return h.fromZero(ctx, tenant, q, began, a)
	}
	scopes := []projection.Scope{{Kind: projection.ScopeAccount, ID: began.Account}}
	if began.PositionID != uuid.Nil {
		scopes = append(scopes, projection.Scope{Kind: projection.ScopePosition, ID: began.PositionID})
	}
	var outside *projection.Outside
	err := h.past.WithSnapshot(ctx, tenant, scopes, a.AsOf, func(o *Opened) error {
		if o == nil {
			return errNoSnapshot
		}
		return h.onSnapshot(ctx, tenant, q, began, o, a)
	})
	if errors.Is(err, errNoSnapshot) || errors.As(err, &outside) {
		a.Snapshot, a.Events = uuid.Nil, 0
		return h.fromZero(ctx, tenant, q, began, a)
	}
	return err
}

// errNoSnapshot says that there is no snapshot to fold on from.
var errNoSnapshot = errors.New("no snapshot is fit")

// onSnapshot folds the tail on a snapshot.
func (h *Historian) onSnapshot(ctx context.Context, tenant uuid.UUID, q Question, began Beginning, o *Opened, a *Answer) error {
	a.Events = 0 // Another snapshot may have been found unfit on the way.
	fold, err := projection.NewScopeFold(o.View.Meta().Scope, o.narrowed(q, began))
	if err != nil {
		return err
	}
	streams, err := o.streams()
	if err != nil {
		return err
	}
	err = h.past.Events(ctx, tenant, Span{After: o.View.Meta().AsOf, To: a.AsOf, Account: began.Account, Streams: streams}, func(ev *projection.Event) error {
		a.Events++
		_, err := fold.Fold(*ev)
		return err
	})
	if err != nil {
		return err
	}
	rows, err := fold.Own()
	if err != nil {
		return err
	}
	a.Snapshot = o.ID
	a.Rows = rows
	return a.choose(q, began)
}

// bounded is the whole state in memory, up to a number of rows.
type bounded struct {
	projection.Memory
	most int
}

// fromZero folds the account from its first event.
func (h *Historian) fromZero(ctx context.Context, tenant uuid.UUID, q Question, began Beginning, a *Answer) error {
	state := &bounded{most: h.cfg.RowsMax}
	last := Place{}
	err := h.past.Events(ctx, tenant, Span{To: a.AsOf, Account: began.Account}, func(ev *projection.Event) error {
		a.Events++
		if q.Occurred && ev.OccurredAt.After(q.Time) {
			return nil
		}
		if _, err := projection.Fold(state, *ev); err != nil {
			if q.Occurred {
				return fault.Wrap(err, fault.Refused, "NOT_THAT_ORDER", "the event at position %d happened before one that it follows in the log; ask by the clock of ingestion", ev.Position)
			}
			return err
		}
		last = Place{ev.Position, ev.IngestedAt}
		if state.Len() > state.most {
			return fault.New(fault.Exhausted, "STATE_TOO_LARGE", "the account has more than %d rows; make a snapshot of it to ask for its past", state.most)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if q.Occurred {
		a.AsOf, a.IngestedAt = last.Position, last.IngestedAt
	}
	a.Rows = state.Rows()
	return a.choose(q, began)
}

// choose leaves what is asked for.
func (a *Answer) choose(q Question, began Beginning) error {
	if began.Account == uuid.Nil {
		return fault.New(fault.NotFound, "NOT_FOUND", "%s %s names no account", q.Kind, q.ID)
	}
	chosen := a.Rows[:0:0]
	found := false
	for _, row := range a.Rows {
		if of(row, q, a.Moment) {
			chosen = append(chosen, row)
		}
		found = found || row.Key() == rootKey(q)
	}
	a.Rows = chosen
	if !found {
		return fault.New(fault.NotFound, "NOT_YET", "%s %s is not there yet at position %d", q.Kind, q.ID, a.AsOf)
	}
	return nil
}

func rootKey(q Question) projection.Key {
	switch q.Kind {
	case event.KindOrder:
		return projection.OrderKey(q.ID)
	case event.KindPosition:
		return projection.PositionKey(q.ID)
	case event.KindAccount, event.KindStrategy, event.KindTenant:
	}
	return projection.AccountKey(q.ID)
}

// tablesOfOrder and tablesOfPosition are those whose rows are told with an order and with a position.
var (
	tablesOfOrder = map[string]bool{
		projection.TableOrders: true, projection.TableIntents: true, projection.TableFills: true,
	}
	tablesOfPosition = map[string]bool{
		projection.TablePositions: true, projection.TableSignals: true, projection.TableDecisions: true, projection.TableIntents: true,
		projection.TableOrders: true, projection.TableFills: true,
	}
)

// of says whether a row is part of the answer.
func of(row projection.Row, q Question, moment time.Time) bool {
	switch q.Kind {
	case event.KindOrder:
		order := idOf(row, "order_id")
		return order.Valid && order.UUID == q.ID && tablesOfOrder[row.Key().Table]
	case event.KindPosition:
		position := idOf(row, "position_id")
		return position.Valid && position.UUID == q.ID && tablesOfPosition[row.Key().Table]
	case event.KindAccount, event.KindStrategy, event.KindTenant:
	}
	if account := idOf(row, "account_id"); !account.Valid || account.UUID != q.ID {
		return false
	}
	switch r := row.(type) {
	case *projection.Position:
		return r.State != projection.PositionClosed
	case *projection.Order:
		return !r.Status.Ended()
	case *projection.Intent:
		return !r.Ended
	case *projection.Discrepancy:
		return r.IsOpen
	case *projection.PnLPeriod:
		return r.Period == projection.Day(moment) || r.Period == projection.Month(moment)
	case *projection.Account, *projection.Risk, *projection.Strategy, *projection.Balance, *projection.MarginLoan, *projection.MarginState:
		return true
	}
	return false
}
