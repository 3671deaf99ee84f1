package store

import (
	"fmt"
	"slices"

	"github.com/robson/robson/pkg/projection"
)

// Listing is a list that the contract promises: a table and a total order of its rows. All columns of the order run in
// one direction, so that a page begins by one row comparison.
type Listing struct {
	table      *projection.Table
	descending bool
	// order are indexes into the table's columns.
	order []int
}

// The lists. Each order ends with a unique key of its table, so no two rows of a tenant sort alike.
var (
	Accounts      = ascending(projection.TableAccounts, "account_id")
	Strategies    = ascending(projection.TableStrategies, "strategy_id")
	Positions     = newestChange(projection.TablePositions, "position_id")
	Orders        = newestChange(projection.TableOrders, "order_id")
	Intents       = newestChange(projection.TableIntents, "intent_id")
	Decisions     = newestChange(projection.TableDecisions, "decision_id")
	Signals       = newestChange(projection.TableSignals, "signal_id")
	Fills         = newestChange(projection.TableFills, "fill_id") // A fill's row is written once.
	Discrepancies = descending(projection.TableDiscrepancies, "created_at", "discrepancy_id")
	Balances      = ascending(projection.TableBalances, "account_id", "wallet", "asset")
	RiskStates    = ascending(projection.TableRisk, "account_id", "strategy_id")
	PnLPeriods    = descending(projection.TablePnLPeriods, "period", "account_id", "strategy_id")
	MarginLoans   = ascending(projection.TableMarginLoans, "account_id", "symbol", "asset")
	Connectors    = ascending(projection.TableConnector, "account_id", "channel")
	MarginStates  = ascending(projection.TableMarginState, "account_id", "symbol")
	Runs          = newestChange(projection.TableReconciliations, "run_id")
	Replays       = newestChange(projection.TableReplays, "run_id")
	Snapshots     = ascending(projection.TableSnapshots, "scope", "scope_id")

	// Those of the decision view.
	openPositions = ascending(projection.TablePositions, "position_id")
	oldestOrders  = ascending(projection.TableOrders, "created_at", "order_id")
	oldestIntents = ascending(projection.TableIntents, "created_at", "intent_id")
)

// newestChange orders by the position that last changed the row; one event may change several rows of a table, so the
// key follows.
func newestChange(table, key string) Listing { return descending(table, "last_position", key) }

func descending(table string, columns ...string) Listing {
	l := ascending(table, columns...)
	l.descending = true
	return l
}

// ascending panics for a name that the table does not have: a slip in this file shows as soon as the program starts.
func ascending(table string, columns ...string) Listing {
	l := Listing{table: projection.TableNamed(table)}
	if l.table == nil {
		panic(fmt.Sprintf("projector: no table %s", table))
	}
	for _, name := range columns {
		i := slices.IndexFunc(l.table.Columns, func(c projection.Column) bool { return c.Name == name })
		if i < 0 {
			panic(fmt.Sprintf("projector: no column %s.%s", table, name))
		}
		l.order = append(l.order, i)
	}
	return l
}

// kinds are what the columns of the order hold.
func (l Listing) kinds() []projection.Kind {
	kinds := make([]projection.Kind, len(l.order))
	for i, column := range l.order {
		kinds[i] = l.table.Columns[column].Kind
	}
	return kinds
}

// sortKey is a row's place in the order.
func (l Listing) sortKey(row projection.Row) []any {
	values := l.table.Values(row)
	key := make([]any, len(l.order))
	for i, column := range l.order {
		key[i] = values[column]
	}
	return key
}

// expressions are the columns as they are compared. Text goes by its bytes, so that the order is the same in a database
// of any language.
func (l Listing) expressions() []string {
	texts := make([]string, len(l.order))
	for i, column := range l.order {
		texts[i] = l.table.Columns[column].Name
		if l.table.Columns[column].Kind == projection.KindText {
			texts[i] += ` COLLATE "C"`
		}
	}
	return texts
}

// Table is whose rows are listed.
func (l Listing) Table() *projection.Table { return l.table }
