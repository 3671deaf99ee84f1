package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// countedBehind is how many events snapshot_progress may be behind the head: an append need not write it each time, and who
// does not know the counts reads so many events to find them.
const countedBehind = 128

// countRoundsMax bounds how often the rows that tell which scopes an event belongs to are asked for: an order leads to its
// position, the position to its strategy.
const countRoundsMax = 4

// schedule says when snapshots of a tenant's scopes are due.
type schedule struct {
	everyEvents   int64
	atWorkflowEnd bool
}

// progress counts the events of a tenant's scopes, as far as they are known.
type progress struct {
	// counted is the position up to which stored counts.
	counted int64
	// stored are the rows of snapshot_progress that were read; 0 for one that does not exist.
	stored map[intake.Scope]int64
	// tail is what happened after counted; nil if it has not been read.
	tail map[intake.Scope]intake.Activity
}

// due is a snapshot that an append made due.
type due struct {
	scope    intake.Scope
	position int64
	reason   string
}

// count finds out which scopes the appends' events belong to, and how many there were before. What is not known is read, which
// mostly is nothing.
func (b *batch) count(ctx context.Context, p *postgres.Pipeline) error {
	for range countRoundsMax {
		queue := &pgx.Batch{}
		wanted := newWants()
		for _, t := range b.tenants {
			if err := t.count(queue, wanted); err != nil {
				return err
			}
		}
		if queue.Len() == 0 && wanted.empty() {
			return nil
		}
		wanted.queueRows(queue)
		if err := p.Send(ctx, queue); err != nil {
			return fmt.Errorf("count events of scopes: %w", err)
		}
		wanted.loadRows()
	}
	return fault.Bug("the scopes of events are not known after %d rounds", countRoundsMax)
}

// count asks for what the tenant's counts lack.
func (t *tenantBatch) count(queue *pgx.Batch, wanted *wants) error {
	if t.busy || len(t.out.Records) == 0 {
		return nil
	}
	if t.known.progress == nil {
		t.known.progress = &progress{counted: t.counted, stored: map[intake.Scope]int64{}}
	}
	known := t.known.progress
	if known.tail == nil {
		known.readTail(queue, t.id, t.opening.Head)
	}
	if t.activity == nil {
		activity, err := t.ledger.Scopes()
		if w, more := intake.WantedBy(err); more {
			wanted.add(t, w)
			return nil
		}
		if err != nil {
			return fmt.Errorf("scopes of events: %w", err)
		}
		t.activity = activity
	}
	known.readStored(queue, t.id, t.activity)
	return nil
}

// readTail reads what happened after the stored counts. Nothing did where they reach the head.
func (p *progress) readTail(queue *pgx.Batch, tenant uuid.UUID, head *intake.Head) {
	p.tail = map[intake.Scope]intake.Activity{}
	if head == nil || head.Position == p.counted {
		return
	}
	queue.Queue(scopeTail, tenant, p.counted).Query(func(rows pgx.Rows) error {
		var kind string
		var id uuid.UUID
		var a intake.Activity
		_, err := pgx.ForEachRow(rows, []any{&kind, &id, &a.Events, &a.LastPosition}, func() error {
			p.tail[intake.Scope{Kind: event.Kind(kind), ID: id}] = a
			return nil
		})
		return wrap(err, "count the last events of scopes")
	})
}

// readStored reads the counts of scopes that are not known yet.
func (p *progress) readStored(queue *pgx.Batch, tenant uuid.UUID, scopes map[intake.Scope]intake.Activity) {
	var kinds []string
	var ids []uuid.UUID
	for scope := range scopes {
		if _, known := p.stored[scope]; !known {
			p.stored[scope] = 0
			kinds, ids = append(kinds, string(scope.Kind)), append(ids, scope.ID)
		}
	}
	if len(ids) == 0 || p.counted == 0 {
		return
	}
	queue.Queue(progressGet, tenant, kinds, ids).Query(func(rows pgx.Rows) error {
		var kind string
		var id uuid.UUID
		var events int64
		_, err := pgx.ForEachRow(rows, []any{&kind, &id, &events}, func() error {
			p.stored[intake.Scope{Kind: event.Kind(kind), ID: id}] = events
			return nil
		})
		return wrap(err, "read counts of scopes")
	})
}

// advance takes in what the transaction added and says which snapshots it makes due: of a scope whose count passes a multiple
// of the schedule's, or of which a workflow has ended.
func (p *progress) advance(added map[intake.Scope]intake.Activity, s schedule) []due {
	var dues []due
	for scope, a := range added {
		tail := p.tail[scope]
		before := p.stored[scope] + tail.Events
		switch {
		case s.atWorkflowEnd && a.WorkflowEnd > 0:
			dues = append(dues, due{scope, a.LastPosition, "workflow_end"})
		case s.everyEvents > 0 && before/s.everyEvents != (before+a.Events)/s.everyEvents:
			dues = append(dues, due{scope, a.LastPosition, "events"})
		}
		tail.Add(a)
		p.tail[scope] = tail
	}
	slices.SortFunc(dues, func(x, y due) int { return compareScopes(x.scope, y.scope) })
	return dues
}

// settle moves what is counted up to a position into the stored counts and tells what to write, if it is time.
func (p *progress) settle(position int64) map[intake.Scope]intake.Activity {
	if position-p.counted < countedBehind {
		return nil
	}
	written := p.tail
	for scope, a := range written {
		// What was never read stays unknown: the row is not this process's alone.
		if events, known := p.stored[scope]; known {
			p.stored[scope] = events + a.Events
		}
	}
	p.counted, p.tail = position, map[intake.Scope]intake.Activity{}
	return written
}

func (p *progress) size() int {
	if p == nil {
		return 0
	}
	return len(p.stored) + len(p.tail)
}

func compareScopes(a, b intake.Scope) int {
	if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

// progressColumns are counts to add, column by column.
type progressColumns struct {
	tenants, ids      []uuid.UUID
	kinds             []string
	events, positions []int64
}

func (c *progressColumns) add(tenant uuid.UUID, counts map[intake.Scope]intake.Activity) {
	for _, scope := range slices.SortedFunc(maps.Keys(counts), compareScopes) {
		c.tenants, c.kinds, c.ids = append(c.tenants, tenant), append(c.kinds, string(scope.Kind)), append(c.ids, scope.ID)
		c.events, c.positions = append(c.events, counts[scope].Events), append(c.positions, counts[scope].LastPosition)
	}
}

func (c *progressColumns) queue(queue *pgx.Batch) {
	if len(c.tenants) > 0 {
		progressUpsert.Queue(queue, c.tenants, c.kinds, c.ids, c.events, c.positions)
	}
}

// dueColumns are snapshots that are due, column by column.
type dueColumns struct {
	tenants, ids   []uuid.UUID
	kinds, reasons []string
	positions      []int64
	at             []time.Time
}

func (c *dueColumns) add(tenant uuid.UUID, at time.Time, dues []due) {
	for _, d := range dues {
		c.tenants, c.kinds, c.ids = append(c.tenants, tenant), append(c.kinds, string(d.scope.Kind)), append(c.ids, d.scope.ID)
		c.positions, c.at, c.reasons = append(c.positions, d.position), append(c.at, at), append(c.reasons, d.reason)
	}
}

func (c *dueColumns) queue(queue *pgx.Batch) {
	if len(c.tenants) > 0 {
		duesUpsert.Queue(queue, c.tenants, c.kinds, c.ids, c.positions, c.at, c.reasons)
	}
}
