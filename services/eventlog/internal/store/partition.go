package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres"
)

// monthsAheadMin is how many months after this one must have partitions; fewer are warned of.
const monthsAheadMin = 2

// partitionsRetry is how soon months are looked after again when that did not work, unless PartitionsEvery is sooner.
const partitionsRetry = time.Minute

// Coverage is how far a table's months have partitions.
type Coverage struct {
	Table string
	// MonthsAhead counts the months after this one without a hole; -1: this very month has none, and nothing can be
	// appended.
	MonthsAhead int
	// Until is the end of the last of them; zero where there is none.
	Until time.Time
}

// EnsurePartitions makes the months' partitions that are missing, PartitionsAhead of them after this one, and gives the
// coverage of each table then. Replicas may do so at the same time.
func (s *Store) EnsurePartitions(ctx context.Context) ([]Coverage, error) {
	var made, failed error
	err := postgres.InTx(ctx, s.pool, postgres.TxOptions{Clock: s.clock}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, partitionsCreate, s.cfg.PartitionsAhead)
		return err //nolint:wrapcheck // Said below.
	})
	if err != nil {
		made = fmt.Errorf("make partitions: %w", err)
	}
	// What is covered is told all the more when no more could be made.
	coverage, err := s.coverage(ctx)
	if err != nil {
		failed = fmt.Errorf("check partitions: %w", err)
	}
	return coverage, errors.Join(made, failed)
}

func (s *Store) coverage(ctx context.Context) ([]Coverage, error) {
	var all []Coverage
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(partitionsCheck).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var c Coverage
				var until *time.Time
				if err := rows.Scan(&c.Table, &c.MonthsAhead, &until); err != nil {
					return err //nolint:wrapcheck // The caller adds the context.
				}
				if until != nil {
					c.Until = until.UTC()
				}
				all = append(all, c)
			}
			return rows.Err()
		})
	})
	return all, err
}

// monthsAhead is the metric that alerts watch.
var monthsAhead = func() metric.Int64Gauge {
	gauge, err := otel.Meter(scopeName).Int64Gauge("robson.eventlog.partitions.months_ahead", metric.WithUnit("{month}"),
		metric.WithDescription("Months after this one that have a partition, without a hole; -1 when this month has none"))
	if err != nil {
		otel.Handle(err)
	}
	return gauge
}()

// KeepPartitions looks after the months' partitions, at once and then every PartitionsEvery, until the context ends. It
// logs what goes wrong, tells the coverage as a metric, and warns of one that is too short.
func (s *Store) KeepPartitions(ctx context.Context, logger *slog.Logger) {
	for {
		wait := s.cfg.PartitionsEvery
		coverage, err := s.EnsurePartitions(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			logger.ErrorContext(ctx, "months are not looked after", "error", err.Error())
			wait = min(wait, partitionsRetry)
		}
		for _, c := range coverage {
			monthsAhead.Record(ctx, int64(c.MonthsAhead), metric.WithAttributes(attribute.String("table", c.Table)))
			if c.MonthsAhead < monthsAheadMin {
				logger.WarnContext(ctx, "partitions run out", "table", c.Table, "months_ahead", c.MonthsAhead, "covered_until", c.Until)
			}
		}
		if clock.Sleep(ctx, s.clock, wait) != nil {
			return
		}
	}
}
