package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// cluster is the PostgreSQL that everything is measured on.
type cluster struct {
	binary string
	// url reaches it as superuser.
	url     *url.URL
	process *process
	// pid is the server's first process; 0: it runs elsewhere.
	pid int
	// dir is where its data is; empty: elsewhere.
	dir string
}

// startCluster runs a private PostgreSQL in a directory, or takes the one that is named.
func startCluster(ctx context.Context, cfg *config, dir string) (*cluster, error) {
	c := &cluster{binary: cfg.binary}
	text := cfg.databaseURL
	if text == "" {
		var err error
		c.process, err = start(ctx, nil, "ready.", cfg.binary, "postgres", "--data-dir", dir, "--shared-buffers-mb", strconv.Itoa(cfg.sharedBuffersMB))
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(filepath.Join(dir, "database.url"))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read the database's URL: %w", err), c.stop())
		}
		text = strings.TrimSpace(string(data))
	}
	var err error
	if c.url, err = url.Parse(text); err != nil {
		return nil, errors.Join(errors.New("the database's URL is none"), c.stop()) // the URL may hold a password
	}
	if err := c.look(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// look asserts that what is measured is durable, and finds the server's process.
func (c *cluster) look(ctx context.Context) error {
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	settings, err := settingsOf(ctx, conn, durable)
	if err != nil {
		return err
	}
	for _, name := range durable {
		if settings[name] != "on" {
			return fmt.Errorf("PostgreSQL's %s is %s: figures without durability would mean nothing", name, settings[name])
		}
	}
	if c.process == nil {
		return nil
	}
	var first string
	if err := conn.QueryRow(ctx, "select current_setting('data_directory'), split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").Scan(&c.dir, &first); err != nil {
		return fmt.Errorf("find PostgreSQL's process: %w", err)
	}
	if c.pid, err = strconv.Atoi(first); err != nil {
		return fmt.Errorf("find PostgreSQL's process: %w", err)
	}
	return nil
}

// durable are the settings without which a commit is no commit; told are those that figures depend on.
var (
	durable = []string{"fsync", "synchronous_commit", "full_page_writes"}
	told    = append([]string{"server_version", "shared_buffers", "max_wal_size", "wal_compression", "checkpoint_timeout", "max_connections"}, durable...)
)

// settingsOf reads settings by name.
func settingsOf(ctx context.Context, conn *pgx.Conn, names []string) (map[string]string, error) {
	settings := map[string]string{}
	for _, name := range names {
		var value string
		if err := conn.QueryRow(ctx, "select current_setting($1)", name).Scan(&value); err != nil {
			return nil, fmt.Errorf("read setting %s: %w", name, err)
		}
		settings[name] = value
	}
	return settings, nil
}

// databaseURL is where a database of the cluster is.
func (c *cluster) databaseURL(database string) string {
	u := *c.url
	u.Path = "/" + database
	return u.String()
}

func (c *cluster) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, c.databaseURL(database))
	if err != nil {
		return nil, fmt.Errorf("connect to database %s: %w", database, err)
	}
	return conn, nil
}

// createDatabase makes a database with Robson's schema.
func (c *cluster) createDatabase(ctx context.Context, name string) error {
	if err := c.createEmpty(ctx, name); err != nil {
		return err
	}
	return runToEnd(ctx, databaseIn(c.databaseURL(name)), c.binary, "migrate", "up")
}

// createEmpty makes a database, anew if a bench left one behind.
func (c *cluster) createEmpty(ctx context.Context, name string) error {
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	quoted := pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{"drop database if exists " + quoted + " with (force)", "create database " + quoted} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// dropDatabase removes what createDatabase or createEmpty made.
func (c *cluster) dropDatabase(ctx context.Context, name string) error {
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	if _, err := conn.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// workerConns are workers' own, one each, to one database; all loads on it share them, as they run one after the other.
type workerConns struct {
	cluster  *cluster
	database string
	conns    []*pgx.Conn
}

// connection is a worker's own.
func (c *workerConns) connection(ctx context.Context, worker int) (*pgx.Conn, error) {
	for len(c.conns) <= worker {
		conn, err := c.cluster.connect(ctx, c.database)
		if err != nil {
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	return c.conns[worker], nil
}

// close ends the connections.
func (c *workerConns) close(ctx context.Context) {
	for _, conn := range c.conns {
		_ = conn.Close(ctx) // nothing is under way
	}
}

// stop ends a server that is ours.
func (c *cluster) stop() error {
	if c.process == nil {
		return nil
	}
	return c.process.stop()
}
