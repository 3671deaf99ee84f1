package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rendered are the answers that testdata/<name>.json holds, and the lines that ask for them.
var rendered = map[string]struct{ method, line string }{
	"positions":       {"/robson.projector.v1.StateService/ListPositions", "positions list"},
	"position":        {"/robson.projector.v1.StateService/GetPosition", "positions get " + positionID},
	"orders":          {"/robson.projector.v1.StateService/ListOrders", "orders list"},
	"fills":           {"/robson.projector.v1.StateService/ListFills", "fills list"},
	"intents":         {"/robson.projector.v1.StateService/ListIntents", "intents list"},
	"decisions":       {"/robson.projector.v1.StateService/ListDecisions", "decisions list"},
	"signals":         {"/robson.projector.v1.StateService/ListSignals", "signals list"},
	"balances":        {"/robson.projector.v1.StateService/ListBalances", "balances list"},
	"risk":            {"/robson.projector.v1.StateService/ListRiskStates", "risk list"},
	"strategies":      {"/robson.projector.v1.StateService/ListStrategies", "strategies list"},
	"accounts":        {"/robson.projector.v1.StateService/ListAccounts", "accounts list"},
	"periods":         {"/robson.projector.v1.StateService/ListPnLPeriods", "periods list"},
	"loans":           {"/robson.projector.v1.StateService/ListMarginLoans", "loans list"},
	"lines":           {"/robson.projector.v1.StateService/ListConnectorStates", "lines list"},
	"margin":          {"/robson.projector.v1.StateService/ListMarginStates", "margin list"},
	"reconciliations": {"/robson.projector.v1.StateService/ListReconciliationRuns", "reconciliations list"},
	"rebuilds":        {"/robson.projector.v1.StateService/ListReplayRuns", "rebuilds list"},
	"discrepancies":   {"/robson.projector.v1.StateService/ListDiscrepancies", "discrepancies list"},
	"events":          {"/robson.eventlog.v1.ReadService/ReadLog", "events list"},
	"event":           {"/robson.eventlog.v1.ReadService/GetEvent", "events get " + eventID},
	"accepted":        {"/robson.command.v1.TradingService/OpenPosition", "position open --account-id " + accountID + " --symbol BTCUSDT --side long --technical-stop 93500"},
	"refused":         {"/robson.command.v1.TradingService/SubmitSignal", "signal submit " + positionID + " --technical-stop 93500"},
	"market":          {"/robson.connector.v1.PaperService/GetMarket", "paper market BTCUSDT"},
	"venue-orders":    {"/robson.connector.v1.PaperService/ListOrders", "paper orders " + accountID},
}

// TestTables holds what a person sees to golden files.
func TestTables(t *testing.T) {
	t.Parallel()
	for name, c := range rendered {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			require.NoError(t, err)
			s := start(t).answerJSON(c.method, string(data))
			_, out, errOut := s.run(strings.Fields(c.line)...)
			for line := range strings.Lines(out) {
				require.Equal(t, strings.TrimRight(line, " \n"), strings.TrimSuffix(line, "\n"), "no blanks at the end of a line")
			}
			golden(t, name, out+"--- on standard error ---\n"+errOut)
		})
	}
}

// TestJSON gives programs one document of the contract's form, and nothing else on standard output.
func TestJSON(t *testing.T) {
	t.Parallel()
	for name, c := range rendered {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			require.NoError(t, err)
			s := start(t).answerJSON(c.method, string(data))
			_, out, _ := s.run(append(strings.Fields(c.line), "--output", "json")...)
			var got, want map[string]any
			require.NoError(t, json.Unmarshal([]byte(out), &got), out)
			require.NoError(t, json.Unmarshal(data, &want))
			for key, value := range want {
				require.Contains(t, got, key)
				if list, isList := value.([]any); isList {
					require.Len(t, got[key], len(list))
				}
			}
		})
	}
}

// TestEmpty says that there is nothing, instead of heading nothing.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"positions list": "no positions\n", "balances list": "no balances\n", "strategies list": "no strategies\n", "events list": "no events\n", "paper orders " + accountID: "no orders\n",
	} {
		code, out, errOut := start(t).run(strings.Fields(line)...)
		require.Zero(t, code, errOut)
		require.Equal(t, want, out, line)
		require.Empty(t, errOut, line)
		code, out, _ = start(t).run(append(strings.Fields(line), "-o", "json")...)
		require.Zero(t, code)
		require.True(t, json.Valid([]byte(out)), out)
	}
	code, _, errOut := start(t).run("risk", "get", accountID)
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "there is no such row; see robson risk list")
}
