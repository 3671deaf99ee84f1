package engine

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// at is a deciding time in the middle of a day and month.
var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func d(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// equal compares amounts as text, so that a failure shows both to the last decimal.
func equal(t *testing.T, want string, got decimal.Decimal) {
	t.Helper()
	require.Equal(t, want, got.String())
}

func btcusdt() Instrument {
	return Instrument{
		Symbol: "BTCUSDT", BaseAsset: "BTC", QuoteAsset: "USDT",
		TickSize: d("0.01"), StepSize: d("0.00001"), MinQuantity: d("0.00001"), MaxQuantity: d("9000"), MinNotional: d("5"),
	}
}

func policy(capital string) Policy {
	return Policy{Capital: d(capital), RiskPercent: d("1"), StopMinPercent: d("0.1"), StopMaxPercent: d("10")}
}

func long(entry, stop string) Signal { return Signal{Side: Long, Entry: d(entry), Stop: d(stop)} }

func short(entry, stop string) Signal { return Signal{Side: Short, Entry: d(entry), Stop: d(stop)} }

// input is S1 on an account with generous limits.
func input() Input {
	return Input{
		Signal: long("95000", "93500"), Policy: policy("10000"), Instrument: btcusdt(), Now: at,
		Account: AccountState{
			FreeQuote: d("10000"),
			Limits: Limits{
				RiskPercentMax: d("1"), MaxExposure: d("30000"), DailyLossLimit: d("1000"), MaxDrawdown: d("2000"),
				MonthlyBudgetPercent: d("4"), CapitalBase: d("10000"), MaxOpenPositions: 3,
			},
		},
	}
}

func failedNames(decision Decision) []string {
	names := []string{}
	for _, failed := range decision.Failed() {
		names = append(names, failed.Name)
	}
	return names
}

func find(t *testing.T, decision Decision, name string) Check {
	t.Helper()
	for _, check := range decision.Checks {
		if check.Name == name {
			return check
		}
	}
	require.Failf(t, "no such check", "%s", name)
	return Check{}
}
