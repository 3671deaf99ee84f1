package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseEmmett(t *testing.T) {
	t.Parallel()
	got, err := parseEmmett(`{"events":3,"errors":1,"first_error":"conflict","seconds":1.5,"cpu_seconds":0.25,"latency_us":{"900":2,"15300":1}}`)
	require.NoError(t, err)
	require.Equal(t, 3, got.calls)
	require.Equal(t, 3, got.events)
	require.Equal(t, 1, got.errors)
	require.EqualError(t, got.firstError, "conflict")
	require.InDelta(t, 2, got.rate(), 0.001)
	require.Equal(t, 250*time.Millisecond, got.cpu)
	require.InEpsilon(t, 900*time.Microsecond, got.latency.quantile(0.5), 0.02)
	require.Equal(t, 15300*time.Microsecond, got.latency.max)
	for _, broken := range []string{"", "warning: old", `{"events":1,"latency_us":{}}`, `{"events":1,"latency_us":{"x":1}}`} {
		_, err := parseEmmett(broken)
		require.ErrorContains(t, err, emmettProgram, "%q", broken)
	}
}

func TestEmmett_without_a_success(t *testing.T) {
	t.Parallel()
	e := &emmett{child: startShell(t, `echo ready. >&2; read go; echo '{"errors":2,"first_error":"conflict","seconds":1}'`)}
	_, err := e.run(t.Context(), time.Second)
	require.ErrorContains(t, err, "no call succeeded: conflict")
}

// startShell starts a script as a child.
func startShell(t *testing.T, script string) *child {
	t.Helper()
	c, err := startChild(t.Context(), time.Minute, os.Environ(), "/bin/sh", "-c", script)
	require.NoError(t, err)
	return c
}

func TestChild(t *testing.T) {
	t.Parallel()
	told, err := startShell(t, "echo warm; echo ready. >&2; read go; echo done").finish()
	require.NoError(t, err)
	require.Equal(t, "warm\ndone\n", told)
}

func TestChild_says_why_it_ended(t *testing.T) {
	t.Parallel()
	_, err := startChild(t.Context(), time.Minute, nil, "/bin/sh", "-c", "echo no luck >&2; exit 3")
	require.ErrorContains(t, err, "no luck")
	require.ErrorContains(t, err, "before it was ready")
	_, err = startShell(t, "echo ready. >&2; read go; echo no more luck >&2; exit 3").finish()
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no more luck")
	_, err = startChild(t.Context(), time.Minute, nil, filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// No child outlives its context or its time.
func TestChild_is_killed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := startChild(ctx, time.Minute, nil, "/bin/sh", "-c", "echo ready. >&2; exec sleep 3600")
	require.NoError(t, err)
	cancel()
	_, err = c.finish()
	require.ErrorIs(t, err, context.Canceled)
	_, err = startChild(t.Context(), time.Millisecond, nil, "/bin/sh", "-c", "exec sleep 3600")
	require.ErrorContains(t, err, "within 1ms")
}
