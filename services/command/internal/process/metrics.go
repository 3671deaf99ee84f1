package process

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/command"

// NewAlerts makes alerts that a metric counts: it stands above zero as long as anything is being retried.
func NewAlerts() (*Alerts, error) {
	alerts := &Alerts{}
	_, err := otel.Meter(scopeName).Int64ObservableGauge("robson.command.alerts", metric.WithUnit("{alert}"),
		metric.WithDescription("Faults of steps, of the monitor and of following the log that are being retried now."),
		metric.WithInt64Callback(func(_ context.Context, observer metric.Int64Observer) error {
			observer.Observe(alerts.standing())
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("make alerts gauge: %w", err)
	}
	return alerts, nil
}

// standing is how many faults there are, of all tenants and of none.
func (a *Alerts) standing() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	count := 0
	for _, of := range a.text {
		count += len(of)
	}
	return int64(count)
}
