package projection

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"
)

// ScopeKind is what a part of a tenant's state is cut out by.
type ScopeKind string

// The kinds of scopes, as they are stored.
const (
	// ScopeAccount is all that an account is and did.
	ScopeAccount ScopeKind = "account"
	// ScopeStrategy is a strategy, its limits and results, and its positions with all of theirs.
	ScopeStrategy ScopeKind = "strategy"
	// ScopePosition is a position with its signals, decisions, intents, orders and fills.
	ScopePosition ScopeKind = "position"
)

// Scope is a part of a tenant's state that can be checkpointed and folded on by itself.
type Scope struct {
	Kind ScopeKind
	ID   uuid.UUID
}

// String writes the scope as it is written on the command line: position:<id>.
func (s Scope) String() string { return string(s.Kind) + ":" + s.ID.String() }

// Root names the row that the scope is about.
func (s Scope) Root() Key {
	switch s.Kind {
	case ScopeAccount:
		return AccountKey(s.ID)
	case ScopeStrategy:
		return StrategyKey(s.ID)
	case ScopePosition:
		return PositionKey(s.ID)
	}
	return Key{}
}

// Clause is one way for a row of a table to belong to a scope. Whoever evaluates it needs nothing but columns: the store
// does in SQL what Members does in memory.
type Clause struct {
	// Column holds the id that decides.
	Column string
	// Among says of which other rows it must be the id; nil: it must be the scope's own.
	Among *Among
	// Unclaimed asks for an order besides of which only facts are known, and not what it was for.
	Unclaimed bool
}

// Among are the values of a column of the rows of a table that meet any of the clauses.
type Among struct {
	Table   string
	Column  string
	Clauses []Clause
}

func own(column string) []Clause { return []Clause{{Column: column}} }

func among(column, table, of string, clauses ...[]Clause) Clause {
	return Clause{Column: column, Among: &Among{Table: table, Column: of, Clauses: slices.Concat(clauses...)}}
}

// What the clauses below have in common.
var (
	ofAccount     = own("account_id")
	ofStrategy    = own("strategy_id")
	ofPosition    = own("position_id")
	ofItsPosition = []Clause{among("position_id", TablePositions, "position_id", ofStrategy)}
)

// scopeTables says for every table and kind of scope which rows belong; no clause: none does.
var scopeTables = map[string]map[ScopeKind][]Clause{
	TableAccounts: {ScopeAccount: ofAccount},
	// Which account a key stands for is the tenant's business: a key that one account has given up may become another's.
	TableAPIKeys:   {},
	TableBalances:  {ScopeAccount: ofAccount},
	TableConnector: {ScopeAccount: ofAccount},
	TableDecisions: {ScopeAccount: ofAccount, ScopeStrategy: ofItsPosition, ScopePosition: ofPosition},
	// Whether a discrepancy is open hangs on the account's reconciliations, so they are the account's alone.
	TableDiscrepancies: {ScopeAccount: ofAccount},
	// A fill keeps the position that it was reported for; which order it is of, it knows for certain.
	TableFills: {
		ScopeAccount:  ofAccount,
		ScopeStrategy: append([]Clause{among("order_id", TableOrders, "order_id", ofItsPosition)}, ofItsPosition...),
		ScopePosition: append([]Clause{among("order_id", TableOrders, "order_id", ofPosition)}, ofPosition...),
	},
	TableIntents:         {ScopeAccount: ofAccount, ScopeStrategy: ofItsPosition, ScopePosition: ofPosition},
	TableMarginLoans:     {ScopeAccount: ofAccount},
	TableMarginState:     {ScopeAccount: ofAccount},
	TableOrders:          {ScopeAccount: ofAccount, ScopeStrategy: ofItsPosition, ScopePosition: ofPosition},
	TablePnLPeriods:      {ScopeAccount: ofAccount, ScopeStrategy: ofStrategy},
	TablePositionSlots:   {ScopeAccount: ofAccount},
	TablePositions:       {ScopeAccount: ofAccount, ScopeStrategy: ofStrategy, ScopePosition: ofPosition},
	TableReconciliations: {ScopeAccount: ofAccount},
	// Rebuilds and snapshots are told in the tenant's stream, and change nothing of what they are of.
	TableReplays:   {},
	TableSnapshots: {},
	TableRisk:      {ScopeAccount: ofAccount, ScopeStrategy: ofStrategy},
	// A signal names no account: it is of its position, or of its strategy alone.
	TableSignals: {
		ScopeAccount: {
			among("position_id", TablePositions, "position_id", ofAccount),
			among("strategy_id", TableStrategies, "strategy_id", ofAccount),
		},
		ScopeStrategy: append(own("strategy_id"), ofItsPosition...),
		ScopePosition: ofPosition,
	},
	TableStrategies: {ScopeAccount: ofAccount, ScopeStrategy: ofStrategy},
	// The tenant's own row is of no account, and no event changes it again.
	TableTenants: {},
}

