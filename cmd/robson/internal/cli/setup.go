package cli

import (
	"github.com/spf13/cobra"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
)

const setUpService = "/robson.command.v1.SetupService/"

// setUpCommands create what trading needs.
func setUpCommands(app *App) []*cobra.Command {
	tenant := parentCommand("tenant", "Create the tenant, or show it", callCommands(app, call{
		use: "create", short: "Create the tenant that your token is for", method: setUpService + "CreateTenant",
		example: "robson tenant create --name 'my desk'",
		request: message[commandv1.CreateTenantRequest](), response: message[commandv1.CreateTenantResponse](), fields: []string{"name!", "plan"},
	})...)
	tenant.AddCommand(tenantGetCommand(app))
	return []*cobra.Command{
		tenant,
		parentCommand("account", "Register venue accounts and their risk limits", callCommands(app, accountCall(), rotateCall())...),
		parentCommand("strategy", "Register, enable, disable and update strategies", callCommands(app, strategyCalls()...)...),
		parentCommand("limit", "Clear risk limits that are set", callCommands(app, call{
			use: "reset", short: "Clear a limit that halts entries", method: setUpService + "ResetRiskLimit",
			example: "robson risk get 0f8fad5b-...          # halts: the limits that are set, and their periods\n" +
				"robson limit reset --account-id 0f8fad5b-... --limit-name daily_loss --period 2026-11-23 --note 'reviewed'",
			request: message[commandv1.ResetRiskLimitRequest](), response: message[commandv1.ResetRiskLimitResponse](),
			fields: []string{"account_id!", "limit_name!", "period!", "note!"},
		})...),
		paperCommand(app),
	}
}

// accountCall registers an account.
func accountCall() call {
	return call{
		use: "register", short: "Register an account, or change its limits", method: setUpService + "RegisterAccount",
		example: "robson account register --environment sim --product spot --label main --quote-asset USDT --api-key-fingerprint paper-1 \\\n" +
			"  --risk-percent-max 1 --max-exposure 30000 --daily-loss-limit 300 --max-drawdown 1000 \\\n" +
			"  --monthly-budget-percent 4 --capital-base 10000 --max-open-positions 3",
		request: message[commandv1.RegisterAccountRequest](), response: message[commandv1.RegisterAccountResponse](),
		fields: []string{
			"environment!", "exchange", "product!", "label!", "quote_asset!", "margin_symbol", "api_key_fingerprint!", "permissions",
			"risk_limits.risk_percent_max!", "risk_limits.max_exposure!", "risk_limits.max_position_notional", "risk_limits.daily_loss_limit!",
			"risk_limits.max_drawdown!", "risk_limits.monthly_budget_percent!", "risk_limits.capital_base!", "risk_limits.max_open_positions!", "account_id",
		},
	}
}

// rotateCall tells that another API key stands for an account.
func rotateCall() call {
	return call{
		use: "rotate-key", short: "Record that another API key stands for an account, by its fingerprint", method: setUpService + "RotateCredentials",
		argument: "account_id", example: "robson account rotate-key 0f8fad5b-... --new-fingerprint paper-2 --key-type ED25519 --reason 'quarterly'",
		request: message[commandv1.RotateCredentialsRequest](), response: message[commandv1.RotateCredentialsResponse](),
		fields: []string{"new_fingerprint!", "key_type!", "reason!", "old_fingerprint"},
	}
}

// riskConfigFields are a strategy's settings; what is left out leaves the account's.
var riskConfigFields = []string{
	"risk_config.risk_percent!", "risk_config.max_exposure", "risk_config.daily_loss_limit", "risk_config.max_drawdown",
	"risk_config.max_open_positions", "risk_config.trailing_mode", "risk_config.stop_min_pct", "risk_config.stop_max_pct", "detector_config",
}

// strategyCalls are what can be done with a strategy.
func strategyCalls() []call {
	return []call{
		{
			use: "register", short: "Register a strategy, disabled", method: setUpService + "RegisterStrategy",
			example: "robson strategy register --account-id 0f8fad5b-... --strategy-name breakout --strategy-type manual --risk-percent 1\n" +
				"# A strategy that finds its signals itself: closes of 20 and 50 hours cross, the stop is the second swing beyond.\n" +
				"robson strategy register --account-id 0f8fad5b-... --strategy-name 'hourly crosses' --strategy-type ma_cross --risk-percent 0.5 \\\n" +
				"  --detector-config interval=1h,fast=20,slow=50,symbol=BTCUSDT,stop_level=2,stop_lookback=50,stop_percent=2,signal_ttl=15m\n" +
				"robson strategy enable 9c8b7a6d-...\n" +
				"robson position arm --account-id 0f8fad5b-... --strategy-id 9c8b7a6d-... --symbol BTCUSDT --side long\n" +
				"robson signals list --strategy-id 9c8b7a6d-...",
			request: message[commandv1.RegisterStrategyRequest](), response: message[commandv1.RegisterStrategyResponse](),
			fields: append(append([]string{"account_id!", "strategy_name!", "strategy_type!"}, riskConfigFields...), "strategy_id"),
		},
		{
			use: "enable", short: "Let a strategy arm and open", method: setUpService + "EnableStrategy", argument: "strategy_id",
			example: "robson strategy enable 9c8b7a6d-...",
			request: message[commandv1.EnableStrategyRequest](), response: message[commandv1.EnableStrategyResponse](),
		},
		{
			use: "disable", short: "Stop a strategy; its armed positions are disarmed", method: setUpService + "DisableStrategy", argument: "strategy_id",
			example: "robson strategy disable 9c8b7a6d-... --reason 'under review'",
			request: message[commandv1.DisableStrategyRequest](), response: message[commandv1.DisableStrategyResponse](), fields: []string{"reason!"},
		},
		{
			use: "update", short: "Replace a strategy's settings for what comes", method: setUpService + "UpdateStrategy", argument: "strategy_id",
			example: "robson strategy update 9c8b7a6d-... --risk-percent 0.5 --trailing-mode step",
			request: message[commandv1.UpdateStrategyRequest](), response: message[commandv1.UpdateStrategyResponse](), fields: riskConfigFields,
		},
	}
}
