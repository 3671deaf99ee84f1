package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	own, reaped, err := parseStat("42 (post) gres 1) S 1 42 42 0 -1 4194560 100 200 0 0 150 50 30 20 20 0 1 0 5")
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, own)
	require.Equal(t, 500*time.Millisecond, reaped)
	for _, broken := range []string{"", "1 (x) S", "42 (x) S 1 42 42 0 -1 4194560 100 200 0 0 many 50 30 20"} {
		_, _, err := parseStat(broken)
		require.Error(t, err, "%q", broken)
	}
}

func TestParseMachine(t *testing.T) {
	t.Parallel()
	busy, capacity, err := parseMachine("cpu  100 50 200 1000 500 0 25 25 10 0\ncpu0 1 2 3")
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, busy)
	require.Equal(t, 19*time.Second, capacity)
	for _, broken := range []string{"", "cpu 1 2 3", "cpu 1 2 3 4 5 x 7 8", "mem 1 2 3 4 5 6 7 8"} {
		_, _, err := parseMachine(broken)
		require.Error(t, err, "%q", broken)
	}
}

func TestProcess_self(t *testing.T) {
	t.Parallel()
	used, err := cpuOf(os.Getpid(), true)
	require.NoError(t, err)
	require.GreaterOrEqual(t, used, time.Duration(0))
	peak, err := peakMemory(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, peak, int64(1<<20))
	_, err = cpuOf(-1, false)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStart_says_why_a_program_ended(t *testing.T) {
	t.Parallel()
	_, err := start(t.Context(), nil, "ready.", "/bin/sh", "-c", "echo no luck; exit 3")
	require.ErrorContains(t, err, "no luck")
	p, err := start(t.Context(), nil, "ready.", "/bin/sh", "-c", "echo ready.; read forever")
	require.NoError(t, err)
	_ = p.stop() // sh ends by the signal or by the end of its input
}
