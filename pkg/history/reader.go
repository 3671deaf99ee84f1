package history

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// Config bounds what a Reader holds. The zero value of each field gets its default.
type Config struct {
	// Window is how many positions one statement reads. Default 10 000.
	Window int
	// Batch is how many events are handed on at once. Default 256.
	Batch int
	// Batches is how many batches there are, in reading, decoding and folding together. Default 8.
	Batches int
	// Decoders is how many goroutines decode. Default 1.
	Decoders int
	// Verify also holds every event against the hash chain. It is for whole logs only: a chain has no holes.
	Verify bool
}

func (c Config) withDefaults() (Config, error) {
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{
		{"Window", &c.Window, 10_000},
		{"Batch", &c.Batch, 256},
		{"Batches", &c.Batches, 8},
		{"Decoders", &c.Decoders, 1},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return c, fmt.Errorf("history: %s %d must be above zero", field.name, *field.value)
		}
	}
	return c, nil
}

// Reader reads logs. It keeps nothing between readings, so that several goroutines may use it at once.
type Reader struct {
	cfg Config
}

// New makes a Reader.
func New(cfg Config) (*Reader, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Reader{cfg: cfg}, nil
}

// Scope says which events of a tenant's log are read. At most one of Account, Strategy, Position and Stream is given; with
// none it is the whole log.
type Scope struct {
	Tenant uuid.UUID
	// Account takes what belongs to an account: events that name it, and those of its positions and strategies, which do
	// not all name it. It is what folding the account needs, see projection.Partitions.
	Account uuid.UUID
	// Streams are those of the account's positions and strategies that are before From and may go on, all of them: who folds on from
	// a state knows them. Then, and where From is the first position, a long scope costs what the account's events cost, and not what
	// the log does. None: every event of the scope is looked at.
	Streams []event.StreamKey
	// Strategy takes the events that name a strategy, as a search does. Folding needs those of the strategy's account.
	Strategy uuid.UUID
	// Position takes the events that name a position, as a search does. Folding needs those of the position's account.
	Position uuid.UUID
	// Stream takes the events of one stream.
	Stream event.StreamKey
	// From is the first position; 0 is the same as 1.
	From int64
	// To is the last position; 0 is the log's last when the reading begins. It must not be behind the log's last.
	To int64
}

// Summary tells what was read.
type Summary struct {
	// Events is how many there were.
	Events int64
	// To is the last position that was looked at.
	To int64
}

// Each calls each with every event of the scope, in the order of position, in the caller's goroutine. An event is valid
// until each returns; its Payload and its texts stay. What each returns ends the reading and comes back as it is.
//
// tx must be able to read event_log and tenant_log; its isolation does not matter. Each names the tenant in it and changes
// some settings of its planner, for the rest of the transaction. Until Each returns nothing else may use tx, not even
// each; afterwards it can be used, also when each has failed. No goroutine outlives Each.
//
// Reading a whole log, a stream from its first event, or with Verify, proves that nothing is missing in between: a missing
// event is Corrupt and named. A tenant without a log is NotFound. A To behind the log's last event is Invalid: nobody can
// promise what will stand there.
func (r *Reader) Each(ctx context.Context, tx pgx.Tx, scope Scope, each func(*projection.Event) error) (Summary, error) {
	if err := r.begin(ctx, tx, &scope); err != nil {
		return Summary{}, err
	}
	p := newPipeline(r.cfg, scope)
	events, err := p.run(ctx, tx, each)
	return Summary{Events: events, To: scope.To}, err
}

// begin sets the transaction up, and finds the bounds of the scope.
func (r *Reader) begin(ctx context.Context, tx pgx.Tx, scope *Scope) error {
	if err := scope.check(r.cfg.Verify); err != nil {
		return err
	}
	var last int64
	batch := &pgx.Batch{}
	batch.Queue(settingsBegin, scope.Tenant.String())
	batch.Queue(headRead, scope.Tenant).QueryRow(func(row pgx.Row) error { return row.Scan(&last) })
	err := tx.SendBatch(ctx, batch).Close()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.New(fault.NotFound, "TENANT_NOT_FOUND", "tenant %s has no log", scope.Tenant).With("tenant_id", scope.Tenant.String())
	case err != nil:
		return fmt.Errorf("read the head of tenant %s: %w", scope.Tenant, err)
	case scope.To > last:
		return fault.InvalidField("to_position", "the log ends at %d", last)
	}
	scope.From = max(scope.From, 1)
	if scope.To == 0 {
		scope.To = last
	}
	return nil
}

// check refuses a scope that means nothing.
func (s *Scope) check(verify bool) error {
	given := 0
	for _, is := range []bool{s.Account != uuid.Nil, s.Strategy != uuid.Nil, s.Position != uuid.Nil, s.Stream != event.StreamKey{}} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return fault.InvalidField("scope", "at most one of account, strategy, position and stream may be given")
	case given > 0 && verify:
		return fault.InvalidField("scope", "only a whole log has a hash chain that can be followed")
	case s.From < 0 || s.To < 0:
		return fault.InvalidField("scope", "positions count from 1")
	}
	return nil
}

// isSparse says whether an account's events are worth being looked for, and can be.
func (s *Scope) isSparse(cfg Config) bool {
	return s.To-s.From >= int64(cfg.Window) && (s.From == 1 || s.Streams != nil)
}

// isWhole says whether every position is read.
func (s *Scope) isWhole() bool {
	return s.Account == uuid.Nil && s.Strategy == uuid.Nil && s.Position == uuid.Nil && s.Stream == event.StreamKey{}
}

// missing says which event should be there and is not.
func missing(name string, number int64) error {
	return fault.New(fault.Corrupt, "EVENT_MISSING", "the event at %s %d is not here: its month is archived, or it is lost", name, number).
		With(name, fmt.Sprint(number))
}
