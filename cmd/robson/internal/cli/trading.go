package cli

import (
	"github.com/spf13/cobra"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
)

const tradingService = "/robson.command.v1.TradingService/"

// tradingCommands are the verbs of users.
func tradingCommands(app *App) []*cobra.Command {
	return []*cobra.Command{
		parentCommand("position", "Open, arm, close, disarm a position; move its stop", callCommands(app, positionCalls()...)...),
		parentCommand("signal", "Give an armed position its signal", callCommands(app, call{
			use: "submit", short: "Size, check and enter an armed position", method: tradingService + "SubmitSignal", argument: "position_id",
			example: "robson signal submit 6f0c1c1e-... --technical-stop 93500",
			request: message[commandv1.SubmitSignalRequest](), response: message[commandv1.SubmitSignalResponse](),
			fields: []string{"technical_stop!", "entry_price", "detector", "expires_at", "signal_id"},
		})...),
		parentCommand("order", "Cancel a live order", callCommands(app, call{
			use: "cancel", short: "Ask the venue to cancel a live order", method: tradingService + "CancelOrder", argument: "order_id",
			example: "robson orders list --status acknowledged\nrobson order cancel 2b9d6c1a-...",
			request: message[commandv1.CancelOrderRequest](), response: message[commandv1.CancelOrderResponse](),
		})...),
		call{
			use: "panic", short: "Close every open position of an account and halt its entries", method: tradingService + "Panic",
			example: "robson panic --account-id 0f8fad5b-... --note 'exchange outage'\nrobson panic --account-id 0f8fad5b-... --symbol BTCUSDT   # only this symbol, entries go on",
			request: message[commandv1.PanicRequest](), response: message[commandv1.PanicResponse](), fields: []string{"account_id!", "symbol", "note"},
		}.command(app),
	}
}

// armFields are the flags of arming and opening.
var armFields = []string{"account_id!", "symbol!", "side!", "strategy_id", "capital", "risk_percent", "trailing_mode"}

// positionCalls are the verbs of a position's life, in its order.
func positionCalls() []call {
	return []call{
		{
			use: "open", short: "Arm, decide and enter in one step", method: tradingService + "OpenPosition",
			example: "robson position open --account-id 0f8fad5b-... --symbol BTCUSDT --side long --technical-stop 93500 --dry-run\n" +
				"robson position open --account-id 0f8fad5b-... --symbol BTCUSDT --side long --technical-stop 93500 --order-type limit --entry-price 95000",
			request: message[commandv1.OpenPositionRequest](), response: message[commandv1.OpenPositionResponse](),
			fields: append(append([]string{}, armFields...), "technical_stop!", "entry_price", "order_type", "entry_expires_at"),
		},
		{
			use: "arm", short: "Say what and which direction; a signal decides when", method: tradingService + "ArmPosition",
			example: "robson position arm --account-id 0f8fad5b-... --symbol BTCUSDT --side short",
			request: message[commandv1.ArmPositionRequest](), response: message[commandv1.ArmPositionResponse](), fields: armFields,
		},
		{
			use: "close", short: "Leave a position at the market", method: tradingService + "ClosePosition", argument: "position_id",
			example: "robson position close 6f0c1c1e-...",
			request: message[commandv1.ClosePositionRequest](), response: message[commandv1.ClosePositionResponse](),
		},
		{
			use: "disarm", short: "Give up an armed position", method: tradingService + "DisarmPosition", argument: "position_id",
			example: "robson position disarm 6f0c1c1e-...",
			request: message[commandv1.DisarmPositionRequest](), response: message[commandv1.DisarmPositionResponse](),
		},
		{
			use: "move-stop", short: "Move the stop of an active position in its favour", method: tradingService + "MoveStop", argument: "position_id",
			example: "robson position move-stop 6f0c1c1e-... --new-stop 94200",
			request: message[commandv1.MoveStopRequest](), response: message[commandv1.MoveStopResponse](), fields: []string{"new_stop!"},
		},
	}
}
