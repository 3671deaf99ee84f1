package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/replayer/internal/replay"
)

const scopeName = "github.com/robson/robson/services/replayer"

// metrics tell what runs come to.
type metrics struct {
	runs        metric.Int64Counter
	events      metric.Int64Counter
	duration    metric.Float64Histogram
	held        metric.Float64Histogram
	differences metric.Int64Gauge
	validated   metric.Int64Gauge
	waiting     metric.Float64Gauge
	behind      metric.Int64Gauge
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter(scopeName)
	m := &metrics{}
	var errs [8]error
	m.runs, errs[0] = meter.Int64Counter("robson.replayer.runs", metric.WithUnit("{run}"),
		metric.WithDescription("Runs that ended, by kind and by what they came to."))
	m.events, errs[1] = meter.Int64Counter("robson.replayer.events_folded", metric.WithUnit("{event}"),
		metric.WithDescription("Events that runs have folded."))
	m.duration, errs[2] = meter.Float64Histogram("robson.replayer.run_duration", metric.WithUnit("s"),
		metric.WithDescription("How long runs took, by kind."), metric.WithExplicitBucketBoundaries(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600))
	m.held, errs[3] = meter.Float64Histogram("robson.replayer.log_held", metric.WithUnit("s"),
		metric.WithDescription("How long a rebuild kept appends from a log."), metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5))
	m.differences, errs[4] = meter.Int64Gauge("robson.replayer.differences", metric.WithUnit("{row}"),
		metric.WithDescription("Rows that the last validation of each tenant found different from the fold, all tenants together."))
	m.validated, errs[5] = meter.Int64Gauge("robson.replayer.last_validation", metric.WithUnit("s"),
		metric.WithDescription("When a validation last came to its end, in seconds since 1970."))
	m.waiting, errs[6] = meter.Float64Gauge("robson.replayer.validation_age", metric.WithUnit("s"),
		metric.WithDescription("For how long the tenant that has waited longest has not been validated."))
	m.behind, errs[7] = meter.Int64Gauge("robson.replayer.tenants_behind_rules", metric.WithUnit("{tenant}"),
		metric.WithDescription("Tenants whose state other rules have made, and who can append nothing until it is folded anew."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	return m, nil
}

// Metered counts the runs that a runner does.
type Metered struct {
	runner  Runner
	clock   clock.Clock
	metrics *metrics
}

// NewMetered makes a Metered.
func NewMetered(clk clock.Clock, runner Runner) (*Metered, error) {
	m, err := newMetrics()
	if err != nil {
		return nil, err
	}
	return &Metered{runner: runner, clock: clk, metrics: m}, nil
}

// Run implements Runner.
func (m *Metered) Run(ctx context.Context, start replay.Start, told func(replay.Telling)) (*replay.Result, error) {
	begun := m.clock.Now()
	result, err := m.runner.Run(ctx, start, told)
	ctx = context.WithoutCancel(ctx)
	kind := attribute.String("kind", string(start.Kind))
	outcome := "failed"
	switch {
	case err == nil:
		outcome = string(result.Outcome)
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.Exhausted):
		outcome = "refused"
	case errors.Is(err, context.Canceled):
		outcome = "interrupted"
	}
	m.metrics.runs.Add(ctx, 1, metric.WithAttributes(kind, attribute.String("outcome", outcome)))
	if err != nil {
		return nil, err
	}
	m.metrics.events.Add(ctx, result.Events)
	m.metrics.duration.Record(ctx, m.clock.Now().Sub(begun).Seconds(), metric.WithAttributes(kind))
	if result.Held > 0 {
		m.metrics.held.Record(ctx, result.Held.Seconds())
	}
	if start.Kind == replay.KindValidate {
		m.metrics.validated.Record(ctx, m.clock.Now().Unix())
	}
	return result, nil
}

// age tells for how long a tenant has waited.
func (m *metrics) age(ctx context.Context, d time.Duration) { m.waiting.Record(ctx, d.Seconds()) }
