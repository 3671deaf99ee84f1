package demo

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Names the demo gives things.
const (
	walletSpot     = "spot"
	walletIsolated = "isolated:" + symbolBTC
	assetUSDT      = "USDT"
	depositText    = "25000"
)

// world is what the scenes play in.
type world struct {
	prices []decimal.Decimal
	plan   plan
	tick   int
	// spot is the account that most is played on; second that of the too big trade, and of the short on paper.
	spot, second string
	strategy     string
	// longPosition and shortPosition are those whose P&L is computed by hand.
	longPosition, shortPosition string
}

// setUp registers what trading needs and puts paper money in.
func (d *Demo) setUp(ctx context.Context) error {
	if err := d.createTenant(ctx); err != nil {
		return err
	}
	var err error
	d.world.spot, d.world.second, err = d.stage.accounts(ctx, d)
	if err != nil {
		return err
	}
	return d.registerStrategy(ctx)
}

// createTenant begins the tenant's log; a tenant that is there already is used as it is.
func (d *Demo) createTenant(ctx context.Context) error {
	existing, err := retry(ctx, d, "look for the tenant", func(ctx context.Context) (*projectorv1.GetTenantResponse, error) {
		return d.state.GetTenant(ctx, &projectorv1.GetTenantRequest{})
	})
	if err == nil {
		d.say("tenant %s is there already", existing.GetTenant().GetTenantId())
		return nil
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	created, err := retry(d.step(ctx, "tenant"), d, "create the tenant", func(ctx context.Context) (*commandv1.CreateTenantResponse, error) {
		return d.setup.CreateTenant(ctx, &commandv1.CreateTenantRequest{Name: "demo"})
	})
	if err != nil {
		return err
	}
	d.counts.commands++
	d.say("tenant %s", created.GetTenantId())
	return nil
}

// accountPlan is an account about to be registered.
type accountPlan struct {
	name         string
	product      eventv1.Product
	marginSymbol string
	fingerprint  string
	// id is empty where the command service is to choose it.
	id string
}

// registerAccount registers a simulated account with risk limits.
func (d *Demo) registerAccount(ctx context.Context, plan accountPlan) (string, error) {
	name := plan.name
	response, err := retry(d.step(ctx, "account/"+name), d, "register the "+name+" account", func(ctx context.Context) (*commandv1.RegisterAccountResponse, error) {
		return d.setup.RegisterAccount(ctx, &commandv1.RegisterAccountRequest{
			Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: plan.product, Label: "demo " + name, QuoteAsset: assetUSDT, MarginSymbol: plan.marginSymbol,
			AccountId: plan.id, ApiKeyFingerprint: plan.fingerprint, Permissions: []string{"read", "trade"},
			RiskLimits: &eventv1.RiskLimits{
				RiskPercentMax: "1", MaxExposure: "15000", DailyLossLimit: "300", MaxDrawdown: "1000",
				MonthlyBudgetPercent: "4", CapitalBase: money.Format(capital), MaxOpenPositions: 3,
			},
		})
	})
	if err != nil {
		return "", err
	}
	d.counts.commands++
	d.say("account %s  %s", response.GetAccountId(), name)
	return response.GetAccountId(), nil
}

// registerStrategy registers and enables the strategy of the spot account.
func (d *Demo) registerStrategy(ctx context.Context) error {
	registered, err := retry(d.step(ctx, "strategy"), d, "register the strategy", func(ctx context.Context) (*commandv1.RegisterStrategyResponse, error) {
		return d.setup.RegisterStrategy(ctx, &commandv1.RegisterStrategyRequest{
			AccountId: d.world.spot, StrategyName: "demo choreography", StrategyType: "manual",
			RiskConfig: &eventv1.RiskConfig{RiskPercent: "1", TrailingMode: eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS},
		})
	})
	if err != nil {
		return err
	}
	d.world.strategy = registered.GetStrategyId()
	_, err = retry(d.step(ctx, "strategy/enable"), d, "enable the strategy", func(ctx context.Context) (*commandv1.EnableStrategyResponse, error) {
		return d.setup.EnableStrategy(ctx, &commandv1.EnableStrategyRequest{StrategyId: d.world.strategy})
	})
	if err != nil {
		return err
	}
	d.counts.commands += 2
	d.say("strategy %s, enabled", d.world.strategy)
	return d.settle(ctx)
}

// account names an account on the screen.
func (d *Demo) account(id string) string {
	switch id {
	case d.world.spot:
		return "spot"
	case d.world.second:
		return d.stage.second()
	default:
		return id
	}
}
