package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// settlersMax is how many tenants are set up at a time.
const settlersMax = 8

// tenant is one of the bench's tenants.
type tenant struct {
	id       string
	accounts []string
	// strategy is enabled, of the first account.
	strategy string
	// trader are accounts for order lives alone: one position at a time.
	trader []string
}

// world is whom the bench appends for.
type world struct{ tenants []tenant }

// newWorld invents tenants, each with accounts to sample and traders to live order lives.
func newWorld(tenants, accounts, traders int) *world {
	w := &world{tenants: make([]tenant, tenants)}
	for i := range w.tenants {
		w.tenants[i] = tenant{id: uuid.NewString(), accounts: newIDs(accounts), strategy: uuid.NewString(), trader: newIDs(traders)}
	}
	return w
}

func newIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	return ids
}

// settle appends what begins the tenants' logs: the tenants, their accounts, an enabled strategy.
func (w *world) settle(ctx context.Context, c *client) error {
	err := parallel(len(w.tenants), settlersMax, func(i int) error { return w.tenants[i].settle(ctx, c, c.writer(i)) })
	if err != nil {
		return fmt.Errorf("set up tenants: %w", err)
	}
	return nil
}

func (t *tenant) settle(ctx context.Context, c *client, log eventlogv1.AppendServiceClient) error {
	created := &eventv1.Payload{Kind: &eventv1.Payload_TenantCreated{TenantCreated: &eventv1.TenantCreated{TenantId: t.id, Name: "bench"}}}
	if _, err := appendOne(c.asUser(ctx, t.id), log, first("tenant:"+t.id, created)); err != nil {
		return err
	}
	var appends []*eventlogv1.AppendRequest
	for _, id := range append(append([]string{}, t.accounts...), t.trader...) {
		appends = append(appends, first("account:"+id, registered(id)))
	}
	strategy := first("strategy:"+t.strategy, t.strategyRegistered())
	strategy.Streams[0].Events = append(strategy.Streams[0].Events, newEvent(t.strategyEnabled()))
	_, err := appendBatch(c.as(ctx, asCommand, t.id), log, append(appends, strategy))
	return err
}

// first is the append that begins a stream.
func first(stream string, payload *eventv1.Payload) *eventlogv1.AppendRequest {
	return decided(uuid.NewString(), &eventlogv1.StreamAppend{StreamKey: stream, Expected: noStream, Events: []*eventlogv1.NewEvent{newEvent(payload)}})
}

// newEvent is a payload that happens now.
func newEvent(payload *eventv1.Payload) *eventlogv1.NewEvent {
	return &eventlogv1.NewEvent{Payload: payload, OccurredAt: timestamppb.New(now())}
}

func registered(accountID string) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_AccountRegistered{AccountRegistered: &eventv1.AccountRegistered{
		AccountId: accountID, Exchange: "binance", Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT,
		Label: "bench", ApiKeyFingerprint: accountID, Permissions: []string{"trade"}, Version: 1, QuoteAsset: "USDT",
		RiskLimits: &eventv1.RiskLimits{
			RiskPercentMax: "1", MaxExposure: "1000000", DailyLossLimit: "1000000", MaxDrawdown: "1000000",
			MonthlyBudgetPercent: "100", CapitalBase: "1000000", MaxOpenPositions: 100,
		},
	}}}
}

func (t *tenant) riskConfig() *eventv1.RiskConfig { return &eventv1.RiskConfig{RiskPercent: "1"} }

func (t *tenant) strategyRegistered() *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_StrategyRegistered{StrategyRegistered: &eventv1.StrategyRegistered{
		StrategyId: t.strategy, AccountId: t.accounts[0], StrategyName: "bench", StrategyType: "manual", RiskConfig: t.riskConfig(), Version: 1,
	}}}
}

func (t *tenant) strategyEnabled() *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_StrategyEnabled{StrategyEnabled: &eventv1.StrategyEnabled{
		StrategyId: t.strategy, AccountId: t.accounts[0], StrategyName: "bench", StrategyType: "manual", RiskConfig: t.riskConfig(), Version: 1,
	}}}
}
