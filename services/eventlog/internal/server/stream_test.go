package server

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// sampleAppend is a fact of an account as the connector sends it.
func sampleAppend(t *testing.T, account uuid.UUID) *eventlogv1.AppendRequest {
	t.Helper()
	at := timestamppb.New(time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC))
	sample := &eventv1.BalanceSampled{
		SampleId: uuid.NewString(), AccountId: account.String(), Wallet: "spot", Asset: "USDT", Free: "5", Locked: "0", Total: "5",
		SampledAt: at, Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT,
	}
	name, err := event.Identity(sample)
	require.NoError(t, err)
	digest, err := event.Digest(sample)
	require.NoError(t, err)
	return &eventlogv1.AppendRequest{
		CommandId: event.FactCommandID(name).String(), RequestDigest: digest[:], TraceId: uuid.NewString(),
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: "account:" + account.String(), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(sample), OccurredAt: at}},
		}},
	}
}

// fullLog has no room for the first few appends, and takes what comes after them.
type fullLog struct {
	full  int
	asked chan uuid.UUID
}

func (l *fullLog) Append(context.Context, []*intake.Request) []store.Result { return nil }

func (l *fullLog) Submit(_ context.Context, requests []*intake.Request, answer func(int, store.Result)) error {
	l.asked <- requests[0].Command
	if l.full > 0 {
		l.full--
		return fault.New(fault.Exhausted, "TENANT_QUEUE_FULL", "no room").WithRetryAfter(50 * time.Millisecond)
	}
	answer(0, store.Result{Answer: intake.Answer{Receipt: &intake.Receipt{Command: requests[0].Command}}})
	return nil
}

// sender is the other side of a stream. What it sends is there to be read at once.
type sender struct {
	grpc.ServerStream
	ctx      context.Context
	sent     chan *eventlogv1.AppendStreamRequest
	answered chan *eventlogv1.AppendStreamResponse
}

func (s *sender) Context() context.Context { return s.ctx }

func (s *sender) Recv() (*eventlogv1.AppendStreamRequest, error) {
	in := &eventlogv1.AppendStreamRequest{}
	return in, s.RecvMsg(in)
}

func (s *sender) RecvMsg(into any) error {
	in, open := <-s.sent
	if !open {
		return io.EOF
	}
	proto.Merge(into.(*eventlogv1.AppendStreamRequest), in)
	return nil
}

func (s *sender) Send(out *eventlogv1.AppendStreamResponse) error {
	s.answered <- out
	return nil
}

// A sender that was told to come again later and sends on at once must not cost the others the processor: what it sends is not
// even read until then.
func TestAppendStream_holds_a_sender_back_for_whom_there_is_no_room(t *testing.T) {
	t.Parallel()
	const appends = 3
	clk := clock.NewFake(time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC))
	log := &fullLog{full: 2, asked: make(chan uuid.UUID, appends)}
	ctx := identity.WithTenant(identity.With(t.Context(), identity.Identity{Service: "connector"}), uuid.New())
	s := &sender{ctx: ctx, sent: make(chan *eventlogv1.AppendStreamRequest, appends), answered: make(chan *eventlogv1.AppendStreamResponse, appends)}
	for tag := range uint64(appends) {
		s.sent <- &eventlogv1.AppendStreamRequest{Tag: tag, Append: sampleAppend(t, uuid.New())}
	}
	close(s.sent)
	limits, err := intake.Limits{}.WithDefaults()
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- NewAppend(testkit.Logger(t), clk, log, limits, nil).AppendStream(s) }()

	for tag := range uint64(2) {
		<-log.asked
		refusal := <-s.answered
		require.Equal(t, tag, refusal.GetTag())
		require.Equal(t, int32(codes.ResourceExhausted), refusal.GetResult().GetError().GetCode())
		clk.WaitFor(1)
		require.Empty(t, log.asked, "the next one is not taken up before the time that was advised")
		clk.Advance(50 * time.Millisecond)
	}
	<-log.asked
	require.NotNil(t, (<-s.answered).GetResult().GetReceipt())
	require.NoError(t, <-ended)
}

// What a sender has sent when a replica stops, and was not taken, must not end like a stream whose every append was answered: whichever
// side of the stream sees first that the replica stops, the sender is told to go to another.
func TestAppendStream_tells_that_it_stops_to_who_sent_more(t *testing.T) {
	t.Parallel()
	limits, err := intake.Limits{}.WithDefaults()
	require.NoError(t, err)
	for name, places := range map[string]int{"when it reads": 1, "when it waits for a place": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stopping := make(chan struct{})
			a := NewAppend(testkit.Logger(t), clock.System(), &fullLog{}, limits, stopping)
			s := &sender{ctx: t.Context(), sent: make(chan *eventlogv1.AppendStreamRequest)}
			ended := make(chan error, 1)
			go func() { ended <- a.readAll(t.Context(), s, &window{places: make(chan struct{}, places)}) }()
			if places > 0 {
				close(stopping)
			}
			s.sent <- &eventlogv1.AppendStreamRequest{Append: sampleAppend(t, uuid.New())}
			if places == 0 {
				close(stopping)
			}
			err := <-ended
			require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
			require.Equal(t, "STOPPING", fault.ReasonOf(err))
		})
	}
}
