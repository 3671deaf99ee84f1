package testkit

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// marketDataVariable names the directory with the market data.
const marketDataVariable = "ROBSON_MARKET_DATA"

// MarketData is the path of a market data file. The data is not in the repository: without it the test is skipped,
// and says what to set.
func MarketData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv(marketDataVariable)
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("market data: %v; set %s to the directory that has %s", err, marketDataVariable, name)
	}
	return path
}

// root is the directory of go.work above the test's package.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("testkit: find working directory: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "."
		}
		dir = parent
	}
}

// Logger writes to the test's log, all levels, until the test ends; what comes later is lost instead of a panic.
func Logger(t testing.TB) *slog.Logger {
	t.Helper()
	w := &writer{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
	})
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type writer struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

// Write implements io.Writer.
func (w *writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.t.Log(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}
