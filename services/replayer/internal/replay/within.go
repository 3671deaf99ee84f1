package replay

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
)

// within are the differences of a scope. A row belongs to it if it does as it should be, or as it is.
func (r *Rebuilder) within(ctx context.Context, f Frozen, scope Scope, c *Comparison) ([]Difference, error) {
	if scope.IsTenant() || len(c.Differences) == 0 {
		return c.Differences, nil
	}
	should, is := map[projection.Key]projection.Row{}, map[projection.Key]projection.Row{}
	for i := range c.Differences {
		d := &c.Differences[i]
		should[d.Key], is[d.Key] = d.Expected, d.Found
	}
	around, err := f.Load(ctx, referred(maps.Values(should), maps.Values(is)))
	if err != nil {
		return nil, err
	}
	further, err := f.Load(ctx, referred(maps.Values(around)))
	if err != nil {
		return nil, err
	}
	maps.Copy(around, further)
	for _, rows := range []map[projection.Key]projection.Row{should, is} {
		for key, row := range around {
			if _, known := rows[key]; !known {
				rows[key] = row
			}
		}
	}
	belongs := scope.members(should)
	for key := range scope.members(is) {
		belongs[key] = true
	}
	return slices.DeleteFunc(slices.Clone(c.Differences), func(d Difference) bool { return !belongs[d.Key] }), nil
}

// referred are the rows that say where rows belong: their positions, strategies and orders.
func referred(lists ...iter.Seq[projection.Row]) []projection.Key {
	keys := map[projection.Key]bool{}
	for _, rows := range lists {
		for row := range rows {
			if row == nil {
				continue
			}
			for column, key := range map[string]func(uuid.UUID) projection.Key{
				"position_id": projection.PositionKey, "strategy_id": projection.StrategyKey, "order_id": projection.OrderKey,
			} {
				if id := idOf(row, column); id.Valid {
					keys[key(id.UUID)] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(keys), projection.Key.Compare)
}

// idOf is a column of ids of a row; none where the row has no such column.
func idOf(row projection.Row, column string) uuid.NullUUID {
	t := projection.TableOf(row)
	at := slices.IndexFunc(t.Columns, func(c projection.Column) bool { return c.Name == column })
	if at < 0 {
		return uuid.NullUUID{}
	}
	switch v := t.ScanTargets(row)[at].(type) {
	case *uuid.UUID:
		return uuid.NullUUID{UUID: *v, Valid: true}
	case *uuid.NullUUID:
		return *v
	}
	return uuid.NullUUID{}
}

// members are those of the rows that belong to the scope.
func (s Scope) members(rows map[projection.Key]projection.Row) map[projection.Key]bool {
	list := make([]projection.Row, 0, len(rows))
	for _, row := range rows {
		if row != nil {
			list = append(list, row)
		}
	}
	members := map[projection.Key]bool{}
	if scope, known := s.projected(); known {
		for _, row := range scope.Cut(list).Own {
			members[row.Key()] = true
		}
		return members
	}
	kind, id := s.entity()
	for _, row := range list {
		key := row.Key()
		switch {
		case kind == event.KindTenant:
			members[key] = true
		case key.Table == projection.TableOrders || key.Table == projection.TableFills:
			if order := idOf(row, "order_id"); order.Valid && order.UUID == id {
				members[key] = true
			}
		}
	}
	return members
}
