package cli

import (
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/market"
	"github.com/robson/robson/cmd/robson/internal/screen"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
)

const paperService = "/robson.connector.v1.PaperService/"

// paperCommand steers the paper venue: the outside world of a stack that trades on paper.
func paperCommand(app *App) *cobra.Command {
	calls := []call{
		{
			use: "deposit", short: "Put paper money into an account", method: paperService + "Deposit",
			example: "robson paper deposit --account-id 0f8fad5b-... --wallet spot --asset USDT --amount 25000",
			request: message[connectorv1.DepositRequest](), response: message[connectorv1.DepositResponse](),
			fields: []string{"account_id!", "wallet!", "asset!", "amount!", "deposit_id"}, complete: nameDeposit, show: showFields,
		},
		{
			use: "market", short: "Say where a symbol's market stands", method: paperService + "GetMarket", argument: "symbol",
			example: "robson paper market BTCUSDT",
			request: message[connectorv1.GetMarketRequest](), response: message[connectorv1.GetMarketResponse](), show: showMarket,
		},
		{
			use: "advance", short: "Move a symbol's market on to a tick, matching orders on the way", method: paperService + "AdvanceMarket", argument: "symbol",
			example: "robson paper advance BTCUSDT --to-sequence 100",
			request: message[connectorv1.AdvanceMarketRequest](), response: message[connectorv1.AdvanceMarketResponse](), fields: []string{"to_sequence!"}, show: showMarket,
		},
		{
			use: "pace", short: "Let a symbol's market run by itself, or stop it", method: paperService + "SetPace", argument: "symbol",
			example: "robson paper pace BTCUSDT --tick-interval-ms 1000",
			request: message[connectorv1.SetPaceRequest](), response: message[connectorv1.SetPaceResponse](), fields: []string{"tick_interval_ms!"}, show: showMarket,
		},
		{
			use: "orders", short: "List an account's orders as the venue itself knows them", method: paperService + "ListOrders", argument: "account_id",
			example: "robson paper orders 0f8fad5b-...",
			request: message[connectorv1.ListOrdersRequest](), response: message[connectorv1.ListOrdersResponse](), fields: []string{"symbol"}, show: showVenueOrders,
		},
	}
	for i := range calls {
		calls[i].service = client.Connector
	}
	parent := parentCommand("paper", "Steer the paper venue: its money and its market", callCommands(app, calls...)...)
	parent.AddCommand(paperLoadCommand(app))
	return parent
}

// nameDeposit gives a deposit an id where the line names none.
func nameDeposit(request proto.Message) {
	if deposit, ok := request.(*connectorv1.DepositRequest); ok && deposit.GetDepositId() == "" {
		deposit.DepositId = uuid.NewString()
	}
}

// showFields prints an answer as a list of its fields.
func showFields(app *App, response proto.Message) error {
	screen.Fields(app.out, response)
	return nil
}

// showMarket prints where a market stands.
func showMarket(app *App, response proto.Message) error {
	typed, ok := response.(interface {
		GetMarket() *connectorv1.MarketState
	})
	if !ok {
		return showFields(app, response)
	}
	screen.Fields(app.out, typed.GetMarket())
	return nil
}

// showVenueOrders prints the venue's own orders.
func showVenueOrders(app *App, response proto.Message) error {
	orders := listField(response, "orders")
	if len(orders) == 0 {
		fmt.Fprintln(app.out, "no orders")
		return nil
	}
	screen.Rows(app.out, []screen.Column{
		screen.Col("symbol", "SYMBOL"), screen.Num("exchange_order_id", "VENUE ID"), screen.Col("client_order_id", "CLIENT ORDER ID"), screen.Col("side", "SIDE"), screen.Col("order_type", "TYPE"), screen.Col("status", "STATUS"),
		screen.Dec("quantity", "QUANTITY"), screen.Dec("filled_quantity", "FILLED"), screen.Dec("cum_quote", "QUOTE"), screen.Num("placed_count", "PLACED"),
	}, orders)
	return nil
}

// paperLoadCommand gives a symbol recorded bars.
func paperLoadCommand(app *App) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "load SYMBOL", Short: "Give a symbol a market: recorded Binance klines", Args: oneArg("SYMBOL"),
		Example: indent("robson paper load BTCUSDT --klines btcusdt-1h.json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(path)
			if err != nil {
				return usagef("--klines: %s", err)
			}
			defer func() { _ = file.Close() }() // it was only read
			klines, err := market.ReadKlines(file)
			if err != nil {
				return usagef("--klines: %s: %s", path, err)
			}
			conn, err := app.service(client.Connector)
			if err != nil {
				return err
			}
			app.typed["header.symbol"] = "SYMBOL"
			header := &connectorv1.MarketHeader{Symbol: args[0], Source: &connectorv1.MarketHeader_Klines{Klines: &connectorv1.KlineSource{Origin: "recorded klines from " + path}}}
			state, err := market.Load(cmd.Context(), connectorv1.NewPaperServiceClient(conn), header, klines)
			if err != nil {
				return err
			}
			response := &connectorv1.LoadMarketResponse{Market: state}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			return showMarket(app, response)
		},
	}
	cmd.Flags().StringVar(&path, "klines", "", "a `file` of klines: the JSON of GET /api/v3/klines, or a dump of data.binance.vision (CSV or ZIP)")
	requireFlags(cmd, "klines")
	return cmd
}
