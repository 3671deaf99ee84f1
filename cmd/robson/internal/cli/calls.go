package cli

import (
	"fmt"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
)

// call is an RPC of the command service as a command line: a positional argument for its main id, flags for the rest.
type call struct {
	use, short, example string
	method              string
	request             func() proto.Message
	response            func() proto.Message
	// argument is the request's field that the positional argument sets; empty: none.
	argument string
	// fields are the request's fields that become flags; required ones end in "!".
	fields []string
	// newTenant marks the call that makes the tenant it names.
	newTenant bool
}

const (
	setupService   = "/robson.command.v1.SetupService/"
	tradingService = "/robson.command.v1.TradingService/"
)

// group makes a parent command of calls.
func group(app *App, use, short string, calls ...call) *cobra.Command {
	parent := &cobra.Command{Use: use, Short: short}
	for _, c := range calls {
		parent.AddCommand(c.command(app))
	}
	return parent
}

// armFields are the flags of arming and opening.
var armFields = []string{"account_id!", "strategy_id", "symbol!", "side!", "capital", "risk_percent", "trailing_mode"}

// tradingCommands are the verbs of users.
func tradingCommands(app *App) []*cobra.Command {
	return []*cobra.Command{
		group(app, "position", "Open, close, arm, disarm positions; move stops",
			call{use: "open", short: "Arm, decide and enter in one step", method: tradingService + "OpenPosition",
				example: "robson position open --account-id ... --symbol BTCUSDT --side long --technical-stop 93500",
				request: message[commandv1.OpenPositionRequest](), response: message[commandv1.OpenPositionResponse](),
				fields: append(append([]string{}, armFields...), "technical_stop!", "entry_price", "order_type", "entry_expires_at")},
			call{use: "arm", short: "Say what and which direction; a signal decides when", method: tradingService + "ArmPosition",
				example: "robson position arm --account-id ... --symbol BTCUSDT --side short",
				request: message[commandv1.ArmPositionRequest](), response: message[commandv1.ArmPositionResponse](), fields: armFields},
			call{use: "close", short: "Leave a position at the market", method: tradingService + "ClosePosition", argument: "position_id",
				request: message[commandv1.ClosePositionRequest](), response: message[commandv1.ClosePositionResponse]()},
			call{use: "disarm", short: "Give up an armed position", method: tradingService + "DisarmPosition", argument: "position_id",
				request: message[commandv1.DisarmPositionRequest](), response: message[commandv1.DisarmPositionResponse]()},
			call{use: "move-stop", short: "Move the stop of an active position in its favour", method: tradingService + "MoveStop", argument: "position_id",
				example: "robson position move-stop POSITION_ID --new-stop 94200",
				request: message[commandv1.MoveStopRequest](), response: message[commandv1.MoveStopResponse](), fields: []string{"new_stop!"}},
		),
		group(app, "signal", "Give an armed position its signal",
			call{use: "submit", short: "Size, check and enter an armed position", method: tradingService + "SubmitSignal", argument: "position_id",
				example: "robson signal submit POSITION_ID --technical-stop 93500",
				request: message[commandv1.SubmitSignalRequest](), response: message[commandv1.SubmitSignalResponse](),
				fields: []string{"signal_id", "entry_price", "technical_stop!", "detector", "expires_at"}},
		),
		group(app, "order", "Cancel live orders",
			call{use: "cancel", short: "Ask the venue to cancel a live order", method: tradingService + "CancelOrder", argument: "order_id",
				request: message[commandv1.CancelOrderRequest](), response: message[commandv1.CancelOrderResponse]()},
		),
		call{use: "panic", short: "Close every open position of an account and halt entries", method: tradingService + "Panic",
			example: "robson panic --account-id ... [--symbol BTCUSDT]",
			request: message[commandv1.PanicRequest](), response: message[commandv1.PanicResponse](), fields: []string{"account_id!", "symbol", "note"}}.command(app),
	}
}

