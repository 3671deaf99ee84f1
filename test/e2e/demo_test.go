package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// settledHead is the last position of the log, if it can be had now.
func (u *user) settledHead() (int64, error) {
	ctx, cancel := context.WithTimeout(u.ctx(), time.Second)
	defer cancel()
	head, err := u.log().GetHead(ctx, &eventlogv1.GetHeadRequest{})
	return head.GetPosition(), err
}

// demoTime is the most that a demo may take after the build.
const demoTime = time.Minute

func TestTheDemoProvesItselfOnRecordedData(t *testing.T) {
	t.Parallel()
	if marketData() == "auto" {
		t.Skip("ROBSON_MARKET_DATA names no directory with btcusdt-1h-2020-04-30.json")
	}
	demo := start(t, "", nil, "demo", "--market-data", marketData())
	require.Zero(t, demo.end(t, demoTime), "%s", demo.output)
	for _, said := range []string{
		"trailing_stop", "user_close", "RISK_CHECK_FAILED", "filled in 3 parts", "canceled; the position is closed", "sold with borrowed coins", "duplicates recognised 1",
		"decided anew after a conflict", "hash chain", "tables = fold", "all held",
	} {
		require.Contains(t, demo.output.String(), said)
	}
}

// TestTheDemoLeavesNothingBehind has whoever reads its output go away in the middle: its stack ends, and its data goes.
func TestTheDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), "demo", "--market-data", marketData())
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	first, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, dir, found := strings.Cut(strings.TrimSpace(first), " of its own in ")
	require.True(t, found, first)
	require.NoError(t, out.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 1, exit.ExitCode(), errors.String())
	require.Equal(t, "error: interrupted; the demo's stack is taken away\n", errors.String())
	require.NoDirExists(t, dir)
}

// passing are what differs between two runs: ids, hashes, moments, and how often the race had to be run.
var passing = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{64}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+Z?|rb-[a-z0-9]+`)

// scenes are a demo's sections, by their titles.
func scenes(demo *process) map[string]string {
	sections := map[string]string{}
	for _, section := range strings.Split(demo.output.String(), "\n── ") {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = passing.ReplaceAllString(text, "~")
	}
	return sections
}

func TestTheDemoPlaysTheSameEachTime(t *testing.T) {
	t.Parallel()
	runs := []*process{start(t, "", nil, "demo"), start(t, "", nil, "demo")}
	for _, demo := range runs {
		require.Zero(t, demo.end(t, demoTime), "%s", demo.output)
	}
	first, second := scenes(runs[0]), scenes(runs[1])
	for _, title := range []string{
		"market data", "a long, sized by the Golden Rule", "a trade too big for its account", "the market moves; the stop trails and is hit",
		"a short on borrowed coins, left by command", "the long's P&L, by hand", "the short's P&L, by hand",
	} {
		require.NotEmpty(t, first[title], "%s: %s", title, runs[0].output)
		require.Equal(t, first[title], second[title])
	}
}

func TestTheDemoRefusesWhatIsNoMarketData(t *testing.T) {
	t.Parallel()
	const bar = `[1588280400000,"8620.00","8640.50","8600.00","8630.00","12.5",1588283999999,"0",1,"0","0","0"]`
	for name, c := range map[string]struct{ data, says string }{
		"no array":          {`{"code":-1121,"msg":"Invalid symbol."}`, "JSON array"},
		"nothing":           {``, "JSON array"},
		"no rows":           {`[]`, "empty"},
		"rows out of order": {"[" + bar + "," + bar + "]", "row 1"},
		"a price of zero":   {`[[1588280400000,"0","8640.50","0","8630.00","12.5",1588283999999]]`, "row 0"},
		"too short a path":  {"[" + bar + "]", "longer"},
	} {
		path := filepath.Join(t.TempDir(), "klines.json")
		require.NoError(t, os.WriteFile(path, []byte(c.data), 0o600))
		requireUsage(t, name, c.says, path)
	}
	requireUsage(t, "no such file", "no such file", "/nowhere/klines.json")
}

// requireUsage holds that a demo on a file ends at once, with the status of bad input and one line that says why.
func requireUsage(t *testing.T, name, says, path string) {
	t.Helper()
	demo := start(t, "", nil, "demo", "--market-data", path)
	require.Equal(t, 2, demo.end(t, demoTime), "%s: %s", name, demo.output)
	require.Contains(t, demo.output.String(), says, name)
	require.Contains(t, demo.output.String(), "--market-data", name)
	require.Equal(t, 1, strings.Count(demo.output.String(), "error: "), "%s: %s", name, demo.output)
}

// TestTheCommandLineAsAPersonUsesIt trades by command lines only, with both forms of output and every exit status.
func TestTheCommandLineAsAPersonUsesIt(t *testing.T) {
	t.Parallel()
	s := sharedStack(t)
	u := s.newUser(t)
	u.withoutSnapshots()
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
	require.Empty(t, u.newsSince(head), "a dry run writes nothing")

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
	run(3, open...)                                                       // there is one already
	run(4, append(open, "--command-id", command, "--capital", "5000")...) // the id stands for another request
	u.settle()
	run(0, "position", "close", opened.PositionID)
	u.settle()
	require.Contains(t, run(0, "positions", "get", opened.PositionID), "closed")
	for _, resource := range []string{"positions", "orders", "balances", "risk", "strategies", "fills", "intents", "decisions", "accounts"} {
		require.True(t, json.Valid([]byte(run(0, resource, "list", "-o", "json"))), resource)
	}
	for _, line := range [][]string{{"list", "--backwards", "--limit", "5"}, {"search", "--type", "FILL_RECEIVED"}, {"search", "--command-id", command, "--descendants"}} {
		require.True(t, json.Valid([]byte(run(0, append(append([]string{"events"}, line...), "-o", "json")...))), line)
	}
	run(0, "panic", "--account-id", account)
	require.Contains(t, run(3, open...), "account_violated") // entries are halted
	run(0, "verify")

	// Where nobody answers it is worth trying again, safely.
	nowhere, err := json.Marshal(profile{Addresses: map[string]string{"command": "127.0.0.1:1", "projector": "127.0.0.1:1"}, Token: u.token, TenantID: u.tenant})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "client.json"), nowhere, 0o600))
	p := start(t, "", nil, append([]string{"--data-dir", dir}, open...)...)
	require.Equal(t, 5, p.end(t, time.Minute), "%s", p.output)
	require.Contains(t, p.output.String(), "--command-id")
}
