package server

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/rows"
)

// Bounds of a technical stop where the strategy sets none, percent of entry.
var (
	stopMinPercent = decimal.RequireFromString("0.1")
	stopMaxPercent = decimal.NewFromInt(10)
)

// account reads what a decision needs of the account and its use of the limits.
func accountState(a *rows.Reader, view *projectorv1.GetDecisionViewResponse, wallet, quoteAsset string) engine.AccountState {
	risk := view.GetAccountRisk()
	state := engine.AccountState{
		Limits: a.Limits(risk),
		Usage:  a.Usage(risk, view.GetPeriods()),
		Halts:  append(halts(risk), halts(view.GetStrategyRisk())...),
	}
	for _, balance := range view.GetBalances() {
		if balance.GetWallet() == wallet && balance.GetAsset() == quoteAsset {
			state.FreeQuote = a.Amount(balance.GetFree())
		}
	}
	return state
}

// strategy reads what a decision needs of the strategy; nil where there is none.
func strategyState(a *rows.Reader, view *projectorv1.GetDecisionViewResponse) *engine.StrategyState {
	row := view.GetStrategy()
	if row == nil {
		return nil
	}
	return &engine.StrategyState{
		Enabled: row.GetIsEnabled(),
		Limits: engine.Limits{
			MaxExposure: a.Amount(row.GetMaxExposure()), DailyLossLimit: a.Amount(row.GetDailyLossLimit()),
			MaxDrawdown: a.Amount(row.GetMaxDrawdown()), MaxOpenPositions: row.GetMaxOpenPositions(),
		},
		Usage: a.Usage(view.GetStrategyRisk(), view.GetPeriods()),
	}
}

// halts reads "<limit>|<period>" to reason, in the order of the keys.
func halts(risk *projectorv1.Risk) []engine.Halt {
	var list []engine.Halt
	for _, key := range slices.Sorted(maps.Keys(risk.GetHalts())) {
		limit, period, _ := strings.Cut(key, "|")
		list = append(list, engine.Halt{Limit: limit, Period: period, Reason: risk.GetHalts()[key]})
	}
	return list
}

// wallet is where an account keeps what it trades a symbol with.
func wallet(account *projectorv1.Account, symbol string) string {
	if account.GetProduct() == eventv1.Product_PRODUCT_ISOLATED_MARGIN {
		return "isolated:" + symbol
	}
	return "spot"
}

// duplicates counts the account's other positions of a symbol and side that have not ended.
func duplicates(view *projectorv1.GetDecisionViewResponse, symbol string, side eventv1.PositionSide, except uuid.UUID) int {
	count := 0
	for _, position := range view.GetOpenPositions() {
		if position.GetSymbol() == symbol && position.GetSide() == side && position.GetPositionId() != except.String() {
			count++
		}
	}
	return count
}

// decimals a user may write: what the venue itself has at most. More cannot be meant.
const userPlaces = 8

// userAmount reads an amount of a request.
func userAmount(field, text string) (decimal.Decimal, error) {
	value, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Zero, fault.InvalidField(field, "must be a decimal number")
	}
	if !value.IsPositive() {
		return decimal.Zero, fault.InvalidField(field, "must be above zero")
	}
	if !value.Equal(value.Truncate(userPlaces)) {
		return decimal.Zero, fault.InvalidField(field, "must have at most %d decimals", userPlaces)
	}
	return value, nil
}
