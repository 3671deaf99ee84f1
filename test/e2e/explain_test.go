package e2e_test

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// explained is what this test looks at of the document of robson explain.
type explained struct {
	Outcome  string `json:"outcome"`
	Commands []struct {
		CommandID string `json:"command_id"`
		ActorType string `json:"actor_type"`
	} `json:"commands"`
	Decisions []struct {
		Verdict string `json:"verdict"`
		Checks  []any  `json:"checks"`
		Limits  struct {
			Account struct {
				MaxExposure string `json:"max_exposure"`
			} `json:"account"`
		} `json:"limits"`
	} `json:"decisions"`
	Chain struct {
		Lines   []any `json:"lines"`
		LeftOut int   `json:"left_out"`
	} `json:"chain"`
	Venue []int64 `json:"venue"`
	Money struct {
		Fills        []any  `json:"fills"`
		EntryCost    string `json:"entry_cost"`
		ExitProceeds string `json:"exit_proceeds"`
		Closed       struct {
			NetPnL string `json:"net_pnl"`
		} `json:"closed"`
	} `json:"money"`
	Balance struct {
		Spans []struct {
			Unexplained string `json:"unexplained"`
		} `json:"spans"`
	} `json:"balance"`
	Events []struct {
		EventType string `json:"event_type"`
	} `json:"events"`
}

// TestExplainingAndWatching: a position is opened and closed while one process follows the log and another watches; then it is
// explained, with its orders, trades and balance, and so is one that the risk gates refused.
func TestExplainingAndWatching(t *testing.T) {
	t.Parallel()
	s := sharedStack(t)
	u := s.newUser(t)
	u.stillMarket(btc)
	account := u.account()
	line := func(args ...string) []string {
		return append([]string{"--data-dir", s.dir, "--token", u.token, "--tenant-id", u.tenant}, args...)
	}
	run := func(status int, args ...string) string {
		t.Helper()
		p := start(t, "", nil, line(args...)...)
		require.Equal(t, status, p.end(t, time.Minute), "%s\n%s", strings.Join(args, " "), p.output)
		return p.output.String()
	}
	tail := start(t, "POSITION_CLOSED", nil, line("events", "tail", "--after-position", "0")...)
	watch := start(t, "closed", nil, line("positions", "list", "--watch")...)
	opened := u.open(&commandv1.OpenPositionRequest{AccountId: account, Symbol: btc, Side: long, TechnicalStop: "93500"})
	u.settle()
	u.close(opened.GetPositionId())
	for _, p := range []*process{tail, watch} {
		select {
		case <-p.output.said:
		case <-time.After(settleMax):
			require.FailNow(t, "it was not told", "%s", p.output)
		}
		p.signal(syscall.SIGINT)
		require.Zero(t, p.command.ProcessState.ExitCode(), "Ctrl-C ends it as it should: %s", p.output)
	}
	require.Equal(t, 1, strings.Count(tail.output.String(), "POSITION_ARMED"))

	row := u.position(opened.GetPositionId())
	require.Contains(t, run(0, "explain", "position", opened.GetPositionId()), "what the gates saw")
	x := explanation(t, run(0, "explain", "position", opened.GetPositionId(), "-o", "json"))
	require.Equal(t, "approved", x.Decisions[0].Verdict)
	require.NotEmpty(t, x.Decisions[0].Checks)
	require.Equal(t, []string{row.GetEntryCost(), row.GetExitProceeds(), row.GetNetPnl()}, []string{x.Money.EntryCost, x.Money.ExitProceeds, x.Money.Closed.NetPnL}, "as the books have it")
	require.Equal(t, "cli", x.Commands[0].ActorType)
	require.Zero(t, x.Chain.LeftOut)
	types := map[string]int{}
	for _, e := range x.Events {
		types[e.EventType]++
	}
	require.Positive(t, types["ORDER_ACKED"], "which names no position")
	require.Positive(t, types["ORDER_CANCELED"], "the stop's, which names no position either")

	fills := u.fills(opened.GetPositionId())
	require.Contains(t, run(0, "explain", "order", fills[0].GetOrderId()), "filled: ")
	require.Len(t, explanation(t, run(0, "explain", "fill", fills[0].GetFillId(), "-o", "json")).Money.Fills, 1)
	balance := explanation(t, run(0, "explain", "balance", account, "--wallet", "spot", "--asset", "USDT", "-o", "json"))
	require.NotEmpty(t, balance.Balance.Spans)
	require.Contains(t, run(0, "explain", "balance", account, "--wallet", "spot", "--asset", "USDT"), "sample by")

	run(3, "position", "open", "--account-id", account, "--symbol", btc, "--side", "long", "--technical-stop", "93500", "--capital", "5000000")
	refused := u.query(&eventlogv1.EventFilter{AccountId: account, EventTypes: []string{"RISK_CHECK_FAILED"}})
	_, id, _ := strings.Cut(refused[0].GetStreamKey(), ":")
	x = explanation(t, run(0, "explain", "position", id, "-o", "json"))
	require.Equal(t, "refused", x.Decisions[0].Verdict)
	require.Contains(t, x.Outcome, "disarmed: refused by the risk gates: ")

	nobody := uuid.NewString()
	require.Contains(t, run(1, "explain", "order", nobody), "there is no order "+nobody)
	require.Contains(t, run(1, "explain", "order", nobody, "-o", "json"), `{"error":{"kind":"not found"`)
	require.Contains(t, run(1, "orders", "get", nobody, "--watch"), "there is no such row")
	requireNoStranger(t, s, opened.GetPositionId())
}

// requireNoStranger holds that another tenant's user is told nothing of a position.
func requireNoStranger(t *testing.T, s *stack, position string) {
	t.Helper()
	u := s.newUser(t)
	stream, err := projectorv1.NewWatchServiceClient(u.conn("projector")).WatchPositions(u.ctx(), &projectorv1.WatchPositionsRequest{PositionId: position})
	require.NoError(t, err)
	for {
		m, err := stream.Recv()
		require.NoError(t, err)
		require.Nil(t, m.GetRow())
		if m.GetSynced() != nil {
			return
		}
	}
}

// explanation reads the document.
func explanation(t *testing.T, text string) *explained {
	t.Helper()
	var x explained
	require.NoError(t, json.Unmarshal([]byte(text), &x), text)
	return &x
}
