package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/cli"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
)

const runID = "7e57ab1e-0000-4000-8000-00000000000a"

func runResult(outcome replayerv1.Outcome) *replayerv1.RunResult {
	return &replayerv1.RunResult{
		RunId: runID, Outcome: outcome, ToPosition: 42, Events: 42, Rows: 7, RowsDifferent: 2, RowsChanged: 2, ChecksumBefore: "aa", ChecksumAfter: "bb",
		Held: durationpb.New(12 * time.Millisecond), Took: durationpb.New(2 * time.Second), Note: "a note",
	}
}

var runDifferences = []*replayerv1.Difference{
	{
		Kind: replayerv1.DifferenceKind_DIFFERENCE_KIND_ALTERED, Table: "orders_current", Key: "o1",
		Fields: []*replayerv1.FieldDifference{{Field: "status", Expected: `"filled"`}, {Field: "fees", Expected: "{}", Found: strings.Repeat("x", 99)}},
	},
	{Kind: replayerv1.DifferenceKind_DIFFERENCE_KIND_LOST, Table: "fills", Key: "f1"},
}

// rebuildAnswer is a rebuild with progress, differences and its result.
func rebuildAnswer(result *replayerv1.RunResult, differences ...*replayerv1.Difference) []any {
	progress := func(phase replayerv1.Phase, done int64) *replayerv1.RebuildResponse {
		return &replayerv1.RebuildResponse{Message: &replayerv1.RebuildResponse_Progress{Progress: &replayerv1.Progress{
			RunId: runID, Phase: phase, EventsDone: done, EventsTotal: 42, EventsPerSecond: 21,
		}}}
	}
	answer := []any{progress(replayerv1.Phase_PHASE_COMPARE, 10), progress(replayerv1.Phase_PHASE_BUILD, 20), progress(replayerv1.Phase_PHASE_DONE, 42)}
	for _, d := range differences {
		answer = append(answer, &replayerv1.RebuildResponse{Message: &replayerv1.RebuildResponse_Difference{Difference: d}})
	}
	return append(answer, &replayerv1.RebuildResponse{Message: &replayerv1.RebuildResponse_Result{Result: result}})
}

func TestReplay(t *testing.T) {
	t.Parallel()
	s := start(t).answer("Rebuild", rebuildAnswer(runResult(replayerv1.Outcome_OUTCOME_MENDED), runDifferences...))
	code, out, errOut := s.run("replay", "--account-id", tenantID, "--from-snapshot", "--differences", "1")
	require.Zero(t, code, errOut)
	for _, text := range []string{
		"altered", `"filled"`, "null", "…", "lost", "f1", "mended", "42 events up to position 42, 2s, 21 a second", "7 rows, 2 differed, 2 changed", "appends waited for 12ms", "checksum aa", "now bb",
	} {
		require.Contains(t, out, text)
	}
	require.Contains(t, errOut, "note: a note")
	require.Contains(t, errOut, "10 of 42 events (compare)")
	require.EqualExportedValues(t, &replayerv1.RebuildRequest{
		Scope: &replayerv1.Scope{Part: &replayerv1.Scope_AccountId{AccountId: tenantID}}, FromSnapshot: true, DifferencesMax: 1,
	}, s.only().request)
}

func TestReplay_scopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line []string
		want *replayerv1.RebuildRequest
	}{
		{[]string{"--tenant", "--build"}, &replayerv1.RebuildRequest{Scope: &replayerv1.Scope{}, Build: true}},
		{[]string{"--stream", "order:x"}, &replayerv1.RebuildRequest{Scope: &replayerv1.Scope{Part: &replayerv1.Scope_StreamKey{StreamKey: "order:x"}}}},
		{[]string{"--strategy-id", "x"}, &replayerv1.RebuildRequest{Scope: &replayerv1.Scope{Part: &replayerv1.Scope_StrategyId{StrategyId: "x"}}}},
		{[]string{"--position-id", "x", "--dry-run"}, &replayerv1.RebuildRequest{Scope: &replayerv1.Scope{Part: &replayerv1.Scope_PositionId{PositionId: "x"}}, DryRun: true}},
	} {
		s := start(t).answer("Rebuild", rebuildAnswer(runResult(replayerv1.Outcome_OUTCOME_IDENTICAL)))
		code, out, errOut := s.run(append([]string{"replay"}, c.line...)...)
		require.Zero(t, code, errOut)
		require.Contains(t, out, "identical")
		require.EqualExportedValues(t, c.want, s.only().request)
	}
	s := start(t)
	for _, line := range [][]string{{"replay"}, {"replay", "--tenant", "--stream", "x"}, {"events", "replay"}, {"validate", "--watch", "--last"}, {"validate", "--every", "1ms"}} {
		code, _, errOut := s.run(line...)
		require.Equal(t, 2, code, errOut)
	}
	require.Empty(t, s.asked)
}

