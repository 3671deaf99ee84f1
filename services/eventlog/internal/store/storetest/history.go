package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// Random is a random history of legal events, the same for the same seed.
func Random(seed, steps int) []projection.Event {
	return rapid.Custom(func(t *rapid.T) []projection.Event {
		log, err := projectiontest.Random(t, steps)
		if err != nil {
			panic(fmt.Sprintf("storetest: %v", err))
		}
		return log.Events
	}).Example(seed)
}

// Write appends a history, cut by chance into commands, with traces, workflows and causes drawn from few. Time stands still,
// goes on by little, or by weeks.
func (l *Log) Write(ctx context.Context, history []projection.Event, rng *rand.Rand) error {
	traces := make([]uuid.UUID, 5)
	for i := range traces {
		traces[i] = uuid.New()
	}
	var receipts []*intake.Receipt
	for len(history) > 0 {
		count := min(1+rng.IntN(4), len(history))
		c := Command{Trace: traces[rng.IntN(len(traces))], Digest: [32]byte{byte(len(l.Receipts))}}
		if rng.IntN(2) == 0 {
			c.Workflow = traces[rng.IntN(len(traces))]
		}
		if n := len(l.Records); n > 0 && rng.IntN(3) > 0 {
			c.Causation = l.Records[max(0, n-1-rng.IntN(8))].EventID
		}
		for i, e := range history[:count] {
			stream, err := event.ParseStreamKey(e.StreamKey)
			if err != nil {
				return err
			}
			c.Events = append(c.Events, Event{Stream: stream, Payload: e.Payload, CausedBy: rng.IntN(i + 1)})
		}
		c.Raised = rng.IntN(count)
		receipt, err := l.take(c)
		if err != nil {
			return err
		}
		receipts = append(receipts, receipt)
		history = history[count:]
		switch rng.IntN(8) {
		case 0, 1:
		case 2:
			l.Now = l.Now.Add(time.Duration(rng.IntN(20)) * 24 * time.Hour)
		default:
			l.Now = l.Now.Add(time.Duration(rng.IntN(2_000_000)) * time.Microsecond)
		}
	}
	return l.write(ctx, receipts...)
}
