package replayer_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer"
)

// quiet is a service whose keeper validates nobody.
var quiet = replayer.Config{Keeper: replayer.KeeperConfig{ValidateEvery: -1}}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	db, dir := testkit.Database(t).URL(), t.TempDir()
	tokens := filepath.Join(dir, "tokens.json")
	require.NoError(t, os.WriteFile(tokens, []byte(`{"tokens":[]}`), 0o600))
	whole := replayer.Config{TokenFile: tokens, ServiceToken: "x", EventlogAddress: "127.0.0.1:1", Database: postgres.Config{URL: db}}
	for name, c := range map[string]struct {
		change func(*replayer.Config)
		says   string
	}{
		"no token":               {func(c *replayer.Config) { c.ServiceToken = "" }, "ServiceToken is empty"},
		"no eventlog":            {func(c *replayer.Config) { c.EventlogAddress = "" }, "EventlogAddress is empty"},
		"no token file":          {func(c *replayer.Config) { c.TokenFile = "/nowhere" }, "token file"},
		"no database":            {func(c *replayer.Config) { c.Database.URL = "" }, "URL is empty"},
		"no such role":           {func(c *replayer.Config) { c.Database.Role = "robson_nobody" }, "robson_nobody"},
		"impossible store":       {func(c *replayer.Config) { c.Store.CompareMax = -1 }, "CompareMax"},
		"impossible time":        {func(c *replayer.Config) { c.Store.HoldMax = -1 }, "HoldMax"},
		"impossible memory":      {func(c *replayer.Config) { c.Store.SnapshotsMax = -1 }, "SnapshotsMax"},
		"impossible runs":        {func(c *replayer.Config) { c.Rebuild.RunsMax = -1 }, "RunsMax"},
		"impossible checkpoints": {func(c *replayer.Config) { c.Rebuild.StretchMax = -1 }, "StretchMax"},
		"impossible keeper":      {func(c *replayer.Config) { c.Keeper.LookEvery = -1 }, "LookEvery"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := whole
			cfg.Listener = listen(t)
			c.change(&cfg)
			require.ErrorContains(t, replayer.Run(t.Context(), testkit.Logger(t), clock.System(), cfg), c.says)
			require.ErrorIs(t, cfg.Listener.Close(), net.ErrClosed, "the listener is given back")
		})
	}
	require.ErrorContains(t, replayer.Run(t.Context(), testkit.Logger(t), clock.System(), replayer.Config{}), "Listener")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	s := setup(t, quiet)
	s.begin(t, 2)
	client := replayerv1.NewValidationServiceClient(s.dial(t, s.replayer, "owner"))
	_, err := client.GetLastValidation(t.Context(), &replayerv1.GetLastValidationRequest{})
	require.Equal(t, codes.NotFound, status.Code(err))
	validate := func() (*replayerv1.RunResult, []*replayerv1.Difference) {
		stream, err := client.Validate(t.Context(), &replayerv1.ValidateRequest{DifferencesMax: 2})
		require.NoError(t, err)
		var differences []*replayerv1.Difference
		for {
			m, err := stream.Recv()
			require.NoError(t, err)
			if m.GetDifference() != nil {
				differences = append(differences, m.GetDifference())
			}
			if m.GetResult() != nil {
				_, err := stream.Recv()
				require.ErrorIs(t, err, io.EOF)
				return m.GetResult(), differences
			}
		}
	}
	result, differences := validate()
	require.Equal(t, replayerv1.Outcome_OUTCOME_IDENTICAL, result.GetOutcome())
	require.Empty(t, differences)
	_, err = s.super.Exec(t.Context(), "update fills set fill_price = fill_price + 1")
	require.NoError(t, err)
	result, differences = validate()
	require.Equal(t, replayerv1.Outcome_OUTCOME_DIFFERS, result.GetOutcome())
	require.Len(t, differences, 2, "as many as were asked for")
	require.Greater(t, result.GetRowsDifferent(), int64(2))
	require.Equal(t, "fill_price", differences[0].GetFields()[0].GetField())
	last, err := client.GetLastValidation(t.Context(), &replayerv1.GetLastValidationRequest{})
	require.NoError(t, err)
	require.Equal(t, result.GetRunId(), last.GetRun().GetRunId())
	require.Equal(t, result.GetRowsDifferent(), last.GetRun().GetResult().GetRowsDifferent())

	_, err = replayerv1.NewValidationServiceClient(s.dial(t, s.replayer, "reader")).GetLastValidation(t.Context(), &replayerv1.GetLastValidationRequest{})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = replayerv1.NewValidationServiceClient(s.dial(t, s.replayer, "stranger")).GetLastValidation(t.Context(), &replayerv1.GetLastValidationRequest{})
	require.Equal(t, codes.NotFound, status.Code(err), "tenants never meet")
}

