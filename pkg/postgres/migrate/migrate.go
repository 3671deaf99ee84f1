// Package migrate brings a database to a version of the schema in package migrations.
//
// Each file runs as one transaction. Which version the database is at stands in the table schema_migrations; while a
// file runs, and after it failed, the table says "dirty". Two processes that migrate at once wait for each other.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	pgxdriver "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/robson/robson/migrations"
)

// lockTimeout bounds the wait for another migration and for tables in use, so that a migration never queues for long
// in front of the service's own statements.
const lockTimeout = "30s"

// ErrDirty says that a migration was begun and not finished. Nothing is done on top of it.
var ErrDirty = errors.New("the schema is dirty")

// Version is where a database stands.
type Version struct {
	// Number is the newest migration that was applied, or begun if Dirty; 0 for none.
	Number uint
	// Dirty says that this migration failed or was cut short.
	Dirty bool
}

// Up applies all migrations that are missing.
func Up(ctx context.Context, url string) error {
	return run(ctx, url, migrations.FS, "up", (*migrate.Migrate).Up)
}

// Down takes back the newest steps migrations, with what their tables hold.
func Down(ctx context.Context, url string, steps int) error {
	if steps < 1 {
		return fmt.Errorf("migrate down: %d steps", steps)
	}
	return run(ctx, url, migrations.FS, "down", func(m *migrate.Migrate) error { return m.Steps(-steps) })
}

// To applies or takes back migrations until the database is at number; 0 takes all back.
func To(ctx context.Context, url string, number uint) error {
	if number == 0 {
		return run(ctx, url, migrations.FS, "to 0", (*migrate.Migrate).Down)
	}
	return run(ctx, url, migrations.FS, fmt.Sprintf("to %d", number), func(m *migrate.Migrate) error { return m.Migrate(number) })
}

// Force says that the database is at number, clean, and changes nothing else: the way out of a dirty schema for who
// has looked at it and put it right. 0 says that it is empty.
func Force(ctx context.Context, url string, number int) error {
	version := number
	if number == 0 {
		version = database.NilVersion
	}
	return run(ctx, url, migrations.FS, fmt.Sprintf("force %d", number), func(m *migrate.Migrate) error { return m.Force(version) })
}

// Current tells where the database stands.
func Current(ctx context.Context, url string) (Version, error) {
	var v Version
	err := run(ctx, url, migrations.FS, "version", func(m *migrate.Migrate) error {
		number, dirty, err := m.Version()
		if errors.Is(err, migrate.ErrNilVersion) {
			return nil
		}
		v = Version{Number: number, Dirty: dirty}
		return err //nolint:wrapcheck // run adds the context.
	})
	return v, err
}

// run opens the database and does what is asked of it. What a cancelled ctx stops is the next file, not the one that
// is running: a transaction ends whole.
func run(ctx context.Context, url string, files fs.FS, what string, do func(*migrate.Migrate) error) (err error) {
	m, err := open(ctx, url, files)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", what, err)
	}
	defer func() {
		sourceErr, databaseErr := m.Close()
		err = errors.Join(err, sourceErr, databaseErr)
	}()
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true })
	defer stop()
	if err := explain(do(m)); err != nil {
		return fmt.Errorf("migrate %s: %w", what, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("migrate %s: %w", what, err)
	}
	return nil
}

func open(ctx context.Context, url string, files fs.FS) (*migrate.Migrate, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err) // pgx redacts the password
	}
	cfg.RuntimeParams["application_name"] = "robson-migrate"
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["search_path"] = "public"
	cfg.RuntimeParams["lock_timeout"] = lockTimeout
	source, err := iofs.New(files, ".")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	db := stdlib.OpenDB(*cfg)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w", err), source.Close(), db.Close())
	}
	driver, err := pgxdriver.WithInstance(db, &pgxdriver.Config{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look for schema_migrations: %w", err), source.Close(), db.Close())
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", driver)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open migrations: %w", err), source.Close(), driver.Close())
	}
	return m, nil
}

// explain says in our words what the library's errors mean to who must act on them.
func explain(err error) error {
	var dirty migrate.ErrDirty
	var failed database.Error
	switch {
	case err == nil, errors.Is(err, migrate.ErrNoChange):
		return nil
	case errors.As(err, &dirty):
		return fmt.Errorf("%w at version %d: that migration failed or was cut short. Each file is one transaction: look whether "+
			"its change is there, then say so with `robson migrate force %d` if it is, or force the version before it if not",
			ErrDirty, dirty.Version, dirty.Version)
	case errors.As(err, &failed):
		// The library's text has the whole file in it.
		return fmt.Errorf("line %d: %s: %w", failed.Line, failed.Err, failed.OrigErr)
	default:
		return err
	}
}