// setupCommands create what trading needs.
func setupCommands(app *App) []*cobra.Command {
	limits := []string{"risk_percent_max!", "max_exposure!", "max_position_notional", "daily_loss_limit!", "max_drawdown!", "monthly_budget_percent!", "capital_base!", "max_open_positions!"}
	config := []string{"risk_percent!", "max_exposure", "daily_loss_limit", "max_drawdown", "max_open_positions", "trailing_mode", "stop_min_pct", "stop_max_pct"}
	return []*cobra.Command{
		group(app, "tenant", "Tenants",
			call{use: "create", short: "Create the tenant your token is for", method: setupService + "CreateTenant",
				request: message[commandv1.CreateTenantRequest](), response: message[commandv1.CreateTenantResponse](), fields: []string{"tenant_id", "name!", "plan"}, newTenant: true}),
		group(app, "account", "Venue accounts and their risk limits",
			call{use: "register", short: "Register an account, or change its limits", method: setupService + "RegisterAccount",
				request: message[commandv1.RegisterAccountRequest](), response: message[commandv1.RegisterAccountResponse](),
				fields: append([]string{"account_id", "environment!", "product!", "label!", "quote_asset!", "margin_symbol", "api_key_fingerprint!", "permissions"}, prefixed("risk_limits.", limits)...)}),
		group(app, "strategy", "Strategies",
			call{use: "register", short: "Register a strategy, disabled", method: setupService + "RegisterStrategy",
				request: message[commandv1.RegisterStrategyRequest](), response: message[commandv1.RegisterStrategyResponse](),
				fields: append([]string{"strategy_id", "account_id!", "strategy_name!", "strategy_type!", "detector_config"}, prefixed("risk_config.", config)...)},
			call{use: "enable", short: "Let a strategy arm and open", method: setupService + "EnableStrategy", argument: "strategy_id",
				request: message[commandv1.EnableStrategyRequest](), response: message[commandv1.EnableStrategyResponse]()},
			call{use: "disable", short: "Stop a strategy; its armed positions are disarmed", method: setupService + "DisableStrategy", argument: "strategy_id",
				request: message[commandv1.DisableStrategyRequest](), response: message[commandv1.DisableStrategyResponse](), fields: []string{"reason!"}},
			call{use: "update", short: "Change a strategy's settings for what comes", method: setupService + "UpdateStrategy", argument: "strategy_id",
				request: message[commandv1.UpdateStrategyRequest](), response: message[commandv1.UpdateStrategyResponse](),
				fields: append([]string{"detector_config"}, prefixed("risk_config.", config)...)}),
		group(app, "limit", "Risk limits that are set",
			call{use: "reset", short: "Clear a limit that halts entries", method: setupService + "ResetRiskLimit",
				request: message[commandv1.ResetRiskLimitRequest](), response: message[commandv1.ResetRiskLimitResponse](),
				fields: []string{"account_id!", "limit_name!", "period!", "note!"}}),
	}
}

// prefixed puts a message field's name before the names of its fields.
func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// command makes the cobra command of a call.
func (c call) command(app *App) *cobra.Command {
	names := make([]string, len(c.fields))
	for i, f := range c.fields {
		names[i] = strings.TrimSuffix(f, "!")
	}
	flags := newFieldFlags(c.request().ProtoReflect().Descriptor(), names)
	var dryRun bool
	var commandID string
	use, args := c.use, cobra.NoArgs
	if c.argument != "" {
		use, args = c.use+" "+strings.ToUpper(c.argument), cobra.ExactArgs(1)
	}
	cmd := &cobra.Command{
		Use: use, Short: c.short, Example: c.example, Args: args,
		RunE: func(cmd *cobra.Command, arguments []string) error {
			request := c.request()
			if err := flags.apply(cmd.Flags(), request); err != nil {
				return err
			}
			if c.argument != "" {
				setText(request, c.argument, arguments[0])
			}
			if dryRun {
				setBool(request, "dry_run", true)
			}
			return c.run(cmd, app, request, commandID)
		},
	}
	flags.register(cmd.Flags())
	for i, f := range c.fields {
		if strings.HasSuffix(f, "!") {
			if err := cmd.MarkFlagRequired(flagName(flags.fields[i].FieldDescriptor)); err != nil {
				panic(err) // the table names a field that is no flag: a broken program
			}
		}
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "decide and answer, write nothing")
	cmd.Flags().StringVar(&commandID, "command-id", "", "UUID of this command: repeat it to retry safely (default: a new one)")
	return cmd
}

// run sends the request and prints the outcome.
func (c call) run(cmd *cobra.Command, app *App, request proto.Message, commandID string) error {
	if commandID == "" {
		commandID = uuid.NewString()
	}
	ctx, err := app.withCommand(cmd.Context(), commandID)
	if err != nil {
		return err
	}
	conn, err := app.commandService(ctx)
	if err != nil {
		return err
	}
	response := c.response()
	if err := conn.Invoke(ctx, c.method, request, response); err != nil {
		return fmt.Errorf("%w\n(command id %s: repeat with --command-id to retry safely)", err, commandID)
	}
	if app.json() {
		return screen.JSON(app.out, response)
	}
	return writeOutcome(app.out, response)
}
