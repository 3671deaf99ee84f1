package private

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrForeignVersion says that the cluster was made by another major version than there are programs for.
var ErrForeignVersion = errors.New("PostgreSQL of another major version")

const (
	// asideRoot is where root puts a cluster whose own place the server's user cannot reach.
	asideRoot = "/var/lib/robson"
	// socketPathMax is the shortest limit there is for a Unix socket's path (macOS; Linux has 107).
	socketPathMax = 103
	// socketNameLongest is the longest name that the server gives its socket.
	socketNameLongest = "/.s.PGSQL.65535"
)

// place holds the paths of one private server, symbolic links resolved.
type place struct {
	dir string
}

func (p place) data() string     { return filepath.Join(p.dir, "data") }
func (p place) lock() string     { return filepath.Join(p.dir, "lock") }
func (p place) password() string { return filepath.Join(p.dir, "password") }
func (p place) log() string      { return filepath.Join(p.dir, "postgres.log") }

// socketDir is <dir>/run, or nothing where that is too long for a socket: TCP serves alone then.
func (p place) socketDir() string {
	dir := filepath.Join(p.dir, "run")
	if len(dir)+len(socketNameLongest) > socketPathMax {
		return ""
	}
	return dir
}

// settle makes the directory, or finds another where the server's user cannot reach it, and refuses one that holds
// something else.
func settle(dir string) (place, account, error) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	who, err := chooseAccount(filepath.Join(dir, "data"))
	if err != nil {
		return place{}, account{}, err
	}
	reached, err := who.reaches(dir)
	if err != nil {
		return place{}, account{}, err
	}
	if !reached {
		if dir, err = aside(dir, who); err != nil {
			return place{}, account{}, err
		}
	}
	mode := fs.FileMode(0o700)
	if who.drop {
		mode = 0o755 // the server's user must pass through to its cluster
	}
	if err := mkdirAll(dir, mode); err != nil {
		return place{}, account{}, err
	}
	// The server's own idea of its directory is compared with ours when it is adopted, so it must have one name only.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return place{}, account{}, fmt.Errorf("resolve directory: %w", err)
	}
	p := place{dir: dir}
	return p, who, p.familiar()
}

// mkdirAll makes what is missing of a path with just this mode, whatever the umask.
func mkdirAll(dir string, mode fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := mkdirAll(filepath.Dir(dir), mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	return nil
}

// aside makes a place below /var/lib/robson that the server's user can reach and leaves a symbolic link to it.
func aside(dir string, who account) (string, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("%s is not empty, and %s, who runs the server, cannot reach it: open the directories above it (chmod o+x) or choose another",
			dir, who.name)
	}
	sum := sha256.Sum256([]byte(dir))
	other := filepath.Join(asideRoot, "postgres-"+hex.EncodeToString(sum[:6]))
	if err := mkdirAll(other, 0o755); err != nil {
		return "", fmt.Errorf("%s cannot reach %s, and another place cannot be made: %w", who.name, dir, err)
	}
	if err := mkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("replace empty %s by a link: %w", dir, err)
	}
	if err := os.Symlink(other, dir); err != nil {
		return "", fmt.Errorf("link to %s: %w", other, err)
	}
	return other, nil
}

// familiar refuses a directory that holds something, but nothing of ours.
func (p place) familiar() error {
	if _, err := os.Stat(filepath.Join(p.dir, "PG_VERSION")); err == nil {
		return fmt.Errorf("%s is itself a PostgreSQL cluster; a private server's directory holds one in data/", p.dir)
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("look into %s: %w", p.dir, err)
	}
	if len(entries) == 0 {
		return nil
	}
	for _, entry := range entries {
		if entry.Name() == "lock" {
			return nil
		}
	}
	return fmt.Errorf("%s is not empty and was not made by robson: choose another directory", p.dir)
}

// take locks the place for this process. The lock goes with the process, whatever ends it.
func (p place) take() (*os.File, error) {
	f, err := os.OpenFile(p.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, readErr := os.ReadFile(p.lock())
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) && readErr == nil {
			return nil, fmt.Errorf("%w: %s is held by process %s", ErrInUse, p.dir, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", p.dir, err)
	}
	if err := f.Truncate(0); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write lock: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write lock: %w", err)
	}
	return f, nil
}

// giveUp ends what take began. The lock is undone and not only closed: a program that another goroutine is just starting has a copy of
// the file until it runs, and would hold the lock that long.
func giveUp(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

// ErrInUse says that another robson process owns the directory.
var ErrInUse = errors.New("data directory is in use")

// major reads the version of the cluster; 0 says that there is none yet. A data directory that holds anything but
// a cluster is refused.
func (p place) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf("read PG_VERSION of %s: %w", p.data(), err)
		}
		return major, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read PG_VERSION: %w", err)
	}
	entries, err := os.ReadDir(p.data())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("look into %s: %w", p.data(), err)
	}
	if len(entries) > 0 {
		return 0, fmt.Errorf("%s is not empty and holds no PostgreSQL cluster: move what is in it away, or choose another directory", p.data())
	}
	return 0, nil
}
