package explain_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/explain"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// world is a log in memory that answers as the services do: what an event is about is what its stream and its payload name.
type world struct {
	t      *testing.T
	log    *projectiontest.Log
	events explain.Events
	// lost are ids of events that the log cannot find any more; fails is what every question answers, if set.
	lost  map[string]bool
	fails error
	asked int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: projectiontest.NewLog(), lost: map[string]bool{}}
	require.NoError(t, w.log.Registered())
	w.keep("", "set-up", eventv1.ActorType_ACTOR_TYPE_CLI, "owner")
	return w
}

// keep writes down the events that the log has and the world does not.
func (w *world) keep(cause, command string, actor eventv1.ActorType, by string) {
	for i, e := range w.log.Events[len(w.events):] {
		because := cause
		if i > 0 && cause != "" {
			because = w.events[len(w.events)-1].GetEventId() // what the fold raised
		}
		id := e.EventID
		id[0] = 0 // no ULID of this millennium begins with more
		w.events = append(w.events, &eventv1.Event{
			EventId: ulid.ULID(id).String(), TenantId: e.TenantID.String(), Position: e.Position, StreamKey: e.StreamKey, Seq: e.Seq,
			EventType: string(e.Type), Payload: event.Wrap(e.Payload), OccurredAt: timestamppb.New(e.OccurredAt), IngestedAt: timestamppb.New(e.IngestedAt),
			CausationId: because, CommandId: projectiontest.ID(command).String(), TraceId: projectiontest.ID("trace of " + command).String(), ActorType: actor, ActorId: by,
		})
	}
}

// at is the event at a position.
func (w *world) at(position int64) *eventv1.Event { return w.events[position-1] }

// user appends what a user's command says, each event caused by the one before it; it gives the last position.
func (w *world) user(command string, payloads ...proto.Message) int64 {
	w.t.Helper()
	cause := ""
	for _, p := range payloads {
		w.append(p)
		w.keep(cause, command, eventv1.ActorType_ACTOR_TYPE_CLI, "owner")
		cause = w.events[len(w.events)-1].GetEventId()
	}
	return int64(len(w.events))
}

// step appends what the process manager or the connector does because of an event; it gives its position.
func (w *world) step(cause int64, payload proto.Message) int64 {
	w.t.Helper()
	return w.because(cause, payload, eventv1.ActorType_ACTOR_TYPE_DAEMON, "command")
}

// fact appends what the venue reports; a cause of 0 is none.
func (w *world) fact(cause int64, payload proto.Message) int64 {
	w.t.Helper()
	return w.because(cause, payload, eventv1.ActorType_ACTOR_TYPE_EXCHANGE, "connector")
}

func (w *world) because(cause int64, payload proto.Message, actor eventv1.ActorType, by string) int64 {
	w.t.Helper()
	w.append(payload)
	id := ""
	if cause > 0 {
		id = w.at(cause).GetEventId()
	}
	at := int64(len(w.events)) + 1
	w.keep(id, uuid.NewSHA1(uuid.Nil, []byte{byte(at)}).String(), actor, by)
	return at
}

func (w *world) append(payload proto.Message) {
	w.t.Helper()
	_, err := w.log.Append(payload)
	require.NoError(w.t, err)
}

// Query implements explain.Reader.
func (w *world) Query(_ context.Context, f *eventlogv1.EventFilter, direction eventlogv1.Direction, limit int) (explain.Found, error) {
	w.asked++
	if w.fails != nil {
		return explain.Found{}, w.fails
	}
	found := explain.Found{AsOf: int64(len(w.events))}
	events := slices.Clone(w.events)
	if direction == eventlogv1.Direction_DIRECTION_BACKWARDS {
		slices.Reverse(events)
	}
	for _, e := range events {
		if !w.matches(e, f) {
			continue
		}
		if len(found.Events) == limit {
			found.More = true
			break
		}
		found.Events = append(found.Events, e)
	}
	return found, nil
}

func (w *world) matches(e *eventv1.Event, f *eventlogv1.EventFilter) bool {
	key, err := event.ParseStreamKey(e.GetStreamKey())
	require.NoError(w.t, err)
	_, payload, err := event.Of(e.GetPayload())
	require.NoError(w.t, err)
	about := event.SubjectsOf(key, payload)
	for text, id := range map[string]uuid.UUID{f.GetAccountId(): about.AccountID, f.GetStrategyId(): about.StrategyID, f.GetPositionId(): about.PositionID, f.GetOrderId(): about.OrderID} {
		if text != "" && text != id.String() {
			return false
		}
	}
	return len(f.GetEventTypes()) == 0 || slices.Contains(f.GetEventTypes(), e.GetEventType())
}

// Event implements explain.Reader.
func (w *world) Event(_ context.Context, id string) (*eventv1.Event, error) {
	for _, e := range w.events {
		if e.GetEventId() == id && !w.lost[id] {
			return e, nil
		}
	}
	return nil, fault.New(fault.NotFound, "NOT_FOUND", "no event %s", id)
}

// Digest implements explain.Reader.
func (w *world) Digest(_ context.Context, commandID string) ([]byte, error) {
	digest := sha256.Sum256([]byte(commandID))
	return digest[:], w.fails
}

// Fill implements explain.Reader.
func (w *world) Fill(_ context.Context, id string) (*projectorv1.Fill, error) {
	for _, e := range w.events {
		if f := e.GetPayload().GetFillReceived(); f.GetFillId() == id && f != nil {
			return &projectorv1.Fill{FillId: id, OrderId: f.GetOrderId()}, w.fails
		}
	}
	return nil, fault.New(fault.NotFound, "NOT_FOUND", "no fill %s", id)
}

// Balance implements explain.Reader.
func (w *world) Balance(_ context.Context, accountID, wallet, asset string) (*projectorv1.Balance, error) {
	row := w.log.Balance(uuid.MustParse(accountID), wallet, asset)
	if row == nil {
		return nil, fault.New(fault.NotFound, "NO_SUCH_ROW", "no such row")
	}
	return &projectorv1.Balance{Free: row.Free.String(), Locked: row.Locked.String(), SampledAt: timestamppb.New(row.SampledAt)}, w.fails
}

// golden holds text to a file of testdata, or writes it there.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test -update writes it")
	require.Equal(t, string(want), text)
}
