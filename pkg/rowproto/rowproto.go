// Package rowproto tells projection rows as the messages of the contract: robson/projector/v1/state.proto. Columns and fields are
// matched by name, once, so that a column that nobody serves is found at start-up and not by a reader who misses it.
package rowproto

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// served are the rows that have a message. The two tables that only guard uniqueness, api_keys_current and
// position_slots_current, are seen by export alone.
var served = []struct {
	row     projection.Row
	message proto.Message
}{
	{&projection.Tenant{}, &projectorv1.Tenant{}},
	{&projection.Account{}, &projectorv1.Account{}},
	{&projection.Strategy{}, &projectorv1.Strategy{}},
	{&projection.Signal{}, &projectorv1.Signal{}},
	{&projection.Decision{}, &projectorv1.Decision{}},
	{&projection.Intent{}, &projectorv1.Intent{}},
	{&projection.Order{}, &projectorv1.Order{}},
	{&projection.Fill{}, &projectorv1.Fill{}},
	{&projection.Position{}, &projectorv1.Position{}},
	{&projection.Balance{}, &projectorv1.Balance{}},
	{&projection.Risk{}, &projectorv1.Risk{}},
	{&projection.PnLPeriod{}, &projectorv1.PnLPeriod{}},
	{&projection.MarginLoan{}, &projectorv1.MarginLoan{}},
	{&projection.Discrepancy{}, &projectorv1.Discrepancy{}},
	{&projection.ConnectorState{}, &projectorv1.ConnectorState{}},
	{&projection.MarginState{}, &projectorv1.MarginState{}},
	{&projection.ReconciliationRun{}, &projectorv1.ReconciliationRun{}},
	{&projection.ReplayRun{}, &projectorv1.ReplayRun{}},
	{&projection.Snapshot{}, &projectorv1.Snapshot{}},
}

// Mapper makes messages of rows. It is safe for concurrent use.
type Mapper struct {
	mappers map[reflect.Type]*rowMapper
}

// New makes a Mapper. The error says which column and field do not fit together.
func New() (*Mapper, error) {
	mappers := map[reflect.Type]*rowMapper{}
	for _, served := range served {
		row := reflect.TypeOf(served.row).Elem()
		m, err := compile(row, served.message.ProtoReflect().Type())
		if err != nil {
			return nil, fmt.Errorf("map rows to messages: %w", err)
		}
		mappers[row] = m
	}
	return &Mapper{mappers: mappers}, nil
}

// Tells says whether a table's rows have a message.
func (m *Mapper) Tells(table *projection.Table) bool {
	return m.mappers[reflect.TypeOf(table.NewRow()).Elem()] != nil
}

// Message is the row's message. A row that cannot be told whole is Corrupt.
func (m *Mapper) Message(row projection.Row) (proto.Message, error) {
	mapper := m.mappers[reflect.TypeOf(row).Elem()]
	if mapper == nil {
		return nil, fault.New(fault.Corrupt, "ROW_UNREADABLE", "no message for a %T", row)
	}
	return mapper.convert(row)
}

// As is the row as M; nil for no row.
func As[M proto.Message](m *Mapper, row projection.Row) (M, error) {
	var none M
	if row == nil {
		return none, nil
	}
	made, err := m.Message(row)
	if err != nil {
		return none, err
	}
	out, ok := made.(M)
	if !ok {
		return none, fault.New(fault.Corrupt, "ROW_UNREADABLE", "a %T became a %T, not a %T", row, made, none)
	}
	return out, nil
}
