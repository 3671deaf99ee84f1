package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// clockTicks is USER_HZ, which Linux fixes at 100 for what /proc tells.
	clockTicks = 100
	// stopMax is how long a process may take to end when it is asked to.
	stopMax = 60 * time.Second
	// linesMax bounds what is kept of what a process says.
	linesMax = 1 << 20
)

// process is a program that the bench runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	out   lines
	ended chan error
}

// lines keeps what a process says, for looking into it.
type lines struct {
	text  bytes.Buffer
	ready string
	found chan struct{}
}

// Write takes what the process says; it is called by one goroutine, that of the process.
func (l *lines) Write(p []byte) (int, error) {
	if l.text.Len() < linesMax {
		l.text.Write(p)
	}
	if l.ready != "" && strings.Contains(l.text.String(), l.ready) {
		l.ready = ""
		close(l.found)
	}
	return len(p), nil
}

// databaseIn gives a program a database by its environment: a command line, with the password in it, is for all to see.
func databaseIn(url string) []string { return append(os.Environ(), "ROBSON_DATABASE_URL="+url) }

// start runs a program in an environment; nil: ours. If ready is not empty, it returns when the program has said so.
func start(ctx context.Context, env []string, ready, name string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(name) + " " + args[0], ended: make(chan error, 1)}
	p.out.ready, p.out.found = ready, make(chan struct{})
	p.cmd = exec.Command(name, args...) //nolint:gosec,noctx // the binary that is measured; it is stopped in order, not killed
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, &p.out, &p.out
	// A session of its own: Ctrl-C is for the bench, which then stops what it started.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	if ready == "" {
		return p, nil
	}
	select {
	case <-p.out.found:
		return p, nil
	case err := <-p.ended:
		return nil, fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(err), p.out.text.String())
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), p.stop())
	}
}

// stop asks the process to end and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, err, p.out.text.String())
		}
		return nil
	case <-time.After(stopMax):
		return errors.Join(fmt.Errorf("%s does not end within %s", p.name, stopMax), p.cmd.Process.Kill())
	}
}

// runToEnd runs a program that ends by itself.
func runToEnd(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the binary that is measured
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, out)
	}
	return nil
}

// cpuOf is the processor time that a process has used, and with children that of all that it started.
func cpuOf(pid int, children bool) (time.Duration, error) {
	own, reaped, err := readStat(pid)
	if err != nil || !children {
		return own, err
	}
	total := own + reaped
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, fmt.Errorf("read children of %d: %w", pid, err)
	}
	for _, text := range strings.Fields(string(list)) {
		child, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("read children of %d: %w", pid, err)
		}
		used, _, err := readStat(child)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended: its time is its parent's next time
		}
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

// readStat reads what a process has used, and what those of its children that have ended had.
func readStat(pid int) (own, reaped time.Duration, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read stat of %d: %w", pid, err)
	}
	return parseStat(string(data))
}

// parseStat reads fields 14 to 17 of /proc/<pid>/stat. The second, the name, may hold anything, parentheses too.
func parseStat(text string) (own, reaped time.Duration, err error) {
	const first, count = 14, 4
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var ticks [count]int64
	for i := range ticks {
		at := first - 3 + i // the fields after the name begin with the third
		if at >= len(fields) {
			return 0, 0, fmt.Errorf("stat has %d fields after the name", len(fields))
		}
		if ticks[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("stat: %w", err)
		}
	}
	const tick = time.Second / clockTicks
	return time.Duration(ticks[0]+ticks[1]) * tick, time.Duration(ticks[2]+ticks[3]) * tick, nil
}

// machineCPU is the processor time that the machine has spent since its start, and what it has had to spend.
func machineCPU() (busy, capacity time.Duration, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read the machine's processor time: %w", err)
	}
	return parseMachine(string(data))
}

// parseMachine reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. What the hypervisor
// gave to others (steal) is busy: it is missing here.
func parseMachine(text string) (busy, capacity time.Duration, err error) {
	const idle, ioWait, count = 3, 4, 8
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < count+1 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("the machine's processor time reads %q", line)
	}
	for i, field := range fields[1 : count+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("the machine's processor time: %w", err)
		}
		spent := time.Duration(ticks) * (time.Second / clockTicks)
		capacity += spent
		if i != idle && i != ioWait {
			busy += spent
		}
	}
	return busy, capacity, nil
}

// peakMemory is the most memory that a process has held, in bytes.
func peakMemory(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read status of %d: %w", pid, err)
	}
	for line := range strings.Lines(string(data)) {
		rest, found := strings.CutPrefix(line, "VmHWM:")
		if !found {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("status of %d: %w", pid, err)
		}
		return kilobytes << 10, nil
	}
	return 0, fmt.Errorf("status of %d tells no VmHWM", pid)
}
