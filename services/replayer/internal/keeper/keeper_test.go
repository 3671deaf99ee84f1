package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/replayer/internal/keeper"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type deaf struct{}

func (deaf) Announce(context.Context, uuid.UUID, *replay.Result) error { return nil }

type bundle struct {
	*storetest.World
	super  *pgxpool.Pool
	store  *store.Store
	keeper *keeper.Keeper
	logged bytes.Buffer
}

func setup(t *testing.T, cfg keeper.Config) *bundle {
	t.Helper()
	db := testkit.Database(t)
	b := &bundle{super: db.Pool(t, "")}
	b.World = storetest.NewWorld(b.super, uuid.New())
	lives, err := storetest.Lives(120)
	require.NoError(t, err)
	require.NoError(t, b.Write(t.Context(), lives))
	b.store, err = store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{})
	require.NoError(t, err)
	rebuilder, err := replay.NewRebuilder(clock.System(), b.store, deaf{}, replay.Config{StretchMax: 50})
	require.NoError(t, err)
	runner, err := keeper.NewMetered(clock.System(), rebuilder)
	require.NoError(t, err)
	b.keeper, err = keeper.New(slog.New(slog.NewTextHandler(&b.logged, nil)), clock.System(), runner, rebuilder, b.store, cfg)
	require.NoError(t, err)
	return b
}

func (b *bundle) runs(t *testing.T, kind replay.RunKind) []replay.Run {
	t.Helper()
	runs, err := b.store.Runs(t.Context(), b.Tenant, kind, 10)
	require.NoError(t, err)
	return runs
}

func TestKeeper_validates_all_the_time(t *testing.T) {
	t.Parallel()
	b := setup(t, keeper.Config{ValidateEvery: time.Nanosecond, KeepRuns: 2})
	b.keeper.Look(t.Context())
	require.Len(t, b.runs(t, replay.KindValidate), 1)
	require.Empty(t, b.logged.String())
	require.NoError(t, b.Exec(t.Context(), "update positions_current set symbol = 'X'"))
	for range 4 {
		b.keeper.Look(t.Context())
	}
	require.Len(t, b.runs(t, replay.KindValidate), 3, "old ones are not kept")
	require.Contains(t, b.logged.String(), "the state is not what the log folds to")
	require.Contains(t, b.logged.String(), "first_table=positions_current")
}

func TestKeeper_leaves_alone_what_was_validated(t *testing.T) {
	t.Parallel()
	b := setup(t, keeper.Config{ValidateEvery: time.Hour})
	b.keeper.Look(t.Context())
	b.keeper.Look(t.Context())
	require.Len(t, b.runs(t, replay.KindValidate), 1)
}

// TestKeeper_upgrades: a tenant whose state other rules have made is folded anew, going on with what was begun.
func TestKeeper_upgrades(t *testing.T) {
	t.Parallel()
	b := setup(t, keeper.Config{ValidateEvery: -1})
	require.NoError(t, b.Exec(t.Context(), fmt.Sprint("update tenant_log set rules_version = ", projection.RulesVersion-1)))
	rebuilder, err := replay.NewRebuilder(clock.System(), b.store, deaf{}, replay.Config{StretchMax: 50})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	begun := uuid.New()
	_, err = rebuilder.Run(ctx, replay.Start{Tenant: b.Tenant, Run: begun, Kind: replay.KindUpgrade, Request: replay.Request{Build: true}}, func(told replay.Telling) {
		if told.Done >= 50 {
			cancel()
		}
	})
	require.Error(t, err)
	b.keeper.Look(t.Context())
	runs := b.runs(t, replay.KindUpgrade)
	require.Len(t, runs, 1)
	require.Equal(t, begun, runs[0].ID)
	require.Equal(t, replay.StatusDone, runs[0].Status)
	var rules int32
	require.NoError(t, b.super.QueryRow(t.Context(), "select rules_version from tenant_log").Scan(&rules))
	require.Equal(t, int32(projection.RulesVersion), rules)
	b.keeper.Look(t.Context())
	require.Len(t, b.runs(t, replay.KindUpgrade), 1)
}

// broken is an archive that cannot be read.
type broken struct{ keeper.Archive }

func (broken) Tenants(context.Context) ([]replay.TenantState, error) {
	return nil, errors.New("disk")
}

func TestKeeper_that_fails_goes_on(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	runner, err := keeper.NewMetered(clock.System(), nil)
	require.NoError(t, err)
	clk := clock.NewFake(time.Unix(0, 0))
	k, err := keeper.New(slog.New(slog.NewTextHandler(&logged, nil)), clk, runner, nil, broken{}, keeper.Config{})
	require.NoError(t, err)
	k.Look(t.Context())
	require.Contains(t, logged.String(), "error=disk")
	k.Start(t.Context())
	k.Start(t.Context())
	k.Stop()
	k.Stop()
	_, err = keeper.New(nil, clk, runner, nil, broken{}, keeper.Config{KeepRuns: -1})
	require.ErrorContains(t, err, "KeepRuns")
}
