package projection

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// Row is a pointer to one of the row structs. A row that was given to a View is never changed again: who wants to
// change it works on a copy.
type Row interface {
	// Key names the row.
	Key() Key
	// Tenant is the tenant that the row belongs to.
	Tenant() uuid.UUID
	// Changed tells what last changed the row.
	Changed() Meta
	meta() *Meta
}

// Meta tells where in the log a row comes from.
type Meta struct {
	// The event that last changed the row.
	LastEventID uuid.UUID `db:"last_event_id" json:"last_event_id"`
	// Its position in the log.
	LastPosition int64 `db:"last_position" json:"last_position"`
	// ingested_at of the event that made the row.
	CreatedAt time.Time `db:"created_at" json:"created_at"`
	// ingested_at of the event that last changed it.
	UpdatedAt time.Time `db:"updated_at" json:"updated_at"`
}

// Changed tells what last changed the row.
func (m *Meta) Changed() Meta { return *m }

func (m *Meta) meta() *Meta { return m }

// Kind is what a column holds.
type Kind int

// The kinds of columns, with their SQL types.
const (
	KindUUID      Kind = iota // uuid
	KindText                  // text
	KindDecimal               // numeric
	KindTime                  // timestamptz
	KindInt32                 // integer
	KindInt64                 // bigint
	KindBool                  // boolean
	KindJSON                  // jsonb
	KindTextArray             // text[]
	KindUUIDArray             // uuid[]
)

// SQLType is the PostgreSQL type of a column of this kind, without precision.
func (k Kind) SQLType() string {
	return [...]string{"uuid", "text", "numeric", "timestamptz", "integer", "bigint", "boolean", "jsonb", "text[]", "uuid[]"}[k]
}

// Column is one column of a table.
type Column struct {
	// Name is the column's name, in the table and in JSON.
	Name string
	// Kind is what it holds.
	Kind Kind
	// Nullable says whether it may be null.
	Nullable bool

	index []int
}

// Table describes one projection table. All of it is known when the program starts.
type Table struct {
	// Name is the table's name.
	Name string
	// Key are the key columns below tenant_id, in the order of Key.ID.
	Key []string
	// Columns are all columns, in the order of the struct, of Values and of ScanTargets.
	Columns []Column

	row    reflect.Type
	byName []int // Indexes into Columns, by name.
}

// Tables lists every projection table, ordered by name.
func Tables() []*Table { return slices.Clone(tables) }

// TableNamed finds a table. The answer is nil when there is none such.
func TableNamed(name string) *Table { return tablesByName[name] }

// TableOf is the table that a row belongs to.
func TableOf(row Row) *Table { return tablesByName[row.Key().Table] }

// NewRow makes an empty row of the table, to scan into.
func (t *Table) NewRow() Row { return reflect.New(t.row).Interface().(Row) }

// ColumnNames lists the names of all columns, in order.
func (t *Table) ColumnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// column finds a column that exists.
func (t *Table) column(name string) *Column {
	return &t.Columns[slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })]
}

// ScanTargets gives a pointer to each column of the row, in the order of Columns. The row must not have been given
// to a View yet.
func (t *Table) ScanTargets(row Row) []any {
	v := reflect.ValueOf(row).Elem()
	targets := make([]any, len(t.Columns))
	for i := range t.Columns {
		targets[i] = v.FieldByIndex(t.Columns[i].index).Addr().Interface()
	}
	return targets
}

// Values gives the value of each column of the row, in the order of Columns: uuid.UUID, uuid.NullUUID, string, *string,
// decimal.Decimal, decimal.NullDecimal, time.Time, *time.Time, int32, *int32, int64, bool, []string, []uuid.UUID, and
// the canonical JSON text of a jsonb column. Arrays are never nil.
func (t *Table) Values(row Row) []any {
	v := reflect.ValueOf(row).Elem()
	values := make([]any, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		field := v.FieldByIndex(c.index)
		switch {
		case c.Kind == KindJSON:
			values[i] = string(appendColumn(nil, c, field))
		case c.Kind == KindText && !c.Nullable:
			values[i] = field.String()
		case field.Kind() == reflect.Slice && field.IsNil():
			values[i] = reflect.MakeSlice(field.Type(), 0, 0).Interface()
		default:
			values[i] = field.Interface()
		}
	}
	return values
}

