package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// batch is the appends of one transaction:
//
//	open    choose the tenants, lock their logs, read heads, streams, receipts and the rows that are known to be needed
//	decide  try each append on an overlay; load what the rules ask for, together for all, and go on
//	count   which snapshots the new events make due
//	write   events, receipts, stream heads, rows, heads; commit
//
// Each line is one round trip; decide and count need none where all that they ask for is known.
type batch struct {
	store *Store
	// tenants are in the order of their ids, in which their locks are tried.
	tenants []*tenantBatch
	byID    map[uuid.UUID]*tenantBatch
	// wait: it waits for logs that somebody else holds.
	wait bool
}

// tenantBatch is the part of one tenant.
type tenantBatch struct {
	id   uuid.UUID
	jobs []job
	// results are those of the jobs that were tried.
	results []Result
	// busy: somebody else holds the tenant's lock.
	busy    bool
	opening intake.Opening
	// counted is up to which position the stored counts of scopes go, schedule when their snapshots are due.
	counted  int64
	schedule schedule
	ledger   *intake.Ledger
	// known is what this process knows of the log, taken out of the store's caches; nil for nothing.
	known *logCache
	// asked are the heads of streams that were read.
	asked []string
	// out is what the appends come to, and activity what they add to the scopes of snapshots.
	out      intake.Outcome
	activity map[intake.Scope]intake.Activity
}

func newBatch(s *Store, jobs []job, wait bool) *batch {
	b := &batch{store: s, byID: map[uuid.UUID]*tenantBatch{}, wait: wait}
	for _, j := range jobs {
		t := b.byID[j.request.Tenant]
		if t == nil {
			t = &tenantBatch{id: j.request.Tenant, opening: intake.Opening{
				Streams: map[string]intake.StreamHead{}, Receipts: map[uuid.UUID]*intake.Receipt{},
			}}
			t.known = s.caches.take(t.id)
			b.byID[t.id] = t
			b.tenants = append(b.tenants, t)
		}
		t.jobs = append(t.jobs, j)
	}
	slices.SortFunc(b.tenants, func(x, y *tenantBatch) int { return bytes.Compare(x.id[:], y.id[:]) })
	return b
}

// run is the transaction. What was not committed is rolled back.
func (b *batch) run(ctx context.Context, p *postgres.Pipeline) error {
	if err := b.open(ctx, p); err != nil {
		return err
	}
	if err := b.decide(ctx, p); err != nil {
		return err
	}
	if err := b.count(ctx, p); err != nil {
		return err
	}
	if err := b.write(ctx, p); err != nil {
		return err
	}
	b.keep()
	return nil
}

// settle gives the senders their results.
func (b *batch) settle() {
	for _, t := range b.tenants {
		for i := range t.results {
			*t.jobs[i].result = t.results[i]
		}
		for _, j := range t.jobs[len(t.results):] {
			*j.result = Result{Busy: true}
		}
	}
}

// open locks and reads.
func (b *batch) open(ctx context.Context, p *postgres.Pipeline) error {
	queue := &pgx.Batch{}
	ids, names := make([]uuid.UUID, len(b.tenants)), make([]string, len(b.tenants))
	for i, t := range b.tenants {
		ids[i], names[i] = t.id, t.id.String()
	}
	b.lock(queue, strings.Join(names, ","))
	heads := &headsTryLock
	if b.wait {
		heads = &headsLock
	}
	heads.Queue(queue, ids).Query(b.scanHeads)
	var streams, receipts pairs
	wanted := newWants()
	for _, t := range b.tenants {
		for _, j := range t.jobs {
			for _, key := range j.request.StreamKeys() {
				streams.stream(t, key)
			}
			for _, id := range j.request.CommandIDs() {
				receipts.command(t, id)
			}
			for _, key := range j.request.Touches() {
				if t.known == nil || !t.known.rows.Has(key) {
					wanted.row(t, key)
				}
			}
		}
	}
	streams.queue(queue, b)
	receiptsGet.Queue(queue, receipts.tenants, receipts.commands).Query(b.scanReceipts)
	wanted.queueRows(queue)
	if err := p.Send(ctx, queue); err != nil {
		return fmt.Errorf("open logs: %w", err)
	}
	for _, t := range b.tenants {
		t.begin(b.store.cfg.Limits)
	}
	wanted.loadRows()
	return nil
}

// begin makes the ledger of what was read, and of what was known if that still holds. What was not read because it was
// known, and does not hold, is asked for when it is wanted.
func (t *tenantBatch) begin(limits intake.Limits) {
	if t.busy {
		return
	}
	if !t.known.fits(t.opening.Head) {
		t.known = &logCache{streams: map[string]intake.StreamHead{}}
	}
	for _, key := range t.asked {
		t.known.streams[key] = t.opening.Streams[key]
	}
	t.opening.Streams = t.known.streams
	t.ledger = intake.NewLedger(t.id, t.opening, limits, rand.Reader)
	t.ledger.Rows = t.known.rows
}

// lock queues the choice of the tenants, by their names, and their locks. One that waits for its lock is alone in its batch,
// so nobody waits in a circle.
func (b *batch) lock(queue *pgx.Batch, names string) {
	if len(b.tenants) == 1 {
		text, t := tenantTryLock, b.tenants[0]
		if b.wait {
			text = tenantLock
		}
		queue.Queue(text, names, postgres.TenantLockKey(t.id)).QueryRow(func(row pgx.Row) error {
			var locked bool
			err := row.Scan(nil, &locked, &t.opening.Clock)
			t.busy = !locked
			return wrap(err, "lock log")
		})
		return
	}
	queue.Queue(tenantsChoose, names)
	keys := make([]int64, len(b.tenants))
	for i, t := range b.tenants {
		keys[i] = postgres.TenantLockKey(t.id)
	}
	queue.Queue(tenantsTryLock, keys).Query(func(rows pgx.Rows) error {
		for i := 0; rows.Next(); i++ {
			var locked bool
			if err := rows.Scan(&locked, &b.tenants[i].opening.Clock); err != nil {
				return wrap(err, "lock logs")
			}
			b.tenants[i].busy = !locked
		}
		return wrap(rows.Err(), "lock logs")
	})
}

