package server

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

func TestNewState(t *testing.T) {
	t.Parallel()
	s, err := NewState(nil)
	require.NoError(t, err, "every column has a field and every field a column")

	t.Run("every table but the two that guard uniqueness has a message", func(t *testing.T) {
		t.Parallel()
		for _, table := range projection.Tables() {
			guard := table.Name == projection.TableAPIKeys || table.Name == projection.TablePositionSlots
			require.Equal(t, !guard, s.rows.Tells(table), table.Name)
		}
	})
}

// TestRowMapper_Convert holds the message of any row against the row's canonical JSON, which is made by other code.
func TestRowMapper_Convert(t *testing.T) {
	t.Parallel()
	s, err := NewState(nil)
	require.NoError(t, err)
	for _, table := range projection.Tables() {
		if !s.rows.Tells(table) {
			continue // A guard of uniqueness, see TestNewState.
		}
		t.Run(table.Name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				row := table.NewRow()
				storetest.RandomInto(rng, row)
				m, err := s.rows.Message(row)
				require.NoError(t, err)
				requireSame(t, row, m)
			})
		})
	}
}

// TestRowMapper_folded tells whatever state the rules may come to: no row that they make is beyond the contract.
func TestRowMapper_folded(t *testing.T) {
	t.Parallel()
	s, err := NewState(nil)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		log, err := projectiontest.Random(t, 80)
		require.NoError(t, err)
		for _, row := range log.State.Rows() {
			if !s.rows.Tells(projection.TableOf(row)) {
				continue // A guard of uniqueness, see TestNewState.
			}
			m, err := s.rows.Message(row)
			require.NoError(t, err)
			requireSame(t, row, m)
		}
	})
}

func requireSame(t require.TestingT, row projection.Row, m proto.Message) {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	require.NoError(t, err)
	var got, want map[string]any
	require.NoError(t, json.Unmarshal(data, &got))
	require.NoError(t, json.Unmarshal(projection.RowJSON(row), &want))
	fields := m.ProtoReflect().Descriptor().Fields()
	for name, column := range want {
		fd := fields.ByName(protoreflect.Name(name))
		require.NotNil(t, fd, name)
		expected := asField(t, fd, column)
		if expected == nil {
			require.NotContains(t, got, name)
			continue
		}
		require.Equal(t, expected, got[name], name)
	}
	for name := range got {
		require.Contains(t, want, name)
	}
}

// asField is what protojson shows of a column's JSON; nil for what it leaves out.
func asField(t require.TestingT, fd protoreflect.FieldDescriptor, column any) any {
	switch v := column.(type) {
	case []any:
		if len(v) == 0 {
			return nil
		}
		for _, item := range v {
			if check, ok := item.(map[string]any); ok {
				for key, part := range check {
					if part == "" || part == false {
						delete(check, key)
					}
				}
			}
		}
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	case float64:
		if v == 0 && !fd.HasPresence() {
			return nil
		}
		if fd.Kind() == protoreflect.Int64Kind {
			return json.Number(strings.TrimSuffix(mustJSON(t, v), ".0")).String()
		}
	case string:
		if v == "" {
			return nil // A stub's row, made by a fact that came before the claim.
		}
		return textAsField(t, fd, v)
	}
	return column
}

func textAsField(t require.TestingT, fd protoreflect.FieldDescriptor, text string) any {
	switch {
	case fd.Kind() == protoreflect.EnumKind:
		prefix := strings.TrimSuffix(string(fd.Enum().Values().Get(0).Name()), "UNSPECIFIED")
		return prefix + strings.ToUpper(text)
	case fd.Kind() == protoreflect.MessageKind:
		at, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		layout := "2006-01-02T15:04:05.000000Z"
		switch micros := at.UnixMicro(); {
		case micros%1_000_000 == 0:
			layout = "2006-01-02T15:04:05Z"
		case micros%1000 == 0:
			layout = "2006-01-02T15:04:05.000Z"
		}
		return at.Format(layout)
	case strings.HasSuffix(string(fd.Name()), "_event_id"):
		id, err := uuid.Parse(text)
		require.NoError(t, err)
		return ulid.ULID(id).String()
	}
	return text
}

func mustJSON(t require.TestingT, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func TestRowMapper_Texts(t *testing.T) {
	t.Parallel()
	s, err := NewState(nil)
	require.NoError(t, err)

	t.Run("the empty text of a stub's enum is unspecified", func(t *testing.T) {
		t.Parallel()
		order, err := message[*projectorv1.Order](s, &projection.Order{Status: projection.OrderPending})
		require.NoError(t, err)
		require.Equal(t, eventv1.Side_SIDE_UNSPECIFIED, order.GetSide())
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_PENDING, order.GetStatus())
	})

	t.Run("a text that the contract does not know stops the answer", func(t *testing.T) {
		t.Parallel()
		_, err := message[*projectorv1.Order](s, &projection.Order{Side: "sideways"})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
		require.ErrorContains(t, err, `Order.side: "sideways" is no Side`)
	})

	t.Run("a row without a message is an error", func(t *testing.T) {
		t.Parallel()
		_, err := message[*projectorv1.Order](s, &projection.APIKey{})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
	})

	t.Run("a row of another table is an error", func(t *testing.T) {
		t.Parallel()
		_, err := message[*projectorv1.Order](s, &projection.Fill{})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
	})

	t.Run("enums go to text and back", func(t *testing.T) {
		t.Parallel()
		texts := enumTexts([]projectorv1.PositionState{
			projectorv1.PositionState_POSITION_STATE_ARMED, projectorv1.PositionState_POSITION_STATE_ERROR, 99,
		})
		require.Equal(t, []string{string(projection.PositionArmed), string(projection.PositionError), ""}, texts)
	})
}
