package private

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	// fetchVersion is the build taken where the machine has none.
	fetchVersion = embeddedpostgres.V17
	fetchMajor   = 17
	// fetchTimeout bounds the download of some 15 MB.
	fetchTimeout = 3 * time.Minute
	// RepositoryVariable names the environment variable with another Maven repository to fetch from.
	RepositoryVariable = "ROBSON_POSTGRES_REPOSITORY"
)

// Fetch returns programs from the cache, or fetches them into it. They are only unpacked: see unpack.
func Fetch(ctx context.Context) (Binaries, error) {
	cache, err := cacheDir()
	if err != nil {
		return Binaries{}, err
	}
	place := filepath.Join(cache, "postgres-"+string(fetchVersion))
	if b, err := inspect(ctx, filepath.Join(place, "bin")); err == nil {
		return b, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // G301: the server's unprivileged user reads it.
		return Binaries{}, fmt.Errorf("make cache: %w", err)
	}
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return Binaries{}, fmt.Errorf("make scratch directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()

	if err := unpack(ctx, scratch); err != nil {
		return Binaries{}, fmt.Errorf("fetch PostgreSQL %s: %w", fetchVersion, err)
	}
	unpacked := filepath.Join(scratch, "pg")
	if _, err := inspect(ctx, filepath.Join(unpacked, "bin")); err != nil {
		return Binaries{}, fmt.Errorf("fetched PostgreSQL %s does not run here: %w", fetchVersion, err)
	}
	if err := os.Rename(unpacked, place); err != nil && !errors.Is(err, os.ErrExist) {
		return Binaries{}, fmt.Errorf("move fetched PostgreSQL to %s: %w", place, err)
	}
	return inspect(ctx, filepath.Join(place, "bin"))
}

// unpack has the library download and unpack into scratch/pg. The library offers no call for that alone, and its
// Start deletes a data directory that it does not like. So Start is given a data path that cannot exist, below a
// regular file: it unpacks, and then fails, as root and as anybody. Its error is told only if nothing was unpacked.
func unpack(ctx context.Context, scratch string) error {
	blocker := filepath.Join(scratch, "no-data-here")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", blocker, err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	cfg := embeddedpostgres.DefaultConfig().Version(fetchVersion).
		CachePath(filepath.Join(scratch, "archive")).RuntimePath(filepath.Join(scratch, "runtime")).
		BinariesPath(filepath.Join(scratch, "pg")).DataPath(filepath.Join(blocker, "data")).
		Password(rand.Text()).Port(uint32(port)).Logger(io.Discard)
	if repository := os.Getenv(RepositoryVariable); repository != "" {
		cfg = cfg.BinaryRepositoryURL(repository)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	done := make(chan error, 1)
	// The library takes no context. Past the time limit its download is left to end by itself, in a scratch
	// directory that is gone by then.
	go func() { done <- embeddedpostgres.NewDatabase(cfg).Start() }()
	select {
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller adds the context.
	case err := <-done:
		if _, statErr := os.Stat(filepath.Join(scratch, "pg", "bin", "postgres")); statErr == nil {
			return nil
		}
		return err
	}
}

// cacheDir is the user's cache; root's is closed to the server's unprivileged user, so root uses the machine's.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/robson", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}
	return filepath.Join(dir, "robson"), nil
}

// freePort asks the kernel for a port. Somebody else may take it before the server does; start tries again then.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find a free port: got %s", l.Addr())
	}
	return addr.Port, nil
}
