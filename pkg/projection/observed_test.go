package projection_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func lineOf(t *testing.T, log *projectiontest.Log, channel string) *projection.ConnectorState {
	t.Helper()
	return get[projection.ConnectorState](t, log, projection.ConnectorKey(projectiontest.Spot, channel))
}

func TestConnector_a_line_goes_up_and_down(t *testing.T) {
	t.Parallel()
	log := registered(t)
	add(t, log, log.Connected("c1"))
	line := lineOf(t, log, "user_stream")
	require.True(t, line.Connected)
	require.Equal(t, "sim", line.Environment)
	require.EqualValues(t, -12, *line.ClockOffsetMS)
	require.EqualValues(t, 1, line.ReconnectCount)

	add(t, log, log.Disconnected("c1"))
	line = lineOf(t, log, "user_stream")
	require.False(t, line.Connected)
	require.Equal(t, "24 h are over", *line.DisconnectReason)
	require.True(t, line.DisconnectPlanned)
	require.NotNil(t, line.LastEventTime)
}

func TestConnector_the_end_of_an_older_connection_leaves_the_line_up(t *testing.T) {
	t.Parallel()
	log := registered(t)
	add(t, log, log.Connected("c1"), log.Connected("c2"), log.Disconnected("c1"))
	require.True(t, lineOf(t, log, "user_stream").Connected)
	require.Equal(t, "c2", *lineOf(t, log, "user_stream").ConnectionID)
	add(t, log, log.Disconnected("c2"))
	require.False(t, lineOf(t, log, "user_stream").Connected)
	add(t, log, log.Disconnected("c3")) // Of a connection that nobody had told of.
	require.Equal(t, "c3", *lineOf(t, log, "user_stream").ConnectionID)
}

func TestConnector_what_comes_late_does_not_turn_the_line_back(t *testing.T) {
	t.Parallel()
	log := registered(t)
	now := log.Now
	late := log.Connected("c1")
	add(t, log, log.Disconnected("c1"))
	log.Now = now.Add(-time.Minute)
	add(t, log, late)
	line := lineOf(t, log, "user_stream")
	require.False(t, line.Connected)
	require.Equal(t, now, line.DisconnectedAt.UTC())
	log.Now = now.Add(time.Minute)
	add(t, log, log.Connected("c2"))
	log.Now = now
	add(t, log, log.Disconnected("c0"))
	require.True(t, lineOf(t, log, "user_stream").Connected)
}

func TestConnector_a_late_end_of_a_line_that_is_down(t *testing.T) {
	t.Parallel()
	log := registered(t)
	now := log.Now
	add(t, log, log.Disconnected("c2"))
	log.Now = now.Add(-time.Minute)
	older := log.Disconnected("c1")
	older.LastEventTime = timestamppb.New(now.Add(time.Hour))
	add(t, log, older)
	line := lineOf(t, log, "user_stream")
	require.Equal(t, "c2", *line.ConnectionID)
	require.Equal(t, now.Add(time.Hour), line.LastEventTime.UTC())
}

func TestConnector_requests_go_by_rest(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	now := s.Now
	final := s.RequestFailed()
	final.Retryable, final.Message, final.ErrorCode, final.HttpStatus = false, "no", nil, nil
	add(t, s.Log, s.RequestFailed(), final)
	line := lineOf(t, s.Log, "rest")
	require.EqualValues(t, 2, line.FailedCount)
	require.EqualValues(t, 1, line.RetryableFailedCount)
	require.Equal(t, "no", *line.LastError)
	require.Nil(t, line.LastErrorCode)
	s.Now = now.Add(-time.Hour)
	add(t, s.Log, s.RequestFailed()) // Counted, and not the newest.
	require.Equal(t, "no", *lineOf(t, s.Log, "rest").LastError)
	require.EqualValues(t, 3, lineOf(t, s.Log, "rest").FailedCount)

	s.Now = now
	unknown := s.Uncertain(s.Intent(s.plan.EntryID()), 1, "place")
	add(t, s.Log, unknown)
	unknown.OrderId = ""
	add(t, s.Log, unknown)
	line = lineOf(t, s.Log, "rest")
	require.EqualValues(t, 2, line.UncertainCount)
	require.True(t, s.Order(s.Intent(s.plan.EntryID()).OrderID.UUID).NeedsResolution)
	require.False(t, line.Connected) // Nothing was told of a connection.
	require.Empty(t, line.Environment)
}

