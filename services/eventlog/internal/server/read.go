package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// Reader is what the read side needs of the store. Every answer is of one snapshot of one tenant. What should be there and is
// not is Corrupt, never less than was asked for.
type Reader interface {
	// Head tells how far the log goes; NotFound if the tenant has none.
	Head(ctx context.Context, tenant uuid.UUID) (store.Head, error)
	// Event finds an event by its id, or NotFound.
	Event(ctx context.Context, tenant uuid.UUID, id ulid.ULID) (*event.Record, error)
	// Command gives the receipt of a command, or NotFound.
	Command(ctx context.Context, tenant, command uuid.UUID) (*intake.Receipt, error)
	// ReadStream gives a page by seq; an unknown stream is empty.
	ReadStream(ctx context.Context, tenant uuid.UUID, stream event.StreamKey, p store.PageParams) (store.Page, error)
	// ReadLog gives a page by position; a log that does not exist is empty.
	ReadLog(ctx context.Context, tenant uuid.UUID, p store.PageParams) (store.Page, error)
	// Query gives a page of the events that the filter lets through, by position.
	Query(ctx context.Context, tenant uuid.UUID, f store.Filter, p store.QueryParams) (store.Found, error)
	// Tenants lists the tenants that have a log, by id.
	Tenants(ctx context.Context, size int, token string) (store.TenantPage, error)
}

// Subscriber feeds a receiver with a log's events until the context ends or something fails; it never returns nil.
type Subscriber interface {
	Subscribe(ctx context.Context, r subscription.Request, to subscription.Receiver) error
}

// Read implements eventlogv1.ReadServiceServer.
type Read struct {
	eventlogv1.UnimplementedReadServiceServer
	log        Reader
	subscriber Subscriber
}

// NewRead makes the read side of the log.
func NewRead(log Reader, subscriber Subscriber) *Read { return &Read{log: log, subscriber: subscriber} }

// GetHead implements eventlogv1.ReadServiceServer.
func (s *Read) GetHead(ctx context.Context, _ *eventlogv1.GetHeadRequest) (*eventlogv1.GetHeadResponse, error) {
	head, err := s.log.Head(ctx, identity.Tenant(ctx))
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	out := &eventlogv1.GetHeadResponse{Position: head.Position, Hash: hex.EncodeToString(head.Hash[:])}
	if head.Position > 0 {
		out.EventId, out.IngestedAt = head.EventID.String(), timestamppb.New(head.IngestedAt)
	}
	return out, nil
}

// GetEvent implements eventlogv1.ReadServiceServer.
func (s *Read) GetEvent(ctx context.Context, in *eventlogv1.GetEventRequest) (*eventlogv1.GetEventResponse, error) {
	id, err := ulid.ParseStrict(in.GetEventId())
	if err != nil {
		return nil, fault.InvalidField("event_id", "must be a ULID")
	}
	record, err := s.log.Event(ctx, identity.Tenant(ctx), id)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	e, err := message(record)
	if err != nil {
		return nil, err
	}
	return &eventlogv1.GetEventResponse{Event: e}, nil
}

// GetCommand implements eventlogv1.ReadServiceServer.
func (s *Read) GetCommand(ctx context.Context, in *eventlogv1.GetCommandRequest) (*eventlogv1.GetCommandResponse, error) {
	command, err := uuid.Parse(in.GetCommandId())
	if err != nil {
		return nil, fault.InvalidField("command_id", "must be a UUID")
	}
	receipt, err := s.log.Command(ctx, identity.Tenant(ctx), command)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &eventlogv1.GetCommandResponse{
		Receipt: response(intake.Answer{Receipt: receipt, Duplicate: true}), RequestDigest: receipt.Digest[:],
	}, nil
}

