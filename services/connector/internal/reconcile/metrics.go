package reconcile

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell when accounts were reconciled, and what did not fit.
type metrics struct {
	runs, differences metric.Int64Counter
	watch             metric.Registration
}

// newMetrics makes the meters; standing says how long ago the account that waits longest was reconciled, and how much is open of all.
func newMetrics(standing func() (age time.Duration, open int)) (*metrics, error) {
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
	age, err := meter.Float64ObservableGauge("robson.connector.reconciliation_age", metric.WithUnit("s"),
		metric.WithDescription("How long ago the account that waits longest was reconciled, or found, by this connector."))
	if err != nil {
		return nil, fmt.Errorf("make reconciliation age gauge: %w", err)
	}
	open, err := meter.Int64ObservableGauge("robson.connector.open_differences", metric.WithUnit("{difference}"),
		metric.WithDescription("Differences between book and venue that were open after each account's last reconciliation by this connector."))
	if err != nil {
		return nil, fmt.Errorf("make open differences gauge: %w", err)
	}
	watch, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		longest, count := standing()
		to.ObserveFloat64(age, longest.Seconds())
		to.ObserveInt64(open, int64(count))
		return nil
	}, age, open)
	if err != nil {
		return nil, fmt.Errorf("watch reconciliations: %w", err)
	}
	return &metrics{runs: runs, differences: differences, watch: watch}, nil
}

func (m *metrics) close() {
	_ = m.watch.Unregister() // nothing reads it any more, whatever it says
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
