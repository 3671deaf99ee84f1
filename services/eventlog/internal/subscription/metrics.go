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
	slow         metric.Int64Counter
	failures     metric.Int64Counter
	reads        metric.Int64Counter
	news         metric.Int64Counter
	newsFailures metric.Int64Counter
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
	subscribers, err := meter.Int64UpDownCounter("robson.eventlog.subscribers", metric.WithDescription("Subscriptions that run"))
	if err != nil {
		otel.Handle(err)
	}
	return metrics{
		subscribers:  subscribers,
		slow:         counter("robson.eventlog.subscribers.too_slow", "Subscribers who were left because they took nothing"),
		failures:     counter("robson.eventlog.heads.failures", "Times that the heads of logs could not be asked for"),
		reads:        counter("robson.eventlog.subscribers.reads", "Reads of the log for one subscriber, who was behind what is in memory"),
		news:         counter("robson.eventlog.news.reads", "Reads of several logs at once, for all who are at their ends"),
		newsFailures: counter("robson.eventlog.news.failures", "Such reads that failed"),
	}
}

func (m *metrics) leftSlow(ctx context.Context)   { m.slow.Add(ctx, 1) }
func (m *metrics) pollFailed(ctx context.Context) { m.failures.Add(ctx, 1) }
func (m *metrics) read(ctx context.Context)       { m.reads.Add(ctx, 1) }
func (m *metrics) newsRead(ctx context.Context)   { m.news.Add(ctx, 1) }
func (m *metrics) newsFailed(ctx context.Context) { m.newsFailures.Add(ctx, 1) }
