package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

// TestStore_Changes gives what has changed and is touched: itself, or through an order or an intent.
func TestStore_Changes(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	named, ofOrder, ofIntent, untouched, old := b.position(5, nil), b.position(6, nil), b.position(7, nil), b.position(8, nil), b.position(2, nil)
	order := b.order(6, func(o *projection.Order) { o.PositionID = uuid.NullUUID{UUID: ofOrder.PositionID, Valid: true} })
	intent := storetest.Random[projection.Intent](b.rng)
	intent.TenantID, intent.PositionID = b.tenant, uuid.NullUUID{UUID: ofIntent.PositionID, Valid: true}
	balance, risk := storetest.Random[projection.Balance](b.rng), storetest.Random[projection.Risk](b.rng)
	balance.TenantID, balance.LastPosition, risk.TenantID, risk.LastPosition = b.tenant, 9, b.tenant, 3
	b.append(t, 9, named, ofOrder, ofIntent, untouched, old, order, intent, balance, risk)
	found, err := b.Changes(t.Context(), b.tenant, 3, 9, store.Touched{
		Positions: []uuid.UUID{named.PositionID, old.PositionID}, Orders: []uuid.UUID{order.OrderID}, Intents: []uuid.UUID{intent.IntentID},
	})
	require.NoError(t, err)
	require.Equal(t, store.Head{Position: 9, Hash: storetest.Hash(9), Generation: 1}, found.Head)
	require.False(t, found.TooMany)
	require.ElementsMatch(t, texts([]projection.Row{named, ofOrder, ofIntent}), texts(found.Rows[projection.TablePositions]))
	requireRows(t, []projection.Row{order}, found.Rows[projection.TableOrders])
	requireRows(t, []projection.Row{balance}, found.Rows[projection.TableBalances])
	require.Empty(t, found.Rows[projection.TableRisk], "it changed before")

	found, err = b.Changes(t.Context(), uuid.New(), 0, 0, store.Touched{Orders: []uuid.UUID{order.OrderID}, Intents: []uuid.UUID{intent.IntentID}})
	require.NoError(t, err)
	for table, rows := range found.Rows {
		require.Empty(t, rows, "another tenant sees nothing of %s", table)
	}
}

// TestStore_Changes_too_many says so.
func TestStore_Changes_too_many(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	var rows []projection.Row
	for range store.ChangesMax + 1 {
		balance := storetest.Random[projection.Balance](b.rng)
		balance.TenantID, balance.LastPosition, balance.AccountID = b.tenant, 1, uuid.New()
		rows = append(rows, balance)
	}
	b.append(t, 1, rows...)
	found, err := b.Changes(t.Context(), b.tenant, 0, 1, store.Touched{})
	require.NoError(t, err)
	require.True(t, found.TooMany)
}

// TestStore_Newest gives the rows that changed last, of those that meet the conditions.
func TestStore_Newest(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	account := uuid.New()
	mine := func(o *projection.Order) { o.AccountID = account }
	older, newer, newest := b.order(3, mine), b.order(4, mine), b.order(5, nil)
	b.append(t, 5, older, newer, newest)
	rows, head, err := b.Newest(t.Context(), b.tenant, store.WatchedOrders, []store.Condition{store.IsID("account_id", account)}, 1)
	require.NoError(t, err)
	requireRows(t, []projection.Row{newer}, rows)
	require.EqualValues(t, 5, head.Position)
	alone, err := b.Head(t.Context(), b.tenant)
	require.NoError(t, err)
	require.Equal(t, head, alone)
}

// TestCondition_Holds says of a row what the database says of it.
func TestCondition_Holds(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	rows := []projection.Row{b.order(1, nil), b.order(2, func(o *projection.Order) { o.PositionID = uuid.NullUUID{} }), b.order(3, nil)}
	b.append(t, 3, rows...)
	first := rows[0].(*projection.Order)
	for name, c := range map[string]store.Condition{
		"an id": store.IsID("account_id", first.AccountID), "an id that may be none": store.IsID("position_id", first.PositionID.UUID), "a text": store.IsText("symbol", first.Symbol),
		"true": store.IsTrue("needs_resolution", true), "false": store.IsTrue("needs_resolution", false), "among": store.InTexts("status", []string{string(first.Status), "x"}),
	} {
		page, err := b.List(t.Context(), b.tenant, store.Orders, store.ListParams{Conditions: []store.Condition{c}})
		require.NoError(t, err)
		var held []projection.Row
		for _, row := range rows {
			if c.Holds(store.Orders.Table(), row) {
				held = append(held, row)
			}
		}
		require.ElementsMatch(t, texts(page.Rows), texts(held), name)
	}
	position := b.position(4, func(p *projection.Position) { p.State = projection.PositionClosed })
	require.False(t, store.NotClosed.Holds(store.Positions.Table(), position))
	position.State = projection.PositionActive
	require.True(t, store.NotClosed.Holds(store.Positions.Table(), position))
	require.False(t, store.IsText("no_such_column", "").Holds(store.Positions.Table(), position))
}
