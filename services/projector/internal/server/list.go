package server

import (
	"context"
	"slices"

	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// ListAccounts implements projectorv1.StateServiceServer.
func (s *State) ListAccounts(ctx context.Context, r *projectorv1.ListAccountsRequest) (*projectorv1.ListAccountsResponse, error) {
	page, err := many[*projectorv1.Account](ctx, s, store.Accounts, r, filters())
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListAccountsResponse{Accounts: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListStrategies implements projectorv1.StateServiceServer.
func (s *State) ListStrategies(ctx context.Context, r *projectorv1.ListStrategiesRequest) (*projectorv1.ListStrategiesResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).flag("is_enabled", r.IsEnabled)
	page, err := many[*projectorv1.Strategy](ctx, s, store.Strategies, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListStrategiesResponse{Strategies: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListPositions implements projectorv1.StateServiceServer.
func (s *State) ListPositions(ctx context.Context, r *projectorv1.ListPositionsRequest) (*projectorv1.ListPositionsResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("strategy_id", r.GetStrategyId()).
		text("symbol", r.GetSymbol()).among("state", enumTexts(r.GetStates()))
	if states := r.GetStates(); len(states) > 0 && !slices.Contains(states, projectorv1.PositionState_POSITION_STATE_CLOSED) {
		where.conditions = append(where.conditions, store.NotClosed)
	}
	page, err := many[*projectorv1.Position](ctx, s, store.Positions, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListPositionsResponse{Positions: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListOrders implements projectorv1.StateServiceServer.
func (s *State) ListOrders(ctx context.Context, r *projectorv1.ListOrdersRequest) (*projectorv1.ListOrdersResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("position_id", r.GetPositionId()).
		text("symbol", r.GetSymbol()).among("status", enumTexts(r.GetStatuses())).flag("needs_resolution", r.NeedsResolution)
	page, err := many[*projectorv1.Order](ctx, s, store.Orders, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListOrdersResponse{Orders: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListIntents implements projectorv1.StateServiceServer.
func (s *State) ListIntents(ctx context.Context, r *projectorv1.ListIntentsRequest) (*projectorv1.ListIntentsResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("position_id", r.GetPositionId()).
		among("status", enumTexts(r.GetStatuses()))
	page, err := many[*projectorv1.Intent](ctx, s, store.Intents, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListIntentsResponse{Intents: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListDecisions implements projectorv1.StateServiceServer.
func (s *State) ListDecisions(ctx context.Context, r *projectorv1.ListDecisionsRequest) (*projectorv1.ListDecisionsResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("position_id", r.GetPositionId()).
		among("status", enumTexts(r.GetStatuses()))
	page, err := many[*projectorv1.Decision](ctx, s, store.Decisions, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListDecisionsResponse{Decisions: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListSignals implements projectorv1.StateServiceServer.
func (s *State) ListSignals(ctx context.Context, r *projectorv1.ListSignalsRequest) (*projectorv1.ListSignalsResponse, error) {
	where := filters().id("position_id", r.GetPositionId()).id("strategy_id", r.GetStrategyId()).
		among("status", enumTexts(r.GetStatuses()))
	page, err := many[*projectorv1.Signal](ctx, s, store.Signals, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListSignalsResponse{Signals: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListFills implements projectorv1.StateServiceServer.
func (s *State) ListFills(ctx context.Context, r *projectorv1.ListFillsRequest) (*projectorv1.ListFillsResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("position_id", r.GetPositionId()).
		id("order_id", r.GetOrderId()).text("symbol", r.GetSymbol())
	page, err := many[*projectorv1.Fill](ctx, s, store.Fills, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListFillsResponse{Fills: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListDiscrepancies implements projectorv1.StateServiceServer.
func (s *State) ListDiscrepancies(ctx context.Context, r *projectorv1.ListDiscrepanciesRequest) (*projectorv1.ListDiscrepanciesResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).flag("is_open", r.IsOpen)
	page, err := many[*projectorv1.Discrepancy](ctx, s, store.Discrepancies, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListDiscrepanciesResponse{Discrepancies: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListBalances implements projectorv1.StateServiceServer.
func (s *State) ListBalances(ctx context.Context, r *projectorv1.ListBalancesRequest) (*projectorv1.ListBalancesResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).text("wallet", r.GetWallet()).text("asset", r.GetAsset())
	page, err := many[*projectorv1.Balance](ctx, s, store.Balances, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListBalancesResponse{Balances: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListRiskStates implements projectorv1.StateServiceServer.
func (s *State) ListRiskStates(ctx context.Context, r *projectorv1.ListRiskStatesRequest) (*projectorv1.ListRiskStatesResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("strategy_id", r.GetStrategyId())
	page, err := many[*projectorv1.Risk](ctx, s, store.RiskStates, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListRiskStatesResponse{RiskStates: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListPnLPeriods implements projectorv1.StateServiceServer.
func (s *State) ListPnLPeriods(ctx context.Context, r *projectorv1.ListPnLPeriodsRequest) (*projectorv1.ListPnLPeriodsResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("strategy_id", r.GetStrategyId()).
		text("period", r.GetPeriod())
	page, err := many[*projectorv1.PnLPeriod](ctx, s, store.PnLPeriods, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListPnLPeriodsResponse{Periods: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListMarginLoans implements projectorv1.StateServiceServer.
func (s *State) ListMarginLoans(ctx context.Context, r *projectorv1.ListMarginLoansRequest) (*projectorv1.ListMarginLoansResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).text("symbol", r.GetSymbol())
	page, err := many[*projectorv1.MarginLoan](ctx, s, store.MarginLoans, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListMarginLoansResponse{MarginLoans: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}
