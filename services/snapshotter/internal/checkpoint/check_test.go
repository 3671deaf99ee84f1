package checkpoint_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// A snapshot made by other rules, cut short, with one bit flipped, or of another log is never used: it is told, marked, and due anew.
func TestChecker_never_gives_what_is_unfit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage  string
		reasons []snapshot.Reason
	}{
		"one bit flipped":  {"", []snapshot.Reason{snapshot.ReasonHash, snapshot.ReasonCompression, snapshot.ReasonLength}},
		"cut short":        {"update snapshots set state = substring(state from 1 for octet_length(state) - 1)", []snapshot.Reason{snapshot.ReasonHash, snapshot.ReasonLength}},
		"no state at all":  {"update snapshots set state = ''", []snapshot.Reason{snapshot.ReasonLength}},
		"other rules":      {"update snapshots set rules_version = rules_version - 1", []snapshot.Reason{snapshot.ReasonRules}},
		"another hash":     {"update snapshots set hash = sha256('x')", []snapshot.Reason{snapshot.ReasonHash}},
		"another chain":    {"update snapshots set chain_hash = sha256('x')", []snapshot.Reason{snapshot.ReasonMismatch}},
		"another place":    {"update snapshots set as_of_position = as_of_position - 1", []snapshot.Reason{snapshot.ReasonMismatch}},
		"a log cut off":    {"alter table event_log disable trigger all; delete from event_log where position = (select last_position from tenant_log)", nil},
		"another log":      {"update event_log set hash = sha256('x')", nil},
		"another log hash": {"update event_log set hash = ''", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			made := b.make(t)
			switch {
			case c.damage == "":
				b.damage(t, made.ID)
			case c.reasons == nil:
				// History refuses it: an attacker needs the owner's power.
				c.reasons = []snapshot.Reason{snapshot.ReasonChain}
				b.exec(t, "do $$ declare p regclass; begin for p in select inhrelid::regclass from pg_inherits where inhparent = 'event_log'::regclass loop execute format('alter table %s disable trigger all', p); end loop; end $$")
				b.exec(t, "alter table event_log drop constraint event_log_hashes_check")
				b.exec(t, "alter table event_log disable trigger all")
				if name == "a log cut off" {
					b.exec(t, "delete from event_log where position = (select last_position from tenant_log)")
				} else {
					b.exec(t, c.damage)
				}
			default:
				b.exec(t, c.damage)
			}
			_, err := b.Check(t.Context(), b.tenant, made.ID)
			requireUnfit(t, err, c.reasons...)
			require.Len(t, b.watcher.unfit, 1)
			marked, err := b.store.Get(t.Context(), b.tenant, made.ID)
			require.NoError(t, err)
			require.Equal(t, b.watcher.unfit[0], marked.Unfit)
			require.NotNil(t, marked.VerifiedAt)
			require.Equal(t, 1, b.count(t, "select count(*) from snapshots_due where reason = 'remake'"))
			_, passed, err := b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
			require.Equal(t, "NO_SNAPSHOT", fault.ReasonOf(err))
			require.Empty(t, passed, "what is marked is not looked at again")
		})
	}
}

func TestChecker_Find(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := b.several(t, 3)
	found, passed, err := b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
	require.NoError(t, err)
	require.Empty(t, passed)
	require.Equal(t, all[2].ID, found.Snapshot.ID)
	require.NotEmpty(t, found.Stored)
	row, err := found.View.Get(b.scope().Root())
	require.NoError(t, err)
	require.NotNil(t, row)

	found, _, err = b.Find(t.Context(), b.tenant, b.scope(), all[1].AsOf, noTime)
	require.NoError(t, err)
	require.Equal(t, all[1].ID, found.Snapshot.ID)
	found, _, err = b.Find(t.Context(), b.tenant, b.scope(), 0, all[0].AsOfTime)
	require.NoError(t, err)
	require.Equal(t, all[0].ID, found.Snapshot.ID)
	_, _, err = b.Find(t.Context(), b.tenant, b.scope(), all[0].AsOf-1, noTime)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)

	b.damage(t, all[2].ID)
	b.damage(t, all[1].ID)
	found, passed, err = b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
	require.NoError(t, err)
	require.Equal(t, all[0].ID, found.Snapshot.ID)
	require.Len(t, passed, 2)
	require.Equal(t, all[2].ID, passed[0].Snapshot.ID)
	require.NotEmpty(t, passed[0].Snapshot.Unfit)

	// What was due anew is made, and is then the newest.
	made := b.make(t)
	found, passed, err = b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
	require.NoError(t, err)
	require.Empty(t, passed)
	require.Equal(t, made.ID, found.Snapshot.ID)
	require.Zero(t, b.count(t, "select count(*) from snapshots_due"))
}

