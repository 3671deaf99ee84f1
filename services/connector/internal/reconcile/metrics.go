package reconcile

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell when accounts were reconciled, and what did not fit.
type metrics struct{ runs, differences metric.Int64Counter }

func newMetrics() (*metrics, error) {
	meter := otel.Meter(scopeName)
	runs, err := meter.Int64Counter("robson.connector.reconciliations", metric.WithUnit("{run}"),
		metric.WithDescription("Reconciliations that have ended, by what started them and by status."))
	if err != nil {
		return nil, fmt.Errorf("make reconciliations counter: %w", err)
	}
	differences, err := meter.Int64Counter("robson.connector.differences", metric.WithUnit("{difference}"),
		metric.WithDescription("Differences between book and venue that reconciliations found, by kind and by what was done."))
	if err != nil {
		return nil, fmt.Errorf("make differences counter: %w", err)
	}
	return &metrics{runs: runs, differences: differences}, nil
}

func (m *metrics) ended(ctx context.Context, report *Report) {
	m.runs.Add(ctx, 1, metric.WithAttributes(
		attribute.String("trigger", lower(report.Completed.GetTrigger().String(), "RECONCILIATION_TRIGGER_")),
		attribute.String("status", lower(report.Completed.GetStatus().String(), "RECONCILIATION_STATUS_"))))
	for _, e := range report.Found {
		d := e.GetPayload().GetDiscrepancyDetected()
		m.differences.Add(ctx, 1, metric.WithAttributes(
			attribute.String("kind", lower(d.GetKind().String(), "DISCREPANCY_KIND_")),
			attribute.String("resolution", lower(d.GetResolution().String(), "RESOLUTION_"))))
	}
}
