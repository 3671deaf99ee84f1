package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// childReady is what a child says on stderr when it has warmed up.
const childReady = "ready."

// pipesMax is how long a killed child's pipes may stay open.
const pipesMax = 5 * time.Second

// child is a program that makes a load for the bench: it warms up, says so, waits for a line, measures, and tells on stdout
// what it came to. It ends with the context.
type child struct {
	stdin io.WriteCloser
	// told is what it says on stdout, said what on stderr.
	told, said lines
	ended      chan error
}

// startChild runs a program, for so long at most, and returns when it is ready.
func startChild(ctx context.Context, most time.Duration, env []string, program string, args ...string) (*child, error) {
	name := filepath.Base(program)
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it did not end within %s", most))
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // node, with the bench's own program
	c := &child{ended: make(chan error, 1)}
	c.said.ready, c.said.found = childReady, make(chan struct{})
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = env, &c.told, &c.said, pipesMax
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if c.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", name, errors.Join(context.Cause(ctx), err), strings.TrimSpace(c.said.text.String()))
		}
		cancel()
		c.ended <- err
	}()
	select {
	case <-c.said.found:
		return c, nil
	case err := <-c.ended:
		return nil, errors.Join(fmt.Errorf("%s ended before it was ready", name), err)
	}
}

// finish lets the child measure and returns what it tells.
func (c *child) finish() (string, error) {
	_, wrote := io.WriteString(c.stdin, "\n")
	if err := <-c.ended; err != nil {
		return "", err
	}
	if wrote != nil {
		return "", fmt.Errorf("let the child go: %w", wrote)
	}
	return c.told.text.String(), nil
}
