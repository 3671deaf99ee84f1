package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// database is a PostgreSQL of its own, durable as in production.
type database struct {
	binary, dir string
	process     *process
	// url reaches it as its owner.
	url *url.URL
	// postmaster is the server's first process.
	postmaster int
}

// startDatabase runs a PostgreSQL in a directory.
func startDatabase(ctx context.Context, binary, dir string) (*database, error) {
	d := &database{binary: binary, dir: dir}
	return d, d.start(ctx)
}

// start runs the server; after a crash it recovers first.
func (d *database) start(ctx context.Context) error {
	told := filepath.Join(d.dir, "database.url")
	if err := os.Remove(told); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	if d.process, err = start(d.dir, "postgres", d.binary, "postgres", "--data-dir", d.dir); err != nil {
		return err
	}
	return await(ctx, "PostgreSQL starts", readyMax, func() error {
		if !d.process.running() {
			return fmt.Errorf("it has ended:\n%s", d.process.said())
		}
		text, err := os.ReadFile(told)
		if err != nil {
			return err
		}
		if d.url, err = url.Parse(strings.TrimSpace(string(text))); err != nil {
			return errors.New("the database's URL is none")
		}
		return d.look(ctx)
	})
}

// look finds the server's process, and sees that commits are durable.
func (d *database) look(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.url.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	var pid, sync string
	const query = "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1), current_setting('fsync') || ' ' || current_setting('synchronous_commit')"
	if err := conn.QueryRow(ctx, query).Scan(&pid, &sync); err != nil {
		return err
	}
	if sync != "on on" {
		return fmt.Errorf("fsync and synchronous_commit are %s: surviving a crash would mean nothing", sync)
	}
	d.postmaster, err = strconv.Atoi(pid)
	return err
}

// transactions is how many that write have begun so far.
func (d *database) transactions(ctx context.Context) (n int64, err error) {
	conn, err := pgx.Connect(ctx, d.url.String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	err = conn.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&n)
	return n, err
}

// kill ends the server and all its processes at once, as a machine's end does.
func (d *database) kill() error {
	// Stopped, it starts no more children while they are counted.
	if err := syscall.Kill(d.postmaster, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the postmaster: %w", err)
	}
	children, err := childrenOf(d.postmaster)
	if err != nil {
		return err
	}
	for _, pid := range append(children, d.postmaster) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	<-d.process.ended // it ends with its server
	return nil
}

// restart starts the server again, on another port.
func (d *database) restart(ctx context.Context) error {
	if d.process.running() {
		if err := d.process.stop(); err != nil {
			return err
		}
	}
	return d.start(ctx)
}

// stop ends it in order.
func (d *database) stop() error {
	if !d.process.running() {
		return nil
	}
	return d.process.stop()
}
