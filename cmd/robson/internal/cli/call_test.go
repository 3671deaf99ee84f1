package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
)

const (
	accountID  = "0f8fad5b-d9cb-469f-a165-70867728950e"
	positionID = "6f0c1c1e-4a7b-4c0e-9d0a-2f7d3c1b5a90"
	otherID    = "9c8b7a6d-1111-4222-8333-444455556666"
	eventID    = "01KAS0QJ5W0000000000000000"
)

// TestCommands_ask holds every command that calls a service to the request that it sends.
func TestCommands_ask(t *testing.T) {
	t.Parallel()
	const (
		trading = "robson.command.v1.TradingService/"
		setUp   = "robson.command.v1.SetupService/"
		state   = "robson.projector.v1.StateService/"
		log     = "robson.eventlog.v1.ReadService/"
		paper   = "robson.connector.v1.PaperService/"
	)
	const limits = "--risk-percent-max 1 --max-exposure 30000 --daily-loss-limit 300 --max-drawdown 1000 --monthly-budget-percent 4 --capital-base 10000 --max-open-positions 3"
	const limitsJSON = `"risk_limits":{"risk_percent_max":"1","max_exposure":"30000","daily_loss_limit":"300","max_drawdown":"1000","monthly_budget_percent":"4","capital_base":"10000","max_open_positions":3}`
	for line, want := range map[string]string{
		"position open --account-id ACCOUNT --symbol BTCUSDT --side long --technical-stop 93500 --capital 10000 --risk-percent 1 --trailing-mode step --strategy-id OTHER --order-type limit --entry-price 95000 --entry-expires-at 2026-11-23T10:00:00Z --dry-run": trading +
			`OpenPosition {"account_id":"ACCOUNT","symbol":"BTCUSDT","side":"POSITION_SIDE_LONG","technical_stop":"93500","capital":"10000","risk_percent":"1","trailing_mode":"TRAILING_MODE_STEP","strategy_id":"OTHER","order_type":"ORDER_TYPE_LIMIT","entry_price":"95000","entry_expires_at":"2026-11-23T10:00:00Z","dry_run":true}`,
		"position arm --account-id ACCOUNT --symbol BTCUSDT --side SHORT": trading + `ArmPosition {"account_id":"ACCOUNT","symbol":"BTCUSDT","side":"POSITION_SIDE_SHORT"}`,
		"position close POSITION":                              trading + `ClosePosition {"position_id":"POSITION"}`,
		"position disarm POSITION --dry-run":                   trading + `DisarmPosition {"position_id":"POSITION","dry_run":true}`,
		"position move-stop POSITION --new-stop 94200":         trading + `MoveStop {"position_id":"POSITION","new_stop":"94200"}`,
		"order cancel OTHER":                                   trading + `CancelOrder {"order_id":"OTHER"}`,
		"panic --account-id ACCOUNT --symbol BTCUSDT --note x": trading + `Panic {"account_id":"ACCOUNT","symbol":"BTCUSDT","note":"x"}`,
		"signal submit POSITION --technical-stop 93500 --entry-price 95000 --detector levels --expires-at 2026-11-23 --signal-id OTHER": trading +
			`SubmitSignal {"position_id":"POSITION","technical_stop":"93500","entry_price":"95000","detector":"levels","expires_at":"2026-11-23T00:00:00Z","signal_id":"OTHER"}`,

		"tenant create --name desk --plan free": setUp + `CreateTenant {"name":"desk","plan":"free"}`,
		"account register --environment sim --product isolated-margin --label main --quote-asset USDT --margin-symbol BTCUSDT --api-key-fingerprint f --permission read,trade " + limits: setUp +
			`RegisterAccount {"environment":"ENVIRONMENT_SIM","product":"PRODUCT_ISOLATED_MARGIN","label":"main","quote_asset":"USDT","margin_symbol":"BTCUSDT","api_key_fingerprint":"f","permissions":["read","trade"],` + limitsJSON + `}`,
		"strategy register --account-id ACCOUNT --strategy-name breakout --strategy-type manual --risk-percent 1 --max-open-positions 2 --detector-config a=1,b=2": setUp +
			`RegisterStrategy {"account_id":"ACCOUNT","strategy_name":"breakout","strategy_type":"manual","risk_config":{"risk_percent":"1","max_open_positions":2},"detector_config":{"a":"1","b":"2"}}`,
		"account rotate-key ACCOUNT --new-fingerprint second --key-type ED25519 --reason quarterly": setUp +
			`RotateCredentials {"account_id":"ACCOUNT","new_fingerprint":"second","key_type":"ED25519","reason":"quarterly"}`,
		"strategy enable OTHER":                    setUp + `EnableStrategy {"strategy_id":"OTHER"}`,
		"strategy disable OTHER --reason review":   setUp + `DisableStrategy {"strategy_id":"OTHER","reason":"review"}`,
		"strategy update OTHER --risk-percent 0.5": setUp + `UpdateStrategy {"strategy_id":"OTHER","risk_config":{"risk_percent":"0.5"}}`,
		"limit reset --account-id ACCOUNT --limit-name daily_loss --period 2026-11-23 --note ok": setUp + `ResetRiskLimit {"account_id":"ACCOUNT","limit_name":"LIMIT_NAME_DAILY_LOSS","period":"2026-11-23","note":"ok"}`,

		"positions list --account-id ACCOUNT --strategy-id OTHER --symbol BTCUSDT --state active,closed --limit 7 --min-position 5": state +
			`ListPositions {"account_id":"ACCOUNT","strategy_id":"OTHER","symbol":"BTCUSDT","states":["POSITION_STATE_ACTIVE","POSITION_STATE_CLOSED"],"page_size":7,"min_position":"5"}`,
		"orders list --position-id POSITION --status filled --needs-resolution=false": state + `ListOrders {"position_id":"POSITION","statuses":["ORDER_STATUS_FILLED"],"needs_resolution":false,"page_size":100}`,
		"fills list --order-id OTHER":                                 state + `ListFills {"order_id":"OTHER","page_size":100}`,
		"intents list --status pending":                               state + `ListIntents {"statuses":["INTENT_STATUS_PENDING"],"page_size":100}`,
		"decisions list --status rejected --limit 1000":               state + `ListDecisions {"statuses":["DECISION_STATUS_REJECTED"],"page_size":200}`,
		"signals list --strategy-id OTHER":                            state + `ListSignals {"strategy_id":"OTHER","page_size":100}`,
		"balances list --wallet spot --asset USDT":                    state + `ListBalances {"wallet":"spot","asset":"USDT","page_size":100}`,
		"risk list --account-id ACCOUNT":                              state + `ListRiskStates {"account_id":"ACCOUNT","page_size":100}`,
		"strategies list --is-enabled":                                state + `ListStrategies {"is_enabled":true,"page_size":100}`,
		"accounts list":                                               state + `ListAccounts {"page_size":100}`,
		"periods list --period 2026-11":                               state + `ListPnLPeriods {"period":"2026-11","page_size":100}`,
		"loans list --symbol BTCUSDT":                                 state + `ListMarginLoans {"symbol":"BTCUSDT","page_size":100}`,
		"lines list --account-id ACCOUNT --connected=false":           state + `ListConnectorStates {"account_id":"ACCOUNT","connected":false,"page_size":100}`,
		"margin list --status margin_call":                            state + `ListMarginStates {"statuses":["MARGIN_STATUS_MARGIN_CALL"],"page_size":100}`,
		"margin get ACCOUNT --symbol BTCUSDT":                         state + `ListMarginStates {"account_id":"ACCOUNT","symbol":"BTCUSDT","page_size":1}`,
		"reconciliations list --completed":                            state + `ListReconciliationRuns {"completed":true,"page_size":100}`,
		"reconciliations get OTHER":                                   state + `ListReconciliationRuns {"run_id":"OTHER","page_size":1}`,
		"rebuilds list":                                               state + `ListReplayRuns {"page_size":100}`,
		"rebuilds get OTHER":                                          state + `ListReplayRuns {"run_id":"OTHER","page_size":1}`,
		"discrepancies list --is-open":                                state + `ListDiscrepancies {"is_open":true,"page_size":100}`,
		"positions get POSITION --min-position 9":                     state + `GetPosition {"position_id":"POSITION","min_position":"9"}`,
		"orders get OTHER":                                            state + `GetOrder {"order_id":"OTHER"}`,
		"fills get OTHER":                                             state + `GetFill {"fill_id":"OTHER"}`,
		"intents get OTHER":                                           state + `GetIntent {"intent_id":"OTHER"}`,
		"decisions get OTHER":                                         state + `GetDecision {"decision_id":"OTHER"}`,
		"signals get OTHER":                                           state + `GetSignal {"signal_id":"OTHER"}`,
		"strategies get OTHER":                                        state + `GetStrategy {"strategy_id":"OTHER"}`,
		"accounts get ACCOUNT":                                        state + `GetAccount {"account_id":"ACCOUNT"}`,
		"discrepancies get OTHER":                                     state + `GetDiscrepancy {"discrepancy_id":"OTHER"}`,
		"tenant get":                                                  state + `GetTenant {}`,
		"risk get ACCOUNT":                                            state + `ListRiskStates {"account_id":"ACCOUNT","strategy_id":"00000000-0000-0000-0000-000000000000","page_size":1}`,
		"risk get ACCOUNT --strategy-id OTHER":                        state + `ListRiskStates {"account_id":"ACCOUNT","strategy_id":"OTHER","page_size":1}`,
		"balances get ACCOUNT --wallet isolated:BTCUSDT --asset USDT": state + `ListBalances {"account_id":"ACCOUNT","wallet":"isolated:BTCUSDT","asset":"USDT","page_size":1}`,

		"events list": log + `ReadLog {"direction":"DIRECTION_FORWARDS","page_size":100}`,
		"events list --stream position:POSITION --limit 5 --from 3 --backwards": log + `ReadStream {"stream_key":"position:POSITION","from_seq":"3","direction":"DIRECTION_BACKWARDS","page_size":5}`,
		"events search --trace-id OTHER --position-id POSITION --order-id OTHER --account-id ACCOUNT --strategy-id OTHER --workflow-id OTHER --causation-id EVENT --since 2026-11-01 --until 2026-11-02T03:04:05.6Z --type FILL_RECEIVED,ORDER_ACKED": log +
			`QueryEvents {"filter":{"trace_id":"OTHER","position_id":"POSITION","order_id":"OTHER","account_id":"ACCOUNT","strategy_id":"OTHER","workflow_id":"OTHER","causation_id":"EVENT","since":"2026-11-01T00:00:00Z","until":"2026-11-02T03:04:05.6Z","event_types":["FILL_RECEIVED","ORDER_ACKED"]},"direction":"DIRECTION_FORWARDS","page_size":100}`,
		"events search --command-id OTHER --descendants --backwards": log + `QueryEvents {"filter":{"command_id":"OTHER","descendants":true},"direction":"DIRECTION_BACKWARDS","page_size":100}`,
		"events get EVENT": log + `GetEvent {"event_id":"EVENT"}`,

		"paper deposit --account-id ACCOUNT --wallet spot --asset USDT --amount 25000 --deposit-id OTHER": paper + `Deposit {"deposit_id":"OTHER","account_id":"ACCOUNT","wallet":"spot","asset":"USDT","amount":"25000"}`,
		"paper market BTCUSDT":                       paper + `GetMarket {"symbol":"BTCUSDT"}`,
		"paper advance BTCUSDT --to-sequence 100":    paper + `AdvanceMarket {"symbol":"BTCUSDT","to_sequence":"100"}`,
		"paper pace BTCUSDT --tick-interval-ms 1000": paper + `SetPace {"symbol":"BTCUSDT","tick_interval_ms":"1000"}`,
		"paper orders ACCOUNT --symbol BTCUSDT":      paper + `ListOrders {"account_id":"ACCOUNT","symbol":"BTCUSDT"}`,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			ids := strings.NewReplacer("ACCOUNT", accountID, "POSITION_", "POSITION_", "POSITION", positionID, "OTHER", otherID, "EVENT", eventID)
			s := start(t)
			s.run(strings.Fields(ids.Replace(line))...)
			got := s.only()
			method, text, _ := strings.Cut(ids.Replace(want), " ")
			require.Equal(t, "/"+method, got.method)
			expected, _ := messagesOf(t, got.method)
			require.NoError(t, protojson.Unmarshal([]byte(text), expected))
			require.True(t, proto.Equal(expected, got.request), "asked %s\nwant  %s", protojson.Format(got.request), protojson.Format(expected))
			require.Equal(t, []string{"Bearer owner's"}, got.header.Get("authorization"))
			require.Equal(t, []string{tenantID}, got.header.Get("x-robson-tenant-id"))
		})
	}
}

