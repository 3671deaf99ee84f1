package server

import (
	"context"

	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// What can be asked for by its id, and the table that holds it.
var (
	tenants       = subject{name: "tenant", table: projection.TableNamed(projection.TableTenants)}
	accounts      = subject{name: "account", table: projection.TableNamed(projection.TableAccounts), key: "account_id"}
	strategies    = subject{name: "strategy", table: projection.TableNamed(projection.TableStrategies), key: "strategy_id"}
	positions     = subject{name: "position", table: projection.TableNamed(projection.TablePositions), key: "position_id"}
	orders        = subject{name: "order", table: projection.TableNamed(projection.TableOrders), key: "order_id"}
	intents       = subject{name: "intent", table: projection.TableNamed(projection.TableIntents), key: "intent_id"}
	decisions     = subject{name: "decision", table: projection.TableNamed(projection.TableDecisions), key: "decision_id"}
	signals       = subject{name: "signal", table: projection.TableNamed(projection.TableSignals), key: "signal_id"}
	fills         = subject{name: "fill", table: projection.TableNamed(projection.TableFills), key: "fill_id"}
	discrepancies = subject{name: "discrepancy", table: projection.TableNamed(projection.TableDiscrepancies), key: "discrepancy_id"}
)

// GetTenant implements projectorv1.StateServiceServer.
func (s *State) GetTenant(ctx context.Context, r *projectorv1.GetTenantRequest) (*projectorv1.GetTenantResponse, error) {
	row, asOf, err := one[*projectorv1.Tenant](ctx, s, tenants, "", r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetTenantResponse{Tenant: row, AsOf: asOf}, nil
}

// GetAccount implements projectorv1.StateServiceServer.
func (s *State) GetAccount(ctx context.Context, r *projectorv1.GetAccountRequest) (*projectorv1.GetAccountResponse, error) {
	row, asOf, err := one[*projectorv1.Account](ctx, s, accounts, r.GetAccountId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetAccountResponse{Account: row, AsOf: asOf}, nil
}

// GetStrategy implements projectorv1.StateServiceServer.
func (s *State) GetStrategy(ctx context.Context, r *projectorv1.GetStrategyRequest) (*projectorv1.GetStrategyResponse, error) {
	row, asOf, err := one[*projectorv1.Strategy](ctx, s, strategies, r.GetStrategyId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetStrategyResponse{Strategy: row, AsOf: asOf}, nil
}

// GetPosition implements projectorv1.StateServiceServer.
func (s *State) GetPosition(ctx context.Context, r *projectorv1.GetPositionRequest) (*projectorv1.GetPositionResponse, error) {
	row, asOf, err := one[*projectorv1.Position](ctx, s, positions, r.GetPositionId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetPositionResponse{Position: row, AsOf: asOf}, nil
}

// GetOrder implements projectorv1.StateServiceServer.
func (s *State) GetOrder(ctx context.Context, r *projectorv1.GetOrderRequest) (*projectorv1.GetOrderResponse, error) {
	row, asOf, err := one[*projectorv1.Order](ctx, s, orders, r.GetOrderId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetOrderResponse{Order: row, AsOf: asOf}, nil
}

// GetIntent implements projectorv1.StateServiceServer.
func (s *State) GetIntent(ctx context.Context, r *projectorv1.GetIntentRequest) (*projectorv1.GetIntentResponse, error) {
	row, asOf, err := one[*projectorv1.Intent](ctx, s, intents, r.GetIntentId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetIntentResponse{Intent: row, AsOf: asOf}, nil
}

// GetDecision implements projectorv1.StateServiceServer.
func (s *State) GetDecision(ctx context.Context, r *projectorv1.GetDecisionRequest) (*projectorv1.GetDecisionResponse, error) {
	row, asOf, err := one[*projectorv1.Decision](ctx, s, decisions, r.GetDecisionId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetDecisionResponse{Decision: row, AsOf: asOf}, nil
}

// GetSignal implements projectorv1.StateServiceServer.
func (s *State) GetSignal(ctx context.Context, r *projectorv1.GetSignalRequest) (*projectorv1.GetSignalResponse, error) {
	row, asOf, err := one[*projectorv1.Signal](ctx, s, signals, r.GetSignalId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetSignalResponse{Signal: row, AsOf: asOf}, nil
}

// GetFill implements projectorv1.StateServiceServer.
func (s *State) GetFill(ctx context.Context, r *projectorv1.GetFillRequest) (*projectorv1.GetFillResponse, error) {
	row, asOf, err := one[*projectorv1.Fill](ctx, s, fills, r.GetFillId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetFillResponse{Fill: row, AsOf: asOf}, nil
}

// GetDiscrepancy implements projectorv1.StateServiceServer.
func (s *State) GetDiscrepancy(ctx context.Context, r *projectorv1.GetDiscrepancyRequest) (*projectorv1.GetDiscrepancyResponse, error) {
	row, asOf, err := one[*projectorv1.Discrepancy](ctx, s, discrepancies, r.GetDiscrepancyId(), r.GetMinPosition())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetDiscrepancyResponse{Discrepancy: row, AsOf: asOf}, nil
}
