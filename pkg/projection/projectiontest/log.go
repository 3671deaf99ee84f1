// Package projectiontest makes logs for tests: one event at a time, whole order lives, and random histories of legal
// commands and of facts that come duplicated, late and out of order.
package projectiontest

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// Start is when the first event of a Log happens.
var Start = time.Date(2026, time.November, 23, 10, 0, 0, 0, time.UTC)

// ID is the id that a name stands for, the same in every test.
func ID(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

// Log is a tenant's log and the state that it folds to.
type Log struct {
	// TenantID is whose log it is.
	TenantID uuid.UUID
	// State is the fold of Events.
	State *projection.Memory
	// Events are the events so far, in order.
	Events []projection.Event
	// Now is when the next event happens. It moves on by a second with each event.
	Now time.Time

	seqs map[string]int64
}

// NewLog makes an empty log.
func NewLog() *Log {
	return &Log{TenantID: ID("tenant"), State: &projection.Memory{}, Now: Start, seqs: map[string]int64{}}
}

// TypeOf is the stored name of a payload's event type.
func TypeOf(payload proto.Message) event.Type { return event.Type(eventOption(payload).GetType()) }

func eventOption(payload proto.Message) *optionsv1.Event {
	option, ok := proto.GetExtension(payload.ProtoReflect().Descriptor().Options(), optionsv1.E_Event).(*optionsv1.Event)
	if !ok {
		panic(fmt.Sprintf("%T is no event payload", payload))
	}
	return option
}

// Stream is the key of the stream that usually holds a payload.
func Stream(payload proto.Message) string {
	message := payload.ProtoReflect()
	for _, kind := range eventOption(payload).GetStreams() {
		for i := range message.Descriptor().Fields().Len() {
			field := message.Descriptor().Fields().Get(i)
			if string(field.Name()) == kind+"_id" && message.Get(field).String() != "" {
				return kind + ":" + strings.ToLower(message.Get(field).String())
			}
		}
	}
	panic(fmt.Sprintf("%T names no stream", payload))
}

// Next is the event that a payload would be, in the stream that usually holds it.
func (l *Log) Next(payload proto.Message) projection.Event {
	position := int64(len(l.Events)) + 1
	stream := l.stream(payload)
	return projection.Event{
		TenantID: l.TenantID, Position: position, EventID: ID(fmt.Sprintf("event %d", position)),
		StreamKey: stream, Seq: l.seqs[stream] + 1, Type: TypeOf(payload),
		OccurredAt: l.Now, IngestedAt: l.Now.Add(250 * time.Microsecond), Payload: payload,
	}
}

// stream is the key of the stream that holds a payload.
func (l *Log) stream(payload proto.Message) string {
	switch p := payload.(type) {
	case *eventv1.TenantCreated, *eventv1.SnapshotCreated, *eventv1.ProjectionRebuilt:
		return "tenant:" + l.TenantID.String()
	case *eventv1.RiskCheckPassed:
		return l.streamOfDecision(p.GetDecisionId())
	case *eventv1.RiskCheckFailed:
		return l.streamOfDecision(p.GetDecisionId())
	}
	return Stream(payload)
}

// streamOfDecision is the stream of the position that a decision is about.
func (l *Log) streamOfDecision(text string) string {
	id, err := uuid.Parse(text)
	if decision := l.Decision(id); err == nil && decision != nil {
		return "position:" + decision.PositionID.String()
	}
	return "position:" + text
}

// Append checks and folds an event, and then those of the anomalies that the fold found, as eventlog does. Nothing
// happens when it is refused.
func (l *Log) Append(payload proto.Message) ([]projection.Anomaly, error) {
	next := l.Next(payload)
	err := projection.Check(l.State, next)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	anomalies, err := l.fold(next)
	if err != nil {
		return nil, err
	}
	for _, anomaly := range anomalies {
		_, err = l.fold(l.Next(anomaly.Payload(next.EventID)))
		if err != nil {
			return nil, err
		}
	}
	return anomalies, nil
}

func (l *Log) fold(next projection.Event) ([]projection.Anomaly, error) {
	anomalies, err := projection.Fold(l.State, next)
	if err != nil {
		return nil, fmt.Errorf("fold: %w", err)
	}
	l.Events = append(l.Events, next)
	l.seqs[next.StreamKey] = next.Seq
	l.Now = l.Now.Add(time.Second)
	return anomalies, nil
}

// Replay folds events into an empty state.
func Replay(events []projection.Event) (*projection.Memory, error) {
	state := &projection.Memory{}
	for i := range events {
		if _, err := projection.Fold(state, events[i]); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
	}
	return state, nil
}

// row reads a row of the state; nil when there is none.
func row[T any](l *Log, key projection.Key) *T {
	found, err := l.State.Get(key)
	if err != nil || found == nil {
		return nil // A Memory never misses.
	}
	typed, ok := any(found).(*T)
	if !ok {
		panic(fmt.Sprintf("row %s is a %T", key, found))
	}
	return typed
}

// Order is an order's row; nil when there is none.
func (l *Log) Order(id uuid.UUID) *projection.Order {
	return row[projection.Order](l, projection.OrderKey(id))
}

// Position is a position's row; nil when there is none.
func (l *Log) Position(id uuid.UUID) *projection.Position {
	return row[projection.Position](l, projection.PositionKey(id))
}

// Intent is an intent's row; nil when there is none.
func (l *Log) Intent(id uuid.UUID) *projection.Intent {
	return row[projection.Intent](l, projection.IntentKey(id))
}

// Decision is a decision's row; nil when there is none.
func (l *Log) Decision(id uuid.UUID) *projection.Decision {
	return row[projection.Decision](l, projection.DecisionKey(id))
}

// Signal is a signal's row; nil when there is none.
func (l *Log) Signal(id uuid.UUID) *projection.Signal {
	return row[projection.Signal](l, projection.SignalKey(id))
}

// Strategy is a strategy's row; nil when there is none.
func (l *Log) Strategy(id uuid.UUID) *projection.Strategy {
	return row[projection.Strategy](l, projection.StrategyKey(id))
}

// Risk is the risk row of a strategy, or with a zero strategy of an account; nil when there is none.
func (l *Log) Risk(account, strategy uuid.UUID) *projection.Risk {
	return row[projection.Risk](l, projection.RiskKey(account, strategy))
}

// Balance is an asset of a wallet; nil when there is none.
func (l *Log) Balance(account uuid.UUID, wallet, asset string) *projection.Balance {
	return row[projection.Balance](l, projection.BalanceKey(account, wallet, asset))
}

// stamp is the log's time as payloads carry it.
func (l *Log) stamp() *timestamppb.Timestamp { return timestamppb.New(l.Now) }
