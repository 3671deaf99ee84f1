package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// rawDatabase holds what is written without Robson.
const rawDatabase = "robson_bench_raw"

// raw is what the machine gives to SQL: connections to a database with Robson's tables, and the ids to write.
type raw struct {
	workerConns
	tenants  []uuid.UUID
	accounts [][]uuid.UUID
}

// openRaw makes the database.
func openRaw(ctx context.Context, c *cluster, tenants, accounts int) (*raw, error) {
	r := &raw{workerConns: workerConns{cluster: c, database: rawDatabase}}
	if err := c.createDatabase(ctx, rawDatabase); err != nil {
		return nil, err
	}
	conn, err := r.connection(ctx, 0)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, rawPrepare); err != nil {
		return nil, fmt.Errorf("prepare raw SQL: %w", err)
	}
	for range tenants {
		ids := make([]uuid.UUID, accounts)
		for i := range ids {
			ids[i] = uuid.New()
		}
		r.tenants, r.accounts = append(r.tenants, uuid.New()), append(r.accounts, ids)
	}
	return r, nil
}

// workers makes a call for each of n connections.
func (r *raw) workers(ctx context.Context, n int, choose chooserMaker, make1 func(*rawWorker) call) ([]call, error) {
	calls := make([]call, n)
	for i := range calls {
		conn, err := r.connection(ctx, i)
		if err != nil {
			return nil, err
		}
		chance := newRand(uint64(i))
		calls[i] = make1(&rawWorker{raw: r, conn: conn, chance: chance, choose: choose(chance)})
	}
	return calls, nil
}

// rawWorker writes on one connection.
type rawWorker struct {
	*raw
	conn   *pgx.Conn
	chance *rand.Rand
	choose chooser
}

// rawEventRow is what is written for one event; it is as large as what the service stores for a balance sample.
type rawEventRow struct {
	tenant, account, command, event, trace uuid.UUID
	stream, asset, free, payload           string
}

// The parts of a row that differ in nothing but their bytes; the receipt is as long as the service's.
var (
	rawHash    = make([]byte, 32)
	rawReceipt = make([]byte, 53)
)

func (w *rawWorker) row() rawEventRow {
	at, asset := w.choose(), assets[w.chance.IntN(len(assets))]
	e := rawEventRow{
		tenant: w.tenants[at.tenant], account: w.accounts[at.tenant][at.account], command: uuid.New(), event: timedID(), trace: uuid.New(), asset: asset,
		free: amount(w.chance),
	}
	e.stream = "account:" + e.account.String()
	e.payload = samplePayload(e.account, e.command, asset, e.free)
	return e
}

// timedID is an id that begins with the time, as event ids do.
func timedID() uuid.UUID {
	id := uuid.New()
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now().UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

// insertRow is one row into a table with nothing but a key, in a transaction of its own.
func (w *rawWorker) insertRow(ctx context.Context) (int, error) {
	if _, err := w.conn.Exec(ctx, rawRow, w.row().payload); err != nil {
		return 0, fmt.Errorf("insert row: %w", err)
	}
	return 1, nil
}

// byStatements is the work of an append, statement by statement, as one would write it without thinking of round trips.
func (w *rawWorker) byStatements(ctx context.Context) (int, error) {
	e := w.row()
	err := pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		var position, seq int64
		if err := tx.QueryRow(ctx, rawCommand, e.tenant, e.command, rawHash, rawReceipt).Scan(&position); err != nil {
			return fmt.Errorf("insert command: %w", err)
		}
		if err := tx.QueryRow(ctx, rawStream, e.tenant, e.stream, position).Scan(&seq); err != nil {
			return fmt.Errorf("count stream: %w", err)
		}
		if _, err := tx.Exec(ctx, rawEvent, e.tenant, e.event, position, seq, e.trace, e.command, e.account, e.stream, rawHash, e.payload); err != nil {
			return fmt.Errorf("insert event: %w", err)
		}
		if _, err := tx.Exec(ctx, rawBalance, e.tenant, e.account, e.asset, e.free, e.event, position); err != nil {
			return fmt.Errorf("change balance: %w", err)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("raw append: %w", err)
	}
	return 1, nil
}

// byFunction is the same in one call of a server-side function.
func (w *rawWorker) byFunction(ctx context.Context) (int, error) {
	e := w.row()
	_, err := w.conn.Exec(ctx, rawFunction, e.tenant, e.command, e.event, e.stream, e.account, e.asset, e.free, e.trace, rawHash, rawReceipt, rawHash, e.payload)
	if err != nil {
		return 0, fmt.Errorf("raw append by function: %w", err)
	}
	return 1, nil
}

// syncs measures how often a second the disk under a directory takes a small write for good.
func syncs(ctx context.Context, dir string, d time.Duration) (float64, error) {
	f, err := os.CreateTemp(dir, "sync-*")
	if err != nil {
		return 0, fmt.Errorf("make file to sync: %w", err)
	}
	defer func() { _ = os.Remove(filepath.Clean(f.Name())) }() // it held nothing
	block := make([]byte, 8<<10)
	start, n := now(), 0
	for ; now().Sub(start) < d && ctx.Err() == nil; n++ {
		if _, err = f.WriteAt(block, 0); err != nil {
			break
		}
		if err = syscall.Fdatasync(int(f.Fd())); err != nil {
			break
		}
	}
	elapsed := now().Sub(start)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("sync: %w", err)
	}
	return float64(n) / elapsed.Seconds(), nil
}