// ReadStream implements eventlogv1.ReadServiceServer.
func (s *Read) ReadStream(ctx context.Context, in *eventlogv1.ReadStreamRequest) (*eventlogv1.ReadStreamResponse, error) {
	stream, err := event.ParseStreamKey(in.GetStreamKey())
	if err != nil {
		return nil, err
	}
	page, err := s.log.ReadStream(ctx, identity.Tenant(ctx), stream, store.PageParams{
		From: in.GetFromSeq(), Backwards: isBackwards(in.GetDirection()), Size: int(in.GetPageSize()),
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	events, err := messages(page.Events)
	if err != nil {
		return nil, err
	}
	return &eventlogv1.ReadStreamResponse{Events: events, LastSeq: page.Last, NextSeq: page.Next}, nil
}

// ReadLog implements eventlogv1.ReadServiceServer.
func (s *Read) ReadLog(ctx context.Context, in *eventlogv1.ReadLogRequest) (*eventlogv1.ReadLogResponse, error) {
	page, err := s.log.ReadLog(ctx, identity.Tenant(ctx), store.PageParams{
		From: in.GetFromPosition(), Backwards: isBackwards(in.GetDirection()), Size: int(in.GetPageSize()),
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	events, err := messages(page.Events)
	if err != nil {
		return nil, err
	}
	return &eventlogv1.ReadLogResponse{Events: events, LastPosition: page.Last, NextPosition: page.Next}, nil
}

// QueryEvents implements eventlogv1.ReadServiceServer.
func (s *Read) QueryEvents(ctx context.Context, in *eventlogv1.QueryEventsRequest) (*eventlogv1.QueryEventsResponse, error) {
	filter, err := filterOf(in.GetFilter())
	if err != nil {
		return nil, err
	}
	found, err := s.log.Query(ctx, identity.Tenant(ctx), filter, store.QueryParams{
		Backwards: isBackwards(in.GetDirection()), Size: int(in.GetPageSize()), Token: in.GetPageToken(),
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	events, err := messages(found.Events)
	if err != nil {
		return nil, err
	}
	return &eventlogv1.QueryEventsResponse{Events: events, NextPageToken: found.Next, AsOf: found.AsOf}, nil
}

// ListTenants implements eventlogv1.ReadServiceServer.
func (s *Read) ListTenants(ctx context.Context, in *eventlogv1.ListTenantsRequest) (*eventlogv1.ListTenantsResponse, error) {
	page, err := s.log.Tenants(ctx, int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	out := &eventlogv1.ListTenantsResponse{TenantIds: make([]string, len(page.IDs)), NextPageToken: page.Next}
	for i, id := range page.IDs {
		out.TenantIds[i] = id.String()
	}
	return out, nil
}

func isBackwards(d eventlogv1.Direction) bool { return d == eventlogv1.Direction_DIRECTION_BACKWARDS }

// message is an event as the contract shows it. One that cannot be read is Corrupt and says where it stands: nobody goes on
// past it.
func message(r *event.Record) (*eventv1.Event, error) {
	e, err := r.ToProto()
	if err != nil {
		return nil, fault.Wrap(err, fault.Corrupt, fault.ReasonOf(err), "the event at position %d cannot be read", r.Position).
			With("position", strconv.FormatInt(r.Position, 10))
	}
	return e, nil
}

func messages(records []event.Record) ([]*eventv1.Event, error) {
	out := make([]*eventv1.Event, len(records))
	for i := range records {
		e, err := message(&records[i])
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

// filterOf reads the conditions of a question; there must be one.
func filterOf(in *eventlogv1.EventFilter) (store.Filter, error) {
	p := conditions{}
	f := store.Filter{
		Types: p.types("filter.event_types", in.GetEventTypes()),
		Since: p.time("filter.since", in.GetSince()), Until: p.time("filter.until", in.GetUntil()),
		TraceID: p.id("filter.trace_id", in.GetTraceId()), CausationID: p.ulid("filter.causation_id", in.GetCausationId()),
		CommandID: p.id("filter.command_id", in.GetCommandId()), WorkflowID: p.id("filter.workflow_id", in.GetWorkflowId()),
		AccountID: p.id("filter.account_id", in.GetAccountId()), StrategyID: p.id("filter.strategy_id", in.GetStrategyId()),
		PositionID: p.id("filter.position_id", in.GetPositionId()), OrderID: p.id("filter.order_id", in.GetOrderId()),
		Descendants: in.GetDescendants(),
	}
	switch {
	case p.err != nil:
		return store.Filter{}, p.err
	case f.Descendants && !f.CommandID.Valid:
		return store.Filter{}, fault.InvalidField("filter.descendants", "needs command_id, whose events they follow from")
	case p.count == 0:
		return store.Filter{}, fault.InvalidField("filter", "must have at least one condition")
	case !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until):
		return store.Filter{}, fault.InvalidField("filter.until", "must be after filter.since: it is the first moment that is left out")
	}
	return f, nil
}

// conditions reads what a request asks for, and keeps the first error.
type conditions struct {
	// count is how many were given.
	count int
	err   error
}

func (p *conditions) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// types reads event types; one that does not exist would be waited for in vain.
func (p *conditions) types(path string, names []string) []event.Type {
	out := make([]event.Type, 0, len(names))
	for i, name := range names {
		if _, known := event.Lookup(event.Type(name)); !known {
			p.fail(fault.InvalidField(fmt.Sprintf("%s[%d]", path, i), "there is no event type %q", name))
		}
		out = append(out, event.Type(name))
		p.count++
	}
	return out
}

func (p *conditions) id(path, text string) uuid.NullUUID {
	if text == "" {
		return uuid.NullUUID{}
	}
	id, err := uuid.Parse(text)
	if err != nil {
		p.fail(fault.InvalidField(path, "must be a UUID"))
	}
	p.count++
	return uuid.NullUUID{UUID: id, Valid: true}
}

// ulid reads an event's id as the database keeps it.
func (p *conditions) ulid(path, text string) uuid.NullUUID {
	if text == "" {
		return uuid.NullUUID{}
	}
	id, err := ulid.ParseStrict(text)
	if err != nil {
		p.fail(fault.InvalidField(path, "must be a ULID"))
	}
	p.count++
	return uuid.NullUUID{UUID: uuid.UUID(id), Valid: true}
}

func (p *conditions) time(path string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	if err := t.CheckValid(); err != nil {
		p.fail(fault.InvalidField(path, "must be a time between the years 1 and 9999"))
	}
	p.count++
	at := t.AsTime()
	if at.IsZero() {
		at = at.Add(time.Nanosecond) // The zero time stands for none.
	}
	return at
}