func TestConnector_blocked_until_the_latest_time(t *testing.T) {
	t.Parallel()
	log := registered(t)
	now := log.Now
	for _, test := range []struct {
		wait   int32
		banned time.Duration
		want   time.Duration
	}{
		{5000, 0, 5 * time.Second},
		{1000, time.Hour, time.Hour},
		{math.MinInt32, 0, time.Hour},
		{math.MaxInt32, time.Minute, math.MaxInt32 * time.Millisecond},
	} {
		limited := log.RateLimited(test.wait)
		if test.banned > 0 {
			limited.BannedUntil = timestamppb.New(now.Add(test.banned))
		}
		log.Now = now
		add(t, log, limited)
		require.Equal(t, now.Add(test.want), lineOf(t, log, "rest").BlockedUntil.UTC())
	}
	require.EqualValues(t, 4, lineOf(t, log, "rest").RateLimitedCount)
}

func TestMargin_the_newest_sample_holds(t *testing.T) {
	t.Parallel()
	log := registered(t)
	state := func() *projection.MarginState {
		return get[projection.MarginState](t, log, projection.MarginStateKey(projectiontest.Margin, "BTCUSDT"))
	}
	add(t, log, log.Transferred("1", "2"))
	require.Empty(t, state().Status)
	require.Nil(t, state().SampledAt)
	late := log.MarginLevel("1", "9")
	late.SampledAt = timestamppb.New(log.Now.Add(-time.Second))
	newest := log.MarginLevel("2", "0.5")
	newest.Status = eventv1.MarginStatus_MARGIN_STATUS_MARGIN_CALL
	add(t, log, newest, late)
	require.Equal(t, "margin_call", state().Status)
	equalNull(t, "0.5", state().Borrowed)
	back := log.Transferred("2", "0.5")
	back.Direction = eventv1.TransferDirection_TRANSFER_DIRECTION_ISOLATED_TO_SPOT
	add(t, log, back)
	require.True(t, state().Transferred["BTC"].Equal(dec("1.5")))
	require.Equal(t, projectiontest.ID("margin sample 2"), state().SampleID.UUID)

	odd := log.MarginLevel("3", "-1")
	odd.Interest = "-2"
	found := flagged(t, log, odd)
	require.Equal(t, "margin:BTCUSDT", found.Entity)
	require.Equal(t, map[string]string{"borrowed": "-1", "interest": "-2"}, found.Actual)
	equalNull(t, "-1", state().Borrowed) // Recorded all the same.
}

func TestMargin_a_repayment_of_less_than_nothing(t *testing.T) {
	t.Parallel()
	log := registered(t)
	found := flagged(t, log, &eventv1.MarginRepaid{
		AccountId: projectiontest.Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: "-3", Principal: "-2", Interest: "-1", TranId: "1",
	})
	require.Equal(t, map[string]string{"principal": "-2", "interest": "-1"}, found.Actual)
}

