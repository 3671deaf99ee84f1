package binance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/venue"
)

const scopeName = "github.com/robson/robson/services/connector"

// meters tell how the venue answers and how its streams live.
type meters struct {
	clock      clock.Clock
	duration   metric.Float64Histogram
	errors     metric.Int64Counter
	used       metric.Int64Gauge
	reconnects metric.Int64Counter
	watch      metric.Registration

	mu    sync.Mutex
	lines map[*socket]struct{}
}

func newMeters(clk clock.Clock) (*meters, error) {
	m := &meters{clock: clk, lines: map[*socket]struct{}{}}
	meter := otel.Meter(scopeName)
	var failed [5]error
	m.duration, failed[0] = meter.Float64Histogram("robson.connector.venue.duration", metric.WithUnit("s"),
		metric.WithDescription("How long requests to the venue took, by operation, with what they were held back for."))
	m.errors, failed[1] = meter.Int64Counter("robson.connector.venue.errors", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that failed, by operation and by the venue's code, or by what was seen instead of one."))
	m.used, failed[2] = meter.Int64Gauge("robson.connector.venue.weight_used", metric.WithUnit("{weight}"),
		metric.WithDescription("Weight of this minute, as the venue counts it for our address."))
	m.reconnects, failed[3] = meter.Int64Counter("robson.connector.venue.reconnects", metric.WithUnit("{connection}"),
		metric.WithDescription("Streams that broke and have to be opened again, by stream."))
	age, err := meter.Float64ObservableGauge("robson.connector.venue.stream_age", metric.WithUnit("s"),
		metric.WithDescription("How long ago the most silent stream was heard of, by stream."))
	failed[4] = err
	if err := errors.Join(failed[:]...); err != nil {
		return nil, fmt.Errorf("make meters of the venue: %w", err)
	}
	m.watch, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for stream, silent := range m.ages() {
			to.ObserveFloat64(age, silent.Seconds(), metric.WithAttributes(attribute.String("stream", stream)))
		}
		return nil
	}, age)
	if err != nil {
		return nil, fmt.Errorf("make meters of the venue: %w", err)
	}
	return m, nil
}

func (m *meters) close() {
	_ = m.watch.Unregister() // nothing reads it any more, whatever it says
}

func (m *meters) ages() map[string]time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]time.Duration{}
	for line := range m.lines {
		out[line.stream] = max(out[line.stream], m.clock.Now().Sub(line.heardAt()))
	}
	return out
}

func (m *meters) opened(line *socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines[line] = struct{}{}
}

func (m *meters) closed(line *socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lines, line)
}

func (m *meters) broke(ctx context.Context, stream string) {
	m.reconnects.Add(ctx, 1, metric.WithAttributes(attribute.String("stream", stream)))
}

func (m *meters) done(ctx context.Context, c *call, took time.Duration, err error) {
	operation := attribute.String("operation", c.operation)
	m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(operation))
	if used, told := usedWeight(c.header); told {
		m.used.Record(ctx, used)
	}
	if err != nil {
		m.errors.Add(ctx, 1, metric.WithAttributes(operation, attribute.String("code", codeName(err))))
	}
}

// codeName is the venue's code, or a word where it gave none.
func codeName(err error) string {
	var rejected *venue.RejectedError
	var order *venue.OrderError
	var limited *venue.RateLimitedError
	var uncertain *venue.UncertainError
	switch {
	case errors.As(err, &rejected):
		return strconv.Itoa(rejected.Code)
	case errors.As(err, &order):
		return strconv.Itoa(order.Code)
	case errors.As(err, &limited):
		return strconv.Itoa(limited.HTTPStatus)
	case errors.As(err, &uncertain):
		return string(uncertain.Cause)
	default:
		return "not_sent"
	}
}
