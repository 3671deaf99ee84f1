package store

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/audit"
)

// VerifyLimits bound verifications. The zero value of each field gets its default.
type VerifyLimits struct {
	// RunsMax is how many run at a time; of one tenant there is one at the most. Default 2.
	RunsMax int
	// Workers is how many connections each reads by; default 2.
	Workers int
	// StretchMax is how many events a worker takes at a time; default 20 000.
	StretchMax int
	// StreamsMax is how many streams are kept in memory, some 60 bytes each; a log of more is read several times. Default
	// 500 000.
	StreamsMax int
	// Timeout bounds one statement, and the wait of one connection for what another is doing; default 2 min.
	Timeout time.Duration
}

func (l VerifyLimits) withDefaults() (VerifyLimits, error) {
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{
		{"RunsMax", &l.RunsMax, 2},
		{"Workers", &l.Workers, 2},
		{"StretchMax", &l.StretchMax, 20_000},
		{"StreamsMax", &l.StreamsMax, 500_000},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 1 {
			return l, fmt.Errorf("eventlog verification: %s %d must be above zero", field.name, *field.value)
		}
	}
	if l.Timeout == 0 {
		l.Timeout = 2 * time.Minute
	}
	if l.Timeout < time.Millisecond {
		return l, fmt.Errorf("eventlog verification: Timeout %s is under a millisecond", l.Timeout)
	}
	return l, nil
}

// VerifyParams say what of a log is verified. The zero value is all of it.
type VerifyParams struct {
	// After is an event that is trusted with all before it; position 0: none.
	After audit.Known
	// To is the last position to look at; 0: the whole log, its head and the heads of streams included.
	To int64
	// Known are events that are known to have been there.
	Known []audit.Known
	// Progress is told of events that were found good, of how many, now and then. It may block. Nil: nobody.
	Progress func(done, total int64)
}

// Verdict is what a verification found.
type Verdict struct {
	// Breach is the first thing that is wrong; nil: the log is whole.
	Breach *audit.Breach
	// Events, Streams and Receipts count what was found good.
	Events, Streams, Receipts int64
	// Head is the log's when it was looked at.
	Head Head
}

// verifying are the tenants whose logs are being verified.
type verifying struct {
	mu      sync.Mutex
	tenants map[uuid.UUID]bool
}

// verifyRetryAfter is the delay that is advised where another verification runs.
const verifyRetryAfter = 10 * time.Second

// enter lets a verification in, until leave.
func (v *verifying) enter(tenant uuid.UUID, runsMax int) (leave func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tenants[tenant] {
		return nil, fault.New(fault.Exhausted, "VERIFYING_ALREADY", "this log is being verified already").WithRetryAfter(verifyRetryAfter)
	}
	if len(v.tenants) >= runsMax {
		return nil, fault.New(fault.Exhausted, "VERIFICATIONS_TOO_MANY", "%d logs are being verified already", runsMax).WithRetryAfter(verifyRetryAfter)
	}
	if v.tenants == nil {
		v.tenants = map[uuid.UUID]bool{}
	}
	v.tenants[tenant] = true
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.tenants, tenant)
	}, nil
}

// Verify proves a tenant's log, as it is in one snapshot, and says what is wrong first: with the events, and where those are
// whole, with receipts, heads of streams and the head. A broken log is a verdict and not an error. NotFound if the tenant
// has no log; Invalid for positions that are not in it; Exhausted while others are verified.
func (s *Store) Verify(ctx context.Context, tenant uuid.UUID, p VerifyParams) (Verdict, error) {
	leave, err := s.verifying.enter(tenant, s.cfg.Verify.RunsMax)
	if err != nil {
		return Verdict{}, err
	}
	defer leave()
	if p.Progress == nil {
		p.Progress = func(int64, int64) {}
	}
	p.Known = slices.SortedFunc(slices.Values(p.Known), func(a, b audit.Known) int { return int(min(max(a.Position-b.Position, -1), 1)) })
	v := &verification{store: s, limits: s.cfg.Verify, tenant: tenant, params: p, seed: maphash.MakeSeed()}
	var verdict Verdict
	err = postgres.InTx(ctx, s.reads, verifyTx, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		verdict, err = v.run(ctx, tx)
		return err
	})
	if err != nil {
		return Verdict{}, fmt.Errorf("verify log of tenant %s: %w", tenant, err)
	}
	return verdict, nil
}

// verifyTx is a transaction of a verification. It cannot lose against another.
var verifyTx = postgres.TxOptions{Isolation: pgx.RepeatableRead, ReadOnly: true, TriesMax: 1}

