package e2e_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// settledHead is the last position of the log, if it can be had now.
func (u *user) settledHead() (int64, error) {
	ctx, cancel := context.WithTimeout(u.ctx(), time.Second)
	defer cancel()
	head, err := u.log().GetHead(ctx, &eventlogv1.GetHeadRequest{})
	return head.GetPosition(), err
}

func TestTheDemoProvesItselfAndRefusesWhatIsNoMarketData(t *testing.T) {
	t.Parallel()
	demo := start(t, "", nil, "demo", "--market-data", marketData())
	require.Zero(t, demo.end(t, demoMax), "%s", demo.output)
	for _, said := range []string{"TRAILING_STOP_UPDATED", "user_close", "RISK_CHECK_FAILED", "duplicates recognised 1", "decided anew after a conflict 1", "hash chain", "tables = fold"} {
		require.Contains(t, demo.output.String(), said)
	}
	bad := start(t, "", nil, "demo", "--market-data", "/nowhere/klines.json")
	require.Equal(t, 2, bad.end(t, demoMax))
	require.Contains(t, bad.output.String(), "/nowhere/klines.json")
}

// TestTheCommandLineAsAPersonUsesIt trades by command lines only, with both forms of output and every exit status.
func TestTheCommandLineAsAPersonUsesIt(t *testing.T) {
	t.Parallel()
	s := sharedStack(t)
	u := s.newUser(t)
	u.stillMarket(btc)
	account := u.account()
	run := func(status int, args ...string) string {
		t.Helper()
		p := start(t, "", nil, append([]string{"--data-dir", s.dir, "--token", u.token, "--tenant-id", u.tenant}, args...)...)
		require.Equal(t, status, p.end(t, time.Minute), "%s\n%s", strings.Join(args, " "), p.output)
		return p.output.String()
	}
	open := []string{"position", "open", "--account-id", account, "--symbol", btc, "--side", "long", "--technical-stop", "93500"}
	head := u.head()
	require.Contains(t, run(0, append(open, "--dry-run")...), "0.06666")
	require.Equal(t, head, u.head(), "a dry run writes nothing")

	run(2, "position", "open", "--account-id", account, "--symbol", btc, "--side", "long", "--technical-stop", "96000")
	command := uuid.NewString()
	var opened struct {
		PositionID string `json:"position_id"`
		Outcome    struct {
			TraceID string `json:"trace_id"`
		} `json:"outcome"`
	}
	require.NoError(t, json.Unmarshal([]byte(run(0, append(open, "--command-id", command, "-o", "json")...)), &opened))
	require.NotEmpty(t, opened.PositionID)
	u.settle()
	require.Contains(t, run(0, "positions", "list"), "active")
	require.Contains(t, run(0, "events", "list", "--stream", "position:"+opened.PositionID), "POSITION_OPENED")
	require.Contains(t, run(0, "events", "search", "--trace-id", opened.Outcome.TraceID), "FILL_RECEIVED")
	require.Contains(t, run(0, "events", "search", "--command-id", command, "--descendants"), "POSITION_OPENED")
	run(0, "position", "move-stop", opened.PositionID, "--new-stop", "94000")

	run(2, "positions", "list", "--no-such-flag")
	run(3, open...) // there is one already
	u.settle()
	run(0, "position", "close", opened.PositionID)
	u.settle()
	require.Contains(t, run(0, "positions", "get", opened.PositionID), "closed")
	for _, resource := range []string{"positions", "orders", "balances", "risk", "strategies", "fills", "intents", "decisions", "accounts"} {
		require.True(t, json.Valid([]byte(run(0, resource, "list", "-o", "json"))), resource)
	}
	run(0, "panic", "--account-id", account)
	run(0, "verify")
}

// TestEveryServiceCanBeExplored asks each service by reflection what it serves, as grpcurl does.
func TestEveryServiceCanBeExplored(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	for _, service := range served {
		stream, err := reflectionv1.NewServerReflectionClient(u.conn(service)).ServerReflectionInfo(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
		answer, err := stream.Recv()
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(answer.GetListServicesResponse().GetService(), func(s *reflectionv1.ServiceResponse) bool {
			return strings.HasPrefix(s.GetName(), "robson."+service+".v1.")
		}), "%s: %v", service, answer)
		require.NoError(t, stream.CloseSend())
	}
}
