package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/cli"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

const (
	snapshotID = "5c1f6a8e-0000-4000-8000-000000000001"
	scopeID    = "0f8fad5b-d9cb-469f-a165-70867728950e"
)

// aSnapshot is one of a position.
func aSnapshot() *snapshotterv1.Snapshot {
	return &snapshotterv1.Snapshot{
		SnapshotId: snapshotID, Scope: &snapshotterv1.Scope{Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION, Id: scopeID},
		AsOfPosition: 42, Trigger: snapshotterv1.Trigger_TRIGGER_COUNT, Rows: 7, StoredBytes: 1234,
		CreatedAt: timestamppb.New(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)),
	}
}

func TestSnapshots_create(t *testing.T) {
	t.Parallel()
	s := start(t).answer("CreateSnapshot", &snapshotterv1.CreateSnapshotResponse{Snapshot: aSnapshot(), Created: true}, &snapshotterv1.CreateSnapshotResponse{Snapshot: aSnapshot()}, fault.InvalidField("scope.id", "must be a UUID"))
	for flag, kind := range map[string]eventv1.SnapshotScope{
		"--account-id":  eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT,
		"--strategy-id": eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY,
		"--position-id": eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION,
	} {
		s := start(t).answer("CreateSnapshot", &snapshotterv1.CreateSnapshotResponse{Snapshot: aSnapshot(), Created: true})
		code, out, errOut := s.run("snapshots", "create", flag, scopeID)
		require.Zero(t, code, errOut)
		require.Contains(t, out, snapshotID)
		require.NotContains(t, out, "nothing has happened")
		require.EqualExportedValues(t, &snapshotterv1.CreateSnapshotRequest{Scope: &snapshotterv1.Scope{Kind: kind, Id: scopeID}}, s.only().request)
	}
	code, out, _ := s.run("snapshots", "create", "--account-id", scopeID, "-o", "json")
	require.Zero(t, code)
	require.Regexp(t, `"created": +true`, out)
	code, out, _ = s.run("snapshots", "create", "--account-id", scopeID)
	require.Zero(t, code)
	require.Contains(t, out, "nothing has happened since")
	code, _, errOut := s.run("snapshots", "create", "--position-id", "x")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "error: --position-id: must be a UUID\n")
	code, _, errOut = s.run("snapshots", "create")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "needs --account-id")
}

func TestSnapshots_list_and_get(t *testing.T) {
	t.Parallel()
	bad := aSnapshot()
	bad.Unfit = snapshotterv1.Unfit_UNFIT_BAD_HASH
	page := &snapshotterv1.ListSnapshotsResponse{Snapshots: []*snapshotterv1.Snapshot{aSnapshot(), bad}, NextPageToken: "next"}
	s := start(t).answer("ListSnapshots", page, page, &snapshotterv1.ListSnapshotsResponse{}).answer("GetSnapshot", &snapshotterv1.GetSnapshotResponse{Snapshot: aSnapshot()})
	code, out, errOut := s.run("snapshots", "list", "--position-id", scopeID, "--unfit", "--limit", "2", "--page-token", "from")
	require.Zero(t, code, errOut)
	yes := true
	require.EqualExportedValues(t, &snapshotterv1.ListSnapshotsRequest{
		Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION, ScopeId: scopeID, Unfit: &yes, PageSize: 2, PageToken: "from",
	}, s.only().request)
	require.Contains(t, out, snapshotID)
	require.Contains(t, out, "bad_hash")
	require.Contains(t, out, "more: --page-token next\n")
	code, out, _ = s.run("snapshots", "list", "-o", "json")
	require.Zero(t, code)
	require.Regexp(t, `"next_page_token": +"next"`, out)
	code, out, _ = s.run("snapshots", "list")
	require.Zero(t, code)
	require.Equal(t, "no snapshots\n", out)
	for _, format := range []string{"table", "json"} {
		code, out, _ = s.run("snapshots", "get", snapshotID, "-o", format)
		require.Zero(t, code)
		require.Contains(t, out, "1234")
	}
}

