package replayer

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/services/replayer/internal/store"
)

// watch gives what reports snapshots that are not used, by log and metric.
func watch(logger *slog.Logger) (func(context.Context, store.UnfitSnapshot, error), error) {
	unfit, err := otel.Meter("github.com/robson/robson/services/replayer").Int64Counter("robson.replayer.unfit", metric.WithUnit("{snapshot}"),
		metric.WithDescription("Snapshots that were found not to be fit to fold on from, by reason."))
	if err != nil {
		return nil, fmt.Errorf("make unfit counter: %w", err)
	}
	return func(ctx context.Context, s store.UnfitSnapshot, failed error) {
		unfit.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(s.Why.Reason)), attribute.String("scope", string(s.Scope.Kind))))
		attributes := []any{
			"tenant_id", s.Tenant, "snapshot_id", s.ID, "scope", s.Scope.String(), "position", s.AsOf, "reason", string(s.Why.Reason), "detail", s.Why.Detail,
		}
		if failed != nil {
			attributes = append(attributes, "not_marked", failed)
		}
		logger.ErrorContext(ctx, "a snapshot is not used and will be made anew", attributes...)
	}, nil
}
