package projection_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
)

// stored is an event as the log has it.
type stored struct {
	event   projection.Event
	version int32
	payload []byte
}

// storedLives is a log of many lives as the log has it.
func storedLives(t testing.TB, accounts, positions int) []stored {
	t.Helper()
	log, err := projectiontest.Lives(accounts, positions)
	require.NoError(t, err)
	events := make([]stored, len(log.Events))
	for i, ev := range log.Events {
		descriptor, err := event.OfMessage(ev.Payload)
		require.NoError(t, err)
		payload, err := event.Canonical(ev.Payload)
		require.NoError(t, err)
		events[i] = stored{event: ev, version: descriptor.Version, payload: payload}
	}
	return events
}

// processorTime is what the process has used: garbage collection in other threads too, and nothing of what else the machine
// does meanwhile.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkReplay is what a replay costs an event beside reading it: decoding, and folding into memory, over and over the
// same log of 50 accounts and 1,000 positions.
func BenchmarkReplay(b *testing.B) {
	events := storedLives(b, 50, 1000)
	run := func(name string, decode, fold, scratch bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			empty := func() projection.State {
				if scratch {
					return &projection.Scratch{}
				}
				return &projection.Memory{}
			}
			state, begun := empty(), processorTime(b)
			for i := 0; b.Loop(); i++ {
				at := i % len(events)
				if at == 0 {
					state = empty()
				}
				ev := events[at].event
				if decode {
					payload, err := event.Decode(ev.Type, events[at].version, events[at].payload)
					if err != nil {
						b.Fatal(err)
					}
					ev.Payload = payload
				}
				if fold {
					if _, err := projection.Fold(state, ev); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
	run("decode", true, false, false)
	run("fold", false, true, false)
	run("fold into scratch", false, true, true)
	run("decode and fold", true, true, false)
	run("decode and fold into scratch", true, true, true)
}
