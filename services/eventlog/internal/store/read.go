package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// Head is the end of a tenant's log. Before its first event its numbers are zero.
type Head struct {
	Position   int64
	EventID    ulid.ULID
	IngestedAt time.Time
	Hash       [32]byte

	// exists: the tenant has a log.
	exists bool
}

// scan reads the answer of headRead; no row leaves the head zero.
func (h *Head) scan(row pgx.Row) error {
	err := row.Scan(&h.Position, (*idColumn)(&h.EventID), &h.IngestedAt, (*hashColumn)(&h.Hash))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	h.exists = err == nil
	return err //nolint:wrapcheck // The read adds the context.
}

// readSnapshot runs the queries that queue adds, and one for the head, in one snapshot that shows this tenant alone.
func (s *Store) readSnapshot(ctx context.Context, tenant uuid.UUID, queue func(*pgx.Batch)) (Head, error) {
	var head Head
	err := postgres.Snapshot(ctx, s.reads, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, tenant.String())
		b.Queue(headRead, tenant).QueryRow(head.scan)
		if queue != nil {
			queue(b)
		}
	})
	if err != nil {
		return Head{}, fmt.Errorf("read log of tenant %s: %w", tenant, err)
	}
	return head, nil
}

// Head tells how far a tenant's log goes; NotFound if it has none.
func (s *Store) Head(ctx context.Context, tenant uuid.UUID) (Head, error) {
	head, err := s.readSnapshot(ctx, tenant, nil)
	if err == nil && !head.exists {
		return Head{}, noLog(tenant)
	}
	return head, err
}

// noLog is the answer about a tenant that has none.
func noLog(tenant uuid.UUID) error {
	return fault.New(fault.NotFound, "TENANT_NOT_FOUND", "tenant %s has no log", tenant).With("tenant_id", tenant.String())
}

// Event finds an event by its id; NotFound if the tenant has none such.
func (s *Store) Event(ctx context.Context, tenant uuid.UUID, id ulid.ULID) (*event.Record, error) {
	found := s.newRecords(tenant, 1)
	var oldest int64
	var oldestID ulid.ULID
	_, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(eventFind, tenant, uuid.UUID(id)).Query(found.collect)
		b.Queue(eventOldest, tenant).QueryRow(func(row pgx.Row) error {
			return optionalRow(row.Scan(&oldest, (*idColumn)(&oldestID)))
		})
	})
	switch {
	case err != nil:
		return nil, err
	case len(found.events) == 1:
		return &found.events[0], nil
	case oldest > 1 && id.Compare(oldestID) < 0:
		return nil, missing("position", oldest-1)
	default:
		return nil, fault.New(fault.NotFound, "EVENT_NOT_FOUND", "no event %s", id).With("event_id", id.String())
	}
}

// optionalRow takes no row for no error.
func optionalRow(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// Command gives the receipt of a command; NotFound if it is not in the log.
func (s *Store) Command(ctx context.Context, tenant, command uuid.UUID) (*intake.Receipt, error) {
	receipt := &intake.Receipt{Command: command}
	var count int
	var entries []byte
	_, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(commandRead, tenant, command).QueryRow(func(row pgx.Row) error {
			return optionalRow(row.Scan(&receipt.FirstPosition, &receipt.IngestedAt, &count, &receipt.Raised, (*hashColumn)(&receipt.Digest), &entries))
		})
	})
	if err != nil {
		return nil, err
	}
	if receipt.FirstPosition == 0 {
		return nil, fault.New(fault.NotFound, "COMMAND_NOT_FOUND", "no command %s", command).With("command_id", command.String())
	}
	if receipt.Entries, err = intake.DecodeEntries(entries, count); err != nil {
		return nil, fmt.Errorf("command %s: %w", command, err)
	}
	return receipt, nil
}

// PageParams say which page of a log or a stream is wanted.
type PageParams struct {
	// From is the first number wanted, in the direction of reading; 0: from the end the direction starts at.
	From int64
	// Backwards reads from new to old.
	Backwards bool
	// Size is at most PageSizeMax; 0 means PageSizeDefault.
	Size int
}

// Page is a stretch of consecutive events.
type Page struct {
	// Events are in the direction of reading.
	Events []event.Record
	// Last is the log's last position, or the stream's last seq.
	Last int64
	// Next is the From of the next page; 0 where there is none.
	Next int64
}

// ReadLog gives a page of a tenant's log by position. An event that should be there and is not is Corrupt and named: no
// read gives less than was asked for.
func (s *Store) ReadLog(ctx context.Context, tenant uuid.UUID, p PageParams) (Page, error) {
	size := pageSize(p.Size)
	found := s.newRecords(tenant, size)
	head, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		text, from := p.choose(logForwards, logBackwards)
		b.Queue(text, tenant, from, size).Query(found.collect)
	})
	if err != nil {
		return Page{}, err
	}
	return p.page(head.Position, found, "position", func(r *event.Record) int64 { return r.Position })
}

// ReadStream gives a page of a stream by seq. An unknown stream is empty.
func (s *Store) ReadStream(ctx context.Context, tenant uuid.UUID, stream event.StreamKey, p PageParams) (Page, error) {
	size := pageSize(p.Size)
	found := s.newRecords(tenant, size)
	var last int64
	_, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		text, from := p.choose(streamForwards, streamBackwards)
		b.Queue(streamHeadRead, tenant, stream.String()).QueryRow(func(row pgx.Row) error { return optionalRow(row.Scan(&last)) })
		b.Queue(text, tenant, stream.String(), from, size).Query(found.collect)
	})
	if err != nil {
		return Page{}, err
	}
	return p.page(last, found, "seq", func(r *event.Record) int64 { return r.Seq })
}

// choose gives the statement for the direction, and the number at which it begins.
func (p PageParams) choose(forwards, backwards string) (text string, from int64) {
	switch {
	case !p.Backwards:
		return forwards, max(p.From, 1)
	case p.From == 0:
		return backwards, math.MaxInt64
	default:
		return backwards, p.From
	}
}

// page makes a page of what was found, once it is sure that nothing of it is missing.
func (p PageParams) page(last int64, found *records, name string, number func(*event.Record) int64) (Page, error) {
	first, left, step := max(p.From, 1), int64(0), int64(1)
	if p.Backwards {
		first, step = last, -1
		if p.From > 0 {
			first = min(p.From, last)
		}
		left = first
	} else {
		left = max(last-first+1, 0)
	}
	for i := range found.events {
		if expected := first + int64(i)*step; number(&found.events[i]) != expected {
			return Page{}, missing(name, expected)
		}
	}
	count := int64(len(found.events))
	if !found.cut && count < min(left, int64(found.sizeMax)) {
		return Page{}, missing(name, first+count*step)
	}
	page := Page{Events: found.events, Last: last}
	if count < left {
		page.Next = first + count*step
	}
	return page, nil
}

// missing says which event should be there and is not.
func missing(name string, number int64) error {
	return fault.New(fault.Corrupt, "EVENT_MISSING", "the event at %s %d is not here: its month is archived, or it is lost", name, number).
		With(name, strconv.FormatInt(number, 10))
}
