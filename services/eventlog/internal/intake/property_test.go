package intake_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// registered is how many events begin a history: the tenant, its accounts and strategy.
const registered = 5

// randomRequests draws a history and puts its events into appends as services would: facts alone, decisions in groups,
// now and then resting on what was read.
func randomRequests(t *rapid.T) []*intake.Request {
	log, err := projectiontest.Random(t, 100)
	require.NoError(t, err)
	var drafts []*intake.Draft
	for _, ev := range log.Events {
		if d, raised := ev.Payload.(*eventv1.DiscrepancyDetected); raised && d.GetEntity() != "position" && d.GetRunId() == "" {
			continue // The fold raised it, and will again.
		}
		if last := len(drafts) - 1; last >= registered && rapid.IntRange(0, 2).Draw(t, "joined") > 0 && join(drafts[last], ev) {
			continue
		}
		d := &intake.Draft{
			Tenant: log.TenantID, Command: projectiontest.ID(fmt.Sprint("command ", ev.Position)), Digest: sha256.Sum256(ev.EventID[:]),
			Trace: projectiontest.ID("trace"), Caller: callerOf(ev.Payload),
			Streams: []intake.DraftStream{{Key: ev.StreamKey, Events: []intake.DraftEvent{draftEvent(ev)}}},
		}
		if descriptor, _ := event.OfMessage(ev.Payload); descriptor.IsFact() {
			f := factDraft(t, log, ev.Payload)
			d.Command, d.Digest = f.Command, f.Digest
		}
		if rapid.IntRange(0, 5).Draw(t, "reads") == 0 {
			d.Reads = []intake.Read{{Kind: projection.ReadAccountRisk, ID: projectiontest.Spot}}
			d.DecidedAt = ev.Position - int64(rapid.IntRange(0, 3).Draw(t, "behind"))
		}
		drafts = append(drafts, d)
	}
	requests := make([]*intake.Request, len(drafts))
	for i, d := range drafts {
		requests[i] = request(t, d)
	}
	return requests
}

func draftEvent(ev projection.Event) intake.DraftEvent {
	return intake.DraftEvent{Payload: event.Wrap(ev.Payload), OccurredAt: ev.OccurredAt, CausedBy: -1}
}

// join puts an event into an append that its producer could have made of both.
func join(d *intake.Draft, ev projection.Event) bool {
	descriptor, _ := event.OfMessage(ev.Payload)
	_, _, first := event.Of(d.Streams[0].Events[0].Payload)
	before, _, err := event.Of(d.Streams[0].Events[0].Payload)
	if err != nil || first != nil || descriptor.IsFact() || before.IsFact() || callerOf(ev.Payload) != d.Caller {
		return false
	}
	last := &d.Streams[len(d.Streams)-1]
	switch {
	case last.Key == ev.StreamKey:
		last.Events = append(last.Events, draftEvent(ev))
	case slices.ContainsFunc(d.Streams, func(s intake.DraftStream) bool { return s.Key == ev.StreamKey }):
		return false
	default:
		d.Streams = append(d.Streams, intake.DraftStream{Key: ev.StreamKey, Events: []intake.DraftEvent{draftEvent(ev)}})
	}
	return true
}

// Whatever the batches are, and whatever is sent again in between, the log and the rows are those of appending one by one;
// and the rows are the fold of the log (laws 2, 3 and 4).
func TestProperty_batches_and_repeats_change_nothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		requests := randomRequests(t)
		single, batched := newBook(), newBook()
		want := make([]result, len(requests))
		for i, r := range requests {
			want[i] = single.append(t, r)[0]
			single.clock = start // It stands still, so that times do not tell the batches apart.
		}
		for at := 0; at < len(requests); {
			size := min(rapid.IntRange(1, 12).Draw(t, "batch"), len(requests)-at)
			batch := slices.Clone(requests[at : at+size])
			indexes := make([]int, size)
			for i := range indexes {
				indexes[i] = at + i
			}
			for range rapid.IntRange(0, 3).Draw(t, "repeats") {
				again := rapid.IntRange(0, at+size-1).Draw(t, "again")
				if want[again].err != nil {
					continue // What was refused may be taken later.
				}
				// After the first sending, which is in this batch or before.
				where := rapid.IntRange(slices.Index(indexes, again)+1, len(batch)).Draw(t, "where")
				batch, indexes = slices.Insert(batch, where, requests[again]), slices.Insert(indexes, where, again)
			}
			seen := map[int]bool{}
			for i, got := range batched.append(t, batch...) {
				requireAlike(t, want[indexes[i]], got, indexes[i] < at || seen[indexes[i]])
				seen[indexes[i]] = true
			}
			batched.clock = start
			at += size
		}
		requireSame(t, single, batched)
		batched.requireSound(t)
	})
}

// requireAlike holds an answer to the first one.
func requireAlike(t *rapid.T, want, got result, repeated bool) {
	if want.err != nil {
		require.EqualError(t, got.err, want.err.Error())
		return
	}
	require.NoError(t, got.err)
	require.Equal(t, want.Receipt, got.Receipt)
	require.Equal(t, want.Discrepancy, got.Discrepancy)
	require.Equal(t, want.Duplicate || repeated, got.Duplicate)
}

func requireSame(t *rapid.T, one, other *book) {
	require.Equal(t, one.head, other.head)
	require.Equal(t, one.streams, other.streams)
	require.Equal(t, one.receipts, other.receipts)
	require.Len(t, other.records, len(one.records))
	for i := range one.records {
		require.Equal(t, one.records[i].Record, other.records[i].Record)
		require.Equal(t, one.records[i].Subjects, other.records[i].Subjects)
	}
	if diff := cmp.Diff(one.rows.Render(), other.rows.Render()); diff != "" {
		t.Fatal(diff)
	}
}
