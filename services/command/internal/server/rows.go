package server

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

// Bounds of a technical stop where the strategy sets none, percent of entry.
var (
	stopMinPercent = decimal.RequireFromString("0.1")
	stopMaxPercent = decimal.NewFromInt(10)
)

// amounts reads decimals of rows. The first that is none is kept as an error: rows come from our own services, so it
// means that one of them is broken.
type amounts struct{ err error }

// get reads an amount; an absent one is zero.
func (a *amounts) get(text string) decimal.Decimal {
	if text == "" {
		return decimal.Zero
	}
	value, err := decimal.NewFromString(text)
	if err != nil && a.err == nil {
		a.err = fault.Wrap(err, fault.Corrupt, "ROW_AMOUNT", "read amount %q of a row", text)
	}
	return value
}

// or reads an amount, or gives another for an absent one.
func (a *amounts) or(text string, other decimal.Decimal) decimal.Decimal {
	if text == "" {
		return other
	}
	return a.get(text)
}

// instrument reads the venue's rules for orders of a type.
func (a *amounts) instrument(answer *connectorv1.GetInstrumentResponse, orderType eventv1.OrderType, entry decimal.Decimal) engine.Instrument {
	row := answer.GetInstrument()
	instrument := engine.Instrument{
		Symbol: row.GetSymbol(), BaseAsset: row.GetBaseAsset(), QuoteAsset: row.GetQuoteAsset(),
		TickSize: a.get(row.GetTickSize()), StepSize: a.get(row.GetStepSize()),
		MinQuantity: a.get(row.GetMinQuantity()), MaxQuantity: a.get(row.GetMaxQuantity()),
		MinNotional: a.get(row.GetMinNotional()),
	}
	if orderType == eventv1.OrderType_ORDER_TYPE_MARKET {
		instrument.StepSize = coarser(instrument.StepSize, a.get(row.GetMarketStepSize()))
		instrument.MaxQuantity = lower(instrument.MaxQuantity, a.get(row.GetMarketMaxQuantity()))
		if !row.GetMinNotionalAppliesToMarket() {
			instrument.MinNotional = decimal.Zero
		}
	}
	if most := a.get(row.GetMaxNotional()); most.IsPositive() && entry.IsPositive() {
		quantity, _ := most.QuoRem(entry, 8)
		instrument.MaxQuantity = lower(instrument.MaxQuantity, quantity)
	}
	return instrument
}

// coarser is the larger of two steps; the venue's steps are powers of ten, so it satisfies both.
func coarser(a, b decimal.Decimal) decimal.Decimal { return decimal.Max(a, b) }

// lower is the smaller of two bounds of which zero is none.
func lower(a, b decimal.Decimal) decimal.Decimal {
	if a.IsZero() || b.IsPositive() && b.LessThan(a) {
		return b
	}
	return a
}

// account reads what a decision needs of the account and its use of the limits.
func (a *amounts) account(view *projectorv1.GetDecisionViewResponse, wallet, quoteAsset string) engine.AccountState {
	risk := view.GetAccountRisk()
	state := engine.AccountState{
		Limits: engine.Limits{
			RiskPercentMax: a.get(risk.GetRiskPercentMax()), MaxExposure: a.get(risk.GetMaxExposure()),
			MaxPositionNotional: a.get(risk.GetMaxPositionNotional()), DailyLossLimit: a.get(risk.GetDailyLossLimit()),
			MaxDrawdown: a.get(risk.GetMaxDrawdown()), MonthlyBudgetPercent: a.get(risk.GetMonthlyBudgetPercent()),
			CapitalBase: a.get(risk.GetCapitalBase()), MaxOpenPositions: risk.GetMaxOpenPositions(),
		},
		Usage: a.usage(risk, view.GetPeriods()),
		Halts: halts(risk),
	}
	for _, balance := range view.GetBalances() {
		if balance.GetWallet() == wallet && balance.GetAsset() == quoteAsset {
			state.FreeQuote = a.get(balance.GetFree())
		}
	}
	return state
}

// strategy reads what a decision needs of the strategy; nil where there is none.
func (a *amounts) strategy(view *projectorv1.GetDecisionViewResponse) *engine.StrategyState {
	row := view.GetStrategy()
	if row == nil {
		return nil
	}
	return &engine.StrategyState{
		Enabled: row.GetIsEnabled(),
		Limits: engine.Limits{
			MaxExposure: a.get(row.GetMaxExposure()), DailyLossLimit: a.get(row.GetDailyLossLimit()),
			MaxDrawdown: a.get(row.GetMaxDrawdown()), MaxOpenPositions: row.GetMaxOpenPositions(),
		},
		Usage: a.usage(view.GetStrategyRisk(), view.GetPeriods()),
	}
}

// usage reads a risk row; the day's and month's sums come from the period rows of the deciding time.
func (a *amounts) usage(risk *projectorv1.Risk, periods []*projectorv1.PnLPeriod) engine.Usage {
	usage := engine.Usage{
		Exposure: a.get(risk.GetTotalExposure()), LatentRisk: a.get(risk.GetOpenRisk()),
		OpenPositions: risk.GetOpenPositions(), Drawdown: a.get(risk.GetDrawdown()),
	}
	for _, period := range periods {
		if period.GetStrategyId() != risk.GetStrategyId() || period.GetAccountId() != risk.GetAccountId() {
			continue
		}
		if len(period.GetPeriod()) == len("2006-01") {
			usage.MonthlyPnL = a.get(period.GetNetPnl())
		} else {
			usage.DailyPnL = a.get(period.GetNetPnl())
		}
	}
	return usage
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