func TestReconciliation_closes_what_it_resolved(t *testing.T) {
	t.Parallel()
	log := registered(t)
	before := log.RunFound("earlier", "balance:spot/ETH", eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR)
	own := log.RunFound("run", "balance:spot/BTC", eventv1.Resolution_RESOLUTION_OBSERVED)
	repaired := log.RunFound("run", "balance:spot/USDT", eventv1.Resolution_RESOLUTION_AUTO_REPAIRED)
	add(t, log, before, own, repaired)
	run := func() *projection.ReconciliationRun {
		return get[projection.ReconciliationRun](t, log, projection.ReconciliationKey(projectiontest.ID("run run")))
	}
	require.False(t, run().Completed)
	require.EqualValues(t, 2, run().Raised)
	require.EqualValues(t, 1, run().RaisedRepaired)

	done := log.Reconciled("run")
	done.Status, done.Resolved, done.BalanceMismatches = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_REPAIRED, 3, 2
	done.ResolvedIds = []string{before.GetDiscrepancyId(), own.GetDiscrepancyId(), own.GetDiscrepancyId(), repaired.GetDiscrepancyId()}
	add(t, log, done)
	require.True(t, run().Completed)
	require.Equal(t, "repaired", run().Status)
	require.Len(t, run().ResolvedIDs, 3)
	for _, id := range []string{before.GetDiscrepancyId(), own.GetDiscrepancyId()} {
		closed := get[projection.Discrepancy](t, log, projection.DiscrepancyKey(uuidOf(t, id)))
		require.False(t, closed.IsOpen)
		require.NotNil(t, closed.ClosedAt)
		require.Equal(t, run().RunID, closed.ClosedByRunID.UUID)
	}
	never := get[projection.Discrepancy](t, log, projection.DiscrepancyKey(uuidOf(t, repaired.GetDiscrepancyId())))
	require.Nil(t, never.ClosedAt) // It was never open.

	again := log.Reconciled("run")
	again.Resolved = 9
	require.Equal(t, "reconciliation:"+run().RunID.String(), flagged(t, log, again).Entity)
	require.EqualValues(t, 3, run().Resolved) // The first one told stays.
}

func TestReconciliation_what_cannot_be_is_flagged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(p *eventv1.ReconciliationCompleted)
		actual map[string]string
	}{
		"clean, though it raised two": {func(*eventv1.ReconciliationCompleted) {}, map[string]string{"found": "2", "unresolved": "0"}},
		"fewer resolved than named": {func(p *eventv1.ReconciliationCompleted) {
			p.Status, p.Unresolved = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, 1
			p.ResolvedIds = []string{projectiontest.ID("run runa").String()}
		}, map[string]string{"resolved": "0"}},
		"what it resolved is none of the account's": {func(p *eventv1.ReconciliationCompleted) {
			p.Status, p.Unresolved, p.Resolved = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, 2, 2
			p.ResolvedIds = []string{uuid.Nil.String(), projectiontest.ID("run").String()}
		}, map[string]string{"resolved_ids": uuid.Nil.String() + " is none"}},
		"below zero, and backwards": {func(p *eventv1.ReconciliationCompleted) {
			p.Status, p.Unresolved, p.MissingFills, p.DurationMs = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, 2, -1, -5
			p.WindowTo = timestamppb.New(p.GetWindowFrom().AsTime().Add(-time.Second))
		}, map[string]string{"missing_fills": "-1", "duration_ms": "-5", "window_to": "2026-11-23T09:00:06.000000Z"}},
		"of another account": {func(p *eventv1.ReconciliationCompleted) {
			p.AccountId, p.Unresolved = projectiontest.Margin.String(), 2
			p.Status = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED
		}, map[string]string{"account_id": projectiontest.Margin.String()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := registered(t)
			add(t, log, log.RunFound("run", "a", eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR), log.RunFound("run", "b", eventv1.Resolution_RESOLUTION_OBSERVED))
			run := log.Reconciled("run")
			test.change(run)
			found := flagged(t, log, run)
			require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, found.Kind)
			require.Equal(t, test.actual, found.Actual)
			require.Len(t, found.Expected, len(test.actual))
			require.True(t, get[projection.ReconciliationRun](t, log, projection.ReconciliationKey(projectiontest.ID("run run"))).Completed)
		})
	}
}

