package subscription

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/eventlog/internal/subscription"

// metrics tell how subscriptions fare.
type metrics struct {
	subscribers  metric.Int64UpDownCounter
	followers    metric.Int64UpDownCounter
	slow         metric.Int64Counter
	failures     metric.Int64Counter
	reads        metric.Int64Counter
	news         metric.Int64Counter
	newsFailures metric.Int64Counter
	unfollowed   metric.Int64Counter
	rounds       metric.Int64Counter
}

func newMetrics() metrics {
	meter := otel.Meter(scopeName)
	counter := func(name, description string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithDescription(description))
		if err != nil {
			otel.Handle(err)
		}
		return c
	}
	level := func(name, description string) metric.Int64UpDownCounter {
		c, err := meter.Int64UpDownCounter(name, metric.WithDescription(description))
		if err != nil {
			otel.Handle(err)
		}
		return c
	}
	return metrics{
		subscribers:  level("robson.eventlog.subscribers", "Subscriptions that run"),
		followers:    level("robson.eventlog.followers", "Followings of all tenants that run"),
		slow:         counter("robson.eventlog.subscribers.too_slow", "Subscribers who were left because they took nothing"),
		failures:     counter("robson.eventlog.heads.failures", "Times that the heads of logs could not be asked for"),
		reads:        counter("robson.eventlog.subscribers.reads", "Reads of the log for one subscriber, who was behind what is in memory"),
		news:         counter("robson.eventlog.news.reads", "Reads of several logs at once, for all who are at their ends"),
		unfollowed:   counter("robson.eventlog.followers.failures", "Tenants that could not be followed, each time that was tried"),
		rounds:       counter("robson.eventlog.followers.rounds_failed", "Times that tenants could not be shared out"),
		newsFailures: counter("robson.eventlog.news.failures", "Such reads that failed"),
	}
}

func (m *metrics) leftSlow(ctx context.Context)     { m.slow.Add(ctx, 1) }
func (m *metrics) pollFailed(ctx context.Context)   { m.failures.Add(ctx, 1) }
func (m *metrics) read(ctx context.Context)         { m.reads.Add(ctx, 1) }
func (m *metrics) newsRead(ctx context.Context)     { m.news.Add(ctx, 1) }
func (m *metrics) newsFailed(ctx context.Context)   { m.newsFailures.Add(ctx, 1) }
func (m *metrics) followFailed(ctx context.Context) { m.unfollowed.Add(ctx, 1) }
func (m *metrics) roundFailed(ctx context.Context)  { m.rounds.Add(ctx, 1) }
