package store

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/services/eventlog/internal/audit"
)

// postgresEpoch is the year 2000 in microseconds since 1970: the zero of times as PostgreSQL sends them.
const postgresEpoch = 946_684_800_000_000

// rows reads rows between two positions in PostgreSQL's own form, each until the next, as long as each says to go on. It
// scans nothing: these are all the events there are.
func (v *verification) rows(ctx context.Context, tx pgx.Tx, query string, from, to int64, each func(values [][]byte) bool) error {
	rows, err := tx.Query(ctx, query, pgx.QueryResultFormats{pgx.BinaryFormatCode}, v.tenant, from, to)
	if err != nil {
		return fmt.Errorf("read events from position %d: %w", from, err)
	}
	defer rows.Close()
	for rows.Next() && each(rows.RawValues()) {
		continue
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read events from position %d: %w", from, err)
	}
	return nil
}

// verifyColumns takes a row apart, as verifyEvents has its columns.
func verifyColumns(r *audit.Row, values [][]byte) {
	r.Position, r.EventID, r.StreamKey, r.Seq = number(values[0]), values[1], values[2], number(values[3])
	r.Type, r.Payload, r.SchemaVersion = values[4], values[5], number(values[6])
	r.OccurredAt, r.IngestedAt = number(values[7])+postgresEpoch, number(values[8])+postgresEpoch
	r.IdempotencyKey, r.TraceID, r.CausationID, r.CommandID, r.WorkflowID = values[9], values[10], values[11], values[12], values[13]
	r.ActorType, r.ActorID, r.PrevHash, r.Hash = values[14], values[15], values[16], values[17]
	copy(r.Subjects[:], values[18:])
}

// number reads an integer of eight or four bytes. What is neither, null for one, is -1: nothing that is stored hashes to it.
func number(value []byte) int64 {
	switch len(value) {
	case 8:
		return int64(binary.BigEndian.Uint64(value))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value)))
	default:
		return -1
	}
}
