package worldtest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Begin begins the tenant's log with an account of a product that holds USDT, and gives its id.
func (w *World) Begin(product eventv1.Product, free string, limits *eventv1.RiskLimits) (string, error) {
	id := uuid.NewString()
	wallet, pair := "spot", ""
	if product == eventv1.Product_PRODUCT_ISOLATED_MARGIN {
		wallet, pair = "isolated:"+Symbol, Symbol
	}
	err := w.Record("tenant:"+w.Tenant.String(), w.Now(), event.Wrap(&eventv1.TenantCreated{TenantId: w.Tenant.String(), Name: "acme"}))
	if err != nil {
		return "", err
	}
	err = w.Record("account:"+id, w.Now(), event.Wrap(&eventv1.AccountRegistered{
		AccountId: id, Exchange: "binance", Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: product, Label: "a",
		RiskLimits: limits, ApiKeyFingerprint: "f", Version: 1, QuoteAsset: "USDT", MarginSymbol: pair,
	}))
	if err != nil {
		return "", err
	}
	return id, w.Record("account:"+id, w.Now(), event.Wrap(&eventv1.BalanceSampled{
		SampleId: uuid.NewString(), AccountId: id, Wallet: wallet, Asset: "USDT", Free: free, Locked: "0", Total: free,
		SampledAt: timestamppb.New(w.Now()), Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT,
	}))
}

// Fill sends the newest intent of a position, so that the venue does with it what it was told to.
func (w *World) Fill(ctx context.Context, positionID string) error {
	for _, known := range w.Events() {
		intent := known.GetPayload().GetIntentCreated()
		if intent.GetPositionId() != positionID {
			continue
		}
		if _, err := w.Execute(ctx, &connectorv1.ExecuteRequest{IntentId: intent.GetIntentId(), Attempt: 1}); err != nil {
			return err
		}
	}
	return nil
}

// Open records that a position was opened, as the process manager would: at its first fill.
func (w *World) Open(positionID string) error {
	row := w.Position(positionID)
	for _, known := range w.Events() {
		fill := known.GetPayload().GetFillReceived()
		if fill == nil || fill.GetOrderId() != row.GetEntryOrderId() {
			continue
		}
		return w.Record("position:"+positionID, fill.GetFilledAt().AsTime(), event.Wrap(&eventv1.PositionOpened{
			PositionId: positionID, AccountId: row.GetAccountId(), StrategyId: row.GetStrategyId(), Symbol: row.GetSymbol(),
			Side: row.GetSide(), EntryOrderId: row.GetEntryOrderId(), EntryPrice: fill.GetFillPrice(),
			EntryQuantity: fill.GetFillQuantity(), TechnicalStopPrice: row.GetTechnicalStopPrice(),
			TechnicalStopDistance: row.GetTechnicalStopDistance(), TrailingStopPrice: row.GetTechnicalStopPrice(),
			OpenedAt: timestamppb.New(fill.GetFilledAt().AsTime().Truncate(time.Microsecond)),
		}))
	}
	return fmt.Errorf("position %s has no entry fill", positionID)
}
