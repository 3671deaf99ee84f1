package history

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
)

// spanWindows is over how many windows an account's events are looked for at a time.
const spanWindows = 64

// sparse reads an account's events from a stretch of which they may be a small part: first where they are, then these. The log's
// BRIN index tells which of its pages may name the account, at two milliseconds for a million events; what names no account is found
// by the streams of the positions and strategies that were named, here or before the scope begins.
func (s *source) sparse(ctx context.Context, tx pgx.Tx) error {
	streams := map[string]bool{}
	for _, stream := range s.scope.Streams {
		streams[stream.String()] = true
	}
	size := spanWindows * int64(s.cfg.Window)
	for from := s.scope.From; from <= s.scope.To; from += size {
		positions, err := s.find(ctx, tx, from, min(from+size-1, s.scope.To), streams)
		if err != nil {
			return fmt.Errorf("look for events of account %s after position %d: %w", s.scope.Account, from-1, err)
		}
		for chunk := range slices.Chunk(positions, s.cfg.Window) {
			if err := s.statement(ctx, tx, positionsRead, s.scope.Tenant, chunk); err != nil {
				return err
			}
			if s.rows != len(chunk) {
				return missing("position", s.position)
			}
		}
	}
	return nil
}

// find gives the positions of an account's events in a stretch, in order, and adds the streams that they name.
func (s *source) find(ctx context.Context, tx pgx.Tx, from, to int64, streams map[string]bool) ([]int64, error) {
	if _, err := tx.Exec(ctx, indexScans, "off"); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, accountNamed, s.scope.Tenant, from, to, s.scope.Account)
	if err != nil {
		return nil, err
	}
	named, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Position             int64
		PositionID, Strategy uuid.NullUUID
	}])
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, indexScans, "on"); err != nil {
		return nil, err
	}
	positions := make([]int64, len(named))
	for i, n := range named {
		positions[i] = n.Position
		if n.PositionID.Valid {
			streams[event.StreamKey{Kind: event.KindPosition, ID: n.PositionID.UUID}.String()] = true
		}
		if n.Strategy.Valid {
			streams[event.StreamKey{Kind: event.KindStrategy, ID: n.Strategy.UUID}.String()] = true
		}
	}
	keys := make([]string, 0, len(streams))
	for key := range streams {
		keys = append(keys, key)
	}
	rows, err = tx.Query(ctx, streamsUnnamed, s.scope.Tenant, from, to, keys)
	if err != nil {
		return nil, err
	}
	unnamed, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	positions = append(positions, unnamed...)
	slices.Sort(positions)
	return positions, nil
}