// A snapshot that was made anew at the very position of an unfit one takes its place.
func TestChecker_what_is_unfit_is_made_anew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.make(t)
	b.damage(t, made.ID)
	_, err := b.Check(t.Context(), b.tenant, made.ID)
	requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonCompression, snapshot.ReasonLength)
	again := b.make(t)
	require.Equal(t, made.ID, again.ID)
	require.Equal(t, made.Hash, again.Hash)
	_, err = b.Check(t.Context(), b.tenant, made.ID)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{made.ID, made.ID}, b.log.told, "the log takes the second for the first: its command is the same")
}

func TestChecker_a_database_that_fails_marks_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.make(t)
	b.exec(t, "revoke select on event_log from robson_snapshotter")
	_, err := b.Check(t.Context(), b.tenant, made.ID)
	require.Error(t, err)
	var why *snapshot.Unfit
	require.NotErrorAs(t, err, &why)
	require.Empty(t, b.watcher.unfit)
	_, _, err = b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
	require.Error(t, err)
	require.False(t, fault.Is(err, fault.NotFound))
	require.Error(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, false, findings(nil, nil)))
	b.exec(t, "revoke select on snapshots from robson_snapshotter")
	_, err = b.Check(t.Context(), b.tenant, made.ID)
	require.Error(t, err)
	_, _, err = b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
	require.Error(t, err)
	require.Error(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, false, findings(nil, nil)))
	require.Error(t, b.Prune(t.Context(), b.tenant, checkpoint.PruneParams{Keep: 1}, nil))
}

// findings collects what a verification found.
func findings(into map[uuid.UUID]snapshot.Reason, progress *int64) checkpoint.Findings {
	return checkpoint.Findings{
		Found: func(s checkpoint.Snapshot, why *snapshot.Unfit) error {
			into[s.ID] = ""
			if why != nil {
				into[s.ID] = why.Reason
			}
			return nil
		},
		Progress: func(done, _ int64) error {
			*progress = done
			return nil
		},
	}
}

func TestVerifier_Verify(t *testing.T) {
	t.Parallel()
	for name, deep := range map[string]bool{"shallow": false, "deep": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			all := b.several(t, 3)
			_, err := b.Make(t.Context(), b.tenant, projection.Scope{Kind: projection.ScopeAccount, ID: b.plan.Account}, checkpoint.TriggerRequest)
			require.NoError(t, err)
			b.damage(t, all[1].ID)
			found, done := map[uuid.UUID]snapshot.Reason{}, int64(0)
			require.NoError(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, deep, findings(found, &done)))
			require.Len(t, found, 4)
			require.NotEmpty(t, found[all[1].ID])
			require.Empty(t, found[all[0].ID])
			require.Empty(t, found[all[2].ID])
			require.Equal(t, deep, done == b.world.Position())
			require.Equal(t, 4, b.count(t, "select count(*) from snapshots where verified_at is not null"))

			one := map[uuid.UUID]snapshot.Reason{}
			require.NoError(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{ID: all[0].ID}, deep, findings(one, &done)))
			require.Len(t, one, 1)
			require.NoError(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{ID: uuid.Max}, deep, findings(nil, nil)))
		})
	}
}

// What was marked and is fit after all is used again.
func TestVerifier_takes_a_mark_away(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.make(t)
	require.NoError(t, b.store.Mark(t.Context(), b.tenant, made.ID, snapshot.ReasonHash))
	require.NoError(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, false, findings(map[uuid.UUID]snapshot.Reason{}, nil)))
	found, _, err := b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
	require.NoError(t, err)
	require.Equal(t, made.ID, found.Snapshot.ID)
}

