package cli

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/screen"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestPrintReconciliation(t *testing.T) {
	t.Parallel()
	report := &connectorv1.ReconciliationReport{
		RunId: "run", Status: eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, Unresolved: 1,
		Symbols: []*connectorv1.ReconciledSymbol{{Symbol: "BTCUSDT", Trades: 3, FromTradeId: 5, ToTradeId: 9}},
		Differences: []*connectorv1.Difference{{
			Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL, Entity: "trade:BTCUSDT/1/9", Expected: map[string]string{"fill": "recorded"},
			Actual: map[string]string{"quantity": "2", "price": "7"}, Resolution: eventv1.Resolution_RESOLUTION_AUTO_REPAIRED, Facts: []string{"FILL_RECEIVED"},
		}},
		Notes:      []string{"balances: the account trades without pause"},
		OpenBefore: []*connectorv1.Difference{{DiscrepancyId: "old", Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER}},
	}
	var out writer
	app := newApp(&out, io.Discard)
	app.out, app.output = screen.Look(&out, true), formatTable
	require.NoError(t, app.printReconciliation(report))
	for _, part := range []string{"blocked: run run", "BTCUSDT", "missed_fill", "price=7 quantity=2", "took in FILL_RECEIVED", "still open", "old", "not looked at: balances: the account trades without pause\n"} {
		require.Contains(t, string(out), part)
	}
	out, app.output = nil, formatJSON
	require.NoError(t, app.printReconciliation(report))
	require.Contains(t, string(out), "open_before")
	require.Equal(t, exitBroken, exitCode(openError{1}))
	require.Equal(t, "the book is not the venue's: 1 discrepancy open", openError{1}.Error())
}

// writer keeps what is written.
type writer []byte

func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
