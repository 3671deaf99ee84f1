package projection

import (
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The bounds of a stop's distance, percent of entry, where a strategy names none.
var (
	stopMinPercent = decimal.New(1, -1)
	stopMaxPercent = decimal.NewFromInt(10)
)

func (c *change) foldStrategyRegistered(p *eventv1.StrategyRegistered) {
	id := c.id("strategy_id", p.GetStrategyId())
	if c.strategy(id) != nil {
		c.fail("strategy %s exists already", id)
	}
	strategy := &Strategy{
		TenantID: c.ev.TenantID, StrategyID: id, AccountID: c.id("account_id", p.GetAccountId()),
		StrategyName: p.GetStrategyName(), StrategyType: p.GetStrategyType(),
	}
	c.putStrategy(strategy, p.GetDetectorConfig(), p.GetRiskConfig(), p.GetVersion())
}

func (c *change) foldStrategyEnabled(p *eventv1.StrategyEnabled) {
	strategy := c.editStrategy(p.GetStrategyId())
	if strategy == nil {
		return
	}
	at := c.occurred()
	strategy.StrategyName, strategy.StrategyType = p.GetStrategyName(), p.GetStrategyType()
	strategy.IsEnabled, strategy.EnabledAt = true, &at
	strategy.DisabledAt, strategy.DisabledReason = nil, nil
	c.putStrategy(strategy, p.GetDetectorConfig(), p.GetRiskConfig(), p.GetVersion())
}

func (c *change) foldStrategyDisabled(p *eventv1.StrategyDisabled) {
	strategy := c.editStrategy(p.GetStrategyId())
	if strategy == nil {
		return
	}
	at := c.occurred()
	strategy.IsEnabled, strategy.DisabledAt, strategy.DisabledReason = false, &at, maybeText(p.GetReason())
	c.put(strategy)
}

func (c *change) foldStrategyUpdated(p *eventv1.StrategyUpdated) {
	if strategy := c.editStrategy(p.GetStrategyId()); strategy != nil {
		c.putStrategy(strategy, p.GetDetectorConfig(), p.GetRiskConfig(), p.GetVersion())
	}
}

// editStrategy is a copy of a strategy to change; nil when there is none.
func (c *change) editStrategy(text string) *Strategy {
	id := c.id("strategy_id", text)
	strategy := c.strategy(id)
	if strategy == nil {
		c.fail("strategy %s does not exist", id)
		return nil
	}
	return clone(strategy)
}

// putStrategy sets the settings, of the strategy and of its risk row.
func (c *change) putStrategy(s *Strategy, detector map[string]string, config *eventv1.RiskConfig, version int32) {
	s.DetectorConfig, s.Version = configOf(detector), version
	s.RiskPercent = c.amount("risk_config.risk_percent", config.GetRiskPercent())
	s.MaxExposure = c.maybeAmount("risk_config.max_exposure", config.GetMaxExposure())
	s.DailyLossLimit = c.maybeAmount("risk_config.daily_loss_limit", config.GetDailyLossLimit())
	s.MaxDrawdown = c.maybeAmount("risk_config.max_drawdown", config.GetMaxDrawdown())
	s.MaxOpenPositions = nil
	if config != nil && config.MaxOpenPositions != nil {
		most := config.GetMaxOpenPositions()
		s.MaxOpenPositions = &most
	}
	s.TrailingMode = trailingMode(config.GetTrailingMode())
	s.StopMinPct, s.StopMaxPct = c.stopBounds(config)
	c.put(s)

	use := c.editRisk(s.AccountID, s.StrategyID)
	use.RiskPercentMax = someAmount(s.RiskPercent)
	use.MaxExposure, use.DailyLossLimit, use.MaxDrawdown = s.MaxExposure, s.DailyLossLimit, s.MaxDrawdown
	use.MaxOpenPositions = s.MaxOpenPositions
	c.put(use)
}

func (r *reader) stopBounds(config *eventv1.RiskConfig) (least, most decimal.Decimal) {
	least, most = stopMinPercent, stopMaxPercent
	if told := r.maybeAmount("risk_config.stop_min_pct", config.GetStopMinPct()); told.Valid {
		least = told.Decimal
	}
	if told := r.maybeAmount("risk_config.stop_max_pct", config.GetStopMaxPct()); told.Valid {
		most = told.Decimal
	}
	return least, most
}

func (r *reader) checkStrategyRegistered(p *eventv1.StrategyRegistered) error {
	id, accountID := r.id("strategy_id", p.GetStrategyId()), r.id("account_id", p.GetAccountId())
	if r.strategy(id) != nil {
		return refused("STRATEGY_EXISTS", "strategy %s is registered already", id)
	}
	if p.GetVersion() != 1 {
		return invalid("version", "must be 1 and is %d", p.GetVersion())
	}
	return firstOf(r.first(), r.checkConfig(accountID, p.GetRiskConfig()))
}

func (r *reader) checkStrategyEnabled(p *eventv1.StrategyEnabled) error {
	strategy, err := r.knownStrategy(p.GetStrategyId())
	switch {
	case err != nil:
		return err
	case strategy.IsEnabled:
		return refused("STRATEGY_ENABLED", "strategy %s is enabled already", strategy.StrategyID)
	case p.GetVersion() != strategy.Version:
		return refused("STRATEGY_VERSION", "strategy %s has version %d, not %d", strategy.StrategyID, strategy.Version, p.GetVersion())
	}
	return firstOf(
		sameText("account_id", r.id("account_id", p.GetAccountId()).String(), strategy.AccountID.String()),
		r.checkConfig(strategy.AccountID, p.GetRiskConfig()))
}

func (r *reader) checkStrategyDisabled(p *eventv1.StrategyDisabled) error {
	strategy, err := r.knownStrategy(p.GetStrategyId())
	if err != nil {
		return err
	}
	if !strategy.IsEnabled {
		return refused("STRATEGY_DISABLED", "strategy %s is disabled already", strategy.StrategyID)
	}
	return nil
}

func (r *reader) checkStrategyUpdated(p *eventv1.StrategyUpdated) error {
	strategy, err := r.knownStrategy(p.GetStrategyId())
	if err != nil {
		return err
	}
	if p.GetVersion() != strategy.Version+1 {
		return refused("STRATEGY_VERSION", "strategy %s has version %d; the next is %d, not %d",
			strategy.StrategyID, strategy.Version, strategy.Version+1, p.GetVersion())
	}
	return r.checkConfig(strategy.AccountID, p.GetRiskConfig())
}

func (r *reader) knownStrategy(text string) (*Strategy, error) {
	id := r.id("strategy_id", text)
	strategy := r.strategy(id)
	if strategy == nil {
		return nil, refused("STRATEGY_UNKNOWN", "strategy %s does not exist", id)
	}
	return strategy, nil
}

// checkConfig holds a strategy's settings against its account's limits: they may tighten, never widen.
func (r *reader) checkConfig(accountID uuid.UUID, config *eventv1.RiskConfig) error {
	limits := r.risk(accountID, uuid.Nil)
	if r.account(accountID) == nil || limits == nil {
		return refused("ACCOUNT_UNKNOWN", "account %s is not registered", accountID)
	}
	if config.GetRiskPercent() == "" {
		return invalid("risk_config.risk_percent", "must be given")
	}
	if least, most := r.stopBounds(config); least.GreaterThan(most) {
		return invalid("risk_config.stop_min_pct", "must not be above stop_max_pct %s and is %s", most, least)
	}
	if most := limits.MaxOpenPositions; config.MaxOpenPositions != nil {
		switch told := config.GetMaxOpenPositions(); {
		case told <= 0:
			return invalid("risk_config.max_open_positions", "must be above 0 and is %d", told)
		case most != nil && told > *most:
			return invalid("risk_config.max_open_positions", "must be at most the account's %d and is %d", *most, told)
		}
	}
	return firstOf(
		r.within("risk_config.risk_percent", config.GetRiskPercent(), limits.RiskPercentMax),
		r.within("risk_config.max_exposure", config.GetMaxExposure(), limits.MaxExposure),
		r.within("risk_config.daily_loss_limit", config.GetDailyLossLimit(), limits.DailyLossLimit),
		r.within("risk_config.max_drawdown", config.GetMaxDrawdown(), limits.MaxDrawdown))
}

// within refuses a limit that is not positive or is above the account's.
func (r *reader) within(field, text string, most decimal.NullDecimal) error {
	told := r.maybeAmount(field, text)
	switch {
	case !told.Valid:
		return nil
	case !told.Decimal.IsPositive():
		return invalid(field, "must be above 0 and is %s", told.Decimal)
	case most.Valid && told.Decimal.GreaterThan(most.Decimal):
		return invalid(field, "must be at most the account's %s and is %s", most.Decimal, told.Decimal)
	}
	return nil
}