// TestCommands_name_their_command sends a command id with each command, and the one that the line names.
func TestCommands_name_their_command(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.run("position", "close", positionID)
	_, err := uuid.Parse(s.only().header.Get(correlation.HeaderCommand)[0])
	require.NoError(t, err)

	s = start(t)
	s.run("position", "close", positionID, "--command-id", otherID)
	require.Equal(t, []string{otherID}, s.only().header.Get(correlation.HeaderCommand))
}

// TestDeposit_is_named gives each deposit an id of its own.
func TestDeposit_is_named(t *testing.T) {
	t.Parallel()
	s := start(t)
	code, _, errOut := s.run("paper", "deposit", "--account-id", accountID, "--wallet", "spot", "--asset", "USDT", "--amount", "1")
	require.Zero(t, code, errOut)
	request := s.only().request.ProtoReflect()
	_, err := uuid.Parse(request.Get(request.Descriptor().Fields().ByName("deposit_id")).String())
	require.NoError(t, err)
}

// TestPaperLoad sends the header and the bars, and shows where the market then stands.
func TestPaperLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "klines.json")
	require.NoError(t, os.WriteFile(path, []byte(`[[1588280400000,"8620","8640.5","8600","8630","12.5",1588283999999,"0",1,"0","0","0"]]`), 0o600))
	s := start(t).answerJSON("/robson.connector.v1.PaperService/LoadMarket", `{"market":{"symbol":"BTCUSDT","price":"8620","ticks_left":"3"}}`)
	code, out, errOut := s.run("paper", "load", "BTCUSDT", "--klines", path)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "ticks_left        3\n")
	require.Contains(t, protojson.Format(s.only().request), "BTCUSDT")
	code, out, _ = s.run("paper", "load", "BTCUSDT", "--klines", path, "-o", "json")
	require.Zero(t, code)
	require.True(t, json.Valid([]byte(out)))

	s = start(t).answer("LoadMarket", fault.New(fault.Refused, "OPEN_ORDERS", "the symbol has open orders"))
	code, _, errOut = s.run("paper", "load", "BTCUSDT", "--klines", path)
	require.Equal(t, 3, code)
	require.Contains(t, errOut, "error: the symbol has open orders\n")
}