// TestReplay_that_differs: a dry run that finds something is an outcome, and an exit status.
func TestReplay_that_differs(t *testing.T) {
	t.Parallel()
	s := start(t).answer("Rebuild", rebuildAnswer(runResult(replayerv1.Outcome_OUTCOME_DIFFERS), runDifferences...))
	code, _, errOut := s.run("replay", "--tenant", "--dry-run")
	require.Equal(t, 6, code)
	require.Contains(t, errOut, "the state is not what the log folds to: 2 rows differ")
	code, out, _ := s.run("replay", "--tenant", "--dry-run", "-o", "json")
	require.Equal(t, 6, code)
	decoder := json.NewDecoder(strings.NewReader(out))
	var documents []map[string]any
	for decoder.More() {
		var d map[string]any
		require.NoError(t, decoder.Decode(&d))
		documents = append(documents, d)
	}
	require.Len(t, documents, 3)
	require.Equal(t, "OUTCOME_DIFFERS", documents[2]["outcome"])
}

func TestReplay_that_fails(t *testing.T) {
	t.Parallel()
	s := start(t).answer("Rebuild", fault.New(fault.Conflict, "RUN_GOES_ON", "run x goes on").With("run_id", "x"), []any{})
	code, _, errOut := s.run("replay", "--tenant")
	require.Equal(t, 4, code)
	require.Contains(t, errOut, "run_id: x")
	code, _, errOut = s.run("replay", "--tenant")
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "without a result")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	require.Equal(t, 1, cli.Run(ctx, []string{"--data-dir", s.dir, "replay", "--tenant"}, &out, &errs))
	require.Contains(t, errs.String(), "the run was broken off; the state is as it was")
	errs.Reset()
	require.Equal(t, 1, cli.Run(ctx, []string{"--data-dir", s.dir, "validate"}, &out, &errs))
	require.Contains(t, errs.String(), "nothing was changed")
}

func TestReplay_runs(t *testing.T) {
	t.Parallel()
	s := start(t).answer("ListRuns", &replayerv1.ListRunsResponse{Runs: []*replayerv1.Run{{
		RunId: runID, Kind: replayerv1.RunKind_RUN_KIND_REBUILD, Status: replayerv1.RunStatus_RUN_STATUS_INTERRUPTED, Phase: replayerv1.Phase_PHASE_BUILD, EventsDone: 3, EventsTotal: 9,
		StartedAt: timestamppb.New(time.Unix(0, 0)), Message: "it was broken off",
	}}}, &replayerv1.ListRunsResponse{}).answer("CancelRun", &replayerv1.CancelRunResponse{Canceled: true}, &replayerv1.CancelRunResponse{}).
		answer("ResumeRun", []any{&replayerv1.ResumeRunResponse{Message: &replayerv1.ResumeRunResponse_Result{Result: runResult(replayerv1.Outcome_OUTCOME_BUILT)}}})
	code, out, _ := s.run("replay", "list", "--kind", "rebuild")
	require.Zero(t, code)
	require.Contains(t, out, "interrupted")
	require.Contains(t, out, "it was broken off")
	_, out, _ = s.run("replay", "list")
	require.Equal(t, "no runs\n", out)
	_, out, _ = s.run("replay", "cancel", runID)
	require.Equal(t, "canceled\n", out)
	_, out, _ = s.run("replay", "cancel", runID)
	require.Equal(t, "it had ended before\n", out)
	code, out, _ = s.run("replay", "resume", runID)
	require.Zero(t, code)
	require.Contains(t, out, "built anew")
	code, _, _ = s.run("replay", "list", "--limit", "0")
	require.Equal(t, 2, code)
}