func TestRuns(t *testing.T) {
	t.Parallel()
	s := setup(t, quiet)
	s.begin(t, 1)
	client := s.rebuilds(t, "owner")
	done, _, err := rebuilt(client.Rebuild(t.Context(), &replayerv1.RebuildRequest{DryRun: true}))
	require.NoError(t, err)
	list, err := client.ListRuns(t.Context(), &replayerv1.ListRunsRequest{Kind: replayerv1.RunKind_RUN_KIND_REBUILD})
	require.NoError(t, err)
	require.Len(t, list.GetRuns(), 1)
	require.Equal(t, replayerv1.RunStatus_RUN_STATUS_DONE, list.GetRuns()[0].GetStatus())
	require.Equal(t, replayerv1.Phase_PHASE_DONE, list.GetRuns()[0].GetPhase())
	require.True(t, list.GetRuns()[0].GetDryRun())
	canceled, err := client.CancelRun(t.Context(), &replayerv1.CancelRunRequest{RunId: done.GetRunId()})
	require.NoError(t, err)
	require.False(t, canceled.GetCanceled())
	stream, err := client.ResumeRun(t.Context(), &replayerv1.ResumeRunRequest{RunId: done.GetRunId()})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	_, err = client.CancelRun(t.Context(), &replayerv1.CancelRunRequest{RunId: uuid.NewString()})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = s.rebuilds(t, "stranger").CancelRun(t.Context(), &replayerv1.CancelRunRequest{RunId: done.GetRunId()})
	require.Equal(t, codes.NotFound, status.Code(err), "tenants never meet")

	_, err = s.super.Exec(t.Context(), "update replay_runs set status = 'interrupted'")
	require.NoError(t, err)
	again, err := client.ResumeRun(t.Context(), &replayerv1.ResumeRunRequest{RunId: done.GetRunId()})
	require.NoError(t, err)
	for {
		m, err := again.Recv()
		require.NoError(t, err)
		if m.GetResult() != nil {
			require.Equal(t, done.GetRunId(), m.GetResult().GetRunId())
			break
		}
	}
	for name, request := range map[string]*replayerv1.RebuildRequest{
		"a snapshot of a tenant":  {FromSnapshot: true},
		"a dry build":             {Build: true, DryRun: true},
		"a build of a part":       {Build: true, Scope: &replayerv1.Scope{Part: &replayerv1.Scope_AccountId{AccountId: uuid.NewString()}}},
		"a stream without a kind": {Scope: &replayerv1.Scope{Part: &replayerv1.Scope_StreamKey{StreamKey: "x"}}},
	} {
		_, _, err := rebuilt(client.Rebuild(t.Context(), request))
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
	}
}

