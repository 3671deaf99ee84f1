package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

// TestRowsQuery_plans holds the questions that are asked all the time to the indexes made for them, as the projector's
// role and with row-level security in the way. Every plan is made for parameters that are not known yet, the worst
// case of a prepared statement.
func TestRowsQuery_plans(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	writer, pool := storetest.NewWriter(db.Pool(t, "")), db.Pool(t, storetest.Role)
	rng := rand.New(rand.NewPCG(3, 4))
	tenant := uuid.New()
	const rows, perThing = 1500, 5
	var all []projection.Row
	for n := range rows {
		thing := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n/perThing))
		order, intent := storetest.Random[projection.Order](rng), storetest.Random[projection.Intent](rng)
		fills, decision := storetest.Random[projection.Fill](rng), storetest.Random[projection.Decision](rng)
		signal, position := storetest.Random[projection.Signal](rng), storetest.Random[projection.Position](rng)
		discrepancy := storetest.Random[projection.Discrepancy](rng)
		order.TenantID, intent.TenantID, fills.TenantID, decision.TenantID = tenant, tenant, tenant, tenant
		signal.TenantID, position.TenantID, discrepancy.TenantID = tenant, tenant, tenant
		order.PositionID, intent.PositionID = uuid.NullUUID{UUID: thing, Valid: true}, uuid.NullUUID{UUID: thing, Valid: true}
		fills.PositionID, signal.PositionID = uuid.NullUUID{UUID: thing, Valid: true}, uuid.NullUUID{UUID: thing, Valid: true}
		fills.OrderID, decision.PositionID = thing, thing
		position.AccountID, discrepancy.AccountID = thing, thing
		position.State, order.NeedsResolution, discrepancy.IsOpen = projection.PositionClosed, false, false
		if n%100 == 0 {
			position.State, order.NeedsResolution, discrepancy.IsOpen = projection.PositionActive, true, true
		}
		all = append(all, order, intent, fills, decision, signal, position, discrepancy)
	}
	require.NoError(t, writer.Append(t.Context(), tenant, 1, all...))
	_, err := writer.Pool().Exec(t.Context(), "analyze")
	require.NoError(t, err)
	thing := uuid.New()
	for name, c := range map[string]struct {
		query rowsQuery
		index string
	}{
		"orders of a position":    {rowsQuery{verb: "List", listing: Orders, conditions: []Condition{IsID("position_id", thing)}, limit: 101}, "orders_current_position_idx"},
		"its oldest orders":       {rowsQuery{verb: "View", listing: oldestOrders, conditions: []Condition{IsID("position_id", thing), IsID("account_id", thing)}, limit: 101}, "orders_current_position_idx"},
		"unresolved orders":       {rowsQuery{verb: "List", listing: Orders, conditions: []Condition{IsID("account_id", thing), IsTrue("needs_resolution", true)}, limit: 101}, "orders_current_unresolved_idx"},
		"an order":                {rowsQuery{verb: "Get", listing: Listing{table: Orders.table}, conditions: []Condition{IsID("order_id", thing)}, limit: 1}, "orders_current_pkey"},
		"intents of a position":   {rowsQuery{verb: "List", listing: Intents, conditions: []Condition{IsID("position_id", thing)}, limit: 101}, "intents_current_position_idx"},
		"decisions of a position": {rowsQuery{verb: "List", listing: Decisions, conditions: []Condition{IsID("position_id", thing)}, limit: 101}, "decisions_current_position_idx"},
		"signals of a position":   {rowsQuery{verb: "List", listing: Signals, conditions: []Condition{IsID("position_id", thing)}, limit: 101}, "signals_current_position_idx"},
		"fills of a position":     {rowsQuery{verb: "List", listing: Fills, conditions: []Condition{IsID("position_id", thing)}, limit: 101}, "fills_position_idx"},
		"fills of an order":       {rowsQuery{verb: "List", listing: Fills, conditions: []Condition{IsID("order_id", thing)}, limit: 101}, "fills_order_idx"},
		"a fill":                  {rowsQuery{verb: "Get", listing: Listing{table: Fills.table}, conditions: []Condition{IsID("fill_id", thing)}, limit: 1}, "fills_fill_idx"},
		"an account's positions":  {rowsQuery{verb: "View", listing: openPositions, conditions: []Condition{IsID("account_id", thing), NotClosed}, limit: 101}, "positions_current_open_idx"},
		"its active positions":    {rowsQuery{verb: "List", listing: Positions, conditions: []Condition{IsID("account_id", thing), InTexts("state", []string{"active", "exiting"}), NotClosed}, limit: 101}, "positions_current_open_idx"},
		"open discrepancies":      {rowsQuery{verb: "List", listing: Discrepancies, conditions: []Condition{IsID("account_id", thing), IsTrue("is_open", true)}, limit: 101}, "discrepancies_current_open_idx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, genericPlan(t, pool, tenant, c.query), c.index)
		})
	}
}

// genericPlan is the query's plan as a prepared statement that knows none of its parameters.
func genericPlan(t *testing.T, pool *pgxpool.Pool, tenant uuid.UUID, q rowsQuery) string {
	t.Helper()
	text, args := q.build(tenant)
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = fmt.Sprintf("'%v'", arg)
		if texts, ok := arg.([]string); ok {
			literals[i] = "'{" + strings.Join(texts, ",") + "}'"
		}
	}
	var plan string
	err := postgres.InTx(t.Context(), pool, postgres.TxOptions{ReadOnly: true}, func(ctx context.Context, tx pgx.Tx) error {
		for _, sql := range []string{
			"set local plan_cache_mode = force_generic_plan",
			"select set_config('robson.tenants', '" + tenant.String() + "', true)",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := tx.Prepare(ctx, "asked", text); err != nil {
			return err
		}
		found, err := tx.Query(ctx, "explain execute asked("+strings.Join(literals, ", ")+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(found, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		_, deallocated := tx.Exec(ctx, "deallocate asked")
		return errors.Join(err, deallocated)
	})
	require.NoError(t, err)
	return plan
}
