package server

import (
	"context"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowproto"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// Historian answers what was.
type Historian interface {
	StateAt(ctx context.Context, tenant uuid.UUID, q replay.Question) (*replay.Answer, error)
	Walk(ctx context.Context, tenant uuid.UUID, walk replay.Walk, each func(*projection.Event, []replay.Change) error) error
}

// History implements replayerv1.HistoryServiceServer.
type History struct {
	replayerv1.UnimplementedHistoryServiceServer
	historian Historian
	rows      *rowproto.Mapper
	stopping  <-chan struct{}
}

// NewHistory makes the server of the past. Streams under way end when stopping is closed.
func NewHistory(historian Historian, stopping <-chan struct{}) (*History, error) {
	rows, err := rowproto.New()
	if err != nil {
		return nil, err
	}
	return &History{historian: historian, rows: rows, stopping: stopping}, nil
}

// StateAt implements replayerv1.HistoryServiceServer.
func (s *History) StateAt(ctx context.Context, in *replayerv1.StateAtRequest) (*replayerv1.StateAtResponse, error) {
	q, err := question(in)
	if err != nil {
		return nil, err
	}
	a, err := s.historian.StateAt(ctx, identity.Tenant(ctx), q)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says what it was doing.
	}
	out := &replayerv1.StateAtResponse{AsOf: a.AsOf, IngestedAt: timestamppb.New(a.IngestedAt), SnapshotId: idText(a.Snapshot), EventsFolded: a.Events}
	switch q.Kind {
	case event.KindPosition:
		state := &replayerv1.PositionState{}
		out.State, err = &replayerv1.StateAtResponse_Position{Position: state}, s.fill(state, a.Rows)
	case event.KindOrder:
		state := &replayerv1.OrderState{}
		out.State, err = &replayerv1.StateAtResponse_Order{Order: state}, s.fill(state, a.Rows)
	case event.KindAccount, event.KindStrategy, event.KindTenant:
		state := &replayerv1.AccountState{}
		out.State, err = &replayerv1.StateAtResponse_Account{Account: state}, s.account(state, a.Rows)
	}
	return out, err
}

// question reads what is asked for.
func question(in *replayerv1.StateAtRequest) (replay.Question, error) {
	q := replay.Question{Position: in.GetPosition(), Occurred: in.GetClock() == replayerv1.Clock_CLOCK_OCCURRED}
	if in.GetTime() != nil {
		q.Time = in.GetTime().AsTime()
	} else if q.Occurred {
		return q, fault.InvalidField("clock", "is for a time")
	}
	for kind, text := range map[event.Kind]string{
		event.KindPosition: in.GetPositionId(), event.KindOrder: in.GetOrderId(), event.KindAccount: in.GetAccountId(),
	} {
		if text != "" {
			q.Kind, q.ID = kind, uuid.MustParse(text) // The contract was checked.
		}
	}
	return q, nil
}

// fill puts rows into the fields of a message that hold such rows, single or repeated.
func (s *History) fill(state proto.Message, rows []projection.Row) error {
	into := state.ProtoReflect()
	fields := into.Descriptor().Fields()
	for _, row := range rows {
		if !s.rows.Tells(projection.TableOf(row)) {
			continue
		}
		m, err := s.rows.Message(row)
		if err != nil {
			return err
		}
		for i := range fields.Len() {
			field := fields.Get(i)
			switch {
			case field.Message().FullName() != m.ProtoReflect().Descriptor().FullName():
			case field.IsList():
				into.Mutable(field).List().Append(protoValue(m))
			default:
				into.Set(field, protoValue(m))
			}
		}
	}
	return nil
}

// account fills an account's state: the limits of the account itself are told apart from those of its strategies.
func (s *History) account(state *replayerv1.AccountState, rows []projection.Row) error {
	for _, row := range rows {
		risk, is := row.(*projection.Risk)
		if !is {
			continue
		}
		m, err := rowproto.As[*projectorv1.Risk](s.rows, risk)
		if err != nil {
			return err
		}
		if risk.StrategyID == uuid.Nil {
			state.Risk = m
		} else {
			state.StrategyRisks = append(state.StrategyRisks, m)
		}
	}
	others := make([]projection.Row, 0, len(rows))
	for _, row := range rows {
		if _, is := row.(*projection.Risk); !is {
			others = append(others, row)
		}
	}
	return s.fill(state, others)
}

// ReplayEvents implements replayerv1.HistoryServiceServer.
func (s *History) ReplayEvents(in *replayerv1.ReplayEventsRequest, stream grpc.ServerStreamingServer[replayerv1.ReplayEventsResponse]) error {
	scope, err := scopeOf(in.GetScope())
	if err != nil {
		return err
	}
	ctx, cancel := stoppable(stream.Context(), s.stopping)
	defer cancel(nil)
	walk := replay.Walk{Scope: scope, After: in.GetAfterPosition(), To: in.GetToPosition(), Limit: int(in.GetLimit())}
	err = s.historian.Walk(ctx, identity.Tenant(ctx), walk, func(ev *projection.Event, changes []replay.Change) error {
		out := &replayerv1.ReplayEventsResponse{Event: eventMessage(ev)}
		for _, c := range changes {
			change := &replayerv1.RowChange{Table: c.Key.Table, Key: c.Key.ID(), Made: c.Made}
			for _, f := range c.Fields {
				change.Fields = append(change.Fields, &replayerv1.FieldChange{Field: f.Name, Before: f.Found, After: f.Expected})
			}
			out.Changes = append(out.Changes, change)
		}
		return stream.Send(out)
	})
	if err != nil {
		return cause(ctx, err)
	}
	return nil
}

// eventMessage tells of an event what folding needs of it.
func eventMessage(ev *projection.Event) *eventv1.Event {
	return &eventv1.Event{
		EventId: ulid.ULID(ev.EventID).String(), TenantId: ev.TenantID.String(), Position: ev.Position, StreamKey: ev.StreamKey, Seq: ev.Seq,
		EventType: string(ev.Type), Payload: event.Wrap(ev.Payload), OccurredAt: timestamppb.New(ev.OccurredAt), IngestedAt: timestamppb.New(ev.IngestedAt),
	}
}
