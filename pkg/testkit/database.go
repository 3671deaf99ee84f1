package testkit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/migrations"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/postgres/migrate"
)

// dropTimeout bounds the clean-up of one database.
const dropTimeout = 30 * time.Second

// DB is a database of one test's own.
type DB struct {
	url string
}

// Database makes a database with the whole schema and nothing in it. It is dropped when the test ends.
func Database(t testing.TB) *DB {
	t.Helper()
	admin := adminURL(t)
	name, err := template(admin)
	if err != nil {
		t.Fatalf("testkit: migrate the template database: %v", err)
	}
	return create(t, admin, name)
}

// EmptyDatabase makes a database without any schema. It is dropped when the test ends.
func EmptyDatabase(t testing.TB) *DB {
	t.Helper()
	return create(t, adminURL(t), "template0")
}

// URL reaches the database as a superuser.
func (d *DB) URL() string { return d.url }

// Config is how a service with this database role reaches the database.
func (d *DB) Config(role string) postgres.Config {
	return postgres.Config{URL: d.url, Role: role, ConnsMax: 8}
}

// Pool opens a pool that acts as role, robson_eventlog for one; "" is the superuser, for whom neither privileges nor
// row security hold. It is closed when the test ends.
func (d *DB) Pool(t testing.TB, role string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.New(t.Context(), d.Config(role))
	if err != nil {
		t.Fatalf("testkit: open pool as %q: %v", role, err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func adminURL(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL; left out by -short")
	}
	admin, err := server()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return admin
}

func create(t testing.TB, admin, from string) *DB {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	if err := exec1(t.Context(), admin, "create database "+name+" template "+from); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), dropTimeout)
		defer cancel()
		if err := exec1(ctx, admin, "drop database "+name+" with (force)"); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
	return &DB{url: withDatabase(admin, name)}
}

func exec1(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func withDatabase(admin, name string) string {
	u, err := url.Parse(admin)
	if err != nil {
		return admin // the server took it: it cannot be
	}
	u.Path = "/" + name
	return u.String()
}

var (
	templateMu   sync.Mutex
	templateName string
)

// template makes sure of the migrated template once per process.
func template(admin string) (string, error) {
	templateMu.Lock()
	defer templateMu.Unlock()
	if templateName != "" {
		return templateName, nil
	}
	sum, err := hash(migrations.FS)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverTimeout)
	defer cancel()
	name := "template_" + hex.EncodeToString(sum[:8])
	if err := makeTemplate(ctx, admin, name, int64(binary.BigEndian.Uint64(sum[:8]))); err != nil {
		return "", err
	}
	templateName = name
	return name, nil
}

// makeTemplate migrates a database aside and gives it its name when it is whole. Another process that wants the same
// waits for the lock.
func makeTemplate(ctx context.Context, admin, name string, lock int64) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // and with it the lock goes
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", lock); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	var made bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1 and datistemplate)", name).Scan(&made); err != nil {
		return fmt.Errorf("look for template: %w", err)
	}
	if made {
		return nil
	}
	half := name + "_making"
	for _, sql := range []string{"drop database if exists " + half + " with (force)", "drop database if exists " + name, "create database " + half + " template template0"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	if err := migrate.Up(ctx, withDatabase(admin, half)); err != nil {
		return err
	}
	for _, sql := range []string{"alter database " + half + " rename to " + name, "alter database " + name + " is_template true allow_connections false"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// hash is over the names and texts of all migrations.
func hash(files fs.FS) ([sha256.Size]byte, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err //nolint:wrapcheck // it names the file.
		}
		_, err = fmt.Fprintf(h, "%s %d\n%s", path, len(text), text)
		return err //nolint:wrapcheck // a hash never fails.
	})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("read migrations: %w", err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
