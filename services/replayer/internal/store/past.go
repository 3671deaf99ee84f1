package store

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// PlaceOf implements replay.Past.
func (s *Store) PlaceOf(ctx context.Context, tenant uuid.UUID, position int64) (replay.Place, error) {
	head, err := s.HeadOf(ctx, tenant)
	if err != nil {
		return head, err
	}
	if position > head.Position {
		return head, fault.InvalidField("position", "must be at most %d, where the log ends", head.Position)
	}
	return s.placeOf(ctx, tenant, position)
}

func (s *Store) placeOf(ctx context.Context, tenant uuid.UUID, position int64) (replay.Place, error) {
	place := replay.Place{Position: position}
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, tenant.String())
		b.Queue(eventTime, tenant, position).QueryRow(func(row pgx.Row) error { return row.Scan(&place.IngestedAt) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return place, fault.New(fault.Corrupt, "EVENT_MISSING", "the event at position %d is not here: its month is archived, or it is lost", position)
	}
	place.IngestedAt = place.IngestedAt.UTC()
	return place, err
}

// HeadOf implements replay.Past.
func (s *Store) HeadOf(ctx context.Context, tenant uuid.UUID) (replay.Place, error) {
	var head replay.Head
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, tenant.String())
		b.Queue(headGet, tenant).QueryRow(func(row pgx.Row) error { return scanHead(row, &head) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return replay.Place{}, headMissing(err, tenant)
	}
	return replay.Place{Position: head.Position, IngestedAt: head.IngestedAt}, err
}

// PlaceAt implements replay.Past. Events were taken in in the order of their positions, so halving finds the place: some twenty
// looks at an index for millions of events.
func (s *Store) PlaceAt(ctx context.Context, tenant uuid.UUID, at time.Time) (replay.Place, error) {
	head, err := s.HeadOf(ctx, tenant)
	if err != nil || !head.IngestedAt.After(at) {
		return head, err
	}
	first, err := s.placeOf(ctx, tenant, 1)
	if err != nil {
		return first, err
	}
	if first.IngestedAt.After(at) {
		return first, fault.New(fault.NotFound, "BEFORE_THE_LOG", "the log begins at %s", first.IngestedAt.Format(time.RFC3339Nano))
	}
	low, high := first, head // low is at or before the time, high after it.
	for high.Position-low.Position > 1 {
		middle, err := s.placeOf(ctx, tenant, low.Position+(high.Position-low.Position)/2)
		if err != nil {
			return middle, err
		}
		if middle.IngestedAt.After(at) {
			high = middle
		} else {
			low = middle
		}
	}
	return low, nil
}

