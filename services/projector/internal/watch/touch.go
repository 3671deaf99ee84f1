package watch

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// touched collects the positions, orders and intents that events name. It is a set that may be too large, never too small: a
// row that is named and has not changed is left out by its own last_position.
type touched struct {
	positions, orders, intents map[uuid.UUID]bool
}

func newTouched() *touched {
	return &touched{positions: map[uuid.UUID]bool{}, orders: map[uuid.UUID]bool{}, intents: map[uuid.UUID]bool{}}
}

func (t *touched) size() int { return len(t.positions) + len(t.orders) + len(t.intents) }

// event adds what an event names: by its stream, and by the fields of its payload.
func (t *touched) event(e *eventv1.Event) {
	kind, id, _ := strings.Cut(e.GetStreamKey(), ":")
	t.id(kind+"_id", id)
	m := e.GetPayload().ProtoReflect()
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if f == nil {
		return
	}
	m.Get(f).Message().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() != protoreflect.StringKind || f.IsMap() {
			return true
		}
		if !f.IsList() {
			t.id(string(f.Name()), v.String())
			return true
		}
		for i := range v.List().Len() {
			t.id(strings.TrimSuffix(string(f.Name()), "s"), v.List().Get(i).String())
		}
		return true
	})
}

// id adds an id by the name of its field: entry_order_id is an order's. What is no UUID, as a venue's id, is none of ours.
func (t *touched) id(name, text string) {
	var into map[uuid.UUID]bool
	switch {
	case strings.HasSuffix(name, "position_id"):
		into = t.positions
	case strings.HasSuffix(name, "order_id"):
		into = t.orders
	case strings.HasSuffix(name, "intent_id"):
		into = t.intents
	default:
		return
	}
	if id, err := uuid.Parse(text); err == nil {
		into[id] = true
	}
}

// lists are the ids as the store takes them.
func (t *touched) lists() store.Touched {
	return store.Touched{
		Positions: slices.Collect(maps.Keys(t.positions)), Orders: slices.Collect(maps.Keys(t.orders)), Intents: slices.Collect(maps.Keys(t.intents)),
	}
}
