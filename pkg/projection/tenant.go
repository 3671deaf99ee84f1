package projection

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func (c *change) foldTenantCreated(p *eventv1.TenantCreated) {
	if get[Tenant](&c.reader, TenantKey()) != nil {
		c.fail("tenant %s exists already", c.ev.TenantID)
	}
	c.put(&Tenant{TenantID: c.ev.TenantID, Name: p.GetName(), Plan: maybeText(p.GetPlan())})
}

// foldAccountRegistered records an account and its limits. What the limits are used for stays as it is.
func (c *change) foldAccountRegistered(p *eventv1.AccountRegistered) {
	id := c.id("account_id", p.GetAccountId())
	account, before := &Account{TenantID: c.ev.TenantID, AccountID: id}, ""
	if known := c.account(id); known != nil {
		account, before = clone(known), known.APIKeyFingerprint
	}
	account.Exchange, account.Label, account.QuoteAsset = p.GetExchange(), p.GetLabel(), p.GetQuoteAsset()
	account.Environment, account.Product = enumText(environments, p.GetEnvironment()), enumText(products, p.GetProduct())
	account.MarginSymbol, account.APIKeyFingerprint = maybeText(p.GetMarginSymbol()), p.GetApiKeyFingerprint()
	account.Permissions, account.Version = append([]string{}, p.GetPermissions()...), p.GetVersion()
	account.CapitalReviewSince = nil // capital_base was just set.
	c.put(account)
	c.replaceKey(id, before, p.GetApiKeyFingerprint())
	c.putLimits(c.editRisk(id, uuid.Nil), p.GetRiskLimits())
}

func (c *change) putLimits(use *Risk, limits *eventv1.RiskLimits) {
	most := limits.GetMaxOpenPositions()
	use.MaxOpenPositions = &most
	use.RiskPercentMax = c.maybeAmount("risk_limits.risk_percent_max", limits.GetRiskPercentMax())
	use.MaxExposure = c.maybeAmount("risk_limits.max_exposure", limits.GetMaxExposure())
	use.MaxPositionNotional = c.maybeAmount("risk_limits.max_position_notional", limits.GetMaxPositionNotional())
	use.DailyLossLimit = c.maybeAmount("risk_limits.daily_loss_limit", limits.GetDailyLossLimit())
	use.MaxDrawdown = c.maybeAmount("risk_limits.max_drawdown", limits.GetMaxDrawdown())
	use.MonthlyBudgetPercent = c.maybeAmount("risk_limits.monthly_budget_percent", limits.GetMonthlyBudgetPercent())
	use.CapitalBase = c.maybeAmount("risk_limits.capital_base", limits.GetCapitalBase())
	c.put(use)
}

func (r *reader) checkTenantCreated(p *eventv1.TenantCreated) error {
	if get[Tenant](r, TenantKey()) != nil {
		return refused("TENANT_EXISTS", "tenant %s exists already", r.ev.TenantID)
	}
	return firstOf(sameText("tenant_id", strings.ToLower(p.GetTenantId()), r.ev.TenantID.String()), r.first())
}

func (r *reader) checkAccountRegistered(p *eventv1.AccountRegistered) error {
	id := r.id("account_id", p.GetAccountId())
	err := r.checkRegistration(p)
	if err != nil {
		return err
	}
	if err := r.keyIsFree(p.GetApiKeyFingerprint(), id); err != nil {
		return err
	}
	known := r.account(id)
	if known == nil {
		if p.GetVersion() != 1 {
			return invalid("version", "must be 1 for a new account and is %d", p.GetVersion())
		}
		return r.first()
	}
	if p.GetVersion() != known.Version+1 {
		return refused("ACCOUNT_VERSION", "account %s has version %d; the next is %d, not %d", id, known.Version, known.Version+1, p.GetVersion())
	}
	return firstOf(
		sameText("exchange", p.GetExchange(), known.Exchange),
		sameText("environment", enumText(environments, p.GetEnvironment()), known.Environment),
		sameText("product", enumText(products, p.GetProduct()), known.Product),
		sameText("quote_asset", p.GetQuoteAsset(), known.QuoteAsset),
		sameText("margin_symbol", p.GetMarginSymbol(), textOf(known.MarginSymbol)))
}

// checkRegistration looks at what a registration says by itself.
func (r *reader) checkRegistration(p *eventv1.AccountRegistered) error {
	canWithdraw := func(permission string) bool { return strings.Contains(strings.ToLower(permission), "withdraw") }
	isolated := p.GetProduct() == eventv1.Product_PRODUCT_ISOLATED_MARGIN
	switch {
	case slices.ContainsFunc(p.GetPermissions(), canWithdraw):
		return invalid("permissions", "must not let the key withdraw: Robson is non-custodial")
	case isolated && p.GetMarginSymbol() == "":
		return invalid("margin_symbol", "is needed for an isolated margin account")
	case isolated && !strings.HasSuffix(p.GetMarginSymbol(), p.GetQuoteAsset()):
		return invalid("margin_symbol", "must be quoted in %s and is %s", p.GetQuoteAsset(), p.GetMarginSymbol())
	case !isolated && p.GetMarginSymbol() != "":
		return invalid("margin_symbol", "is for isolated margin accounts only")
	case p.GetRiskLimits().GetMaxOpenPositions() <= 0:
		return invalid("risk_limits.max_open_positions", "must be above 0 and is %d", p.GetRiskLimits().GetMaxOpenPositions())
	}
	limits := p.GetRiskLimits()
	for _, limit := range []struct{ field, text string }{
		{"risk_limits.risk_percent_max", limits.GetRiskPercentMax()},
		{"risk_limits.max_exposure", limits.GetMaxExposure()},
		{"risk_limits.daily_loss_limit", limits.GetDailyLossLimit()},
		{"risk_limits.max_drawdown", limits.GetMaxDrawdown()},
		{"risk_limits.monthly_budget_percent", limits.GetMonthlyBudgetPercent()},
		{"risk_limits.capital_base", limits.GetCapitalBase()},
	} {
		if !r.amount(limit.field, limit.text).IsPositive() {
			return invalid(limit.field, "must be above 0 and is %q", limit.text)
		}
	}
	if most := r.amount("risk_limits.risk_percent_max", limits.GetRiskPercentMax()); most.GreaterThan(hundred) {
		return invalid("risk_limits.risk_percent_max", "must be at most 100 and is %s", most)
	}
	return nil
}
