package eventlog_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// TestRun_what_comes_from_memory_is_the_log: an event that is fanned out as it is committed is the one that is read afterwards,
// field by field, whatever the form in which it was sent.
func TestRun_what_comes_from_memory_is_the_log(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	reads := eventlogv1.NewReadServiceClient(s.dial(t, "owner"))
	stream, err := reads.Subscribe(t.Context(), &eventlogv1.SubscribeRequest{AfterPosition: 2})
	require.NoError(t, err)
	m, err := stream.Recv()
	require.NoError(t, err)
	require.EqualValues(t, 2, m.GetCaughtUp().GetPosition())

	log, connector := projectiontest.NewLog(), s.appender(t, "connector")
	var sent []*eventv1.Event
	for range 20 {
		_, err := connector.Append(t.Context(), ofFact(t, log.Sample(uuid.NewString(), "USDT", "100.500")))
		require.NoError(t, err)
		m, err := stream.Recv()
		require.NoError(t, err)
		sent = append(sent, m.GetEvent())
	}
	page, err := reads.ReadLog(t.Context(), &eventlogv1.ReadLogRequest{FromPosition: 3})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(page.GetEvents(), sent, protocmp.Transform()))
}

// TestRun_a_hundred_subscribers: fifty at each of two replicas, through both of which the log becomes longer at a time, get exactly what
// it has after the position that each began at, and that his filter lets through.
func TestRun_a_hundred_subscribers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	addresses := []string{s.address, s.run(t)}
	account := projectiontest.Spot.String()
	const appends, appenders = 60, 4
	requests := []*eventlogv1.SubscribeRequest{
		{},
		{AfterPosition: 1},
		{AccountId: account},
		{StreamKinds: []string{string(event.KindAccount)}, AfterPosition: 2},
		{EventTypes: []string{"BALANCE_SAMPLED"}, StreamKinds: []string{string(event.KindAccount)}, AccountId: account},
	}
	got := make([][]*eventv1.Event, 100)
	var subscribers, writers sync.WaitGroup
	for i := range got {
		stream, err := eventlogv1.NewReadServiceClient(dialTo(t, addresses[i%2], "owner", s.tenant)).Subscribe(t.Context(), requests[i%len(requests)])
		require.NoError(t, err)
		subscribers.Go(func() {
			for position := int64(0); position < 2+appends*appenders; {
				m, err := stream.Recv()
				if err != nil {
					t.Error(err)
					return
				}
				if m.GetEvent() != nil {
					got[i] = append(got[i], m.GetEvent())
				}
				position = max(m.GetEvent().GetPosition(), m.GetCaughtUp().GetPosition())
			}
		})
	}
	for i := range appenders {
		connector := eventlogv1.NewAppendServiceClient(dialTo(t, addresses[i%2], "connector", s.tenant))
		writers.Go(func() {
			log := projectiontest.NewLog()
			for range appends {
				if _, err := connector.Append(t.Context(), ofFact(t, log.Sample(uuid.NewString(), "USDT", "1"))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	subscribers.Wait()
	page, err := eventlogv1.NewReadServiceClient(s.dial(t, "owner")).ReadLog(t.Context(), &eventlogv1.ReadLogRequest{PageSize: 1000})
	require.NoError(t, err)
	all := page.GetEvents()
	require.Len(t, all, 2+appends*appenders)
	for i := range got {
		from := 0
		if i%len(requests) > 0 {
			from = 1 // The first event is the tenant's own.
		}
		if i%len(requests) > 2 {
			from = 2 // The second registers the account.
		}
		require.True(t, slices.EqualFunc(all[from:], got[i], func(x, y *eventv1.Event) bool { return proto.Equal(x, y) }), "subscriber %d", i)
	}
}
