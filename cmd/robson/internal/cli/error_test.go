package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/fault"
)

// TestUsage holds what is said of a line that cannot be meant: one line, exit status 2, nothing on standard output.
func TestUsage(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for line, want := range map[string]string{
		"positon":                                          `"robson" has no command "positon": did you mean position or positions?`,
		"position opne --account-id x":                     `"robson position" has no command "opne": did you mean open?`,
		"--frobnicate":                                     `"robson" has no flag --frobnicate; see robson --help`,
		"position --frobnicate=1":                          `"robson position" has no flag --frobnicate=1; see robson position --help`,
		"events -o table -z":                               `"robson events" has no flag -z; see robson events --help`,
		"position frobnicate":                              `"robson position" has no command "frobnicate"; it has arm, close, disarm, move-stop, open`,
		"position open --acount-id x":                      `"robson position open" has no flag --acount-id: did you mean --account-id?`,
		"position open --stop 1":                           `"robson position open" has no flag --stop: did you mean --technical-stop?`,
		"positions list --frobnicate":                      `"robson positions list" has no flag --frobnicate; see robson positions list --help`,
		"positions list -x":                                `unknown shorthand flag: 'x' in -x`,
		"positions list all":                               `"robson positions list" takes no argument, found "all"`,
		"position open --symbol BTCUSDT":                   `"robson position open" needs --account-id, --side, --technical-stop; see robson position open --help`,
		"position close":                                   `"robson position close" takes one argument, POSITION_ID, found 0`,
		"positions list --limit":                           `flag needs an argument: --limit`,
		"positions list --limit many":                      `--limit: "many" is no whole number`,
		"positions list --limit 0":                         `--limit: must be at least 1, found 0`,
		"positions list --state sleeping":                  `--state: "sleeping" is not one of armed, entering, active, exiting, closed, error`,
		"strategies list --is-enabled=perhaps":             `--is-enabled: "perhaps" is no true or false`,
		"events search":                                    `give at least one condition: --trace-id`,
		"events search --descendants":                      `--descendants: needs --command-id`,
		"events search --since yesterday":                  `--since: "yesterday" is no time: write 2026-11-23T10:00:00Z or 2026-11-23 (UTC)`,
		"events list --from -1":                            `--from: must be at least 1, found -1`,
		"position close " + positionID + " --command-id x": `--command-id: "x" is no UUID`,
		"strategy register --account-id a --strategy-name a --strategy-type a --risk-percent 1 --detector-config x":             `--detector-config: "x" is no list of key=value`,
		"strategy register --account-id a --strategy-name a --strategy-type a --risk-percent 1 --max-open-positions 5000000000": `--max-open-positions: 5000000000 is too large`,
		"reconcile --account-id a --resolve 0d9f": `--resolve: "0d9f" is no UUID`,
		"panic --account-id= --note x":            `--account-id: is empty`,
		"version --output xml":                    `--output must be table or json, found "xml"`,
		"version --log-level loud":                `--log-level: "loud" does not fit`,
		"serve ledger":                            `there is no service "ledger": one of command, eventlog, projector, snapshotter, replayer, connector`,
		"serve":                                   `takes one argument, SERVICE, one of command, eventlog, projector, snapshotter, replayer, connector, found 0`,
		"serve eventlog":                          `serve eventlog needs --token-file (or ROBSON_TOKEN_FILE), --database-url (or ROBSON_DATABASE_URL)`,
		"serve command":                           `serve command needs --token-file (or ROBSON_TOKEN_FILE), --service-token-file (or ROBSON_SERVICE_TOKEN_FILE)`,
		"demo --venue kraken":                     `--venue: must be paper or binance-sim, found "kraken"`,
		"demo --venue binance-sim --attach":       `--venue: binance-sim is a stack of its own; leave --attach out`,
		"serve connector --ask-first 0s":          `--ask-first: 0s: must be above zero`,
		"serve connector --ask-first 10s":         `--ask-first: 10s is more than --ask-max 8s`,
		"up --young -1s":                          `--young: -1s: must be above zero`,
		"serve connector --token-file x --service-token-file /nowhere/token": `--service-token-file: open /nowhere/token`,
		"serve connector --token-file x --service-token-file " + empty:       `is empty`,
		"migrate up":                           `say which PostgreSQL: --database-url or ROBSON_DATABASE_URL`,
		"migrate force seven --database-url x": `N: "seven" is no version`,
		"demo --market-data /nowhere.json":     `--market-data: read market data: open /nowhere.json`,
		"demo --market-data " + empty:          `--market-data: ` + empty + `: klines must be a JSON array of arrays`,
		"demo --market-data=":                  `--market-data: is empty`,
		"paper load BTCUSDT":                   `"robson paper load" needs --klines`,
		"paper load BTCUSDT --klines " + empty: `klines must be a JSON array of arrays`,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := start(t).run(strings.Fields(line)...)
			require.Equal(t, 2, code, errOut)
			require.Empty(t, out)
			require.Contains(t, errOut, want)
			require.True(t, strings.HasPrefix(errOut, "error: "), errOut)
			require.Equal(t, 1, strings.Count(errOut, "\n"), errOut)
		})
	}
}