func (b *batch) scanHeads(rows pgx.Rows) error {
	var tenant, eventID uuid.UUID
	var hash []byte
	var head intake.Head
	var counted int64
	var due schedule
	_, err := pgx.ForEachRow(rows, []any{
		&tenant, &head.Position, &eventID, &head.IngestedAt, &hash, &head.Generation, &head.RulesVersion, &head.Epoch,
		&counted, &due.everyEvents, &due.atWorkflowEnd,
	}, func() error {
		found, t := head, b.byID[tenant]
		t.counted, t.schedule = counted, due
		found.EventID, found.IngestedAt = ulid.ULID(eventID), found.IngestedAt.UTC()
		if copy(found.Hash[:], hash) != len(found.Hash) {
			return fault.New(fault.Corrupt, "HEAD_UNREADABLE", "the head of tenant %s has a hash of %d bytes", tenant, len(hash))
		}
		t.opening.Head = &found
		return nil
	})
	return wrap(err, "read heads")
}

func (b *batch) scanStreams(rows pgx.Rows) error {
	var tenant uuid.UUID
	var key string
	var head intake.StreamHead
	_, err := pgx.ForEachRow(rows, []any{&tenant, &key, &head.Seq, &head.Position}, func() error {
		b.byID[tenant].opening.Streams[key] = head
		return nil
	})
	return wrap(err, "read heads of streams")
}

func (b *batch) scanReceipts(rows pgx.Rows) error {
	var tenant uuid.UUID
	var receipt intake.Receipt
	var count int
	var digest, entries []byte
	_, err := pgx.ForEachRow(rows, []any{
		&tenant, &receipt.Command, &receipt.FirstPosition, &receipt.IngestedAt, &count, &receipt.Raised, &digest, &entries,
	}, func() error {
		found := receipt
		found.IngestedAt = found.IngestedAt.UTC()
		decoded, err := intake.DecodeEntries(entries, count)
		if err != nil {
			return fmt.Errorf("command %s of tenant %s: %w", found.Command, tenant, err)
		}
		found.Entries = decoded
		copy(found.Digest[:], digest)
		b.byID[tenant].opening.Receipts[found.Command] = &found
		return nil
	})
	return wrap(err, "read receipts")
}

// decide tries the appends until each has a result. One round mostly serves all; an append that rests on what an earlier
// one of its batch makes can only then tell what it wants, so the bound is for each append.
func (b *batch) decide(ctx context.Context, p *postgres.Pipeline) error {
	jobs := 0
	for _, t := range b.tenants {
		jobs += len(t.jobs)
	}
	for round := 0; ; round++ {
		wanted := newWants()
		for _, t := range b.tenants {
			if !t.busy {
				t.try(wanted)
			}
		}
		if wanted.empty() {
			return nil
		}
		if round == b.store.cfg.RoundsMax*jobs {
			return fault.Bug("the rules ask for more rows after %d rounds, %v last", round, wanted.names())
		}
		if err := wanted.load(ctx, p); err != nil {
			return err
		}
	}
}

// try goes on with the appends, up to the first that wants something loaded; of those after it is found out what they will
// want.
func (t *tenantBatch) try(wanted *wants) {
	for len(t.results) < len(t.jobs) {
		answer, err := t.ledger.Append(t.jobs[len(t.results)].request)
		if w, more := intake.WantedBy(err); more {
			wanted.add(t, w)
			for _, later := range t.jobs[len(t.results)+1:] {
				if w, more := intake.WantedBy(t.ledger.Probe(later.request)); more {
					wanted.add(t, w)
				}
			}
			return
		}
		t.results = append(t.results, Result{Answer: answer, Err: err})
	}
	t.out = t.ledger.Outcome()
}

// wrap says what a query was for, if it failed.
func wrap(err error, doing string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// pairs are keys of several tenants, index by index.
type pairs struct {
	tenants  []uuid.UUID
	streams  []string
	commands []uuid.UUID
}

// stream asks for a stream's head, once; until it is found it counts as one that does not exist.
func (p *pairs) stream(t *tenantBatch, key string) {
	if _, asked := t.opening.Streams[key]; asked {
		return
	}
	if t.known != nil {
		if _, known := t.known.streams[key]; known {
			return
		}
	}
	t.opening.Streams[key] = intake.StreamHead{}
	t.asked = append(t.asked, key)
	p.tenants, p.streams = append(p.tenants, t.id), append(p.streams, key)
}

// command asks for a command's receipt.
func (p *pairs) command(t *tenantBatch, id uuid.UUID) {
	p.tenants, p.commands = append(p.tenants, t.id), append(p.commands, id)
}

func (p *pairs) queue(queue *pgx.Batch, b *batch) {
	if len(p.tenants) > 0 {
		streamsGet.Queue(queue, p.tenants, p.streams).Query(b.scanStreams)
	}
}

// Committed tells how far a tenant's log now goes, and by which events. They do not change, and whoever keeps them keeps all of the
// append.
type Committed struct {
	Tenant   uuid.UUID
	Position int64
	At       time.Time
	Records  []intake.Record
}
