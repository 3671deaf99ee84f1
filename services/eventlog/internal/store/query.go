package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// Filter is what events must be like; all that is set holds at once.
type Filter struct {
	// Types: any of these.
	Types []event.Type
	// Kinds: in a stream of any of these kinds.
	Kinds []event.Kind
	// Since and Until bound ingested_at: at or after, and before.
	Since, Until time.Time

	TraceID   uuid.NullUUID
	CommandID uuid.NullUUID
	// Descendants, with CommandID: also what follows from the command's events by causation, however far.
	Descendants bool
	WorkflowID  uuid.NullUUID
	// CausationID holds the bytes of an event's ULID.
	CausationID uuid.NullUUID

	AccountID, StrategyID, PositionID, OrderID uuid.NullUUID
}

// QueryParams say which page of an answer is wanted.
type QueryParams struct {
	// Backwards goes from new to old.
	Backwards bool
	// Size is at most PageSizeMax; 0 means PageSizeDefault. It may change from page to page.
	Size int
	// Token is the Next of the page before; empty for the first.
	Token string
}

// Found is a page of events that a question has found, true at AsOf. Next is empty where there are no more.
type Found struct {
	Events []event.Record
	Next   string
	AsOf   int64
}

// Query finds events by what they are like, by position. A command with more descendants than the limit is Exhausted.
func (s *Store) Query(ctx context.Context, tenant uuid.UUID, f Filter, p QueryParams) (Found, error) {
	f.Types, f.Kinds = slices.Sorted(slices.Values(f.Types)), slices.Sorted(slices.Values(f.Kinds))
	query := eventsQuery{name: "EventsQuery", filter: f, backwards: p.Backwards, limit: pageSize(p.Size) + 1} // one more tells of a next page
	if p.Token != "" {
		place, err := decodeToken(p.Token, 8, tenant, f, p.Backwards)
		if err != nil {
			return Found{}, err
		}
		query.after = int64(binary.BigEndian.Uint64(place))
	}
	asOf := int64(-1)
	if f.Descendants && f.CommandID.Valid {
		positions, found, err := s.descendants(ctx, tenant, f.CommandID.UUID)
		if err != nil {
			return Found{}, err
		}
		query.positions, asOf = positions, found
	}
	page := s.newRecords(tenant, query.limit-1)
	head, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		text, args := query.build(tenant)
		b.Queue(text, args...).Query(page.collect)
	})
	if err != nil {
		return Found{}, err
	}
	found := Found{Events: page.events, AsOf: head.Position}
	if asOf >= 0 {
		found.AsOf = asOf // Events do not change: what was found then is still so.
	}
	if page.cut {
		last := uint64(page.events[len(page.events)-1].Position)
		found.Next, err = encodeToken(binary.BigEndian.AppendUint64(nil, last), tenant, f, p.Backwards)
	}
	return found, err
}

// descendants are the positions of a command's events and of all that follows from them, and the position that this is
// true at.
func (s *Store) descendants(ctx context.Context, tenant, command uuid.UUID) ([]int64, int64, error) {
	most := s.cfg.Reads.DescendantsMax
	positions := []int64{}
	head, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(descendantsFind, tenant, command, most+1).Query(func(rows pgx.Rows) error {
			var position int64
			_, err := pgx.ForEachRow(rows, []any{&position}, func() error {
				positions = append(positions, position)
				return nil
			})
			return err //nolint:wrapcheck // The read adds the context.
		})
	})
	if err != nil {
		return nil, 0, err
	}
	if len(positions) > most {
		return nil, 0, fault.New(fault.Exhausted, "DESCENDANTS_TOO_MANY", "more than %d events follow from command %s; ask by causation instead", most, command).
			With("limit", strconv.Itoa(most))
	}
	return positions, head.Position, nil
}

// Follow implements subscription.Log. Without a filter it gives the next events; with one it looks through the next
// positions, at most WindowMax of them, and gives those that the filter lets through.
func (s *Store) Follow(ctx context.Context, tenant uuid.UUID, after int64, f subscription.Filter, size int) (subscription.Stretch, error) {
	if f.IsZero() {
		page, err := s.ReadLog(ctx, tenant, PageParams{From: after + 1, Size: size})
		stretch := subscription.Stretch{Events: shared(page.Events), Looked: after + int64(len(page.Events)), Head: page.Last}
		return stretch, err
	}
	query := eventsQuery{
		name: "EventsFollow", filter: Filter{Types: f.Types, Kinds: f.Kinds, AccountID: f.AccountID},
		after: after, upTo: after + int64(s.cfg.Reads.WindowMax), limit: pageSize(size) + 1,
	}
	var count int64
	found := s.newRecords(tenant, query.limit-1)
	head, err := s.readSnapshot(ctx, tenant, func(b *pgx.Batch) {
		text, args := query.build(tenant)
		b.Queue(text, args...).Query(found.collect)
		b.Queue(logCount, tenant, after, query.upTo).QueryRow(func(row pgx.Row) error { return row.Scan(&count) })
	})
	if err != nil {
		return subscription.Stretch{}, err
	}
	looked := max(min(query.upTo, head.Position), after)
	if count != looked-after {
		return subscription.Stretch{}, fault.New(fault.Corrupt, "EVENT_MISSING",
			"of the events at positions %d to %d, %d are not here: their month is archived, or they are lost", after+1, looked, looked-after-count).
			With("position", fmt.Sprint(after+1))
	}
	if found.cut {
		looked = found.events[len(found.events)-1].Position
	}
	return subscription.Stretch{Events: shared(found.events), Looked: looked, Head: head.Position}, nil
}

// shared are events as subscribers are handed them.
func shared(records []event.Record) []*subscription.Event {
	if len(records) == 0 {
		return nil
	}
	events := make([]*subscription.Event, len(records))
	for i := range records {
		events[i] = &subscription.Event{Record: &records[i]}
	}
	return events
}
