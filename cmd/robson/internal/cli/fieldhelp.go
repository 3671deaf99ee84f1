package cli

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/screen"
)

// fieldHelps say what each field takes, in the words of its contract. Choices follow by themselves.
var fieldHelps = map[string]string{
	"account_id":             "the account; see robson accounts list",
	"api_key_fingerprint":    "names the key without telling it; never the key itself",
	"new_fingerprint":        "fingerprint of the new API key; never the key",
	"old_fingerprint":        "fingerprint that is replaced; absent: the account's, whatever it is",
	"key_type":               "how the new key signs: HMAC, ED25519 or RSA",
	"asset":                  "the asset, e.g. USDT",
	"amount":                 "how much",
	"capital":                "what the Golden Rule sizes on, quote (default: the account's capital base)",
	"capital_base":           "what the monthly budget is taken from, quote",
	"causation_id":           "events caused by this event (ULID)",
	"command_id":             "events of this command",
	"completed":              "only those that have ended; =false: only those of which discrepancies alone are known",
	"connected":              "only those up; =false: only those down",
	"daily_loss_limit":       "most loss a day (UTC), quote",
	"descendants":            "with --command-id: also all that follows from it by causation",
	"deposit_id":             "makes the deposit distinct: the same id again does nothing (default: a new one)",
	"detector":               "who saw it (default: manual)",
	"detector_config":        "the detector's settings, key=value,key=value; of ma_cross: interval, fast, slow, symbol, stop_method, stop_level, stop_lookback, stop_percent, signal_ttl, armed_for",
	"entry_expires_at":       "past it the entry is ended if not yet sent, RFC 3339",
	"entry_price":            "planned entry, quote (default: the venue's last price)",
	"environment":            "which installation of the exchange; sim is the paper venue or a simulated exchange",
	"exchange":               "binance, or paper for an account of --environment sim that stays on paper (default: binance)",
	"expires_at":             "past it the signal is stale, RFC 3339 (default: never)",
	"is_enabled":             "only those enabled; =false: only those not",
	"is_open":                "only those open; =false: only those closed",
	"label":                  "what people call it",
	"limit_name":             "which limit",
	"margin_symbol":          "isolated margin: the pair, e.g. BTCUSDT",
	"max_drawdown":           "most loss from the highest cumulated P&L, quote",
	"max_exposure":           "most notional in open positions, quote",
	"max_open_positions":     "most positions entering or open at a time",
	"max_position_notional":  "most notional of one position, quote (default: no limit of its own)",
	"monthly_budget_percent": "most loss a month (UTC), percent of the capital base",
	"name":                   "its name",
	"needs_resolution":       "only those whose outcome at the venue is unknown; =false: only the others",
	"new_stop":               "the new stop, quote: above the present one for a long, below for a short",
	"note":                   "why",
	"order_id":               "about this order",
	"order_type":             "market or limit at --entry-price (default: market)",
	"period":                 "a day 2026-11-23 or a month 2026-11; for an operator's halt what robson risk get says",
	"permissions":            "what the key may do, e.g. read,trade; never withdraw",
	"plan":                   "its plan",
	"position_id":            "about this position",
	"product":                "spot, or an isolated-margin pair; a short needs the latter",
	"quote_asset":            "what limits and P&L are counted in, e.g. USDT",
	"reason":                 "why",
	"risk_percent":           "risk of one trade, percent of its capital, e.g. 1",
	"risk_percent_max":       "most risk one trade may take, percent of its capital, e.g. 1",
	"side":                   "direction",
	"signal_id":              "UUID of the signal: one decision per signal (default: made from the command's)",
	"since":                  "ingested at or after, RFC 3339 or a day (UTC)",
	"states":                 "only in these states",
	"statuses":               "only with these statuses",
	"stop_max_pct":           "greatest distance of the technical stop, percent of entry (default: 10)",
	"stop_min_pct":           "least distance of the technical stop, percent of entry (default: 0.1)",
	"strategy_id":            "the strategy; see robson strategies list",
	"strategy_name":          "what people call it",
	"strategy_type":          "what kind it is: manual, ma_cross (finds its signals itself), or a name of your bot's",
	"symbol":                 "the venue's symbol, e.g. BTCUSDT",
	"technical_stop":         "where the idea is wrong, quote: below entry for a long, above for a short",
	"tick_interval_ms":       "milliseconds of real time between ticks; 0: stand still",
	"to_sequence":            "sequence of the tick to stop at; see robson paper market",
	"trace_id":               "every event of one user action",
	"trailing_mode":          "how the stop follows (default: the strategy's, or continuous)",
	"until":                  "ingested before, RFC 3339 or a day (UTC)",
	"wallet":                 "spot, or isolated:SYMBOL",
	"workflow_id":            "events of this workflow",
}

// particularHelps are for fields that mean something else in one message than in the others.
var particularHelps = map[protoreflect.FullName]string{
	"robson.command.v1.RegisterAccountRequest.account_id":   "UUID of the account: a known one changes its limits, label and key (default: a new one)",
	"robson.command.v1.RegisterStrategyRequest.strategy_id": "UUID of the strategy (default: a new one)",
	"robson.event.v1.RiskConfig.trailing_mode":              "how the stop follows (default: continuous)",
	"robson.event.v1.RiskConfig.max_exposure":               "most notional in open positions of this strategy, quote (default: the account's)",
	"robson.event.v1.RiskConfig.daily_loss_limit":           "most loss a day (UTC) of this strategy, quote (default: the account's)",
	"robson.event.v1.RiskConfig.max_drawdown":               "most loss from the highest cumulated P&L of this strategy, quote (default: the account's)",
	"robson.event.v1.RiskConfig.max_open_positions":         "most positions of this strategy entering or open at a time (default: the account's)",
	"robson.projector.v1.ListPnLPeriodsRequest.period":      "only of this day, 2026-11-23, or month, 2026-11",
}

// fieldHelp tells what a flag takes.
func fieldHelp(f protoreflect.FieldDescriptor) string {
	help, special := particularHelps[f.FullName()]
	if !special {
		help = fieldHelps[string(f.Name())]
	}
	if f.Kind() != protoreflect.EnumKind || f.Name() == "order_type" { // stop orders are nobody's to open with
		return help
	}
	values := f.Enum().Values()
	names := make([]string, 0, values.Len())
	for i := 1; i < values.Len(); i++ {
		names = append(names, screen.EnumText(f.Enum(), values.Get(i).Number()))
	}
	return help + ": " + strings.Join(names, ", ")
}
