package worker

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// Watch reports snapshots that are not used, by log and metric.
type Watch struct {
	logger *slog.Logger
	unfit  metric.Int64Counter
}

// NewWatch makes a watch.
func NewWatch(logger *slog.Logger) (*Watch, error) {
	unfit, err := otel.Meter(scopeName).Int64Counter("robson.snapshotter.unfit", metric.WithUnit("{snapshot}"),
		metric.WithDescription("Snapshots that were found not to be fit for use, by reason. Other rules are an upgrade; anything else is damage."))
	if err != nil {
		return nil, fmt.Errorf("make unfit counter: %w", err)
	}
	return &Watch{logger: logger, unfit: unfit}, nil
}

// Unfit implements checkpoint.Watcher.
func (w *Watch) Unfit(ctx context.Context, s checkpoint.Snapshot, why *snapshot.Unfit) {
	w.unfit.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(why.Reason)), attribute.String("scope", string(s.Scope.Kind))))
	level := slog.LevelError
	if why.Reason == snapshot.ReasonRules {
		level = slog.LevelWarn
	}
	w.logger.Log(ctx, level, "a snapshot is not used and will be made anew", "tenant_id", s.TenantID, "snapshot_id", s.ID, "scope", s.Scope.String(),
		"position", s.AsOf, "reason", string(why.Reason), "detail", why.Detail)
}
