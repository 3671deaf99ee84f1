package testkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// serverVariable names a server to use instead of a private one.
	serverVariable = "ROBSON_TEST_DATABASE_URL"
	// serverTimeout bounds the wait for the shared server, its download on a machine without PostgreSQL included.
	serverTimeout = 4 * time.Minute
	serverPoll    = 50 * time.Millisecond
	// keeperEvery is how often a keeper is started while none answers: the first may have been killed.
	keeperEvery = 5 * time.Second
)

// server is found once per process; the lock on the users' file is held until the process ends.
var server = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), serverTimeout)
	defer cancel()
	if url := os.Getenv(serverVariable); url != "" {
		return url, nil
	}
	b, err := sharedBase()
	if err != nil {
		return "", err
	}
	if err := b.join(); err != nil {
		return "", err
	}
	return b.await(ctx)
})

// sharedBase makes the directory that the user's test processes share, and trusts it only if it is the user's own:
// its name can be guessed, and its parent is everybody's.
func sharedBase() (base, error) {
	dir := filepath.Join(os.TempDir(), "robson-test-"+strconv.Itoa(os.Geteuid()))
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o755 // PostgreSQL runs as another user and passes through
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return base{}, fmt.Errorf("make shared directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return base{}, fmt.Errorf("look at shared directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	const writableByOthers = 0o022
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() || info.Mode()&writableByOthers != 0 {
		return base{}, fmt.Errorf("%s is not a directory of this user's alone", dir)
	}
	return base{dir: dir}, nil
}

// join says that this process uses the server, until it ends: the file is never closed. It waits for a keeper that is
// just stopping the server. A plain descriptor is used because the garbage collector would close an os.File.
func (b base) join() error {
	users, err := syscall.Open(b.users(), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("open users: %w", err)
	}
	for {
		err := syscall.Flock(users, syscall.LOCK_SH)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock users: %w", err)
		}
	}
}

// await returns the server's URL when it answers, and starts a keeper where none does.
func (b base) await(ctx context.Context) (string, error) {
	if url, err := b.answering(ctx); err == nil {
		return url, nil
	}
	if err := os.Remove(b.failure()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("forget failure: %w", err)
	}
	if err := b.startKeeper(); err != nil {
		return "", err
	}
	poll := time.NewTicker(serverPoll)
	defer poll.Stop()
	again := time.NewTicker(keeperEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the shared server in %s does not answer: %w", b.dir, ctx.Err())
		case <-again.C:
			if err := b.startKeeper(); err != nil {
				return "", err
			}
		case <-poll.C:
		}
		if text, err := os.ReadFile(b.failure()); err == nil {
			return "", errors.New(string(text))
		}
		if url, err := b.answering(ctx); err == nil {
			return url, nil
		}
	}
}

func (b base) answering(ctx context.Context) (string, error) {
	text, err := os.ReadFile(b.url())
	if err != nil {
		return "", err //nolint:wrapcheck // judged, not shown.
	}
	url := strings.TrimSpace(string(text))
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err //nolint:wrapcheck // judged, not shown.
	}
	return url, conn.Close(ctx) //nolint:wrapcheck // judged, not shown.
}

// startKeeper starts this binary as a keeper, away from our terminal, our output (go test waits for it to be closed)
// and our working directory. Where there is a keeper already, it ends at once.
func (b base) startKeeper() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find test binary: %w", err)
	}
	cmd := exec.Command(self) //nolint:gosec,noctx // G204: this test binary; it outlives the test.
	cmd.Env = append(os.Environ(), keeperVariable+"="+b.dir)
	cmd.Dir = b.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start keeper: %w", err)
	}
	if err := cmd.Process.Release(); err != nil {
		return fmt.Errorf("release keeper: %w", err)
	}
	return nil
}
