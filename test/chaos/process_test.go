package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a running robson. What it says goes to a file.
type process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs the binary. What runs under the same name again adds to the same file.
func start(dir, name, binary string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the process has its own copy
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// A session of its own, so that Ctrl-C is for the test; and no process outlives the test that was killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // its status is in ProcessState
	}()
	return p, nil
}

// kill ends the process as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop ends it in order: SIGTERM, and it must be gone in time with status 0.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopMax):
		p.kill()
		return fmt.Errorf("%s does not end within %s:\n%s", p.name, stopMax, p.said())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with status %d:\n%s", p.name, code, p.said())
	}
	return nil
}

// running says whether it has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// said is the end of what it said.
func (p *process) said() string {
	const most = 6000
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-most):])
}

// childrenOf are the processes that a process has started.
func childrenOf(pid int) ([]int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, fmt.Errorf("list children of %d: %w", pid, err)
	}
	var pids []int
	for _, text := range strings.Fields(string(data)) {
		child, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("list children of %d: %w", pid, err)
		}
		pids = append(pids, child)
	}
	return pids, nil
}

// await looks again and again until look is content or time is up.
func await(ctx context.Context, what string, most time.Duration, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	ticker := time.NewTicker(lookPause)
	defer ticker.Stop()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, most, err)
		}
	}
}

// workDir is a directory that the database's own user can pass through, gone at the end.
func workDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "robson-chaos-") //nolint:usetesting // t.TempDir lets nobody else in
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		if os.Getenv("ROBSON_CHAOS_KEEP") == "" {
			require.NoError(t, os.RemoveAll(dir))
		}
	})
	return dir
}
