package replay_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// spoiled is a tenant whose state is wrong in few rows, or in all of some tables.
func spoiled(t *testing.T, all bool, cfg replay.Config) *bundle {
	t.Helper()
	b := setup(t, 1500, cfg)
	sql := "update orders_current set symbol = 'X' where order_id in (select order_id from orders_current limit 3)"
	if all {
		sql = "update orders_current set symbol = 'X'"
	}
	require.NoError(t, b.Exec(t.Context(), sql))
	return b
}

// start is a rebuild of the tenant.
func (b *bundle) start(request replay.Request) replay.Start {
	return replay.Start{Tenant: b.Tenant, Run: uuid.New(), Kind: replay.KindRebuild, Request: request}
}

// TestRebuild_broken_off: whatever ends a run, at whatever moment, the old state stays whole, and the next run succeeds: a new one,
// and where there is a checkpoint the same one.
func TestRebuild_broken_off(t *testing.T) {
	t.Parallel()
	cfg := replay.Config{RowsMax: 50, StretchMax: 400, MendMax: 20}
	for _, phase := range []replay.Phase{replay.PhaseCompare, replay.PhaseMend, replay.PhaseBuild, replay.PhaseSwitch} {
		for _, how := range []string{"by its caller", "by the server", "by the server, and resumed"} {
			t.Run(fmt.Sprint(phase, " ", how), func(t *testing.T) {
				t.Parallel()
				b := spoiled(t, phase != replay.PhaseMend, cfg)
				before := b.run(t, replay.Request{DryRun: true})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start, told := b.start(replay.Request{}), 0
				_, err := b.rebuilder.Run(ctx, start, func(telling replay.Telling) {
					if telling.Phase != phase || telling.Phase == replay.PhaseBuild && telling.Done < 700 {
						return
					}
					told++
					if how == "by its caller" {
						cancel()
					} else if told == 1 {
						_, err := b.super.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
						require.NoError(t, err)
					}
				})
				require.Positive(t, told)
				b.pool.Reset() // Who calls again would be told that the database was away.
				if err == nil {
					b.right(t) // It was over already, but for what was only read.
					return
				}

				after := b.run(t, replay.Request{DryRun: true})
				require.Equal(t, before.ChecksumBefore, after.ChecksumBefore, "the old state is whole: %v", after.Outcome)
				if how == "by the server, and resumed" {
					start.Resume = true
					result, err := b.rebuilder.Run(t.Context(), start, func(replay.Telling) {})
					require.NoError(t, err)
					if phase == replay.PhaseBuild || phase == replay.PhaseSwitch {
						require.Less(t, result.Events, int64(1500), "it went on from its checkpoint")
					}
				} else {
					b.run(t, replay.Request{})
				}
				b.right(t)
			})
		}
	}
}

func TestRebuild_one_at_a_time(t *testing.T) {
	t.Parallel()
	b := spoiled(t, true, replay.Config{})
	start := b.start(replay.Request{Build: true})
	var refused error
	_, err := b.rebuilder.Run(t.Context(), start, func(telling replay.Telling) {
		if telling.Phase == replay.PhaseSwitch {
			_, refused = b.rebuilder.Run(t.Context(), b.start(replay.Request{}), func(replay.Telling) {})
		}
	})
	require.NoError(t, err)
	require.True(t, fault.Is(refused, fault.Conflict), "%v", refused)
	require.ErrorContains(t, refused, start.Run.String())
	b.right(t)
}

func TestRebuild_canceled(t *testing.T) {
	t.Parallel()
	b := spoiled(t, true, replay.Config{StretchMax: 300})
	start := b.start(replay.Request{Build: true})
	_, err := b.rebuilder.Run(t.Context(), start, func(telling replay.Telling) {
		if telling.Phase == replay.PhaseBuild {
			_, err := b.store.Cancel(t.Context(), b.Tenant, start.Run)
			require.NoError(t, err)
		}
	})
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	run, err := b.store.Get(t.Context(), b.Tenant, start.Run)
	require.NoError(t, err)
	require.Equal(t, replay.StatusCanceled, run.Status)
	start.Resume = true
	_, err = b.rebuilder.Run(t.Context(), start, func(replay.Telling) {})
	require.True(t, fault.Is(err, fault.Refused), "%v", err)
	canceled, err := b.store.Cancel(t.Context(), b.Tenant, start.Run)
	require.NoError(t, err)
	require.False(t, canceled)
	b.run(t, replay.Request{})
	b.right(t)
}

func TestRebuild_refusals(t *testing.T) {
	t.Parallel()
	b := setup(t, 100, replay.Config{RunsMax: 1})
	_, err := b.rebuilder.Run(t.Context(), replay.Start{Tenant: uuid.New(), Run: uuid.New(), Kind: replay.KindRebuild}, func(replay.Telling) {})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	_, err = b.rebuilder.Run(t.Context(), replay.Start{Tenant: b.Tenant, Run: uuid.New(), Kind: replay.KindRebuild, Resume: true}, func(replay.Telling) {})
	require.True(t, fault.Is(err, fault.Refused), "%v", err)
	var second error
	_, err = b.rebuilder.Run(t.Context(), b.start(replay.Request{DryRun: true}), func(replay.Telling) {
		_, second = b.rebuilder.Run(t.Context(), b.start(replay.Request{DryRun: true}), func(replay.Telling) {})
	})
	require.NoError(t, err)
	require.True(t, fault.Is(second, fault.Exhausted), "%v", second)
	require.NoError(t, b.Exec(t.Context(), fmt.Sprint("update tenant_log set rules_version = ", projection.RulesVersion+1)))
	_, err = b.rebuilder.Run(t.Context(), b.start(replay.Request{}), func(replay.Telling) {})
	require.True(t, fault.Is(err, fault.Refused), "%v", err)
}

// TestTidy: what a crash between the switch and its telling left is told, once, and rows of no epoch are taken away.
func TestTidy(t *testing.T) {
	t.Parallel()
	b := setup(t, 200, replay.Config{})
	r := b.run(t, replay.Request{Build: true})
	<-b.told
	require.NoError(t, b.Exec(t.Context(), "update replay_runs set result = result || '{\"announced\": false}'"))
	require.NoError(t, b.Exec(t.Context(), "insert into tenants_current select tenant_id, name, plan, last_event_id, last_position, created_at, updated_at, epoch + 7 from tenants_current"))
	require.NoError(t, b.rebuilder.Tidy(t.Context(), b.Tenant))
	require.Len(t, b.told, 1)
	told := <-b.told
	require.Equal(t, r.Run, told.Run)
	require.NoError(t, b.rebuilder.Tidy(t.Context(), b.Tenant))
	require.Empty(t, b.told)
	b.right(t)
}
