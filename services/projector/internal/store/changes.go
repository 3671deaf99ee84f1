package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/projection"
)

// ChangesMax bounds the rows of one table that are told as changes; past it one reads the table anew.
const ChangesMax = 2000

// The tables that can be watched, with the order in which their rows come at first: the newest change first.
var (
	WatchedPositions = Positions
	WatchedOrders    = Orders
	WatchedBalances  = descending(projection.TableBalances, "last_position", "account_id", "wallet", "asset")
	WatchedRisk      = descending(projection.TableRisk, "last_position", "account_id", "strategy_id")
)

// Touched are the things that events name, whose rows they may have changed.
type Touched struct {
	Positions, Orders, Intents []uuid.UUID
}

// Changes are the rows of the watched tables that have changed since a position, by table, in one snapshot.
type Changes struct {
	Head Head
	Rows map[string][]projection.Row
	// TooMany says that a table has more of them than ChangesMax; its rows are then a part.
	TooMany bool
}

// Head gives the end of the tenant's log.
func (s *Store) Head(ctx context.Context, tenant uuid.UUID) (Head, error) {
	return s.snapshot(ctx, tenant, nil)
}

// Newest gives the rows of a watched table that meet the conditions, at most so many, the newest change first.
func (s *Store) Newest(ctx context.Context, tenant uuid.UUID, l Listing, conditions []Condition, size int) ([]projection.Row, Head, error) {
	var rows []projection.Row
	query := rowsQuery{verb: "Newest", listing: l, conditions: conditions, limit: min(max(size, 1), PageSizeMax)}
	head, err := s.snapshot(ctx, tenant, func(b *pgx.Batch) { query.queue(b, tenant, &rows) })
	return rows, head, err
}

// Changes gives the rows that have changed after since: positions and orders among those that are touched, directly or through
// an order or an intent of theirs; balances and risk of the tenant. There is no index by last change, since it would cost each
// append more than all watching: positions and orders are found by their keys, and of balances and risk a tenant has few.
// The answer is true at a position of at least least.
func (s *Store) Changes(ctx context.Context, tenant uuid.UUID, since, least int64, t Touched) (Changes, error) {
	var positions, orders, balances, risk []projection.Row
	head, err := s.read(ctx, tenant, least, func(b *pgx.Batch) {
		changed := func(l Listing, rows *[]projection.Row, conditions ...Condition) {
			conditions = append(conditions, changedAfter(since))
			rowsQuery{verb: "Changed", listing: Listing{table: l.table}, conditions: conditions, limit: ChangesMax + 1}.queue(b, tenant, rows)
		}
		if len(t.Positions)+len(t.Orders)+len(t.Intents) > 0 {
			changed(Positions, &positions, touchedPositions(t))
		}
		if len(t.Orders) > 0 {
			changed(Orders, &orders, inIDs("order_id", t.Orders...))
		}
		changed(Balances, &balances)
		changed(RiskStates, &risk)
	})
	if err != nil {
		return Changes{}, err
	}
	out := Changes{Head: head, Rows: map[string][]projection.Row{
		projection.TablePositions: positions, projection.TableOrders: orders, projection.TableBalances: balances, projection.TableRisk: risk,
	}}
	for _, rows := range out.Rows {
		out.TooMany = out.TooMany || len(rows) > ChangesMax
	}
	return out, nil
}

func changedAfter(since int64) Condition {
	return Condition{text: func(bind func(any) string) string { return "last_position > " + bind(since) }}
}

// touchedPositions keeps the positions that are named, and those whose orders or intents are.
func touchedPositions(t Touched) Condition {
	return Condition{text: func(bind func(any) string) string {
		return fmt.Sprintf(`position_id in (
    select unnest(%s::uuid[])
    union select position_id from %s where tenant_id = $1 and order_id = any(%s) and position_id is not null
    union select position_id from %s where tenant_id = $1 and intent_id = any(%s) and position_id is not null)`,
			bind(orEmpty(t.Positions)), projection.TableOrders, bind(orEmpty(t.Orders)), projection.TableIntents, bind(orEmpty(t.Intents)))
	}}
}

// orEmpty is a list that is never null.
func orEmpty(ids []uuid.UUID) []uuid.UUID {
	if ids == nil {
		return []uuid.UUID{}
	}
	return ids
}

// Holds says whether a row of the table meets the condition, as the database would.
func (c Condition) Holds(table *projection.Table, row projection.Row) bool {
	if c.fixed == NotClosed.fixed {
		return !IsText("state", string(projection.PositionClosed)).Holds(table, row)
	}
	i := slices.IndexFunc(table.Columns, func(column projection.Column) bool { return column.Name == c.column })
	if i < 0 {
		return false
	}
	value := table.Values(row)[i]
	if id, nullable := value.(uuid.NullUUID); nullable {
		if !id.Valid {
			return false
		}
		value = id.UUID
	}
	switch wanted := c.value.(type) {
	case nil:
		return value == (c.fixed == c.column)
	case []string:
		text, isText := value.(string)
		return isText && slices.Contains(wanted, text)
	default:
		return value == wanted
	}
}
