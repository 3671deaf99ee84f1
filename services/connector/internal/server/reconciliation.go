package server

import (
	"context"
	"fmt"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/reconcile"
)

// Reconciler holds an account's book against its venue's.
type Reconciler interface {
	Reconcile(ctx context.Context, account string, resolve []string) (*reconcile.Report, error)
}

var _ connectorv1.ReconciliationServiceServer = (*Reconciliation)(nil)

// Reconciliation is the ReconciliationService.
type Reconciliation struct {
	connectorv1.UnimplementedReconciliationServiceServer
	reconciler Reconciler
}

// NewReconciliation makes the service.
func NewReconciliation(reconciler Reconciler) *Reconciliation {
	return &Reconciliation{reconciler: reconciler}
}

// Reconcile implements connectorv1.ReconciliationServiceServer.
func (s *Reconciliation) Reconcile(ctx context.Context, in *connectorv1.ReconcileRequest) (*connectorv1.ReconcileResponse, error) {
	report, err := s.reconciler.Reconcile(ctx, in.GetAccountId(), in.GetResolve())
	if err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	return &connectorv1.ReconcileResponse{Report: reportOf(report)}, nil
}

// reportOf is a report in the contract's words.
func reportOf(r *reconcile.Report) *connectorv1.ReconciliationReport {
	ended := r.Completed
	out := &connectorv1.ReconciliationReport{
		RunId: ended.GetRunId(), AccountId: ended.GetAccountId(), Trigger: ended.GetTrigger(), Status: ended.GetStatus(),
		WindowFrom: ended.GetWindowFrom(), WindowTo: ended.GetWindowTo(), DurationMs: ended.GetDurationMs(),
		OrdersChecked: ended.GetOrdersChecked(), FillsChecked: ended.GetFillsChecked(), BalancesChecked: ended.GetBalancesChecked(),
		OrdersSkipped: int32(r.Skipped), ResolvedIds: ended.GetResolvedIds(), Unresolved: ended.GetUnresolved(), Position: r.Position,
		Notes: r.Notes,
	}
	for _, s := range r.Symbols {
		out.Symbols = append(out.Symbols, &connectorv1.ReconciledSymbol{
			Symbol: s.Symbol, FromTradeId: s.FromTrade, ToTradeId: s.ToTrade, Trades: int32(s.Trades),
			FromOrderId: s.FromOrder, ToOrderId: s.ToOrder, Orders: int32(s.Orders),
		})
	}
	for _, e := range r.Found {
		d := e.GetPayload().GetDiscrepancyDetected()
		out.Differences = append(out.Differences, &connectorv1.Difference{
			DiscrepancyId: d.GetDiscrepancyId(), Kind: d.GetKind(), Entity: d.GetEntity(), Expected: d.GetExpected(), Actual: d.GetActual(),
			Resolution: d.GetResolution(), Facts: r.Facts[e.GetEventId()],
		})
	}
	for _, d := range r.Open {
		out.OpenBefore = append(out.OpenBefore, &connectorv1.Difference{
			DiscrepancyId: d.GetDiscrepancyId(), Kind: d.GetKind(), Entity: d.GetEntity(), Expected: d.GetExpected(), Actual: d.GetActual(),
			Resolution: eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR,
		})
	}
	return out
}