func TestSnapshots_verify(t *testing.T) {
	t.Parallel()
	bad := aSnapshot()
	bad.Unfit = snapshotterv1.Unfit_UNFIT_OTHER_CHAIN
	verified := func(s *snapshotterv1.Snapshot, why string) any {
		return &snapshotterv1.VerifySnapshotsResponse{Message: &snapshotterv1.VerifySnapshotsResponse_Verified{Verified: &snapshotterv1.VerifiedSnapshot{Snapshot: s, Description: why}}}
	}
	progress := &snapshotterv1.VerifySnapshotsResponse{Message: &snapshotterv1.VerifySnapshotsResponse_Progress{Progress: &snapshotterv1.VerifyProgress{EventsDone: 21, EventsTotal: 42, EventsPerSecond: 7}}}
	sum := func(verified, unfit int64) any {
		return &snapshotterv1.VerifySnapshotsResponse{Message: &snapshotterv1.VerifySnapshotsResponse_Summary{Summary: &snapshotterv1.VerifySummary{Verified: verified, Unfit: unfit}}}
	}
	s := start(t).answer("VerifySnapshots", []any{progress, verified(aSnapshot(), ""), sum(1, 0)}, []any{verified(bad, "another log"), sum(1, 1)}, []any{sum(0, 0)}, []any{},
		fault.New(fault.Exhausted, "VERIFYING_ALREADY", "2 verifications are under way already"))
	code, out, errOut := s.run("snapshots", "verify", snapshotID, "--deep")
	require.Zero(t, code, errOut)
	require.EqualExportedValues(t, &snapshotterv1.VerifySnapshotsRequest{SnapshotId: snapshotID, Deep: true}, s.only().request)
	require.Contains(t, errOut, "21 of 42 events")
	require.Equal(t, snapshotID+"  position "+scopeID+" at position 42: fit\n1 snapshot verified, 0 not fit\n", out)
	code, out, errOut = s.run("snapshots", "verify")
	require.Equal(t, 1, code)
	require.Contains(t, out, "NOT FIT (other_chain): another log\n")
	require.Contains(t, errOut, "1 of 1 snapshot are not fit for use")
	code, out, _ = s.run("snapshots", "verify", "-o", "json")
	require.Zero(t, code)
	require.Contains(t, out, "summary")
	code, _, errOut = s.run("snapshots", "verify")
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "without a sum")
	code, _, errOut = s.run("snapshots", "verify")
	require.Equal(t, 5, code)
	require.Contains(t, errOut, "under way already")
	code, _, errOut = s.run("snapshots", "verify", "a", "b")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "one argument at most")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var told, failed bytes.Buffer
	require.Equal(t, 1, cli.Run(ctx, []string{"--data-dir", s.dir, "snapshots", "verify"}, &told, &failed))
	require.Contains(t, failed.String(), "broken off")
}

func TestSnapshots_restore(t *testing.T) {
	t.Parallel()
	row := func(context bool) any {
		return &snapshotterv1.RestoreSnapshotResponse{Message: &snapshotterv1.RestoreSnapshotResponse_Row{Row: &snapshotterv1.Row{Table: "fills", Key: "a|b", Json: []byte(`{"fee":"0.1"}`), Context: context}}}
	}
	head := &snapshotterv1.RestoreSnapshotResponse{Message: &snapshotterv1.RestoreSnapshotResponse_Snapshot{Snapshot: aSnapshot()}}
	want := `{"table":"fills","key":"a|b","row":{"fee":"0.1"}}` + "\n" + `{"table":"fills","key":"a|b","context":true,"row":{"fee":"0.1"}}` + "\n"
	s := start(t).answer("RestoreSnapshot", []any{head, row(false), row(true)})
	code, out, errOut := s.run("snapshots", "restore", snapshotID)
	require.Zero(t, code, errOut)
	require.Equal(t, want, out)
	require.Equal(t, "2 rows of position "+scopeID+" as of position 42\n", errOut)
	file := filepath.Join(t.TempDir(), "state.jsonl")
	code, out, _ = s.run("snapshots", "restore", snapshotID, "--file", file)
	require.Zero(t, code)
	require.Empty(t, out)
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(written))
	code, _, errOut = s.run("snapshots", "restore", snapshotID, "--file", file)
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "--file")

	s.answer("RestoreSnapshot", fault.New(fault.Refused, "SNAPSHOT_UNFIT", "snapshot is not used"))
	other := filepath.Join(t.TempDir(), "none")
	code, _, errOut = s.run("snapshots", "restore", snapshotID, "--file", other)
	require.Equal(t, 3, code)
	require.Contains(t, errOut, "not used")
	require.NoFileExists(t, other)
}

