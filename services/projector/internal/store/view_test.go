package store_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

// scene is a tenant with two accounts, of which a view of the first must show the rows that are named here and no other.
type scene struct {
	*bundle
	account, strategy, position uuid.UUID
	want                        store.View
}

func setupScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{bundle: setup(t, store.Config{}), account: id(1), strategy: id(2), position: id(3)}
	var rows []projection.Row
	add := func(row projection.Row) projection.Row {
		rows = append(rows, row)
		return row
	}
	for _, account := range []uuid.UUID{s.account, id(8), uuid.Nil} {
		tenant := s.tenant
		if account == uuid.Nil {
			tenant, account = id(9), s.account // another tenant with the same ids
		}
		v := s.rowsOf(tenant, account, add)
		if tenant == s.tenant && account == s.account {
			s.want = v
		}
	}
	mine := slices.DeleteFunc(slices.Clone(rows), func(r projection.Row) bool { return r.Tenant() != s.tenant })
	s.append(t, 77, mine...)
	require.NoError(t, s.writer.Append(t.Context(), id(9), 5, slices.DeleteFunc(rows, func(r projection.Row) bool { return r.Tenant() == s.tenant })...))
	s.want.AsOf = 77
	return s
}

// rowsOf makes one of everything of an account.
func (s *scene) rowsOf(tenant, account uuid.UUID, add func(projection.Row) projection.Row) store.View {
	var v store.View
	a, strategy := storetest.Random[projection.Account](s.rng), storetest.Random[projection.Strategy](s.rng)
	a.TenantID, a.AccountID = tenant, account
	strategy.TenantID, strategy.StrategyID, strategy.AccountID = tenant, s.strategy, account
	v.Account = add(a)
	if account == s.account {
		v.Strategy = add(strategy)
	}
	risk := func(strategy uuid.UUID) projection.Row {
		r := storetest.Random[projection.Risk](s.rng)
		r.TenantID, r.AccountID, r.StrategyID = tenant, account, strategy
		return add(r)
	}
	v.AccountRisk, v.StrategyRisk = risk(uuid.Nil), risk(s.strategy)
	risk(id(4))
	for n, state := range []projection.PositionState{projection.PositionActive, projection.PositionClosed, projection.PositionArmed} {
		p := storetest.Random[projection.Position](s.rng)
		p.TenantID, p.AccountID, p.State = tenant, account, state
		if n == 1 && account == s.account {
			p.PositionID = s.position
			v.Position = p
		}
		if add(p); state != projection.PositionClosed {
			v.OpenPositions = append(v.OpenPositions, p)
		}
	}
	for n := range 6 {
		o, i, b := storetest.Random[projection.Order](s.rng), storetest.Random[projection.Intent](s.rng), storetest.Random[projection.Balance](s.rng)
		o.TenantID, i.TenantID, b.TenantID = tenant, tenant, tenant
		o.AccountID, i.AccountID, b.AccountID = account, account, account
		of := uuid.NullUUID{UUID: s.position, Valid: n != 5}
		o.PositionID, i.PositionID = of, of
		add(o)
		add(i)
		v.Balances = append(v.Balances, add(b))
		if of.Valid {
			v.Orders, v.Intents = append(v.Orders, o), append(v.Intents, i)
		}
	}
	for _, strategy := range []uuid.UUID{uuid.Nil, s.strategy, id(4)} {
		for _, period := range []string{"2026-10", "2026-11", "2026-11-22", "2026-11-23", "2025-11-23"} {
			p := storetest.Random[projection.PnLPeriod](s.rng)
			p.TenantID, p.AccountID, p.StrategyID, p.Period = tenant, account, strategy, period
			add(p)
			if strategy != id(4) && (period == "2026-11" || period == "2026-11-23") {
				v.Periods = append(v.Periods, p)
			}
		}
	}
	return v
}

func requireView(t *testing.T, want, got store.View) {
	t.Helper()
	require.Equal(t, want.AsOf, got.AsOf)
	for _, pair := range [][2]projection.Row{
		{want.Account, got.Account},
		{want.AccountRisk, got.AccountRisk},
		{want.Strategy, got.Strategy},
		{want.StrategyRisk, got.StrategyRisk},
		{want.Position, got.Position},
	} {
		if pair[0] == nil {
			require.Nil(t, pair[1])
			continue
		}
		require.NotNil(t, pair[1], pair[0].Key())
		requireRows(t, pair[:1], pair[1:])
	}
	oldest := func(x, y projection.Row) int {
		if c := x.Changed().CreatedAt.Compare(y.Changed().CreatedAt); c != 0 {
			return c
		}
		return x.Key().Compare(y.Key())
	}
	byKey := func(x, y projection.Row) int { return x.Key().Compare(y.Key()) }
	newest := func(x, y projection.Row) int {
		px, py := x.(*projection.PnLPeriod), y.(*projection.PnLPeriod)
		if c := strings.Compare(py.Period, px.Period); c != 0 {
			return c
		}
		return bytes.Compare(py.StrategyID[:], px.StrategyID[:])
	}
	for _, l := range []struct {
		want, got []projection.Row
		order     func(x, y projection.Row) int
	}{
		{want.Orders, got.Orders, oldest},
		{want.Intents, got.Intents, oldest},
		{want.OpenPositions, got.OpenPositions, byKey},
		{want.Periods, got.Periods, newest},
	} {
		sorted := slices.SortedFunc(slices.Values(l.want), l.order)
		requireRows(t, sorted, l.got)
	}
	require.ElementsMatch(t, texts(want.Balances), texts(got.Balances))
}