// Began implements replay.Past.
func (s *Store) Began(ctx context.Context, tenant uuid.UUID, stream event.StreamKey) (replay.Beginning, error) {
	var b replay.Beginning
	var account, position uuid.NullUUID
	err := postgres.Snapshot(ctx, s.pool, func(batch *pgx.Batch) {
		batch.Queue(tenantChoose, tenant.String())
		batch.Queue(streamBegan, tenant, stream.String()).QueryRow(func(row pgx.Row) error { return row.Scan(&b.Position, &account, &position) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return b, fault.New(fault.NotFound, "NOT_FOUND", "no %s %s", stream.Kind, stream.ID).With(string(stream.Kind)+"_id", stream.ID.String())
	}
	b.Account, b.PositionID = account.UUID, position.UUID
	return b, err
}

// candidate is a snapshot that may serve.
type candidate struct {
	id       uuid.UUID
	scope    projection.Scope
	expected snapshot.Expected
	created  time.Time
	horizon  replay.Horizon
}

// WithSnapshot implements replay.Past. A snapshot that does not fit is passed over, marked, told, and due anew.
func (s *Store) WithSnapshot(ctx context.Context, tenant uuid.UUID, scopes []projection.Scope, at int64, fn func(*replay.Opened) error) error {
	candidates, err := s.candidates(ctx, tenant, scopes, at)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		o, err := s.opened(ctx, c)
		var unfit *snapshot.Unfit
		if err == nil {
			err = fn(o)
		}
		if errors.As(err, &unfit) {
			s.views.drop(c.id) // A block of it may have been found not to fit only when it was wanted.
			s.reject(ctx, c, unfit)
			continue
		}
		return err
	}
	return fn(nil)
}

// reject marks a snapshot as not used and makes its scope due anew. The question does not wait for whether that succeeds: whoever
// looks at it next rejects it again.
func (s *Store) reject(ctx context.Context, c candidate, why *snapshot.Unfit) {
	tenant := c.expected.TenantID
	err := postgres.InTx(ctx, s.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(tenantChoose, tenant.String())
		batch.Queue(snapshotMark, tenant, c.id, string(why.Reason))
		batch.Queue(dueAdd, tenant, string(c.scope.Kind), c.scope.ID, c.expected.AsOf)
		return tx.SendBatch(ctx, batch).Close()
	})
	s.cfg.Unfit(ctx, UnfitSnapshot{Tenant: tenant, ID: c.id, Scope: c.scope, AsOf: c.expected.AsOf, Why: why}, err)
}

// candidatesMax is how many snapshots of a scope are tried, newest first.
const candidatesMax = 3

// candidates lists the snapshots of some scopes at or before a position, the newest first, of the rules of this program.
func (s *Store) candidates(ctx context.Context, tenant uuid.UUID, scopes []projection.Scope, at int64) ([]candidate, error) {
	var found []candidate
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, tenant.String())
		for _, scope := range scopes {
			b.Queue(snapshotsNewest, tenant, string(scope.Kind), scope.ID, at, int32(projection.RulesVersion), candidatesMax).Query(func(rows pgx.Rows) error {
				for rows.Next() {
					c := candidate{scope: scope}
					c.expected.TenantID, c.expected.Scope, c.expected.RulesVersion = tenant, scope, projection.RulesVersion
					var chain, hash, logHash []byte
					if err := rows.Scan(&c.id, &c.created, &c.expected.AsOf, &chain, &hash, &c.expected.Length, &c.horizon.XID, &c.horizon.Cluster, &logHash); err != nil {
						return err //nolint:wrapcheck // The snapshot adds the context.
					}
					if !bytes.Equal(chain, logHash) {
						continue // It is of another log.
					}
					copy(c.expected.ChainHash[:], chain)
					copy(c.expected.Hash[:], hash)
					found = append(found, c)
				}
				return rows.Err()
			})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("look for snapshots: %w", err)
	}
	newest := found[:0:0]
	for len(found) > 0 {
		at := 0
		for i := range found {
			if found[i].expected.AsOf > found[at].expected.AsOf {
				at = i
			}
		}
		newest = append(newest, found[at])
		found = append(found[:at:at], found[at+1:]...)
	}
	return newest, nil
}

// opened gives a verified snapshot, from memory if it is there.
func (s *Store) opened(ctx context.Context, c candidate) (*replay.Opened, error) {
	if o := s.views.get(c.id); o != nil {
		return o, nil
	}
	var state []byte
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, c.expected.TenantID.String())
		b.Queue(snapshotState, c.expected.TenantID, c.id, c.created).QueryRow(func(row pgx.Row) error { return row.Scan(&state) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, &snapshot.Unfit{Reason: snapshot.ReasonMismatch, Detail: "it was pruned"}
	}
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", c.id, err)
	}
	view, err := snapshot.Open(state, c.expected)
	if err != nil {
		return nil, err
	}
	opened := &replay.Opened{ID: c.id, View: view, Horizon: c.horizon}
	s.views.put(opened)
	return opened, nil
}

// views are snapshots in memory, the least recently used first to go.
type views struct {
	most int64

	mu    sync.Mutex
	byID  map[uuid.UUID]*list.Element
	order *list.List // of *replay.Opened
	total int64
}

func newViews(most int64) *views {
	return &views{most: most, byID: map[uuid.UUID]*list.Element{}, order: list.New()}
}

func (v *views) get(id uuid.UUID) *replay.Opened {
	v.mu.Lock()
	defer v.mu.Unlock()
	element := v.byID[id]
	if element == nil {
		return nil
	}
	v.order.MoveToFront(element)
	o, _ := element.Value.(*replay.Opened)
	return o
}

// drop forgets a snapshot.
func (v *views) drop(id uuid.UUID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if element := v.byID[id]; element != nil {
		v.remove(element)
	}
}

func (v *views) remove(element *list.Element) {
	gone, _ := v.order.Remove(element).(*replay.Opened)
	delete(v.byID, gone.ID)
	v.total -= gone.View.Size()
}

// put keeps a snapshot, if it is not too large to leave others room.
func (v *views) put(o *replay.Opened) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.byID[o.ID]; known || o.View.Size() > v.most/2 {
		return
	}
	v.byID[o.ID] = v.order.PushFront(o)
	v.total += o.View.Size()
	for v.total > v.most {
		v.remove(v.order.Back())
	}
}
