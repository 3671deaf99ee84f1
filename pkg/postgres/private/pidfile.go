package private

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// postmaster is what a running server writes about itself into postmaster.pid.
type postmaster struct {
	pid    int
	port   int
	status string
}

// The lines of postmaster.pid, counted from 0; see miscadmin.h of PostgreSQL.
const (
	pidLine    = 0
	portLine   = 3
	statusLine = 7
)

// postmaster reads postmaster.pid. Without one it returns false: no server was left behind.
func (p place) postmaster() (postmaster, bool, error) {
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return postmaster{}, false, nil
	}
	if err != nil {
		return postmaster{}, false, fmt.Errorf("read postmaster.pid: %w", err)
	}
	return parsePostmaster(string(text))
}

// parsePostmaster reads as many lines as there are: the server writes them one after the other as it starts.
func parsePostmaster(text string) (postmaster, bool, error) {
	lines := strings.Split(text, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[pidLine]))
	if err != nil || pid <= 1 {
		return postmaster{}, false, fmt.Errorf("postmaster.pid says process %q", lines[pidLine])
	}
	pm := postmaster{pid: pid}
	if len(lines) > portLine {
		if port, err := strconv.Atoi(strings.TrimSpace(lines[portLine])); err == nil {
			pm.port = port
		}
	}
	if len(lines) > statusLine {
		pm.status = strings.TrimSpace(lines[statusLine])
	}
	return pm, true, nil
}

// serves says whether the process lives and is the server of this cluster. The id alone proves nothing: it may be
// another's by now.
func (p place) serves(ctx context.Context, pid int) bool {
	if !alive(pid) {
		return false
	}
	if runtime.GOOS == "linux" {
		// The server makes its data directory its working directory, and stays there.
		cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		return err == nil && cwd == p.data()
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // G204: a number.
	return err == nil && strings.Contains(string(out), p.data())
}

// alive says whether there is such a process, whoever owns it. One that has ended and was not reaped is dead.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true // no /proc here
	}
	_, rest, found := strings.Cut(string(stat), ") ")
	return !found || !strings.HasPrefix(rest, "Z")
}