func TestSnapshots_prune(t *testing.T) {
	t.Parallel()
	removed := &snapshotterv1.PruneSnapshotsResponse{Message: &snapshotterv1.PruneSnapshotsResponse_Removed{Removed: aSnapshot()}}
	sum := &snapshotterv1.PruneSnapshotsResponse{Message: &snapshotterv1.PruneSnapshotsResponse_Summary{Summary: &snapshotterv1.PruneSummary{Removed: 1, StoredBytes: 1234}}}
	s := start(t).answer("PruneSnapshots", []any{removed, sum})
	code, out, errOut := s.run("snapshots", "prune", "--keep", "2", "--dry-run", "--account-id", scopeID)
	require.Zero(t, code, errOut)
	require.EqualExportedValues(t, &snapshotterv1.PruneSnapshotsRequest{Keep: 2, DryRun: true, Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT, ScopeId: scopeID}, s.only().request)
	require.Equal(t, snapshotID+"  position "+scopeID+" at position 42, 1234 bytes\n1 snapshot would be removed, 1234 bytes\n", out)
	code, out, _ = s.run("snapshots", "prune", "--older-than", "24h")
	require.Zero(t, code)
	require.Contains(t, out, "1 snapshot removed")
	request, is := s.asked[1].request.(*snapshotterv1.PruneSnapshotsRequest)
	require.True(t, is)
	require.WithinDuration(t, time.Now().Add(-24*time.Hour), request.GetCreatedBefore().AsTime(), time.Minute) //nolint:forbidigo // what the command line took for now
	code, out, _ = s.run("snapshots", "prune", "-o", "json")
	require.Zero(t, code)
	require.Contains(t, out, "stored_bytes")
	code, _, errOut = s.run("snapshots", "prune", "--older-than", "-1h")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "--older-than")
}

func TestSnapshots_schedule(t *testing.T) {
	t.Parallel()
	is := &snapshotterv1.Schedule{EveryEvents: 5000, AtWorkflowEnd: true}
	s := start(t).answer("GetSchedule", &snapshotterv1.GetScheduleResponse{Schedule: is}).
		answer("SetSchedule", &snapshotterv1.SetScheduleResponse{Schedule: &snapshotterv1.Schedule{EverySeconds: 60}}, fault.InvalidField("every_events", "must be 0 (never) or from 100 to 100000000"))
	code, out, errOut := s.run("snapshots", "schedule")
	require.Zero(t, code, errOut)
	require.Equal(t, "each 5000 events, never by seconds, at the end of each workflow\n", out)
	s.asked = nil
	code, out, _ = s.run("snapshots", "schedule", "--every-events", "0", "--at-workflow-end=false")
	require.Zero(t, code)
	require.Equal(t, "never by events, each 60 seconds, not at the end of a workflow\n", out)
	zero, no := int32(0), false
	require.EqualExportedValues(t, &snapshotterv1.SetScheduleRequest{EveryEvents: &zero, AtWorkflowEnd: &no}, s.only().request)
	code, _, errOut = s.run("snapshots", "schedule", "--every-events", "7")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "error: --every-events: must be 0 (never)")
	code, out, _ = s.run("snapshots", "schedule", "-o", "json")
	require.Zero(t, code)
	require.Contains(t, out, "every_events")
}