// TestHelp shows what a group has, and is no failure.
func TestHelp(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"": "Trade:", "position": "move-stop", "position open --help": "--technical-stop string", "help events": "search", "completion bash": "bash completion",
	} {
		code, out, errOut := run(t, strings.Fields(line)...)
		require.Zero(t, code, errOut)
		require.Contains(t, out, want)
	}
}

// TestExitCodes holds what a service answers to an exit status and to what is said.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	const open = "position open --account-id x --symbol btc --side long --technical-stop 1"
	for name, c := range map[string]struct {
		line string
		err  error
		code int
		says []string
	}{
		"invalid": {open, fault.InvalidField("account_id", "must be a UUID").WithField("symbol", "must be a venue's symbol"), 2, []string{"error: --account-id: must be a UUID\n", "error: --symbol: must be a venue's symbol\n"}},
		"invalid, nested": {
			"account register --environment sim --product spot --label x --quote-asset USDT --api-key-fingerprint f --risk-percent-max 0 --max-exposure 1 --daily-loss-limit 1 --max-drawdown 1 --monthly-budget-percent 1 --capital-base 1 --max-open-positions 1",
			fault.InvalidField("risk_limits.risk_percent_max", "must be above zero"), 2,
			[]string{"error: --risk-percent-max: must be above zero\n"},
		},
		"invalid, of a map": {
			"strategy register --account-id x --strategy-name x --strategy-type ma_cross --risk-percent 1 --detector-config fast=50",
			fault.InvalidField("detector_config.fast", "must be below slow, 20"), 2,
			[]string{"error: --detector-config fast: must be below slow, 20\n"},
		},
		"invalid argument":   {"positions get x", fault.InvalidField("position_id", "must be a UUID"), 2, []string{"error: POSITION_ID: must be a UUID\n"}},
		"invalid list":       {"events search --type x", fault.InvalidField("filter.event_types[0]", "must be an event type"), 2, []string{"error: --type: must be an event type\n"}},
		"invalid, elsewhere": {open, fault.InvalidField("metadata x-robson-trace-id", "must be a UUID"), 2, []string{"error: metadata x-robson-trace-id: must be a UUID\n"}},
		"invalid resolution": {
			"reconcile --account-id x --resolve " + positionID, fault.InvalidField("resolve[0]", "%s is no open discrepancy of account x", positionID), 2,
			[]string{"error: --resolve: " + positionID + " is no open discrepancy of account x\n"},
		},
		"refused":         {open, fault.New(fault.Refused, "STRATEGY_DISABLED", "strategy x is disabled"), 3, []string{"error: strategy x is disabled\n", "reason: STRATEGY_DISABLED\n"}},
		"conflict":        {open, fault.New(fault.Conflict, "STREAM_VERSION", "the stream has moved").With("expected", "3").With("found", "4"), 4, []string{"error: the stream has moved\n", "  expected: 3\n  found: 4\n"}},
		"other request":   {open, fault.New(fault.Duplicate, "COMMAND_REUSED", "the command id stands for another request"), 4, []string{"another request"}},
		"unavailable":     {open, fault.New(fault.Unavailable, "DATABASE_AWAY", "the database is away").WithRetryAfter(2 * time.Second), 5, []string{"the database is away; repeat it safely with --command-id ", "try again in 2s"}},
		"exhausted":       {open, fault.New(fault.Exhausted, "QUEUE_FULL", "too many calls"), 5, []string{"too many calls; repeat it safely with --command-id "}},
		"stale":           {"positions list --min-position 9", fault.New(fault.Stale, "BEHIND", "the state holds up to position 5"), 5, []string{"error: the state holds up to position 5\n"}},
		"not found":       {"positions get " + positionID, fault.New(fault.NotFound, "NO_SUCH_ROW", "there is no position x"), 1, []string{"error: there is no position x\n"}},
		"denied":          {open, fault.New(fault.Denied, "PERMISSION_MISSING", "your token lacks the permission trade"), 1, []string{"lacks the permission trade"}},
		"unauthenticated": {"accounts list", fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is unknown"), 1, []string{"the token is unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for _, method := range []string{"OpenPosition", "RegisterAccount", "RegisterStrategy", "ListPositions", "GetPosition", "QueryEvents", "ListAccounts", "Reconcile"} {
				s.answer(method, c.err)
			}
			code, out, errOut := s.run(strings.Fields(c.line)...)
			require.Equal(t, c.code, code, errOut)
			require.Empty(t, out)
			for _, say := range c.says {
				require.Contains(t, errOut, say)
			}
		})
	}
}