func TestStore_DecisionView(t *testing.T) {
	t.Parallel()
	s := setupScene(t)
	at := time.Date(2026, 11, 24, 0, 30, 0, 0, time.FixedZone("", 3600)) // still the 23rd in UTC

	t.Run("shows the account, strategy, position and all that belongs to them", func(t *testing.T) {
		t.Parallel()
		got, err := s.DecisionView(t.Context(), s.tenant, store.ViewParams{
			AccountID: s.account, StrategyID: s.strategy, PositionID: s.position, At: at,
		})
		require.NoError(t, err)
		requireView(t, s.want, got)
	})

	t.Run("shows no more than was asked for", func(t *testing.T) {
		t.Parallel()
		got, err := s.DecisionView(t.Context(), s.tenant, store.ViewParams{AccountID: s.account})
		require.NoError(t, err)
		want := s.want
		want.Strategy, want.StrategyRisk, want.Position = nil, nil, nil
		want.Orders, want.Intents, want.Periods = nil, nil, nil
		requireView(t, want, got)
	})

	t.Run("shows the account's own P&L only, without a strategy", func(t *testing.T) {
		t.Parallel()
		got, err := s.DecisionView(t.Context(), s.tenant, store.ViewParams{AccountID: s.account, At: at})
		require.NoError(t, err)
		require.Len(t, got.Periods, 2)
		for _, row := range got.Periods {
			require.Equal(t, uuid.Nil, row.(*projection.PnLPeriod).StrategyID)
		}
	})

	t.Run("a strategy or position of another account is not there", func(t *testing.T) {
		t.Parallel()
		got, err := s.DecisionView(t.Context(), s.tenant, store.ViewParams{AccountID: id(8), StrategyID: s.strategy, PositionID: s.position})
		require.NoError(t, err)
		require.NotNil(t, got.Account)
		require.Nil(t, got.Strategy)
		require.Nil(t, got.Position)
	})

	t.Run("nothing is there for another tenant", func(t *testing.T) {
		t.Parallel()
		got, err := s.DecisionView(t.Context(), uuid.New(), store.ViewParams{AccountID: s.account, StrategyID: s.strategy, PositionID: s.position, At: at})
		require.NoError(t, err)
		requireView(t, store.View{}, got)
	})
}

// TestStore_asOf holds views, pages and exports against a writer who appends all the while: at position p, row p mod n
// is the one that changes, so the position alone says what every row must be. A row newer or older than its answer's
// position shows at once.
func TestStore_asOf(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{ExportFetch: 3, ExportsMax: 10})
	const things, appends, readers = 7, 400, 3
	account := storetest.Random[projection.Account](b.rng)
	account.TenantID, account.AccountID = b.tenant, id(1)
	positions := make([]*projection.Position, things)
	for i := range positions {
		positions[i] = b.position(0, func(p *projection.Position) {
			p.PositionID, p.AccountID, p.State = id(i), id(1), projection.PositionActive
		})
	}
	write := func(ctx context.Context, p int64) error {
		row := *positions[p%things]
		row.LastPosition = p
		return b.writer.Append(ctx, b.tenant, p, &row)
	}
	require.NoError(t, b.writer.Append(t.Context(), b.tenant, 0, account))
	for p := range int64(things) {
		require.NoError(t, write(t.Context(), p))
	}
	expect := func(asOf int64, rows []projection.Row) {
		require.Len(t, rows, things)
		for _, row := range rows {
			p := row.(*projection.Position)
			i := int64(slices.IndexFunc(positions, func(x *projection.Position) bool { return x.PositionID == p.PositionID }))
			newest := asOf - (asOf-i)%things // the last position at or below asOf that changed row i
			require.Equal(t, newest, p.LastPosition, "row %d as of %d", i, asOf)
		}
	}
	var done atomic.Bool
	g, ctx := errgroup.WithContext(t.Context())
	g.Go(func() error {
		defer done.Store(true)
		for p := int64(things); p < appends; p++ {
			if err := write(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	for n := range readers {
		g.Go(func() error {
			rng, last := rand.New(rand.NewPCG(uint64(n), 0)), int64(0)
			for !done.Load() {
				asOf, rows, err := b.readPositions(ctx, rng.IntN(3), last)
				if err != nil {
					return err
				}
				require.GreaterOrEqual(t, asOf, last, "never back")
				expect(asOf, rows)
				last = asOf
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
}

// readPositions reads all positions in one of three ways.
func (b *bundle) readPositions(ctx context.Context, way int, least int64) (int64, []projection.Row, error) {
	switch way {
	case 0:
		v, err := b.DecisionView(ctx, b.tenant, store.ViewParams{AccountID: id(1), Least: least})
		return v.AsOf, v.OpenPositions, err
	case 1:
		page, err := b.List(ctx, b.tenant, store.Positions, store.ListParams{Least: least})
		return page.AsOf, page.Rows, err
	default:
		var asOf int64
		var rows []projection.Row
		params := store.ExportParams{Tables: []string{projection.TablePositions}, Least: least}
		err := b.Export(ctx, b.tenant, params, func(h store.Head) error {
			asOf = h.Position
			return nil
		}, func(r store.ExportedRow) error {
			row, err := projection.ParseRow(r.Table, r.JSON)
			rows = append(rows, row)
			return err
		})
		return asOf, rows, err
	}
}
