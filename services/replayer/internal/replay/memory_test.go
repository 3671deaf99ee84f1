package replay_test

import (
	"bytes"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memory watches how much memory the process has while something is measured.
type memory struct {
	quit, done chan struct{}
	live       uint64
}

// watchMemory begins to watch. What the process had before is given back first, so that it does not count.
func watchMemory(b *testing.B) *memory {
	b.Helper()
	debug.FreeOSMemory()
	require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200))
	m := &memory{quit: make(chan struct{}), done: make(chan struct{})}
	go m.watch()
	return m
}

// watch keeps the most that any collection has left.
func (m *memory) watch() {
	defer close(m.done)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-m.quit:
			return
		case <-tick.C:
			metrics.Read(sample)
			m.live = max(m.live, sample[0].Value.Uint64())
		}
	}
}

// report tells the most that the process had, and the most that it could not do without.
func (m *memory) report(b *testing.B) {
	b.Helper()
	close(m.quit)
	<-m.done
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, rest, found := bytes.Cut(status, []byte("VmHWM:"))
	require.True(b, found)
	kilobytes, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	require.NoError(b, err)
	b.ReportMetric(float64(kilobytes)/1024, "peak-MB")
	b.ReportMetric(float64(m.live)/(1<<20), "live-MB")
}