var (
	tables       = describe()
	tablesByName = func() map[string]*Table {
		m := make(map[string]*Table, len(tables))
		for _, t := range tables {
			m[t.Name] = t
		}
		return m
	}()
)

func describe() []*Table {
	list := []*Table{
		newTable[Account](TableAccounts, "account_id"),
		newTable[APIKey](TableAPIKeys, "api_key_fingerprint"),
		newTable[Balance](TableBalances, "account_id", "wallet", "asset"),
		newTable[ConnectorState](TableConnector, "account_id", "channel"),
		newTable[Decision](TableDecisions, "decision_id"),
		newTable[Discrepancy](TableDiscrepancies, "discrepancy_id"),
		newTable[Fill](TableFills, "account_id", "symbol", "exchange_order_id", "exchange_trade_id"),
		newTable[Intent](TableIntents, "intent_id"),
		newTable[MarginLoan](TableMarginLoans, "account_id", "symbol", "asset"),
		newTable[MarginState](TableMarginState, "account_id", "symbol"),
		newTable[Order](TableOrders, "order_id"),
		newTable[PnLPeriod](TablePnLPeriods, "account_id", "strategy_id", "period"),
		newTable[PositionSlot](TablePositionSlots, "account_id", "symbol", "side"),
		newTable[Position](TablePositions, "position_id"),
		newTable[ReconciliationRun](TableReconciliations, "run_id"),
		newTable[ReplayRun](TableReplays, "run_id"),
		newTable[Risk](TableRisk, "account_id", "strategy_id"),
		newTable[Signal](TableSignals, "signal_id"),
		newTable[Snapshot](TableSnapshots, "scope", "scope_id"),
		newTable[Strategy](TableStrategies, "strategy_id"),
		newTable[Tenant](TableTenants),
	}
	slices.SortFunc(list, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func newTable[T any](name string, key ...string) *Table {
	t := &Table{Name: name, Key: key, row: reflect.TypeFor[T]()}
	for _, field := range reflect.VisibleFields(t.row) {
		column, tagged := field.Tag.Lookup("db")
		if !tagged {
			continue
		}
		kind, nullable := kindOf(field.Type)
		t.Columns = append(t.Columns, Column{Name: column, Kind: kind, Nullable: nullable, index: field.Index})
	}
	t.byName = make([]int, len(t.Columns))
	for i := range t.byName {
		t.byName[i] = i
	}
	slices.SortFunc(t.byName, func(a, b int) int { return strings.Compare(t.Columns[a].Name, t.Columns[b].Name) })
	return t
}

// kindOf says which kind of column a field's type makes. It panics for a type it does not know, which only a change
// of a row struct can bring about, and then as soon as the program starts.
func kindOf(t reflect.Type) (kind Kind, nullable bool) {
	switch t {
	case reflect.TypeFor[uuid.UUID]():
		return KindUUID, false
	case reflect.TypeFor[uuid.NullUUID]():
		return KindUUID, true
	case reflect.TypeFor[decimal.Decimal]():
		return KindDecimal, false
	case reflect.TypeFor[decimal.NullDecimal]():
		return KindDecimal, true
	case reflect.TypeFor[time.Time]():
		return KindTime, false
	case reflect.TypeFor[*time.Time]():
		return KindTime, true
	case reflect.TypeFor[int32]():
		return KindInt32, false
	case reflect.TypeFor[*int32]():
		return KindInt32, true
	case reflect.TypeFor[int64]():
		return KindInt64, false
	case reflect.TypeFor[bool]():
		return KindBool, false
	case reflect.TypeFor[*string]():
		return KindText, true
	case reflect.TypeFor[[]string]():
		return KindTextArray, false
	case reflect.TypeFor[[]uuid.UUID]():
		return KindUUIDArray, false
	case reflect.TypeFor[map[string]string](), reflect.TypeFor[Amounts](), reflect.TypeFor[[]RiskCheck]():
		return KindJSON, false
	}
	if t.Kind() == reflect.String {
		return KindText, false
	}
	panic(fmt.Sprintf("projection: no column kind for %s", t))
}