// TestRefused_by_risk_gates is an outcome that is printed, and told by the exit status.
func TestRefused_by_risk_gates(t *testing.T) {
	t.Parallel()
	for _, verdict := range []string{"VERDICT_REFUSED", "VERDICT_WOULD_REFUSE"} {
		s := start(t).answerJSON("/robson.command.v1.TradingService/SubmitSignal", `{"outcome":{"verdict":"`+verdict+`","failed_checks":[{"name":"min_notional"}]}}`)
		code, out, errOut := s.run("signal", "submit", positionID, "--technical-stop", "1", "-o", "json")
		require.Equal(t, 3, code)
		require.True(t, json.Valid([]byte(out)))
		require.JSONEq(t, `{"error":{"kind":"refused","reason":"","message":"refused by the risk gates: min_notional","fields":[],"exit_status":3}}`, errOut)
	}
}

// TestNoStack says how to start one.
func TestNoStack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, out, errOut := run(t, "--data-dir", dir, "positions", "list")
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.Contains(t, errOut, "start one with `robson up`")
	require.Contains(t, errOut, dir)

	require.NoError(t, client.Profile{Addresses: map[string]string{"projector": "127.0.0.1:1"}, Token: "x"}.Save(dir))
	code, _, errOut = run(t, "--data-dir", dir, "positions", "list")
	require.Equal(t, 5, code)
	require.Equal(t, "error: no answer from projector at 127.0.0.1:1: is the stack running? `robson up` starts one\n", errOut)

	require.NoError(t, os.WriteFile(client.ProfilePath(dir), []byte("{"), 0o600))
	code, _, errOut = run(t, "--data-dir", dir, "positions", "list")
	require.Equal(t, 1, code)
	require.Contains(t, errOut, client.ProfilePath(dir))
}

// TestHealth asks the service at an address.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := start(t).answerJSON("/grpc.health.v1.Health/Check", `{"status":"SERVING"}`)
	profile, err := client.LoadProfile(s.dir)
	require.NoError(t, err)
	code, out, _ := run(t, "health", profile.Addresses["projector"])
	require.Zero(t, code)
	require.Equal(t, "serving\n", out)
}

// TestVersion is told in both forms.
func TestVersion(t *testing.T) {
	t.Parallel()
	code, out, _ := run(t, "version")
	require.Zero(t, code)
	require.Regexp(t, `^robson \S+, go\S+ \S+/\S+\n$`, out)
	_, out, _ = run(t, "version", "-o", "json")
	require.True(t, json.Valid([]byte(out)))
	_, out, _ = run(t, "--version")
	require.NotEmpty(t, out)
}

// TestErrors_for_programs are one document on standard error, with the same exit status as for people.
func TestErrors_for_programs(t *testing.T) {
	t.Parallel()
	s := start(t).
		answer("GetPosition", fault.InvalidField("position_id", "must be a UUID")).
		answer("ListPositions", fault.New(fault.Stale, "BEHIND", "the state holds up to position 5").With("position", "5").WithRetryAfter(2*time.Second)).
		answer("VerifyChain", verdict(brokenVerdict))
	for line, want := range map[string]struct {
		code int
		body string
	}{
		"positions get x -o json":                   {2, `"kind":"invalid","reason":"INVALID_FIELD","message":"position_id: must be a UUID","fields":[{"field":"POSITION_ID","description":"must be a UUID"}]`},
		"positions list --output json":              {5, `"kind":"stale","reason":"BEHIND","message":"the state holds up to position 5","fields":[],"metadata":{"position":"5"},"retry_after":"2s"`},
		"positions list --frobnicate --output=json": {2, `"kind":"invalid","reason":"","message":"\"robson positions list\" has no flag --frobnicate; see robson positions list --help","fields":[]`},
		"positon -ojson":                            {2, `"kind":"invalid","reason":"","message":"\"robson\" has no command \"positon\": did you mean position or positions?","fields":[]`},
		"events list -o json --from -1":             {2, `"kind":"invalid","reason":"","message":"--from: must be at least 1, found -1","fields":[]`},
	} {
		code, out, errOut := s.run(strings.Fields(line)...)
		require.Equal(t, want.code, code, line)
		require.Empty(t, out, line)
		require.JSONEq(t, `{"error":{`+want.body+`,"exit_status":`+strconv.Itoa(want.code)+`}}`, errOut, line)
	}
	code, out, errOut := s.run("verify", "-o", "json")
	require.Equal(t, 6, code)
	require.True(t, json.Valid([]byte(out)), "the verdict is the answer")
	require.Contains(t, errOut, `"kind":"corrupt"`)
	code, _, errOut = run(t, "--data-dir", t.TempDir(), "positions", "list", "-o", "json")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, `"kind":"invalid"`)
}