func TestStateAt(t *testing.T) {
	t.Parallel()
	s := setup(t, quiet)
	s.begin(t, 1)
	client := replayerv1.NewHistoryServiceClient(s.dial(t, s.replayer, "reader"))
	plan := projectiontest.Long("begin 0")
	position := &replayerv1.StateAtRequest_PositionId{PositionId: plan.PositionID().String()}
	head := int64(len(s.log.Events))
	ask := func(at int64) (*replayerv1.StateAtResponse, error) {
		return client.StateAt(t.Context(), &replayerv1.StateAtRequest{At: &replayerv1.StateAtRequest_Position{Position: at}, What: position})
	}
	now, err := ask(head)
	require.NoError(t, err)
	require.Equal(t, "POSITION_STATE_CLOSED", now.GetPosition().GetPosition().GetState().String())
	require.NotEmpty(t, now.GetPosition().GetFills())
	require.Len(t, now.GetPosition().GetOrders(), 2)
	before, err := ask(head - 1)
	require.NoError(t, err)
	require.Equal(t, "POSITION_STATE_EXITING", before.GetPosition().GetPosition().GetState().String())
	_, err = ask(1)
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = ask(head + 1)
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	order, err := client.StateAt(t.Context(), &replayerv1.StateAtRequest{
		At:   &replayerv1.StateAtRequest_Time{Time: now.GetIngestedAt()},
		What: &replayerv1.StateAtRequest_OrderId{OrderId: now.GetPosition().GetOrders()[0].GetOrderId()},
	})
	require.NoError(t, err)
	require.NotNil(t, order.GetOrder().GetOrder())
	require.NotNil(t, order.GetOrder().GetIntent())
	require.NotEmpty(t, order.GetOrder().GetFills())
	account, err := client.StateAt(t.Context(), &replayerv1.StateAtRequest{
		At: &replayerv1.StateAtRequest_Position{Position: head - 2}, What: &replayerv1.StateAtRequest_AccountId{AccountId: projectiontest.Spot.String()},
	})
	require.NoError(t, err)
	require.NotNil(t, account.GetAccount().GetRisk())
	require.Len(t, account.GetAccount().GetOpenPositions(), 1)
	_, err = client.StateAt(t.Context(), &replayerv1.StateAtRequest{
		At: &replayerv1.StateAtRequest_Position{Position: 1}, What: position, Clock: replayerv1.Clock_CLOCK_OCCURRED,
	})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.StateAt(t.Context(), &replayerv1.StateAtRequest{At: &replayerv1.StateAtRequest_Time{Time: timestamppb.New(time.Unix(0, 0))}, What: position})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = client.StateAt(t.Context(), &replayerv1.StateAtRequest{At: &replayerv1.StateAtRequest_Position{Position: 1}})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestReplayEvents(t *testing.T) {
	t.Parallel()
	s := setup(t, quiet)
	s.begin(t, 2)
	client := replayerv1.NewHistoryServiceClient(s.dial(t, s.replayer, "reader"))
	walk := func(request *replayerv1.ReplayEventsRequest) []*replayerv1.ReplayEventsResponse {
		stream, err := client.ReplayEvents(t.Context(), request)
		require.NoError(t, err)
		var all []*replayerv1.ReplayEventsResponse
		for {
			m, err := stream.Recv()
			if err == io.EOF { //nolint:errorlint // gRPC gives it bare.
				return all
			}
			require.NoError(t, err)
			all = append(all, m)
		}
	}
	whole := walk(&replayerv1.ReplayEventsRequest{})
	require.Len(t, whole, len(s.log.Events))
	plan := projectiontest.Long("begin 0")
	of := walk(&replayerv1.ReplayEventsRequest{Scope: &replayerv1.Scope{Part: &replayerv1.Scope_PositionId{PositionId: plan.PositionID().String()}}})
	require.Equal(t, "POSITION_ARMED", of[0].GetEvent().GetEventType())
	require.True(t, of[0].GetChanges()[0].GetMade())
	last := of[len(of)-1]
	require.Equal(t, "POSITION_CLOSED", last.GetEvent().GetEventType())
	fields := map[string]string{}
	for _, c := range last.GetChanges() {
		for _, f := range c.GetFields() {
			fields[c.GetTable()+"."+f.GetField()] = f.GetBefore() + " -> " + f.GetAfter()
		}
	}
	require.Equal(t, `"exiting" -> "closed"`, fields["positions_current.state"])
	require.Len(t, walk(&replayerv1.ReplayEventsRequest{Limit: 3}), 3)
	require.Len(t, walk(&replayerv1.ReplayEventsRequest{AfterPosition: 3, ToPosition: 5}), 2)
	stream, err := client.ReplayEvents(context.WithoutCancel(t.Context()), &replayerv1.ReplayEventsRequest{ToPosition: 10_000})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
