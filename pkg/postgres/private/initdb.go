package private

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// superuser is the cluster's first role; it owns the databases.
const superuser = "robson"

// unfinished is how a cluster is called until it is whole.
const unfinished = "data.unfinished-"

// create makes a cluster. It is made beside its place and moved there when it is whole and synced, so that data/
// either holds a cluster or does not exist.
func (p place) create(ctx context.Context, bin Binaries, who account, cfg Config) error {
	if err := p.sweep(); err != nil {
		return err
	}
	if err := p.mintPassword(); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(p.dir, unfinished)
	if err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := who.own(scratch); err != nil {
		return err
	}
	// initdb reads the password as the server's user, who may not read ours.
	secret := filepath.Join(scratch, "password")
	text, err := os.ReadFile(p.password())
	if err != nil {
		return fmt.Errorf("read password: %w", err)
	}
	if err := os.WriteFile(secret, text, 0o600); err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	if err := who.own(secret); err != nil {
		return err
	}
	made := filepath.Join(scratch, "data")
	args := []string{
		"-D", made, "-U", superuser, "--pwfile", secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions",
	}
	if cfg.LoseDataOnPowerFailure {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin.Dir, "initdb"), args...) //nolint:gosec // G204: the machine's own PostgreSQL.
	cmd.Dir, cmd.Env = scratch, environment()
	who.run(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(string(out)))
	}
	if err := os.Remove(p.data()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace empty %s: %w", p.data(), err) // Remove takes an empty directory only
	}
	if err := os.Rename(made, p.data()); err != nil {
		return fmt.Errorf("put cluster in place: %w", err)
	}
	return syncDir(p.dir)
}

// sweep removes what a killed create left: clusters that never were in place, hence never held anything.
func (p place) sweep() error {
	leftovers, err := filepath.Glob(filepath.Join(p.dir, unfinished+"*"))
	if err != nil {
		return fmt.Errorf("look for unfinished clusters: %w", err)
	}
	for _, dir := range leftovers {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove unfinished cluster: %w", err)
		}
	}
	return nil
}

// mintPassword writes a new superuser password, for a cluster that does not exist yet.
func (p place) mintPassword() error {
	f, err := os.OpenFile(p.password(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	_, err = f.WriteString(rand.Text() + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	return nil
}

func (p place) readPassword() (string, error) {
	text, err := os.ReadFile(p.password())
	if err != nil {
		return "", fmt.Errorf("read the superuser's password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// environment is ours without what would steer PostgreSQL's programs or translate what they say.
func environment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") || name == "LANG" || name == "TZ" {
			continue
		}
		env = append(env, kv)
	}
	return env
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