// verification is one run.
type verification struct {
	store  *Store
	limits VerifyLimits
	tenant uuid.UUID
	params VerifyParams
	seed   maphash.Seed

	// snapshot is what the other workers see, too.
	snapshot string
	head     Head
	// end is the last position that is looked at.
	end     int64
	streams int64
	// behind is what is wrong behind the log's end.
	behind *audit.Breach
	// told is what Progress was last told.
	told int64
}

// run does the work on a transaction that has just begun.
func (v *verification) run(ctx context.Context, tx pgx.Tx) (Verdict, error) {
	if err := v.begin(ctx, tx); err != nil {
		return Verdict{}, err
	}
	wrong, err := v.bounds(ctx, tx)
	if err != nil || wrong != nil {
		return Verdict{Head: v.head, Breach: wrong}, err
	}
	before, wrong, err := v.trusted(ctx, tx)
	if err != nil || wrong != nil {
		return Verdict{Head: v.head, Breach: wrong}, err
	}
	return v.follow(ctx, tx, before)
}

// begin sets the transaction up and reads the head.
func (v *verification) begin(ctx context.Context, tx pgx.Tx) error {
	if err := v.settings(ctx, tx); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	batch.Queue(snapshotExport).QueryRow(func(row pgx.Row) error { return row.Scan(&v.snapshot) })
	batch.Queue(headRead, v.tenant).QueryRow(v.head.scan)
	batch.Queue(streamsCount, v.tenant).QueryRow(func(row pgx.Row) error { return row.Scan(&v.streams) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	v.end = v.head.Position
	if v.params.To > 0 {
		v.end = v.params.To
	}
	return nil
}

// settings makes a transaction fit for reading the log by position.
func (v *verification) settings(ctx context.Context, tx pgx.Tx) error {
	timeout := strconv.FormatInt(v.limits.Timeout.Milliseconds(), 10)
	if _, err := tx.Exec(ctx, verifySettings, v.tenant.String(), timeout); err != nil {
		return fmt.Errorf("set transaction up: %w", err)
	}
	return nil
}

// bounds holds what is asked against the head. Where the log ends before a known event, that is wrong behind its end: what is
// wrong before comes first.
func (v *verification) bounds(ctx context.Context, tx pgx.Tx) (*audit.Breach, error) {
	last := v.head.place()
	if !v.head.exists {
		return v.headless(ctx, tx)
	}
	if v.params.After.Position > last.Position {
		return last.Holds(v.params.After), nil
	}
	if v.params.To > last.Position {
		return nil, fault.InvalidField("to_position", "the log ends at %d", last.Position)
	}
	if v.params.After.Position > v.end {
		return nil, fault.InvalidField("after.position", "must not be after to_position")
	}
	for _, known := range v.params.Known {
		if known.Position > last.Position {
			v.behind = audit.Earlier(v.behind, last.Holds(known))
		} else if known.Position <= v.params.After.Position || known.Position > v.end {
			return nil, fault.InvalidField("known_heads", "position %d is not among %d to %d, which are looked at", known.Position, v.params.After.Position+1, v.end)
		}
	}
	return nil, nil
}

// headless is about a log without a head: it must have no event.
func (v *verification) headless(ctx context.Context, tx pgx.Tx) (*audit.Breach, error) {
	position, err := v.beyond(ctx, tx)
	if err == nil && position == 0 {
		return nil, noLog(v.tenant)
	}
	return &audit.Breach{Kind: audit.HeadMismatch, Position: position, What: "the log has events and no head"}, err
}

// beyond is the position of the first event behind the head; 0: there is none.
func (v *verification) beyond(ctx context.Context, tx pgx.Tx) (int64, error) {
	var position int64
	if err := optionalRow(tx.QueryRow(ctx, verifyBeyond, v.tenant, v.head.Position).Scan(&position)); err != nil {
		return 0, fmt.Errorf("look behind the head: %w", err)
	}
	return position, nil
}

// trusted reads the event after which to begin.
func (v *verification) trusted(ctx context.Context, tx pgx.Tx) (audit.Place, *audit.Breach, error) {
	after := v.params.After
	if after.Position == 0 {
		return audit.Place{}, nil, nil
	}
	var place audit.Place
	wrong := &audit.Breach{Kind: audit.Missing, Position: after.Position, What: "the event after which to begin is missing: its month is not here, or it was removed"}
	err := v.rows(ctx, tx, verifyEvents, after.Position, after.Position, func(values [][]byte) bool {
		var row audit.Row
		verifyColumns(&row, values)
		place, wrong = audit.Trust(v.tenant, &row, after)
		return false
	})
	return place, wrong, err
}

// place is the head as verification has places.
func (h *Head) place() audit.Place {
	p := audit.Place{Position: h.Position, EventID: h.EventID, Hash: h.Hash}
	if h.exists {
		p.IngestedAt = h.IngestedAt.UnixMicro()
	}
	return p
}
