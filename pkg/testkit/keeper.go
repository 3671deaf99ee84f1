package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/postgres/private"
)

const (
	// keeperVariable makes a test binary a keeper of the server in the directory that it names.
	keeperVariable = "ROBSON_TESTKIT_KEEPER"
	// idleProbe is how often the keeper looks for users, idleProbesMax how often in a row it finds none before it
	// stops the server: long enough for `go test` to build the next package.
	idleProbe     = time.Second
	idleProbesMax = 60
	// connsMax serves the packages that `go test` runs side by side, each with several pools.
	connsMax = 300
)

// init is here because a test binary has no main that we could write: one that is started as a keeper must never
// get as far as running tests.
func init() {
	dir := os.Getenv(keeperVariable)
	if dir == "" {
		return
	}
	base := base{dir: dir}
	if err := base.keep(context.Background()); err != nil && !errors.Is(err, private.ErrInUse) {
		_ = os.WriteFile(base.failure(), []byte(err.Error()), 0o600)
		os.Exit(1)
	}
	os.Exit(0)
}

// base holds the paths that test processes and their keeper share.
type base struct {
	dir string
}

func (b base) users() string   { return filepath.Join(b.dir, "users") }
func (b base) url() string     { return filepath.Join(b.dir, "url") }
func (b base) failure() string { return filepath.Join(b.dir, "failure") }

// keep runs the server until nobody has used it for a while, or it ends.
func (b base) keep(ctx context.Context) error {
	bin, err := private.Find(ctx, 0)
	if err != nil {
		if bin, err = private.Fetch(ctx); err != nil {
			return errors.Join(private.ErrNoBinaries, err)
		}
	}
	s, err := private.Start(ctx, private.Config{
		Dir:                    filepath.Join(b.dir, "pg"+strconv.Itoa(bin.Major)),
		LoseDataOnPowerFailure: true,
		ConnsMax:               connsMax,
	})
	if err != nil {
		return err
	}
	if !s.Adopted() {
		err = sweep(ctx, s.URL("postgres"))
	}
	if err == nil {
		err = b.publish(s.URL("postgres"))
	}
	if err == nil {
		err = b.whileUsed(s)
	}
	return errors.Join(err, s.Stop(ctx))
}

// publish writes the URL in one step: a reader sees all of it or nothing.
func (b base) publish(url string) error {
	part := b.url() + ".part"
	if err := os.WriteFile(part, []byte(url), 0o600); err != nil {
		return fmt.Errorf("publish URL: %w", err)
	}
	if err := os.Rename(part, b.url()); err != nil {
		return fmt.Errorf("publish URL: %w", err)
	}
	return nil
}

// whileUsed returns when the server ends or when there were no users for a while. It then holds the users' lock
// until the process ends, so that the next user waits for that and finds no URL.
func (b base) whileUsed(s *private.Server) error {
	users, err := os.OpenFile(b.users(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open users: %w", err)
	}
	tick := time.NewTicker(idleProbe)
	defer tick.Stop()
	for idle := 0; ; {
		select {
		case <-s.Ended():
			return os.Remove(b.url()) //nolint:wrapcheck // it names the file.
		case <-tick.C:
		}
		if err := syscall.Flock(int(users.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			idle = 0
			continue
		}
		if idle++; idle >= idleProbesMax {
			return os.Remove(b.url()) //nolint:wrapcheck // it names the file.
		}
		if err := syscall.Flock(int(users.Fd()), syscall.LOCK_UN); err != nil {
			return fmt.Errorf("unlock users: %w", err)
		}
	}
}

// sweep drops what killed tests left in a server that nobody else uses yet, and the templates of older migrations.
func sweep(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to sweep: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	const leftDatabases = `-- name: LeftDatabases
select datname from pg_database
where datname like 'test\_%'
   or datname like 'template\_%' and oid <> (select max(oid) from pg_database where datname like 'template\_%' and datistemplate)`
	rows, err := conn.Query(ctx, leftDatabases)
	if err != nil {
		return fmt.Errorf("look for left databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for left databases: %w", err)
	}
	for _, name := range names {
		quoted := pgx.Identifier{name}.Sanitize()
		// "is_template false" does no harm to what is none.
		for _, sql := range []string{"alter database " + quoted + " is_template false", "drop database " + quoted + " with (force)"} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("drop %s: %w", name, err)
			}
		}
	}
	return nil
}
