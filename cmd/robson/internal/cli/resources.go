package cli

import (
	"context"
	"fmt"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// pageSize is how many rows one call asks for; --limit bounds the whole answer.
const pageSize = 200

// resource is a kind of state row that can be listed and, where it has an id of its own, got.
type resource struct {
	use, short string
	aliases    []string
	// list is the RPC's name; listRequest and listResponse make its messages; rows names the repeated field.
	list         string
	listRequest  func() proto.Message
	listResponse func() proto.Message
	rows         string
	// get is empty where a row has no id of its own.
	get         string
	getRequest  func() proto.Message
	getResponse func() proto.Message
	// filters are the request's fields that become flags.
	filters []string
	columns []screen.Column
}

// message makes a constructor of a message for a resource's table.
func message[T any, P interface {
	*T
	proto.Message
}]() func() proto.Message {
	return func() proto.Message { return P(new(T)) }
}

// resources are what the projector serves, in the order of the help text.
func resources() []resource {
	return []resource{
		{
			use: "positions", short: "Positions: armed, entering, active, exiting, closed", aliases: []string{"position-list"},
			list: "ListPositions", listRequest: message[projectorv1.ListPositionsRequest](), listResponse: message[projectorv1.ListPositionsResponse](), rows: "positions",
			get: "GetPosition", getRequest: message[projectorv1.GetPositionRequest](), getResponse: message[projectorv1.GetPositionResponse](),
			filters: []string{"account_id", "strategy_id", "symbol", "states"},
			columns: []screen.Column{screen.Col("position_id", "POSITION"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("state", "STATE"), screen.Dec("current_quantity", "QUANTITY"), screen.Dec("entry_price", "ENTRY"), screen.Dec("trailing_stop_price", "STOP"), screen.Dec("exit_price", "EXIT"), screen.Dec("net_pnl", "NET P&L"), screen.Col("exit_reason", "EXIT REASON"), screen.Col("updated_at", "UPDATED (UTC)")},
		},
		{
			use: "orders", short: "Orders and how far they are",
			list: "ListOrders", listRequest: message[projectorv1.ListOrdersRequest](), listResponse: message[projectorv1.ListOrdersResponse](), rows: "orders",
			get: "GetOrder", getRequest: message[projectorv1.GetOrderRequest](), getResponse: message[projectorv1.GetOrderResponse](),
			filters: []string{"account_id", "position_id", "symbol", "statuses", "needs_resolution"},
			columns: []screen.Column{screen.Col("order_id", "ORDER"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("order_type", "TYPE"), screen.Col("reduce_intent", "FOR"), screen.Col("status", "STATUS"), screen.Dec("quantity", "QUANTITY"), screen.Dec("filled_quantity", "FILLED"), screen.Dec("average_fill_price", "AVERAGE"), screen.Col("exchange_order_id", "VENUE ID"), screen.Col("updated_at", "UPDATED (UTC)")},
		},
		{
			use: "fills", short: "Trades of our orders; each counts once",
			list: "ListFills", listRequest: message[projectorv1.ListFillsRequest](), listResponse: message[projectorv1.ListFillsResponse](), rows: "fills",
			get: "GetFill", getRequest: message[projectorv1.GetFillRequest](), getResponse: message[projectorv1.GetFillResponse](),
			filters: []string{"account_id", "position_id", "order_id", "symbol"},
			columns: []screen.Column{screen.Col("fill_id", "FILL"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Dec("fill_quantity", "QUANTITY"), screen.Dec("fill_price", "PRICE"), screen.Dec("quote_quantity", "QUOTE"), screen.Dec("fee", "FEE"), screen.Col("fee_asset", "ASSET"), screen.Col("is_maker", "MAKER"), screen.Col("exchange_trade_id", "TRADE"), screen.Col("filled_at", "FILLED (UTC)")},
		},
		{
			use: "balances", short: "Balances, as the venue last told them",
			list: "ListBalances", listRequest: message[projectorv1.ListBalancesRequest](), listResponse: message[projectorv1.ListBalancesResponse](), rows: "balances",
			filters: []string{"account_id", "wallet", "asset"},
			columns: []screen.Column{screen.Col("account_id", "ACCOUNT"), screen.Col("wallet", "WALLET"), screen.Col("asset", "ASSET"), screen.Dec("free", "FREE"), screen.Dec("locked", "LOCKED"), screen.Dec("borrowed", "BORROWED"), screen.Col("sampled_at", "SAMPLED (UTC)")},
		},
		{
			use: "risk", short: "Limits and how far they are used",
			list: "ListRiskStates", listRequest: message[projectorv1.ListRiskStatesRequest](), listResponse: message[projectorv1.ListRiskStatesResponse](), rows: "risk_states",
			filters: []string{"account_id", "strategy_id"},
			columns: []screen.Column{screen.Col("account_id", "ACCOUNT"), screen.Col("strategy_id", "STRATEGY"), screen.Num("open_positions", "OPEN"), screen.Dec("total_exposure", "EXPOSURE"), screen.Dec("open_risk", "OPEN RISK"), screen.Dec("daily_pnl", "DAY P&L"), screen.Dec("monthly_pnl", "MONTH P&L"), screen.Dec("drawdown", "DRAWDOWN"), screen.Col("is_violated", "HALTED"), screen.Col("violation_reason", "WHY")},
		},
		{
			use: "strategies", short: "Strategies, their settings and results",
			list: "ListStrategies", listRequest: message[projectorv1.ListStrategiesRequest](), listResponse: message[projectorv1.ListStrategiesResponse](), rows: "strategies",
			get: "GetStrategy", getRequest: message[projectorv1.GetStrategyRequest](), getResponse: message[projectorv1.GetStrategyResponse](),
			filters: []string{"account_id", "is_enabled"},
			columns: []screen.Column{screen.Col("strategy_id", "STRATEGY"), screen.Col("strategy_name", "NAME"), screen.Col("is_enabled", "ENABLED"), screen.Num("version", "VERSION"), screen.Num("open_positions", "OPEN"), screen.Num("closed_positions", "CLOSED"), screen.Num("winning_positions", "WON"), screen.Dec("win_rate", "WIN RATE"), screen.Dec("total_pnl", "NET P&L"), screen.Num("total_signals", "SIGNALS")},
		},
		{
			use: "accounts", short: "Venue accounts",
			list: "ListAccounts", listRequest: message[projectorv1.ListAccountsRequest](), listResponse: message[projectorv1.ListAccountsResponse](), rows: "accounts",
			get: "GetAccount", getRequest: message[projectorv1.GetAccountRequest](), getResponse: message[projectorv1.GetAccountResponse](),
			columns: []screen.Column{screen.Col("account_id", "ACCOUNT"), screen.Col("label", "LABEL"), screen.Col("exchange", "VENUE"), screen.Col("environment", "ENVIRONMENT"), screen.Col("product", "PRODUCT"), screen.Col("quote_asset", "QUOTE"), screen.Num("version", "VERSION"), screen.Col("created_at", "REGISTERED (UTC)")},
		},
		{
			use: "intents", short: "What we are going to do at the venue, and how far it is",
			list: "ListIntents", listRequest: message[projectorv1.ListIntentsRequest](), listResponse: message[projectorv1.ListIntentsResponse](), rows: "intents",
			get: "GetIntent", getRequest: message[projectorv1.GetIntentRequest](), getResponse: message[projectorv1.GetIntentResponse](),
			filters: []string{"account_id", "position_id", "statuses"},
			columns: []screen.Column{screen.Col("intent_id", "INTENT"), screen.Col("intent_type", "TYPE"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("order_type", "ORDER TYPE"), screen.Dec("quantity", "QUANTITY"), screen.Col("status", "STATUS"), screen.Num("attempts", "ATTEMPTS"), screen.Col("reason", "REASON"), screen.Col("updated_at", "UPDATED (UTC)")},
		},
		{
			use: "decisions", short: "Decisions and what the risk gates said",
			list: "ListDecisions", listRequest: message[projectorv1.ListDecisionsRequest](), listResponse: message[projectorv1.ListDecisionsResponse](), rows: "decisions",
			get: "GetDecision", getRequest: message[projectorv1.GetDecisionRequest](), getResponse: message[projectorv1.GetDecisionResponse](),
			filters: []string{"account_id", "position_id", "statuses"},
			columns: []screen.Column{screen.Col("decision_id", "DECISION"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("status", "STATUS"), screen.Dec("entry_price", "ENTRY"), screen.Dec("technical_stop_price", "STOP"), screen.Dec("quantity", "QUANTITY"), screen.Col("quantity_limit", "BOUND BY"), screen.Dec("planned_risk", "RISK"), screen.Col("violation_reason", "REFUSED BECAUSE")},
		},
		{
			use: "signals", short: "Signals and what became of them",
			list: "ListSignals", listRequest: message[projectorv1.ListSignalsRequest](), listResponse: message[projectorv1.ListSignalsResponse](), rows: "signals",
			get: "GetSignal", getRequest: message[projectorv1.GetSignalRequest](), getResponse: message[projectorv1.GetSignalResponse](),
			filters: []string{"position_id", "strategy_id", "statuses"},
			columns: []screen.Column{screen.Col("signal_id", "SIGNAL"), screen.Col("symbol", "SYMBOL"), screen.Col("side", "SIDE"), screen.Col("status", "STATUS"), screen.Dec("entry_price", "ENTRY"), screen.Dec("stop_loss", "STOP"), screen.Col("detector", "DETECTOR"), screen.Col("detected_at", "DETECTED (UTC)")},
		},
		{
			use: "discrepancies", short: "What was reported and does not fit",
			list: "ListDiscrepancies", listRequest: message[projectorv1.ListDiscrepanciesRequest](), listResponse: message[projectorv1.ListDiscrepanciesResponse](), rows: "discrepancies",
			get: "GetDiscrepancy", getRequest: message[projectorv1.GetDiscrepancyRequest](), getResponse: message[projectorv1.GetDiscrepancyResponse](),
			filters: []string{"account_id", "is_open"},
			columns: []screen.Column{screen.Col("discrepancy_id", "DISCREPANCY"), screen.Col("kind", "KIND"), screen.Col("entity", "ABOUT"), screen.Col("severity", "SEVERITY"), screen.Col("is_open", "OPEN"), screen.Col("expected", "EXPECTED"), screen.Col("actual", "ACTUAL"), screen.Col("detected_at", "DETECTED (UTC)")},
		},
	}
}

// stateMethod is the full name of a StateService RPC.
func stateMethod(rpc string) string { return "/robson.projector.v1.StateService/" + rpc }

// command makes `robson <resource> list|get`.
func (r resource) command(app *App) *cobra.Command {
	parent := &cobra.Command{Use: r.use, Short: r.short, Aliases: r.aliases}
	parent.AddCommand(r.listCommand(app))
	if r.get != "" {
		parent.AddCommand(r.getCommand(app))
	}
	return parent
}

// listCommand lists rows page by page until the limit.
func (r resource) listCommand(app *App) *cobra.Command {
	limit := 0
	minPosition := int64(0)
	filters := newFieldFlags(r.listRequest().ProtoReflect().Descriptor(), r.filters)
	cmd := &cobra.Command{
		Use: "list", Short: "List " + r.use, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := r.listRequest()
			if err := filters.apply(cmd.Flags(), request); err != nil {
				return err
			}
			setInt(request, "min_position", minPosition)
			return r.runList(cmd.Context(), app, request, limit)
		},
	}
	filters.register(cmd.Flags())
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many rows")
	cmd.Flags().Int64Var(&minPosition, "min-position", 0, "wait until the state holds at least up to this log position")
	return cmd
}

// runList pages and prints.
func (r resource) runList(ctx context.Context, app *App, request proto.Message, limit int) error {
	if limit < 1 {
		return usagef("--limit must be at least 1, found %d", limit)
	}
	conn, err := app.projector(ctx)
	if err != nil {
		return err
	}
	all := r.listResponse()
	var rows []proto.Message
	for len(rows) < limit {
		setInt(request, "page_size", int64(min(pageSize, limit-len(rows))))
		page := r.listResponse()
		if err := conn.Invoke(ctx, stateMethod(r.list), request, page); err != nil {
			return err
		}
		proto.Merge(all, page)
		rows = append(rows, listField(page, r.rows)...)
		token := screen.FieldText(page.ProtoReflect(), "next_page_token")
		setText(all, "next_page_token", token)
		setInt(all, "as_of", intField(page, "as_of"))
		if token == "" {
			break
		}
		setText(request, "page_token", token)
	}
	if app.json() {
		return screen.JSON(app.out, all)
	}
	screen.Rows(app.out, r.columns, rows)
	fmt.Fprintf(app.err, "%d %s, true at position %d\n", len(rows), r.use, intField(all, "as_of"))
	if screen.FieldText(all.ProtoReflect(), "next_page_token") != "" {
		fmt.Fprintln(app.err, "there are more: raise --limit")
	}
	return nil
}

// getCommand shows one row whole.
func (r resource) getCommand(app *App) *cobra.Command {
	minPosition := int64(0)
	idField := string(r.getRequest().ProtoReflect().Descriptor().Fields().ByNumber(1).Name())
	cmd := &cobra.Command{
		Use: "get " + strings.ToUpper(idField), Short: "Show one row whole", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := app.projector(cmd.Context())
			if err != nil {
				return err
			}
			request, response := r.getRequest(), r.getResponse()
			setText(request, idField, args[0])
			setInt(request, "min_position", minPosition)
			if err := conn.Invoke(cmd.Context(), stateMethod(r.get), request, response); err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			row := response.ProtoReflect().Descriptor().Fields().ByNumber(1)
			screen.Fields(app.out, response.ProtoReflect().Get(row).Message().Interface())
			fmt.Fprintf(app.err, "true at position %d\n", intField(response, "as_of"))
			return nil
		},
	}
	cmd.Flags().Int64Var(&minPosition, "min-position", 0, "wait until the state holds at least up to this log position")
	return cmd
}

// listField gives the messages of a repeated field.
func listField(m proto.Message, name string) []proto.Message {
	list := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))).List()
	rows := make([]proto.Message, list.Len())
	for i := range rows {
		rows[i] = list.Get(i).Message().Interface()
	}
	return rows
}

func setText(m proto.Message, name, value string) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfString(value))
}

func setInt(m proto.Message, name string, value int64) {
	f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	if f.Kind() == protoreflect.Int32Kind {
		m.ProtoReflect().Set(f, protoreflect.ValueOfInt32(int32(value))) //nolint:gosec // bounded by the caller
		return
	}
	m.ProtoReflect().Set(f, protoreflect.ValueOfInt64(value))
}

func intField(m proto.Message, name string) int64 {
	return m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))).Int()
}

func setBool(m proto.Message, name string, value bool) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfBool(value))
}
