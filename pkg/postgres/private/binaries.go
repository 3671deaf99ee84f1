package private

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// MajorMin is the oldest PostgreSQL that Robson's schema runs on.
	MajorMin = 15
	// BinVariable names the environment variable that says where the programs are; nothing else is looked at then.
	BinVariable = "ROBSON_POSTGRES_BIN"
)

// ErrNoBinaries says that there is no PostgreSQL to run. Its text tells what to install.
var ErrNoBinaries = errors.New("no PostgreSQL 15 or newer found: install one (Debian, Ubuntu: apt-get install postgresql-15; " +
	"macOS: brew install postgresql@17; RHEL: dnf install postgresql-server) or name its bin directory in " + BinVariable)

// Binaries is a directory with postgres and initdb.
type Binaries struct {
	// Dir holds the programs.
	Dir string
	// Major is their version's first number.
	Major int
}

// binGlobs are where packages put the programs without telling PATH.
var binGlobs = []string{
	"/usr/lib/postgresql/*/bin",       // Debian, Ubuntu
	"/usr/lib/postgresql*/bin",        // SUSE
	"/usr/libexec/postgresql*",        // Alpine
	"/usr/pgsql-*/bin",                // RHEL with the project's packages
	"/usr/local/pgsql/bin",            // from source
	"/opt/homebrew/opt/postgres*/bin", // macOS on ARM
	"/usr/local/opt/postgres*/bin",    // macOS on Intel
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// Find returns the programs to use. A cluster of a major version is run by that version only, so with major > 0 all
// places are searched for it; with 0 the newest wins, but what PATH or pg_config names comes first.
func Find(ctx context.Context, major int) (Binaries, error) {
	if dir := os.Getenv(BinVariable); dir != "" {
		b, err := inspect(ctx, dir)
		if err != nil {
			return Binaries{}, fmt.Errorf("%s=%s: %w", BinVariable, dir, err)
		}
		if !b.serves(major) {
			return Binaries{}, fmt.Errorf("%s=%s holds PostgreSQL %d: %w", BinVariable, dir, b.Major, wantError(major))
		}
		return b, nil
	}
	return choose(ctx, append(namedDirs(ctx), globbedDirs(binGlobs)...), major)
}

// choose returns the first directory that serves.
func choose(ctx context.Context, dirs []string, major int) (Binaries, error) {
	for _, dir := range dirs {
		b, err := inspect(ctx, dir)
		if err != nil {
			continue // not programs that run here: another place may hold some
		}
		if b.serves(major) {
			return b, nil
		}
	}
	return Binaries{}, wantError(major)
}

func (b Binaries) serves(major int) bool {
	return b.Major >= MajorMin && (major == 0 || b.Major == major)
}

// wantError is what to say when nothing serves.
func wantError(major int) error {
	if major == 0 {
		return ErrNoBinaries
	}
	return fmt.Errorf("%w: this cluster was made by PostgreSQL %d and no other major version may open it: apt-get install postgresql-%d",
		ErrForeignVersion, major, major)
}

// namedDirs are the places that the environment names: PATH and pg_config.
func namedDirs(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

// globbedDirs expands the patterns, newest version first.
func globbedDirs(patterns []string) []string {
	var dirs []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue // a malformed pattern, which a test would show
		}
		dirs = append(dirs, matches...)
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return numberIn(b) - numberIn(a) })
	return dirs
}

var digits = regexp.MustCompile(`[0-9]+`)

// numberIn is the last number in a path: the major version, in every layout of binGlobs.
func numberIn(path string) int {
	all := digits.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1])
	if err != nil {
		return 0
	}
	return n
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) ([0-9]+)`)

// inspect asks a directory's postgres which version it is.
func inspect(ctx context.Context, dir string) (Binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return Binaries{}, fmt.Errorf("look for initdb: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output() //nolint:gosec // G204: the machine's own PostgreSQL.
	if err != nil {
		return Binaries{}, fmt.Errorf("ask postgres for its version: %w", err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return Binaries{}, fmt.Errorf("postgres --version says %q", strings.TrimSpace(string(out)))
	}
	major, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return Binaries{}, fmt.Errorf("read version: %w", err)
	}
	return Binaries{Dir: dir, Major: major}, nil
}