func TestValidate(t *testing.T) {
	t.Parallel()
	result := func(outcome replayerv1.Outcome) []any {
		return []any{&replayerv1.ValidateResponse{Message: &replayerv1.ValidateResponse_Result{Result: runResult(outcome)}}}
	}
	s := start(t).answer("Validate", result(replayerv1.Outcome_OUTCOME_IDENTICAL), result(replayerv1.Outcome_OUTCOME_DIFFERS)).
		answer("GetLastValidation", &replayerv1.GetLastValidationResponse{Run: &replayerv1.Run{
			FinishedAt: timestamppb.New(time.Unix(0, 0)), Result: runResult(replayerv1.Outcome_OUTCOME_DIFFERS),
		}})
	code, out, errOut := s.run("validate")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "identical")
	code, _, _ = s.run("validate", "--watch")
	require.Equal(t, 6, code, "it ends with the first difference")
	code, out, _ = s.run("validate", "--last")
	require.Equal(t, 6, code)
	require.Contains(t, out, "validated 1970-01-01T00:00:00Z")
	code, out, _ = s.run("validate", "--last", "-o", "json")
	require.Equal(t, 6, code)
	require.True(t, json.Valid([]byte(out)))
}

func TestState(t *testing.T) {
	t.Parallel()
	s := start(t).answer("StateAt", &replayerv1.StateAtResponse{
		AsOf: 41, IngestedAt: timestamppb.New(time.Unix(0, 0)), EventsFolded: 3, SnapshotId: runID,
		State: &replayerv1.StateAtResponse_Account{Account: &replayerv1.AccountState{
			Account: &projectorv1.Account{AccountId: tenantID, Label: "mine"}, LiveOrders: []*projectorv1.Order{{OrderId: runID, Symbol: "BTCUSDT"}},
			MarginStates: []*projectorv1.MarginState{{AccountId: tenantID}},
		}},
	})
	code, out, errOut := s.run("state", "--at", "41", "--account-id", tenantID)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "ACCOUNT\n")
	require.Contains(t, out, "mine")
	require.Contains(t, out, "LIVE ORDERS\n")
	require.Contains(t, errOut, "true at position 41, 1970-01-01T00:00:00Z; 3 events from snapshot "+runID)
	require.EqualExportedValues(t, &replayerv1.StateAtRequest{
		At: &replayerv1.StateAtRequest_Position{Position: 41}, What: &replayerv1.StateAtRequest_AccountId{AccountId: tenantID},
	}, s.only().request)
	code, out, _ = s.run("state", "--at", "2026-11-23", "--clock", "occurred", "--order-id", runID, "-o", "json")
	require.Zero(t, code)
	require.True(t, json.Valid([]byte(out)))
	require.Equal(t, replayerv1.Clock_CLOCK_OCCURRED, s.asked[1].request.(*replayerv1.StateAtRequest).GetClock())
	for _, line := range [][]string{{"state", "--at", "yesterday", "--order-id", runID}, {"state", "--at", "1"}, {"state", "--order-id", runID}} {
		code, _, errOut := s.run(line...)
		require.Equal(t, 2, code, errOut)
	}
}

func TestEventsReplay(t *testing.T) {
	t.Parallel()
	event := &eventv1.Event{Position: 7, EventType: "POSITION_DISARMED", IngestedAt: timestamppb.New(time.Unix(0, 0)), Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_PositionDisarmed{PositionDisarmed: &eventv1.PositionDisarmed{PositionId: runID}},
	}}
	s := start(t).answer("ReplayEvents", []any{&replayerv1.ReplayEventsResponse{Event: event, Changes: []*replayerv1.RowChange{
		{Table: "positions_current", Key: runID, Fields: []*replayerv1.FieldChange{{Field: "state", Before: `"armed"`, After: `"closed"`}}},
		{Table: "fills", Key: "f", Made: true, Fields: []*replayerv1.FieldChange{{Field: "side", After: `"buy"`}}},
	}}}, fault.New(fault.NotFound, "NOT_FOUND", "no account"))
	code, out, errOut := s.run("events", "replay", "--account-id", tenantID)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "#7  1970-01-01T00:00:00Z  POSITION_DISARMED")
	require.Contains(t, out, `state: "armed" -> "closed"`)
	require.Contains(t, out, "fills f (new)")
	require.Contains(t, out, `side = "buy"`)
	require.Equal(t, "1 event\n", errOut)
	code, _, _ = s.run("events", "replay", "--account-id", tenantID)
	require.Equal(t, 1, code)
}
