package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/services/connector/internal/venue"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell how the venue answers, and what is not known of it.
type metrics struct {
	placings metric.Int64Counter
	watch    metric.Registration
}

// newMetrics makes the meters; unresolved says how many orders are of unknown outcome, and for how long the oldest of them has been.
func newMetrics(unresolved func() (count int, oldest time.Duration)) (*metrics, error) {
	meter := otel.Meter(scopeName)
	placings, err := meter.Int64Counter("robson.connector.placings", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to place an order, by what the venue answered: accepted, rejected, limited, duplicate, not_sent, uncertain."))
	if err != nil {
		return nil, fmt.Errorf("make placings counter: %w", err)
	}
	count, err := meter.Int64ObservableGauge("robson.connector.unresolved_orders", metric.WithUnit("{order}"),
		metric.WithDescription("Orders of which nobody knows what the venue did with a request, of all tenants, at the last sweep."))
	if err != nil {
		return nil, fmt.Errorf("make unresolved orders gauge: %w", err)
	}
	age, err := meter.Float64ObservableGauge("robson.connector.unresolved_age", metric.WithUnit("s"),
		metric.WithDescription("For how long the oldest of the unresolved orders has been one; 0: there is none."))
	if err != nil {
		return nil, fmt.Errorf("make unresolved age gauge: %w", err)
	}
	watch, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		orders, oldest := unresolved()
		to.ObserveInt64(count, int64(orders))
		to.ObserveFloat64(age, oldest.Seconds())
		return nil
	}, count, age)
	if err != nil {
		return nil, fmt.Errorf("watch unresolved orders: %w", err)
	}
	return &metrics{placings: placings, watch: watch}, nil
}

func (m *metrics) close() {
	_ = m.watch.Unregister() // nothing reads it any more, whatever it says
}

func (m *metrics) placed(ctx context.Context, err error) {
	m.placings.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome(err))))
}

func outcome(err error) string {
	var rejected *venue.RejectedError
	var limited *venue.RateLimitedError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &limited):
		return "limited"
	case errors.As(err, &rejected):
		return "rejected"
	case errors.Is(err, venue.ErrDuplicateOrder):
		return "duplicate"
	case venue.IsUncertain(err):
		return "uncertain"
	default:
		return "not_sent"
	}
}
