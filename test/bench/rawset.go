package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// setWise writes so many events in one transaction of two round trips, each table by one statement.
func (w *rawWorker) setWise(size int) call {
	return func(ctx context.Context) (int, error) {
		s := newRawSet(w, size)
		if err := s.head(ctx, w.conn); err != nil {
			return 0, fmt.Errorf("raw set, positions and streams: %w", err)
		}
		if err := s.write(ctx, w.conn); err != nil {
			return 0, fmt.Errorf("raw set, rows: %w", err)
		}
		return size, nil
	}
}

// rawSet is the events of one transaction, sorted by what is updated, so that two transactions take rows in one order.
type rawSet struct {
	rows      []rawEventRow
	positions []int64
	seqs      []int64
	streams   []rawStreamRow
}

// rawStreamRow is a stream of the set with its events, which follow each other in rows.
type rawStreamRow struct{ first, count int }

func newRawSet(w *rawWorker, size int) *rawSet {
	s := &rawSet{positions: make([]int64, size), seqs: make([]int64, size)}
	for range size {
		s.rows = append(s.rows, w.row())
	}
	slices.SortFunc(s.rows, func(a, b rawEventRow) int {
		return cmp.Or(slices.Compare(a.tenant[:], b.tenant[:]), cmp.Compare(a.stream, b.stream), cmp.Compare(a.asset, b.asset))
	})
	for i, row := range s.rows {
		if i == 0 || row.stream != s.rows[i-1].stream {
			s.streams = append(s.streams, rawStreamRow{first: i})
		}
		s.streams[len(s.streams)-1].count++
	}
	return s
}

// head begins the transaction, and gets positions and seqs.
func (s *rawSet) head(ctx context.Context, conn *pgx.Conn) error {
	tenants, keys := make([]uuid.UUID, len(s.streams)), make([]string, len(s.streams))
	// The stream's last position is not known before the batch is sent: it is left at 0, which costs the same.
	counts, last := make([]int64, len(s.streams)), make([]int64, len(s.streams))
	for i, stream := range s.streams {
		row := s.rows[stream.first]
		tenants[i], keys[i], counts[i] = row.tenant, row.stream, int64(stream.count)
	}
	batch := &pgx.Batch{}
	batch.Queue("begin")
	batch.Queue(rawPositions, len(s.rows)).Query(func(rows pgx.Rows) error { return scanAll(rows, s.positions) })
	got := make([]int64, len(s.streams))
	batch.Queue(rawStreams, tenants, keys, counts, last).Query(func(rows pgx.Rows) error { return scanAll(rows, got) })
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	for i, stream := range s.streams {
		for j := range stream.count {
			s.seqs[stream.first+j] = got[i] - int64(stream.count) + int64(j) + 1
		}
	}
	return nil
}

// scanAll reads one number a row.
func scanAll(rows pgx.Rows, into []int64) error {
	i := 0
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&n}, func() error {
		into[i] = n
		i++
		return nil
	})
	if err == nil && i != len(into) {
		return fmt.Errorf("%d rows came, not %d", i, len(into))
	}
	return err
}

// write inserts the rows and commits.
func (s *rawSet) write(ctx context.Context, conn *pgx.Conn) error {
	n := len(s.rows)
	tenants, commands, events, traces, accounts := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	keys, payloads := make([]string, n), make([]string, n)
	for i, row := range s.rows {
		tenants[i], commands[i], events[i], traces[i], accounts[i] = row.tenant, row.command, row.event, row.trace, row.account
		keys[i], payloads[i] = row.stream, row.payload
	}
	batch := &pgx.Batch{}
	batch.Queue(rawCommands, tenants, commands, s.positions, rawHash, rawReceipt)
	batch.Queue(rawEvents, tenants, events, s.positions, s.seqs, traces, commands, accounts, keys, payloads, rawHash)
	s.queueBalances(batch)
	batch.Queue("commit")
	return conn.SendBatch(ctx, batch).Close()
}

// queueBalances changes each row once, to what its last event says.
func (s *rawSet) queueBalances(batch *pgx.Batch) {
	var tenants, accounts, events []uuid.UUID
	var names, free []string
	var positions []int64
	for i, row := range s.rows {
		if i+1 < len(s.rows) && s.rows[i+1].stream == row.stream && s.rows[i+1].asset == row.asset {
			continue
		}
		tenants, accounts, events = append(tenants, row.tenant), append(accounts, row.account), append(events, row.event)
		names, free, positions = append(names, row.asset), append(free, row.free), append(positions, s.positions[i])
	}
	batch.Queue(rawBalances, tenants, accounts, names, free, events, positions)
}