func TestSnapshot_the_newest_position_is_shown(t *testing.T) {
	t.Parallel()
	log := registered(t)
	shown := func() *projection.Snapshot {
		return get[projection.Snapshot](t, log, projection.SnapshotKey("account", projectiontest.Spot))
	}
	add(t, log, log.SnapshotMade("b", 4), log.SnapshotMade("a", 3), log.SnapshotMade("c", 4))
	require.Equal(t, projectiontest.ID("snapshot c"), shown().SnapshotID)
	require.EqualValues(t, 3, shown().Snapshots)
	require.EqualValues(t, projection.RulesVersion, *shown().RulesVersion)
	add(t, log, log.SnapshotMade("d", 2))
	require.EqualValues(t, 4, shown().AsOfPosition)
	require.EqualValues(t, 4, shown().Snapshots)

	ahead := log.SnapshotMade("e", 1000)
	ahead.EventCount = 2000
	found := flagged(t, log, ahead)
	require.Equal(t, map[string]string{"as_of_position": "1000", "event_count": "2000"}, found.Actual)
	unknown := log.SnapshotMade("f", 1000)
	unknown.ScopeId = projectiontest.ID("nobody").String()
	add(t, log, unknown) // No account to tell it to.
	for scope, id := range map[eventv1.SnapshotScope]uuid.UUID{
		eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY: projectiontest.StrategyID,
		eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION: projectiontest.ID("no position"),
	} {
		of := log.SnapshotMade("g", -1)
		of.Scope, of.ScopeId = scope, id.String()
		anomalies, err := log.Append(of)
		require.NoError(t, err)
		require.Len(t, anomalies, map[bool]int{true: 1}[id == projectiontest.StrategyID])
	}
}

func TestRebuilt_is_recorded_once(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	run := func(name string) *projection.ReplayRun {
		return get[projection.ReplayRun](t, s.Log, projection.ReplayKey(projectiontest.ID("rebuild "+name)))
	}
	again := s.Rebuilt("r", 4)
	add(t, s.Log, s.Rebuilt("r", 3), again)
	require.EqualValues(t, 3, run("r").ToPosition)
	require.Equal(t, "all", run("r").Scope)
	require.True(t, run("r").Identical)

	mended := s.Rebuilt("of the tenant", 3)
	mended.Identical = false
	add(t, s.Log, mended) // It contradicts itself, and there is no account to tell it to.
	order := s.Intent(s.plan.EntryID()).OrderID.UUID
	for name, change := range map[string]func(p *eventv1.ProjectionRebuilt){
		"account": func(p *eventv1.ProjectionRebuilt) {
			p.Scope, p.ScopeId = eventv1.RebuildScope_REBUILD_SCOPE_ACCOUNT, projectiontest.Spot.String()
		},
		"strategy": func(p *eventv1.ProjectionRebuilt) {
			p.Scope, p.ScopeId = eventv1.RebuildScope_REBUILD_SCOPE_STRATEGY, projectiontest.StrategyID.String()
		},
		"position": func(p *eventv1.ProjectionRebuilt) {
			p.Scope, p.ScopeId = eventv1.RebuildScope_REBUILD_SCOPE_POSITION, s.plan.PositionID().String()
		},
		"stream": func(p *eventv1.ProjectionRebuilt) {
			p.Scope, p.StreamKey = eventv1.RebuildScope_REBUILD_SCOPE_STREAM, "order:"+order.String()
		},
	} {
		odd := s.Rebuilt(name, 2000)
		odd.ChecksumAfter, odd.EventsApplied = "other", -1
		change(odd)
		found := flagged(t, s.Log, odd)
		require.Equal(t, map[string]string{"to_position": "2000", "events_applied": "-1", "identical": "true"}, found.Actual)
		require.Equal(t, projectiontest.Spot, found.AccountID)
		require.Equal(t, name, run(name).Scope)
	}
}
