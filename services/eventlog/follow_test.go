package eventlog_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

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
