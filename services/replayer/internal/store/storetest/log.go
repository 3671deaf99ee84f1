// Package storetest puts logs and the rows that they fold to into a test's database, past the append path.
package storetest

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/history/historytest"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rowsql"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

var three = decimal.NewFromInt(3)

// Role is the database role that the replayer acts as.
const Role = "robson_replayer"

// World is a tenant whose log and live rows are in the database.
type World struct {
	Tenant uuid.UUID
	// State is what the log folds to.
	State *projection.Memory
	pool  *pgxpool.Pool
	log   *historytest.Writer
}

// NewWorld begins a tenant's log on a pool that acts as the superuser.
func NewWorld(pool *pgxpool.Pool, tenant uuid.UUID) *World {
	return &World{Tenant: tenant, State: &projection.Memory{}, pool: pool, log: historytest.NewWriter(pool)}
}

// Write appends events, whichever tenant they are of, to the log and folds them into the live rows.
func (w *World) Write(ctx context.Context, events []projection.Event) error {
	own := make([]projection.Event, len(events))
	overlay := projection.NewOverlay(w.State)
	for i, ev := range events {
		own[i] = historytest.Stored(ev)
		if own[i].StreamKey == "tenant:"+own[i].TenantID.String() {
			own[i].StreamKey = "tenant:" + w.Tenant.String()
		}
		own[i].TenantID = w.Tenant
		if _, err := projection.Fold(overlay, own[i]); err != nil {
			return fmt.Errorf("fold: %w", err)
		}
	}
	if err := w.log.Write(ctx, own); err != nil {
		return err
	}
	rows := overlay.Rows()
	overlay.MergeInto(w.State)
	return w.Put(ctx, rows)
}

// Put writes rows of the live epoch as they are given.
func (w *World) Put(ctx context.Context, rows []projection.Row) error {
	return postgres.InTx(ctx, w.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		var epoch int32
		if err := tx.QueryRow(ctx, "select epoch from tenant_log where tenant_id = $1", w.Tenant).Scan(&epoch); err != nil {
			return fmt.Errorf("read epoch: %w", err)
		}
		for start := 0; start < len(rows); start += 5000 {
			batch := &pgx.Batch{}
			rowsql.QueueUpserts(batch, rows[start:min(start+5000, len(rows))], func(uuid.UUID) int32 { return epoch })
			if err := tx.SendBatch(ctx, batch).Close(); err != nil {
				return fmt.Errorf("write rows: %w", err)
			}
		}
		return nil
	})
}

// Exec runs a statement behind everybody's back.
func (w *World) Exec(ctx context.Context, sql string, args ...any) error {
	tag, err := w.pool.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		return fmt.Errorf("%s: changed nothing", sql)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// Lives is a log of at least so many events: positions that are opened and closed one after the other, some 20 events each.
func Lives(events int) ([]projection.Event, error) {
	log := projectiontest.NewLog()
	if err := log.Registered(); err != nil {
		return nil, err
	}
	for n := 0; len(log.Events) < events; n++ {
		plan := projectiontest.Long(fmt.Sprint("life ", n))
		plan.Strategy = projectiontest.StrategyID
		if err := Life(log, plan, n); err != nil {
			return nil, fmt.Errorf("life %d: %w", n, err)
		}
	}
	return log.Events, nil
}

// Life opens a position and closes it.
func Life(log *projectiontest.Log, plan projectiontest.Plan, n int) error {
	appended := func(payload proto.Message) error {
		_, err := log.Append(payload)
		return err
	}
	if err := log.Opening(plan); err != nil {
		return err
	}
	entry := log.Intent(plan.EntryID())
	if err := appended(log.Claim(plan.EntryID(), 1)); err != nil {
		return err
	}
	if err := appended(log.Ack(entry, 1)); err != nil {
		return err
	}
	for i := range 3 {
		quantity := entry.Quantity.Div(three).Truncate(5)
		if i == 2 {
			quantity = entry.Quantity.Sub(quantity).Sub(quantity)
		}
		if err := appended(log.Fill(entry, 1, projectiontest.Trade{ID: fmt.Sprint(n, "e", i), Price: plan.Entry, Quantity: quantity.String()})); err != nil {
			return err
		}
	}
	return leave(log, plan, n, appended)
}

// leave closes the position.
func leave(log *projectiontest.Log, plan projectiontest.Plan, n int, appended func(proto.Message) error) error {
	position := log.Position(plan.PositionID())
	if err := appended(log.Opened(plan, position.EntryPrice.Decimal.String(), position.EntryQuantity.String())); err != nil {
		return err
	}
	if err := appended(log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE)); err != nil {
		return err
	}
	if err := appended(log.Exit(plan, 1, position.CurrentQuantity.String())); err != nil {
		return err
	}
	exit := log.Intent(projectiontest.ExitID(plan, 1))
	if err := appended(log.Claim(exit.IntentID, 1)); err != nil {
		return err
	}
	if err := appended(log.Ack(exit, 1)); err != nil {
		return err
	}
	if err := appended(log.Fill(exit, 1, projectiontest.Trade{ID: fmt.Sprint(n, "x"), Price: plan.Entry, Quantity: exit.Quantity.String()})); err != nil {
		return err
	}
	return appended(log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
}
