package server

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/reconcile"
)

type reconciled struct {
	report *reconcile.Report
	err    error
}

func (r reconciled) Reconcile(context.Context, string, []string) (*reconcile.Report, error) {
	return r.report, r.err
}

func TestReconciliation(t *testing.T) {
	t.Parallel()
	fill := &eventv1.DiscrepancyDetected{DiscrepancyId: "d", Entity: "trade:BTCUSDT/1/2", Resolution: eventv1.Resolution_RESOLUTION_AUTO_REPAIRED}
	report := &reconcile.Report{
		Completed: &eventv1.ReconciliationCompleted{RunId: "run", Unresolved: 1},
		Found:     []*eventv1.Event{{EventId: "e", Payload: event.Wrap(fill)}},
		Facts:     map[string][]string{"e": {"FILL_RECEIVED"}}, Open: []*projectorv1.Discrepancy{{DiscrepancyId: "old"}},
		Symbols: []reconcile.SymbolReport{{Symbol: "BTCUSDT", FromTrade: 1, ToTrade: 9, Trades: 3}}, Skipped: 2, Position: 7, Notes: []string{"balances: not now"},
	}
	response, err := NewReconciliation(reconciled{report: report}).Reconcile(t.Context(), &connectorv1.ReconcileRequest{})
	require.NoError(t, err)
	got := response.GetReport()
	require.Equal(t, "run", got.GetRunId())
	require.EqualValues(t, 1, got.GetUnresolved())
	require.EqualValues(t, 2, got.GetOrdersSkipped())
	require.Equal(t, report.Notes, got.GetNotes())
	require.EqualValues(t, 9, got.GetSymbols()[0].GetToTradeId())
	require.Equal(t, []string{"FILL_RECEIVED"}, got.GetDifferences()[0].GetFacts())
	require.Equal(t, "old", got.GetOpenBefore()[0].GetDiscrepancyId())

	away := errors.New("away")
	_, err = NewReconciliation(reconciled{err: away}).Reconcile(t.Context(), &connectorv1.ReconcileRequest{})
	require.ErrorIs(t, err, away)
}

// What cannot be closed is refused by its field, before a run begins.
func TestReconciliation_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	client := connectorv1.NewReconciliationServiceClient(b.dial("operator"))
	stray := uuid.NewString()
	for resolve, says := range map[string]string{"0d9f": "must be a UUID", stray: stray + " is no open discrepancy of account " + projectiontest.Spot.String()} {
		_, err := client.Reconcile(t.Context(), &connectorv1.ReconcileRequest{AccountId: projectiontest.Spot.String(), Resolve: []string{resolve}})
		err = rpc.FromStatus(err)
		requireField(t, err, "resolve[0]")
		require.ErrorContains(t, err, says)
	}
	require.Empty(t, b.books.Events("RECONCILIATION_COMPLETED", "DISCREPANCY_DETECTED"))
	response, err := client.Reconcile(t.Context(), &connectorv1.ReconcileRequest{AccountId: projectiontest.Spot.String()})
	require.NoError(t, err)
	require.Zero(t, response.GetReport().GetUnresolved())
}