// A state that somebody had altered before the snapshot was made has all hashes right; only the log tells.
func TestVerifier_deep_finds_a_state_that_is_not_the_fold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, "update positions_current set capital = 1")
	made := b.make(t)
	found, done := map[uuid.UUID]snapshot.Reason{}, int64(0)
	require.NoError(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, false, findings(found, nil)))
	require.Empty(t, found[made.ID])
	require.NoError(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, true, findings(found, &done)))
	require.Equal(t, snapshot.ReasonState, found[made.ID])
	require.Equal(t, []snapshot.Reason{snapshot.ReasonState}, b.watcher.unfit)
}

func TestVerifier_stops_where_it_is_told(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.several(t, 2)
	enough := errors.New("enough")
	stop := checkpoint.Findings{
		Found:    func(checkpoint.Snapshot, *snapshot.Unfit) error { return enough },
		Progress: func(int64, int64) error { return enough },
	}
	require.ErrorIs(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, false, stop), enough)
	require.ErrorIs(t, b.Verify(t.Context(), b.tenant, checkpoint.Filter{}, true, stop), enough)
}

func TestPruner_Prune(t *testing.T) {
	t.Parallel()
	prune := func(t *testing.T, b *testBundle, p checkpoint.PruneParams) []uuid.UUID {
		t.Helper()
		removed := []uuid.UUID{}
		require.NoError(t, b.Prune(t.Context(), b.tenant, p, func(s checkpoint.Snapshot) error {
			removed = append(removed, s.ID)
			return nil
		}))
		return removed
	}
	t.Run("keeps the newest", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		all := b.several(t, 4)
		want := []uuid.UUID{all[1].ID, all[0].ID}
		require.Equal(t, want, prune(t, b, checkpoint.PruneParams{Keep: 2, DryRun: true}))
		require.Equal(t, 4, b.count(t, "select count(*) from snapshots"))
		require.Empty(t, prune(t, b, checkpoint.PruneParams{Keep: 2, Filter: checkpoint.Filter{Kind: projection.ScopeAccount}}))
		require.Equal(t, want[1:], prune(t, b, checkpoint.PruneParams{Keep: 2, Before: all[1].CreatedAt}))
		require.Equal(t, want[:1], prune(t, b, checkpoint.PruneParams{Keep: 2}))
		require.Equal(t, 2, b.count(t, "select count(*) from snapshots"))
	})
	t.Run("never the newest that is fit", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		all := b.several(t, 3)
		b.damage(t, all[2].ID)
		require.Equal(t, []uuid.UUID{all[2].ID, all[0].ID}, prune(t, b, checkpoint.PruneParams{Keep: 1}), "nobody had found the newest unfit yet")
		found, _, err := b.Find(t.Context(), b.tenant, b.scope(), 0, noTime)
		require.NoError(t, err)
		require.Equal(t, all[1].ID, found.Snapshot.ID)
	})
	t.Run("stops where it is told", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.several(t, 3)
		enough := errors.New("enough")
		require.ErrorIs(t, b.Prune(t.Context(), b.tenant, checkpoint.PruneParams{Keep: 1}, func(checkpoint.Snapshot) error { return enough }), enough)
		require.Equal(t, 1, b.count(t, "select count(*) from snapshots"))
	})
	t.Run("keeps one at least", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		err := b.Prune(t.Context(), b.tenant, checkpoint.PruneParams{}, nil)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	})
}

func TestVictims(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	var all []checkpoint.Snapshot // The newest first.
	for age := range 5 {
		all = append(all, checkpoint.Snapshot{EventCount: int64(age), CreatedAt: start.Add(-time.Duration(age) * time.Hour)})
	}
	all[1].Unfit = snapshot.ReasonHash
	for name, c := range map[string]struct {
		keep   int
		before time.Time
		ages   []int64
	}{
		"all but one":          {1, noTime, []int64{1, 2, 3, 4}},
		"all but two":          {2, noTime, []int64{1, 3, 4}},
		"those that are older": {1, start.Add(-2 * time.Hour), []int64{1, 3, 4}},
		"none are old":         {1, start.Add(-9 * time.Hour), []int64{1}},
		"more than there are":  {9, noTime, []int64{1}},
	} {
		ages := []int64{}
		for _, s := range checkpoint.Victims(all, c.keep, c.before) {
			ages = append(ages, s.EventCount)
		}
		require.Equal(t, c.ages, ages, name)
	}
}
