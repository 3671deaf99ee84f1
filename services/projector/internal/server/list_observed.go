package server

import (
	"context"

	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// ListConnectorStates implements projectorv1.StateServiceServer.
func (s *State) ListConnectorStates(ctx context.Context, r *projectorv1.ListConnectorStatesRequest) (*projectorv1.ListConnectorStatesResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).flag("connected", r.Connected)
	page, err := many[*projectorv1.ConnectorState](ctx, s, store.Connectors, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListConnectorStatesResponse{ConnectorStates: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListMarginStates implements projectorv1.StateServiceServer.
func (s *State) ListMarginStates(ctx context.Context, r *projectorv1.ListMarginStatesRequest) (*projectorv1.ListMarginStatesResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).text("symbol", r.GetSymbol()).among("status", enumTexts(r.GetStatuses()))
	page, err := many[*projectorv1.MarginState](ctx, s, store.MarginStates, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListMarginStatesResponse{MarginStates: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListReconciliationRuns implements projectorv1.StateServiceServer.
func (s *State) ListReconciliationRuns(ctx context.Context, r *projectorv1.ListReconciliationRunsRequest) (*projectorv1.ListReconciliationRunsResponse, error) {
	where := filters().id("account_id", r.GetAccountId()).id("run_id", r.GetRunId()).flag("completed", r.Completed)
	page, err := many[*projectorv1.ReconciliationRun](ctx, s, store.Runs, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListReconciliationRunsResponse{ReconciliationRuns: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListReplayRuns implements projectorv1.StateServiceServer.
func (s *State) ListReplayRuns(ctx context.Context, r *projectorv1.ListReplayRunsRequest) (*projectorv1.ListReplayRunsResponse, error) {
	where := filters().id("run_id", r.GetRunId())
	page, err := many[*projectorv1.ReplayRun](ctx, s, store.Replays, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListReplayRunsResponse{ReplayRuns: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}

// ListSnapshots implements projectorv1.StateServiceServer.
func (s *State) ListSnapshots(ctx context.Context, r *projectorv1.ListSnapshotsRequest) (*projectorv1.ListSnapshotsResponse, error) {
	where := filters().among("scope", enumTexts(r.GetScopes())).id("scope_id", r.GetScopeId())
	page, err := many[*projectorv1.Snapshot](ctx, s, store.Snapshots, r, where)
	if err != nil {
		return nil, err
	}
	return &projectorv1.ListSnapshotsResponse{Snapshots: page.rows, NextPageToken: page.next, AsOf: page.asOf}, nil
}
