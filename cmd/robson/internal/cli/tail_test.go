package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/cli"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

func sent(position int64) *eventlogv1.SubscribeResponse {
	return &eventlogv1.SubscribeResponse{Message: &eventlogv1.SubscribeResponse_Event{Event: stray(position)}}
}

func caughtUp(position int64) *eventlogv1.SubscribeResponse {
	return &eventlogv1.SubscribeResponse{Message: &eventlogv1.SubscribeResponse_CaughtUp{CaughtUp: &eventlogv1.CaughtUp{Position: position}}}
}

var denied = fault.New(fault.Denied, "PERMISSION_MISSING", "your token lacks the permission read")

// subscriptions are the subscriptions that were asked for.
func (s *services) subscriptions() []*eventlogv1.SubscribeRequest {
	var out []*eventlogv1.SubscribeRequest
	for _, a := range s.asked {
		if r, is := a.request.(*eventlogv1.SubscribeRequest); is {
			out = append(out, r)
		}
	}
	return out
}

// TestTail goes on where it was left when a stream breaks: no gap, no repeat. What would be refused again ends it.
func TestTail(t *testing.T) {
	t.Parallel()
	s := start(t).answer("GetHead", &eventlogv1.GetHeadResponse{Position: 6})
	s.answer("Subscribe", []any{sent(7), sent(8), caughtUp(9)}, fault.New(fault.Unavailable, "STOPPING", "it stops"), []any{sent(9), sent(10)}, denied)
	code, out, errOut := s.run("events", "tail")
	require.Equal(t, 1, code)
	require.Equal(t, 3, strings.Count(out, "ORDER_ACKED"), out)
	require.Contains(t, out, "     10  ", "the one at 9 was told of already")
	require.Contains(t, errOut, "following after position 6; Ctrl-C ends\n")
	require.Contains(t, errOut, "the connection broke (EOF); going on after position 9\n")
	require.NotContains(t, errOut, "it stops", "said once, until something comes again")
	require.Contains(t, errOut, "the connection broke (EOF); going on after position 10\n")
	require.Contains(t, errOut, "error: your token lacks the permission read\n")
	asked := s.subscriptions()
	require.Equal(t, []int64{6, 9, 9, 10}, []int64{asked[0].GetAfterPosition(), asked[1].GetAfterPosition(), asked[2].GetAfterPosition(), asked[3].GetAfterPosition()})
}

// TestTail_json is a document a line, and nothing else.
func TestTail_json(t *testing.T) {
	t.Parallel()
	s := start(t).answer("Subscribe", []any{sent(7), sent(8)}, denied)
	_, out, _ := s.run("events", "tail", "--after-position", "6", "-o", "json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	for _, line := range lines {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// TestTail_conditions asks the log for what it can leave out, and leaves out the rest itself.
func TestTail_conditions(t *testing.T) {
	t.Parallel()
	other := sent(8)
	other.GetEvent().StreamKey = "order:" + positionID
	for line, want := range map[string]int{
		"--stream order:" + orderID: 1, "--order-id " + orderID: 1, "--order-id " + positionID: 1, "--position-id " + positionID: 0, "--command-id " + positionID: 2, "--trace-id " + positionID: 0,
		"--type ORDER_ACKED --account-id " + accountID: 2,
	} {
		s := start(t).answer("Subscribe", []any{sent(7), other}, denied)
		_, out, _ := s.run(append(strings.Fields("events tail --after-position 6"), strings.Fields(line)...)...)
		require.Equal(t, want, strings.Count(out, "\n"), "%s: %s", line, out)
	}
	s := start(t).answer("Subscribe", denied)
	s.run(strings.Fields("events tail --after-position 6 --type ORDER_ACKED --account-id " + accountID + " --stream order:" + orderID)...)
	require.EqualExportedValues(t, &eventlogv1.SubscribeRequest{AfterPosition: 6, EventTypes: []string{"ORDER_ACKED"}, StreamKinds: []string{"order"}, AccountId: accountID}, s.subscriptions()[0])
}

// TestTail_since begins with the first event of that time, or after the last one.
func TestTail_since(t *testing.T) {
	t.Parallel()
	s := start(t).answer("Subscribe", denied)
	s.answer("QueryEvents", &eventlogv1.QueryEventsResponse{Events: []*eventv1.Event{stray(7)}, AsOf: 9}, &eventlogv1.QueryEventsResponse{AsOf: 9})
	s.run("events", "tail", "--since", "2026-11-23")
	s.run("events", "tail", "--since", "2026-11-24")
	require.EqualValues(t, 6, s.subscriptions()[0].GetAfterPosition())
	require.EqualValues(t, 9, s.subscriptions()[1].GetAfterPosition())
}

// TestTail_that_cannot_be says what is wrong, or that nobody is there.
func TestTail_that_cannot_be(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--after-position -1": "--after-position: must be at least 0", "--stream x": `--stream: "x" is no stream`, "--after-position 1 --since 2026-11-23": "both say where to begin", "--since x": "is no time",
	} {
		code, out, errOut := start(t).run(append([]string{"events", "tail"}, strings.Fields(line)...)...)
		require.Equal(t, 2, code)
		require.Empty(t, out)
		require.Contains(t, errOut, want)
	}
	away := fault.New(fault.Unavailable, "DATABASE_AWAY", "the database is away")
	code, _, errOut := start(t).answer("Subscribe", away).run("events", "tail", "--after-position", "0")
	require.Equal(t, 5, code, "what never was there is not waited for")
	require.Contains(t, errOut, "the database is away")
	code, _, _ = start(t).answer("GetHead", away).run("events", "tail")
	require.Equal(t, 5, code)
	code, _, _ = start(t).answer("QueryEvents", away).run("events", "tail", "--since", "2026-11-23")
	require.Equal(t, 5, code)
}

// stopper ends a run when a text was written.
type stopper struct {
	mu   sync.Mutex
	text bytes.Buffer
	when string
	// times is how often the text must have been written.
	times int
	stop  context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.text.Write(p)
	if strings.Count(s.text.String(), s.when) >= s.times {
		s.stop()
	}
	return n, err
}

// runUntil runs a command line until it has written a text, as if by Ctrl-C then.
func (s *services) runUntil(text string, args ...string) (code int, out, errOut string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	stdout, stderr := &stopper{when: text, times: 1, stop: cancel}, &bytes.Buffer{}
	code = cli.Run(ctx, append([]string{"--data-dir", s.dir}, args...), stdout, stderr)
	return code, stdout.text.String(), stderr.String()
}

// runOn runs a command line on a terminal until it has written a text so many times, as if by Ctrl-C then.
func (s *services) runOn(w *window, text string, times int, args ...string) (code int, shown string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	w.when, w.times, w.stop = text, times, cancel
	code = cli.Run(ctx, append([]string{"--data-dir", s.dir}, args...), w, &bytes.Buffer{})
	return code, w.text.String()
}

// TestTail_ends_with_CtrlC as it should: with status 0.
func TestTail_ends_with_CtrlC(t *testing.T) {
	t.Parallel()
	s := start(t).answer("Subscribe", []any{sent(7)}, []any{sent(8)})
	code, out, errOut := s.runUntil("      8  ", "events", "tail", "--after-position", "6")
	require.Zero(t, code, errOut)
	require.Equal(t, 2, strings.Count(out, "\n"))
}
