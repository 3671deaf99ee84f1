package projection

import (
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The wallets of an account.
const (
	walletSpot     = "spot"
	walletIsolated = "isolated:"
)

// foldTransferred moves an amount between the wallets of an account.
func (c *change) foldTransferred(p *eventv1.MarginTransferred) {
	account, amount := c.id("account_id", p.GetAccountId()), c.amount("amount", p.GetAmount())
	isolated := walletIsolated + p.GetSymbol()
	if !amount.IsPositive() {
		c.flagBalance(account, isolated, p.GetAsset(), map[string]string{"amount": "above 0"}, map[string]string{"amount": amount.String()})
	}
	from, to := walletSpot, isolated
	if p.GetDirection() == eventv1.TransferDirection_TRANSFER_DIRECTION_ISOLATED_TO_SPOT {
		from, to = to, from
	}
	at := c.occurred()
	c.adjust(BalanceKey(account, from, p.GetAsset()), amount.Neg(), at)
	c.adjust(BalanceKey(account, to, p.GetAsset()), amount, at)
	if from == isolated {
		amount = amount.Neg()
	}
	state := c.marginState(account, p.GetSymbol())
	state.Transferred = with(state.Transferred, p.GetAsset(), state.Transferred[p.GetAsset()].Add(amount))
	c.put(state)
}

// marginState is a copy of a margin account's row to change; a new one where nothing was told of it before.
func (c *change) marginState(account uuid.UUID, symbol string) *MarginState {
	if known := get[MarginState](&c.reader, MarginStateKey(account, symbol)); known != nil {
		return clone(known)
	}
	return &MarginState{TenantID: c.ev.TenantID, AccountID: account, Symbol: symbol, Transferred: Amounts{}}
}

// foldMarginLevel takes over how the venue judges a margin account, unless something newer was told before. Of two samples
// of one moment the later in the log holds. What follows for entries is decided elsewhere, as RISK_LIMIT_EXCEEDED.
func (c *change) foldMarginLevel(p *eventv1.MarginLevelSampled) {
	account, at := c.id("account_id", p.GetAccountId()), c.moment(p.GetSampledAt())
	borrowed, interest := c.amount("borrowed", p.GetBorrowed()), c.amount("interest", p.GetInterest())
	c.flagOwed(account, p.GetSymbol(), borrowed, interest)
	state := c.marginState(account, p.GetSymbol())
	if state.SampledAt != nil && at.Before(*state.SampledAt) {
		return
	}
	state.SampleID, state.SampledAt = some(c.id("sample_id", p.GetSampleId())), &at
	state.MarginLevel, state.MarginRatio = c.maybeAmount("margin_level", p.GetMarginLevel()), c.maybeAmount("margin_ratio", p.GetMarginRatio())
	state.Status = enumText(marginStatuses, p.GetStatus())
	state.IndexPrice, state.LiquidatePrice = c.maybeAmount("index_price", p.GetIndexPrice()), c.maybeAmount("liquidate_price", p.GetLiquidatePrice())
	state.Borrowed, state.Interest = someAmount(borrowed), someAmount(interest)
	c.put(state)
}

// flagOwed flags a debt that cannot be.
func (c *change) flagOwed(account uuid.UUID, symbol string, borrowed, interest decimal.Decimal) {
	expected, actual := map[string]string{}, map[string]string{}
	if borrowed.IsNegative() {
		expected["borrowed"], actual["borrowed"] = "at least 0", borrowed.String()
	}
	if interest.IsNegative() {
		expected["interest"], actual["interest"] = "at least 0", interest.String()
	}
	if len(expected) > 0 {
		c.flag(Anomaly{
			Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, Severity: eventv1.Severity_SEVERITY_CRITICAL,
			AccountID: account, Entity: "margin:" + symbol, Expected: expected, Actual: actual,
		})
	}
}

// loan is a copy of a loan to change; a new one where nothing was borrowed before.
func (c *change) loan(account uuid.UUID, symbol, asset string) *MarginLoan {
	key := MarginLoanKey(account, symbol, asset)
	if known := get[MarginLoan](&c.reader, key); known != nil {
		return clone(known)
	}
	return &MarginLoan{TenantID: c.ev.TenantID, AccountID: account, Symbol: symbol, Asset: asset}
}

func (c *change) foldBorrowed(p *eventv1.MarginBorrowed) {
	loan := c.loan(c.id("account_id", p.GetAccountId()), p.GetSymbol(), p.GetAsset())
	amount := c.amount("amount", p.GetAmount())
	if !amount.IsPositive() {
		c.flagBalance(loan.AccountID, walletIsolated+loan.Symbol, loan.Asset,
			map[string]string{"amount": "above 0"}, map[string]string{"amount": amount.String()})
	}
	loan.Borrowed = loan.Borrowed.Add(amount)
	c.put(loan)
}

func (c *change) foldRepaid(p *eventv1.MarginRepaid) {
	loan := c.loan(c.id("account_id", p.GetAccountId()), p.GetSymbol(), p.GetAsset())
	amount, principal, interest := c.amount("amount", p.GetAmount()), c.amount("principal", p.GetPrincipal()), c.amount("interest", p.GetInterest())
	expected, actual := map[string]string{}, map[string]string{}
	if !principal.Add(interest).Equal(amount) {
		expected["amount"], actual["amount"] = principal.Add(interest).String(), amount.String()
	}
	switch {
	case principal.IsNegative():
		expected["principal"], actual["principal"] = "at least 0", principal.String()
	case principal.GreaterThan(loan.Borrowed):
		expected["borrowed"], actual["principal"] = loan.Borrowed.String(), principal.String()
	}
	if interest.IsNegative() {
		expected["interest"], actual["interest"] = "at least 0", interest.String()
	}
	c.flagBalance(loan.AccountID, walletIsolated+loan.Symbol, loan.Asset, expected, actual)
	loan.Borrowed, loan.InterestPaid = loan.Borrowed.Sub(principal), loan.InterestPaid.Add(interest)
	c.put(loan)
}
