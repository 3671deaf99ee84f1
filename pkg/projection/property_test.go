package projection_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
)

func random(t *rapid.T) *projectiontest.Log {
	log, err := projectiontest.Random(t, 120)
	require.NoError(t, err)
	return log
}

// Law 2: the state is the fold, and replay gives the same bytes.
func TestProperty_replay_is_the_state(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		replayed, err := projectiontest.Replay(log.Events)
		require.NoError(t, err)
		if diff := cmp.Diff(log.State.Render(), replayed.Render()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Folding in batches, on overlays over a cache that loads what is missing, is the same as folding one by one in memory;
// also when appends of a batch are dropped.
func TestProperty_overlays_and_loading_change_nothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		database := &projection.Memory{}
		for at := 0; at < len(log.Events); {
			cache := &projection.Cache{}
			batch := projection.NewOverlay(cache)
			size := min(rapid.IntRange(1, 20).Draw(t, "batch"), len(log.Events)-at)
			prefetch(t, database, cache, log.Events[at:at+size])
			for _, ev := range log.Events[at : at+size] {
				if rapid.IntRange(0, 9).Draw(t, "dropped") == 0 {
					dropped := projection.NewOverlay(batch)
					foldLoading(t, database, cache, dropped, ev)
					dropped.Discard()
				}
				one := projection.NewOverlay(batch)
				foldLoading(t, database, cache, one, ev)
				one.MergeInto(batch)
				require.Empty(t, one.Changed())
			}
			for _, row := range batch.Rows() {
				database.Put(row)
			}
			at += size
		}
		if diff := cmp.Diff(log.State.Render(), database.Render()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func prefetch(t *rapid.T, database *projection.Memory, cache *projection.Cache, events []projection.Event) {
	var keys []projection.Key
	for _, ev := range events {
		keys = append(keys, projection.Touches(ev)...)
	}
	load(t, database, cache, cache.Missing(keys))
}

func load(t *rapid.T, database *projection.Memory, cache *projection.Cache, keys []projection.Key) {
	for _, key := range keys {
		row, err := database.Get(key)
		require.NoError(t, err)
		cache.Load(key, row)
	}
}

// loadRoundsMax bounds how often an event's fold may ask for more: order, then intent and position, then limits.
const loadRoundsMax = 4

func foldLoading(t *rapid.T, database *projection.Memory, cache *projection.Cache, state projection.State, ev projection.Event) {
	for range loadRoundsMax {
		err := projection.Check(state, ev)
		if err == nil {
			_, err = projection.Fold(state, ev)
		}
		var missing *projection.Missing
		if !errors.As(err, &missing) {
			require.NoError(t, err)
			return
		}
		require.NotEmpty(t, missing.Keys)
		load(t, database, cache, missing.Keys)
	}
	t.Fatalf("%s asks for rows again and again", ev.Type)
}

// Limits are kept by differences and must be the sums over all positions at every position of the log; so must what
// positions hold be of their orders' fills, and what is reserved of their live orders.
func TestProperty_sums_hold_at_every_position(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		state := &projection.Memory{}
		for _, ev := range log.Events {
			_, err := projection.Fold(state, ev)
			require.NoError(t, err)
			requireSums(t, state)
		}
	})
}

type usage struct {
	exposure, risk decimal.Decimal
	open           int32
}

func requireSums(t *rapid.T, state *projection.Memory) {
	uses := map[string]usage{}
	risks := map[string]*projection.Risk{}
	orders := map[uuid.UUID][]*projection.Order{}
	fills := map[uuid.UUID]decimal.Decimal{}
	for _, row := range state.Rows() {
		switch r := row.(type) {
		case *projection.Position:
			addUse(uses, r)
		case *projection.Risk:
			risks[r.AccountID.String()+r.StrategyID.String()] = r
		case *projection.Order:
			orders[r.PositionID.UUID] = append(orders[r.PositionID.UUID], r)
		case *projection.Fill:
			fills[r.OrderID] = fills[r.OrderID].Add(r.FillQuantity)
		}
	}
	for key, use := range uses {
		require.True(t, use.exposure.Equal(risks[key].TotalExposure), "exposure %s, stored %s", use.exposure, risks[key].TotalExposure)
		require.True(t, use.risk.Equal(risks[key].OpenRisk), "risk %s, stored %s", use.risk, risks[key].OpenRisk)
		require.Equal(t, use.open, risks[key].OpenPositions)
	}
	for _, list := range orders {
		for _, order := range list {
			require.True(t, order.FilledQuantity.Equal(fills[order.OrderID]))
		}
	}
	for _, row := range state.Rows() {
		if position, ok := row.(*projection.Position); ok && position.State != projection.PositionClosed {
			requireHolds(t, position, orders[position.PositionID])
		}
	}
}

func addUse(uses map[string]usage, p *projection.Position) {
	var open int32
	if p.State != projection.PositionArmed && p.State != projection.PositionClosed {
		open = 1
	}
	for _, strategy := range []uuid.UUID{uuid.Nil, p.StrategyID.UUID} {
		key := p.AccountID.String() + strategy.String()
		use := uses[key]
		uses[key] = usage{use.exposure.Add(p.Exposure), use.risk.Add(p.OpenRisk), use.open + open}
		if !p.StrategyID.Valid {
			return
		}
	}
}

func requireHolds(t *rapid.T, position *projection.Position, orders []*projection.Order) {
	var entered, exited, reserved decimal.Decimal
	for _, order := range orders {
		if !order.Known {
			continue
		}
		if order.ReduceIntent == "entry" {
			entered = entered.Add(order.FilledQuantity)
			continue
		}
		exited = exited.Add(order.FilledQuantity)
		if !order.Status.Ended() {
			reserved = reserved.Add(order.Quantity.Sub(order.FilledQuantity))
		}
	}
	require.True(t, entered.Equal(position.EntryQuantity), "entered %s, stored %s", entered, position.EntryQuantity)
	require.True(t, exited.Equal(position.ExitQuantity), "exited %s, stored %s", exited, position.ExitQuantity)
	require.True(t, reserved.Equal(position.ReservedQuantity), "reserved %s, stored %s", reserved, position.ReservedQuantity)
}

// Facts about an order, in any order, come to one status and the same sums, of the order and of its position.
func TestProperty_the_order_of_facts_is_free(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]rune("afGcerpq")), 1, 8).Draw(t, "facts")
		shuffled := rapid.Permutation(letters).Draw(t, "shuffled")
		require.Equal(t, outcome(t, letters), outcome(t, shuffled))
	})
}

func outcome(t *rapid.T, facts []rune) string {
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	require.NoError(t, log.Registered())
	require.NoError(t, log.Opening(plan))
	_, err := log.Append(log.Claim(plan.EntryID(), 1))
	require.NoError(t, err)
	intent := log.Intent(plan.EntryID())
	for _, letter := range facts {
		_, err = log.Append(fact(log, intent, letter))
		require.NoError(t, err)
	}
	order, position := log.Order(log.Intent(plan.EntryID()).OrderID.UUID), log.Position(plan.PositionID())
	return fmt.Sprint(order.Status, order.NeedsResolution, order.FilledQuantity, order.CumQuote, order.AverageFillPrice.Decimal,
		position.EntryQuantity, position.EntryCost, position.CurrentQuantity, position.Exposure, position.EntryDone,
		log.Intent(plan.EntryID()).Status)
}
