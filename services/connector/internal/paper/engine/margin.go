package engine

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// borrow takes a loan for an order's side effect and charges the first hour, as Binance does.
func (c *change) borrow(account *accountState, o *orderState, amount decimal.Decimal) {
	interest := amount.Mul(account.Config.HourlyInterest).Truncate(feePlaces)
	c.move(account, move{asset: o.LockAsset, free: amount, borrowed: amount, interest: interest})
	if account.Accrued.IsZero() {
		c.emit(effect{Accrued: &accruedEffect{Account: o.Account, At: c.s.Symbols[o.Symbol].Last.MarketTime}})
	}
	c.report(account, venue.Report{Loan: &venue.Loan{
		Kind: venue.Borrow, Symbol: o.Symbol, Asset: o.LockAsset, Amount: amount, Principal: amount,
		TranID: c.nextTranID(), ClientOrderID: o.ClientOrderID,
	}})
}

// repay gives back as much of a loan as an amount covers, interest first.
func (c *change) repay(account *accountState, o *orderState, asset string, amount decimal.Decimal) {
	held := account.balance(account.Config.wallet(), asset)
	amount = decimal.Min(amount, held.Free)
	interest := decimal.Min(held.Interest, amount)
	principal := decimal.Min(held.Borrowed, amount.Sub(interest))
	amount = interest.Add(principal)
	if !amount.IsPositive() {
		return
	}
	c.move(account, move{asset: asset, free: amount.Neg(), borrowed: principal.Neg(), interest: interest.Neg()})
	c.report(account, venue.Report{Loan: &venue.Loan{
		Kind: venue.Repay, Symbol: o.Symbol, Asset: asset, Amount: amount, Principal: principal, Interest: interest,
		TranID: c.nextTranID(), ClientOrderID: o.ClientOrderID,
	}})
}

// repayUnused gives back what an order borrowed and did not use (Binance's autoRepayAtCancel, which is the default).
func (c *change) repayUnused(account *accountState, o *orderState, released decimal.Decimal) {
	unused := decimal.Min(released, o.Borrowed)
	if unused.IsPositive() {
		c.repay(account, o, o.LockAsset, unused)
		o.Borrowed = o.Borrowed.Sub(unused)
	}
}

// accrue charges interest for each hour of market time that has begun since it was last charged.
func (c *change) accrue(y *symbolState) {
	for _, key := range sortedKeys(c.s.Accounts) {
		account := c.s.Accounts[key]
		if account.Config.MarginSymbol != y.Instrument.Symbol || account.Accrued.IsZero() {
			continue
		}
		hours := int64(y.Last.MarketTime.Sub(account.Accrued) / time.Hour)
		if hours < 1 {
			continue
		}
		c.emit(effect{Accrued: &accruedEffect{Account: key, At: account.Accrued.Add(time.Duration(hours) * time.Hour)}})
		for _, asset := range []string{y.Instrument.BaseAsset, y.Instrument.QuoteAsset} {
			owed := account.balance(account.Config.wallet(), asset).Borrowed
			interest := owed.Mul(account.Config.HourlyInterest).Mul(decimal.NewFromInt(hours)).Truncate(feePlaces)
			if interest.IsPositive() {
				c.move(account, move{asset: asset, interest: interest})
			}
		}
	}
}

// margin values an isolated margin account in quote at the last price.
func (s *state) margin(account *accountState) venue.MarginState {
	y := s.Symbols[account.Config.MarginSymbol]
	base := account.balance(account.Config.wallet(), y.Instrument.BaseAsset)
	quote := account.balance(account.Config.wallet(), y.Instrument.QuoteAsset)
	price := y.Last.Price
	m := venue.MarginState{
		Symbol: account.Config.MarginSymbol, IndexPrice: price, Level: venue.NoDebtLevel, Ratio: account.Config.MaxLeverage, Time: s.Time,
		Assets:   base.Free.Add(base.Locked).Mul(price).Add(quote.Free).Add(quote.Locked),
		Borrowed: base.Borrowed.Mul(price).Add(quote.Borrowed), Interest: base.Interest.Mul(price).Add(quote.Interest),
	}
	m.Debts = m.Borrowed.Add(m.Interest)
	m.Equity = m.Assets.Sub(m.Debts)
	if m.Debts.IsPositive() {
		m.Level, _ = m.Assets.QuoRem(m.Debts, feePlaces)
	}
	m.Status, m.LiquidatePrice = statusOf(m.Level), liquidatePrice(base, quote)
	return m
}

// Margin levels above which Binance speaks of an excessive and a normal one, of a call and of a liquidation that is near; below the last it
// sells the account up.
var (
	levelExcessive = decimal.NewFromInt(2)
	levelNormal    = decimal.New(13, -1)
	levelCall      = decimal.New(118, -2)
	levelLiquidate = decimal.New(11, -1)
)

func statusOf(level decimal.Decimal) venue.MarginStatus {
	switch {
	case level.GreaterThan(levelExcessive):
		return venue.MarginExcessive
	case level.GreaterThan(levelNormal):
		return venue.MarginNormal
	case level.GreaterThan(levelCall):
		return venue.MarginCall
	case level.GreaterThan(levelLiquidate):
		return venue.MarginPreLiquidation
	default:
		return venue.MarginForceLiquidation
	}
}

// liquidatePrice is where the margin level is that at which an account is sold up: assets = level x debts, solved for the price. Zero where
// no price makes it.
func liquidatePrice(base, quote venue.Balance) decimal.Decimal {
	held := base.Free.Add(base.Locked).Sub(levelLiquidate.Mul(base.Borrowed.Add(base.Interest)))
	owed := levelLiquidate.Mul(quote.Borrowed.Add(quote.Interest)).Sub(quote.Free.Add(quote.Locked))
	if held.IsZero() {
		return decimal.Zero
	}
	return decimal.Max(owed.DivRound(held, feePlaces), decimal.Zero)
}

// mayBorrow says whether the account's leverage admits a loan, at the last price.
func (s *state) mayBorrow(account *accountState, asset string, amount decimal.Decimal) bool {
	m := s.margin(account)
	y := s.Symbols[account.Config.MarginSymbol]
	if asset == y.Instrument.BaseAsset {
		amount = amount.Mul(y.Last.Price)
	}
	most := m.Equity.Mul(account.Config.MaxLeverage.Sub(decimal.NewFromInt(1)))
	return m.Debts.Add(amount).LessThanOrEqual(most)
}