// accountOf are the accounts that hold the scope.
func accountOf(kind ScopeKind) []Clause {
	switch kind {
	case ScopeStrategy:
		return []Clause{among("account_id", TableStrategies, "account_id", ofStrategy)}
	case ScopePosition:
		return []Clause{among("account_id", TablePositions, "account_id", ofPosition)}
	case ScopeAccount:
	}
	return nil
}

// contextTables says which rows that do not belong to the scope the fold of those that do reads: the account, whose quote
// asset tells what of a fee changes a holding; the account's orders of which only facts are known, with their fills, since a
// claim that is taken in later may make them the scope's; and the discrepancies of the scope's positions, since one that is told
// again changes nothing. Nothing else that lies outside makes a difference to a row of the scope. An account needs no context.
func contextTables(table string, kind ScopeKind) []Clause {
	holds := accountOf(kind)
	if holds == nil {
		return nil
	}
	unclaimed := slices.Clone(holds)
	for i := range unclaimed {
		unclaimed[i].Unclaimed = true
	}
	switch table {
	case TableAccounts:
		return holds
	case TableDiscrepancies:
		if kind == ScopePosition {
			return ofPosition
		}
		return ofItsPosition
	case TableOrders:
		return unclaimed
	case TableFills:
		return []Clause{among("order_id", TableOrders, "order_id", unclaimed)}
	}
	return nil
}

// Own says which rows of a table belong to the scope: those that meet any of the clauses. decided is false for a table that
// nobody has thought about, which a test does not let happen.
func (s Scope) Own(table string) (clauses []Clause, decided bool) {
	kinds, decided := scopeTables[table]
	return kinds[s.Kind], decided
}

// Context says which rows of a table the fold of the scope's own reads besides.
func (s Scope) Context(table string) []Clause { return contextTables(table, s.Kind) }

// Cut is a scope's part of a state.
type Cut struct {
	// Own are the rows of the scope, Context those that their fold reads besides. Both are sorted, and share none.
	Own, Context []Row
}

// Cut finds the scope's part among the rows of a tenant's state.
func (s Scope) Cut(rows []Row) Cut {
	m := matcher{scope: s, byTable: map[string][]Row{}, sets: map[*Among]map[uuid.UUID]bool{}}
	for _, row := range rows {
		table := row.Key().Table
		m.byTable[table] = append(m.byTable[table], row)
	}
	var cut Cut
	for _, t := range tables {
		owns, _ := s.Own(t.Name)
		context := s.Context(t.Name)
		for _, row := range m.byTable[t.Name] {
			switch {
			case m.any(t, row, owns):
				cut.Own = append(cut.Own, row)
			case m.any(t, row, context):
				cut.Context = append(cut.Context, row)
			}
		}
	}
	byKey := func(a, b Row) int { return a.Key().Compare(b.Key()) }
	slices.SortFunc(cut.Own, byKey)
	slices.SortFunc(cut.Context, byKey)
	return cut
}

// matcher evaluates clauses over rows.
type matcher struct {
	scope   Scope
	byTable map[string][]Row
	sets    map[*Among]map[uuid.UUID]bool
}

func (m *matcher) any(t *Table, row Row, clauses []Clause) bool {
	for i := range clauses {
		if m.meets(t, row, &clauses[i]) {
			return true
		}
	}
	return false
}

func (m *matcher) meets(t *Table, row Row, c *Clause) bool {
	if order, is := row.(*Order); c.Unclaimed && (!is || order.Known || order.PositionID.Valid) {
		return false
	}
	id, there := t.id(row, c.Column)
	switch {
	case !there:
		return false
	case c.Among == nil:
		return id == m.scope.ID
	}
	return m.set(c.Among)[id]
}

// set are the ids that a clause allows.
func (m *matcher) set(a *Among) map[uuid.UUID]bool {
	if known, made := m.sets[a]; made {
		return known
	}
	set := map[uuid.UUID]bool{}
	t := tablesByName[a.Table]
	for _, row := range m.byTable[a.Table] {
		if m.any(t, row, a.Clauses) {
			if id, there := t.id(row, a.Column); there {
				set[id] = true
			}
		}
	}
	m.sets[a] = set
	return set
}

// id reads a column of ids; false where the row has none.
func (t *Table) id(row Row, column string) (uuid.UUID, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column })
	if i < 0 {
		panic(fmt.Sprintf("projection: %s has no column %s", t.Name, column)) // only a slip in the tables above
	}
	switch v := reflect.ValueOf(row).Elem().FieldByIndex(t.Columns[i].index).Addr().Interface().(type) {
	case *uuid.UUID:
		return *v, true
	case *uuid.NullUUID:
		return v.UUID, v.Valid
	}
	return uuid.Nil, false
}
