package cli

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/cmd/robson/internal/screen"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// resource is a kind of state row that can be listed and got.
type resource struct {
	use, short, example string
	// many is what several rows are called; empty: as the command is.
	many string
	// list is the RPC's name; listRequest and listResponse make its messages; rows names the repeated field.
	list         string
	listRequest  func() proto.Message
	listResponse func() proto.Message
	rows         string
	// get is the RPC that gives one row by its id; empty where a row is named by more than one id: then keys, fields of the
	// list's request, choose it. The first is the argument, the others are flags; required ones end in "!".
	get         string
	getRequest  func() proto.Message
	getResponse func() proto.Message
	keys        []string
	// filters are the request's fields that become flags.
	filters []string
	columns []screen.Column
}

// rowsText is what the rows are called on the screen.
func (r resource) rowsText() string {
	if r.many != "" {
		return r.many
	}
	return r.use
}

// resources are what the projector serves, in the order of the help text.
func resources() []resource {
	return slices.Concat(tradeResources(), accountResources(), observedResources())
}

// tradeResources are the rows of positions and of what belongs to one.
func tradeResources() []resource {
	return []resource{
		{
			use: "positions", short: "Positions: armed, entering, active, exiting, closed", example: "robson positions list --state active --symbol BTCUSDT",
			list: "ListPositions", listRequest: message[projectorv1.ListPositionsRequest](), listResponse: message[projectorv1.ListPositionsResponse](), rows: "positions",
			get: "GetPosition", getRequest: message[projectorv1.GetPositionRequest](), getResponse: message[projectorv1.GetPositionResponse](),
			filters: []string{"account_id", "strategy_id", "symbol", "states"},
			columns: []screen.Column{
				screen.Col("position_id", "POSITION"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("state", "STATE"), screen.Dec("current_quantity", "QUANTITY"), screen.Avg("entry_price", "ENTRY"),
				screen.Dec("trailing_stop_price", "STOP"), screen.Avg("exit_price", "EXIT"), screen.Avg("net_pnl", "NET P&L"), screen.Col("exit_reason", "EXIT REASON"), screen.Col("updated_at", "UPDATED (UTC)"),
			},
		},
		{
			use: "orders", short: "Orders and how far they are", example: "robson orders list --position-id 6f0c1c1e-... --status filled",
			list: "ListOrders", listRequest: message[projectorv1.ListOrdersRequest](), listResponse: message[projectorv1.ListOrdersResponse](), rows: "orders",
			get: "GetOrder", getRequest: message[projectorv1.GetOrderRequest](), getResponse: message[projectorv1.GetOrderResponse](),
			filters: []string{"account_id", "position_id", "symbol", "statuses", "needs_resolution"},
			columns: []screen.Column{
				screen.Col("order_id", "ORDER"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("order_type", "TYPE"), screen.Col("reduce_intent", "FOR"), screen.Col("status", "STATUS"),
				screen.Dec("quantity", "QUANTITY"), screen.Dec("filled_quantity", "FILLED"), screen.Avg("average_fill_price", "AVERAGE"), screen.Col("exchange_order_id", "VENUE ID"), screen.Col("updated_at", "UPDATED (UTC)"),
			},
		},
		{
			use: "fills", short: "Trades of our orders; each counts once", example: "robson fills list --position-id 6f0c1c1e-...",
			list: "ListFills", listRequest: message[projectorv1.ListFillsRequest](), listResponse: message[projectorv1.ListFillsResponse](), rows: "fills",
			get: "GetFill", getRequest: message[projectorv1.GetFillRequest](), getResponse: message[projectorv1.GetFillResponse](),
			filters: []string{"account_id", "position_id", "order_id", "symbol"},
			columns: []screen.Column{
				screen.Col("fill_id", "FILL"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Dec("fill_quantity", "QUANTITY"), screen.Dec("fill_price", "PRICE"), screen.Dec("quote_quantity", "QUOTE"),
				screen.Dec("fee", "FEE"), screen.Col("fee_asset", "ASSET"), screen.Col("is_maker", "MAKER"), screen.Col("exchange_trade_id", "TRADE"), screen.Col("filled_at", "FILLED (UTC)"),
			},
		},
		{
			use: "intents", short: "What we are going to do at the venue, and how far it is", example: "robson intents list --status pending",
			list: "ListIntents", listRequest: message[projectorv1.ListIntentsRequest](), listResponse: message[projectorv1.ListIntentsResponse](), rows: "intents",
			get: "GetIntent", getRequest: message[projectorv1.GetIntentRequest](), getResponse: message[projectorv1.GetIntentResponse](),
			filters: []string{"account_id", "position_id", "statuses"},
			columns: []screen.Column{
				screen.Col("intent_id", "INTENT"), screen.Col("intent_type", "TYPE"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("order_type", "ORDER TYPE"), screen.Dec("quantity", "QUANTITY"),
				screen.Col("status", "STATUS"), screen.Num("attempts", "ATTEMPTS"), screen.Col("reason", "REASON"), screen.Col("updated_at", "UPDATED (UTC)"),
			},
		},
		{
			use: "decisions", short: "Decisions and what the risk gates said", example: "robson decisions list --status rejected",
			list: "ListDecisions", listRequest: message[projectorv1.ListDecisionsRequest](), listResponse: message[projectorv1.ListDecisionsResponse](), rows: "decisions",
			get: "GetDecision", getRequest: message[projectorv1.GetDecisionRequest](), getResponse: message[projectorv1.GetDecisionResponse](),
			filters: []string{"account_id", "position_id", "statuses"},
			columns: []screen.Column{
				screen.Col("decision_id", "DECISION"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("status", "STATUS"), screen.Dec("entry_price", "ENTRY"), screen.Dec("technical_stop_price", "STOP"),
				screen.Dec("quantity", "QUANTITY"), screen.Col("quantity_limit", "BOUND BY"), screen.Dec("planned_risk", "RISK"), screen.Col("violation_reason", "REFUSED BECAUSE"), screen.Col("decided_at", "DECIDED (UTC)"),
			},
		},
		{
			use: "signals", short: "Signals and what became of them", example: "robson signals list --strategy-id 9c8b7a6d-...",
			list: "ListSignals", listRequest: message[projectorv1.ListSignalsRequest](), listResponse: message[projectorv1.ListSignalsResponse](), rows: "signals",
			get: "GetSignal", getRequest: message[projectorv1.GetSignalRequest](), getResponse: message[projectorv1.GetSignalResponse](),
			filters: []string{"position_id", "strategy_id", "statuses"},
			columns: []screen.Column{
				screen.Col("signal_id", "SIGNAL"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("status", "STATUS"), screen.Dec("entry_price", "ENTRY"), screen.Dec("stop_loss", "STOP"),
				screen.Col("detector", "DETECTOR"), screen.Col("rejection_reason", "REJECTED BECAUSE"), screen.Col("detected_at", "DETECTED (UTC)"),
			},
		},
	}
}

// accountResources are the rows of accounts and of what belongs to one.
func accountResources() []resource {
	return []resource{
		{
			use: "balances", short: "Balances, as the venue last told them", example: "robson balances list --wallet spot\nrobson balances get 0f8fad5b-... --wallet spot --asset USDT",
			list: "ListBalances", listRequest: message[projectorv1.ListBalancesRequest](), listResponse: message[projectorv1.ListBalancesResponse](), rows: "balances",
			keys:    []string{"account_id!", "wallet!", "asset!"},
			filters: []string{"account_id", "wallet", "asset"},
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.Col("wallet", "WALLET"), screen.Col("asset", "ASSET"), screen.Dec("free", "FREE"), screen.Dec("locked", "LOCKED"), screen.Dec("borrowed", "BORROWED"), screen.Col("sampled_at", "SAMPLED (UTC)"),
			},
		},
		{
			use: "risk", many: "risk states", short: "Limits and how far they are used", example: "robson risk list\nrobson risk get 0f8fad5b-...      # with the limits that halt entries, and their periods",
			list: "ListRiskStates", listRequest: message[projectorv1.ListRiskStatesRequest](), listResponse: message[projectorv1.ListRiskStatesResponse](), rows: "risk_states",
			keys:    []string{"account_id!", "strategy_id"},
			filters: []string{"account_id", "strategy_id"},
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.ID("strategy_id", "STRATEGY"), screen.Num("open_positions", "OPEN"), screen.Dec("total_exposure", "EXPOSURE"), screen.Dec("open_risk", "OPEN RISK"), screen.Avg("daily_pnl", "DAY P&L"),
				screen.Avg("monthly_pnl", "MONTH P&L"), screen.Avg("total_pnl", "TOTAL P&L"), screen.Avg("drawdown", "DRAWDOWN"), screen.Col("is_violated", "HALTED"), screen.Col("violation_reason", "WHY"),
			},
		},
		{
			use: "strategies", short: "Strategies, their settings and results", example: "robson strategies list --is-enabled",
			list: "ListStrategies", listRequest: message[projectorv1.ListStrategiesRequest](), listResponse: message[projectorv1.ListStrategiesResponse](), rows: "strategies",
			get: "GetStrategy", getRequest: message[projectorv1.GetStrategyRequest](), getResponse: message[projectorv1.GetStrategyResponse](),
			filters: []string{"account_id", "is_enabled"},
			columns: []screen.Column{
				screen.Col("strategy_id", "STRATEGY"), screen.Col("strategy_name", "NAME"), screen.Col("is_enabled", "ENABLED"), screen.Num("version", "VERSION"), screen.Num("open_positions", "OPEN"), screen.Num("closed_positions", "CLOSED"),
				screen.Num("winning_positions", "WON"), screen.Avg("win_rate", "WIN RATE"), screen.Avg("total_pnl", "NET P&L"), screen.Num("total_signals", "SIGNALS"),
			},
		},
		{
			use: "accounts", short: "Venue accounts", example: "robson accounts list",
			list: "ListAccounts", listRequest: message[projectorv1.ListAccountsRequest](), listResponse: message[projectorv1.ListAccountsResponse](), rows: "accounts",
			get: "GetAccount", getRequest: message[projectorv1.GetAccountRequest](), getResponse: message[projectorv1.GetAccountResponse](),
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.Col("label", "LABEL"), screen.Col("exchange", "VENUE"), screen.Col("environment", "ENVIRONMENT"), screen.Col("product", "PRODUCT"), screen.Col("margin_symbol", "PAIR"),
				screen.Col("quote_asset", "QUOTE"), screen.Num("version", "VERSION"), screen.Col("created_at", "REGISTERED (UTC)"),
			},
		},
		{
			use: "periods", many: "P&L periods", short: "P&L by day and by month (UTC)", example: "robson periods list --period 2026-11",
			list: "ListPnLPeriods", listRequest: message[projectorv1.ListPnLPeriodsRequest](), listResponse: message[projectorv1.ListPnLPeriodsResponse](), rows: "periods",
			filters: []string{"account_id", "strategy_id", "period"},
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.ID("strategy_id", "STRATEGY"), screen.Col("period", "PERIOD"), screen.Avg("net_pnl", "NET P&L"), screen.Avg("fees", "FEES"), screen.Num("closed_positions", "CLOSED"), screen.Num("winning_positions", "WON"),
			},
		},
		{
			use: "loans", many: "margin loans", short: "What is borrowed on margin", example: "robson loans list --symbol BTCUSDT",
			list: "ListMarginLoans", listRequest: message[projectorv1.ListMarginLoansRequest](), listResponse: message[projectorv1.ListMarginLoansResponse](), rows: "margin_loans",
			filters: []string{"account_id", "symbol"},
			columns: []screen.Column{
				screen.Col("account_id", "ACCOUNT"), screen.Col("symbol", "SYMBOL"), screen.Col("asset", "ASSET"), screen.Dec("borrowed", "BORROWED"), screen.Dec("interest_paid", "INTEREST PAID"), screen.Col("updated_at", "UPDATED (UTC)"),
			},
		},
		{
			use: "discrepancies", short: "What was reported and does not fit", example: "robson discrepancies list --is-open",
			list: "ListDiscrepancies", listRequest: message[projectorv1.ListDiscrepanciesRequest](), listResponse: message[projectorv1.ListDiscrepanciesResponse](), rows: "discrepancies",
			get: "GetDiscrepancy", getRequest: message[projectorv1.GetDiscrepancyRequest](), getResponse: message[projectorv1.GetDiscrepancyResponse](),
			filters: []string{"account_id", "is_open"},
			columns: []screen.Column{
				screen.Col("discrepancy_id", "DISCREPANCY"), screen.Col("kind", "KIND"), screen.Col("entity", "ABOUT"), screen.Col("severity", "SEVERITY"), screen.Col("is_open", "OPEN"), screen.Col("expected", "EXPECTED"), screen.Col("actual", "ACTUAL"), screen.Col("detected_at", "DETECTED (UTC)"),
			},
		},
	}
}
