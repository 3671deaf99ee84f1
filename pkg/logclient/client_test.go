package logclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/logclient"
	"github.com/robson/robson/pkg/rpc"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tokens knows one service.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	if token != "connector" {
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
	return identity.Identity{Service: "connector"}, nil
}

// log is an event log that keeps commands in memory, once each, and misbehaves as the test wants.
type log struct {
	eventlogv1.UnimplementedAppendServiceServer
	mu sync.Mutex
	// commands are the positions of what is in the log, order what it took, in its order.
	commands map[string]int64
	order    []string
	requests map[string]*eventlogv1.AppendRequest
	users    []string
	tenants  map[uuid.UUID]int
	// breakAfter ends each stream after so many appends were taken and before they were answered; 0: never.
	breakAfter int
	// refusals are given to the next appends, one each.
	refusals []error
	hold     chan struct{}
}

func (l *log) take(ctx context.Context, in *eventlogv1.AppendRequest) *eventlogv1.AppendResult {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refusals) > 0 {
		err := l.refusals[0]
		l.refusals = l.refusals[1:]
		told := rpc.Status(err).Proto()
		return &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Error{Error: &eventlogv1.AppendError{
			Code: told.GetCode(), Message: told.GetMessage(), Details: told.GetDetails(),
		}}}
	}
	id, duplicate := in.GetCommandId(), true
	if _, known := l.commands[id]; !known {
		duplicate = false
		l.order = append(l.order, id)
		l.commands[id], l.requests[id] = int64(len(l.order)), in
		l.tenants[identity.Tenant(ctx)]++
	}
	return &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Receipt{Receipt: &eventlogv1.AppendResponse{
		CommandId: id, Duplicate: duplicate, Events: []*eventlogv1.EventReceipt{{Position: l.commands[id]}},
	}}}
}

func (l *log) Append(ctx context.Context, in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	caller, _ := identity.From(ctx)
	l.mu.Lock()
	l.users = append(l.users, caller.OnBehalfOf)
	l.mu.Unlock()
	return l.take(ctx, in).GetReceipt(), nil
}

func (l *log) AppendStream(stream grpc.BidiStreamingServer[eventlogv1.AppendStreamRequest, eventlogv1.AppendStreamResponse]) error {
	for taken := 1; ; taken++ {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		result := l.take(stream.Context(), in.GetAppend())
		if taken == l.breakAfter {
			return fault.New(fault.Unavailable, "GONE", "this replica has gone")
		}
		if err := stream.Send(&eventlogv1.AppendStreamResponse{Tag: in.GetTag(), Result: result}); err != nil {
			return err
		}
	}
}

// setup serves a log over TCP and gives a client of it.
func setup(t *testing.T, token string, cfg logclient.Config) (*log, *logclient.Client) {
	t.Helper()
	l := &log{commands: map[string]int64{}, requests: map[string]*eventlogv1.AppendRequest{}, tenants: map[uuid.UUID]int{}}
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler), clock.System(), tokens{}, rpc.ServerConfig{})
	require.NoError(t, err)
	eventlogv1.RegisterAppendServiceServer(server, l)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: listener.Addr().String(), Token: token, ByTenant: true})
	require.NoError(t, err)
	client, err := logclient.New(t.Context(), clock.System(), conn, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		client.Close()
		require.NoError(t, conn.Close())
		stop()
		require.NoError(t, <-served)
	})
	return l, client
}

var tenant = uuid.MustParse("aaaaaaaa-0000-4000-8000-000000000001")

func request() *eventlogv1.AppendRequest {
	account := uuid.NewString()
	return &eventlogv1.AppendRequest{
		CommandId: uuid.NewString(), RequestDigest: make([]byte, 32),
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: "account:" + account, Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
			Events: []*eventlogv1.NewEvent{{
				Payload:    event.Wrap(&eventv1.ExchangeDisconnected{AccountId: account, Channel: eventv1.Channel_CHANNEL_REST, ConnectionId: "c", Reason: "r"}),
				OccurredAt: timestamppb.New(time.Unix(1_800_000_000, 0)),
			}},
		}},
	}
}

func of(t *testing.T, tenant uuid.UUID) context.Context {
	t.Helper()
	return identity.WithTenant(t.Context(), tenant)
}

// TestClient_survives_streams_that_break has each stream end after seven appends, one of them taken and not answered.
func TestClient_survives_streams_that_break(t *testing.T) {
	t.Parallel()
	l, client := setup(t, "connector", logclient.Config{RetryDelay: time.Millisecond})
	l.breakAfter = 7
	var wait sync.WaitGroup
	receipts, errs := make([]*eventlogv1.AppendResponse, 300), make([]error, 300)
	requests := make([]*eventlogv1.AppendRequest, 300)
	for i := range requests {
		requests[i] = request()
		wait.Go(func() { receipts[i], errs[i] = client.Append(of(t, tenant), requests[i]) })
	}
	wait.Wait()
	for i, err := range errs {
		require.NoError(t, err)
		require.Equal(t, requests[i].GetCommandId(), receipts[i].GetCommandId(), "each gets its own answer")
		require.Equal(t, l.commands[requests[i].GetCommandId()], receipts[i].GetEvents()[0].GetPosition())
	}
	require.Len(t, l.order, 300, "each is in the log once")
}

func TestClient_AppendBatch_keeps_the_order(t *testing.T) {
	t.Parallel()
	l, client := setup(t, "connector", logclient.Config{InFlightMax: 10})
	batch := &eventlogv1.AppendBatchRequest{}
	for range 200 {
		batch.Appends = append(batch.Appends, request())
	}
	answer, err := client.AppendBatch(of(t, tenant), batch)
	require.NoError(t, err)
	for i, result := range answer.GetResults() {
		require.EqualValues(t, i+1, result.GetReceipt().GetEvents()[0].GetPosition())
	}
	require.Equal(t, 200, l.tenants[tenant])
}

func TestClient_offers_again_what_cannot_be_taken_now(t *testing.T) {
	t.Parallel()
	l, client := setup(t, "connector", logclient.Config{RetryDelay: time.Millisecond, TriesMax: 3})
	busy := fault.New(fault.Exhausted, "QUEUE_FULL", "too much").WithRetryAfter(time.Millisecond)
	l.refusals = []error{busy, fault.New(fault.Unavailable, "DATABASE_UNAVAILABLE", "away")}
	_, err := client.Append(of(t, tenant), request())
	require.NoError(t, err)
	l.refusals = []error{busy, busy, busy}
	_, err = client.Append(of(t, tenant), request())
	require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
	require.Equal(t, "QUEUE_FULL", fault.ReasonOf(err))
	conflict := fault.New(fault.Conflict, "STREAM_VERSION", "no").With("expected", "1").With("found", "2")
	l.refusals = []error{conflict}
	_, err = client.Append(of(t, tenant), request())
	require.True(t, fault.Is(err, fault.Conflict), "what will not go away is told at once: %v", err)
	require.Equal(t, "2", fault.As(err).Metadata["found"])
	l.refusals = []error{conflict}
	answer, err := client.AppendBatch(of(t, tenant), &eventlogv1.AppendBatchRequest{Appends: []*eventlogv1.AppendRequest{request(), request()}})
	require.NoError(t, err)
	require.EqualValues(t, codes.Aborted, answer.GetResults()[0].GetError().GetCode())
	require.NotNil(t, answer.GetResults()[1].GetReceipt())
}

func TestClient_fills_in_the_ids_and_says_for_whom(t *testing.T) {
	t.Parallel()
	l, client := setup(t, "connector", logclient.Config{})
	ids := correlation.IDs{Trace: uuid.New(), Command: uuid.New(), Workflow: uuid.New(), Causation: "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
	in := request()
	in.CommandId = ""
	_, err := client.Append(correlation.With(of(t, tenant), ids), in)
	require.NoError(t, err)
	got := l.requests[ids.Command.String()]
	require.Equal(t, ids.Trace.String(), got.GetTraceId())
	require.Equal(t, ids.Workflow.String(), got.GetWorkflowId())
	require.Equal(t, ids.Causation, got.GetCausationId())
	require.Empty(t, in.GetCommandId(), "the caller's request is left as it is")
	require.Empty(t, l.users)

	_, err = client.Append(identity.With(of(t, tenant), identity.Identity{Subject: "alice"}), request())
	require.NoError(t, err)
	require.Equal(t, []string{"alice"}, l.users, "what is done for a user carries the user's name")
}

func TestClient_a_lane_for_each_tenant_given_up_when_idle(t *testing.T) {
	t.Parallel()
	l, client := setup(t, "connector", logclient.Config{IdleMax: time.Millisecond})
	for round := range 3 {
		for i := range 5 {
			other := uuid.NewSHA1(tenant, []byte(fmt.Sprint(i)))
			_, err := client.Append(of(t, other), request())
			require.NoError(t, err)
			require.Equal(t, round+1, l.tenants[other])
		}
		require.Eventually(t, func() bool { return client.Lanes() == 0 }, 10*time.Second, time.Millisecond)
	}
}

func TestClient_who_goes_away_leaves_the_others(t *testing.T) {
	t.Parallel()
	l, client := setup(t, "connector", logclient.Config{})
	l.hold = make(chan struct{})
	gone, leave := context.WithCancel(of(t, tenant))
	left := make(chan error, 1)
	go func() {
		_, err := client.Append(gone, request())
		left <- err
	}()
	stays := make(chan error, 1)
	go func() {
		_, err := client.Append(of(t, tenant), request())
		stays <- err
	}()
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	close(l.hold)
	require.NoError(t, <-stays)
}

func TestClient_tells_what_will_never_work(t *testing.T) {
	t.Parallel()
	_, client := setup(t, "nobody", logclient.Config{})
	_, err := client.Append(of(t, tenant), request())
	require.True(t, fault.Is(err, fault.Unauthenticated), "%v", err)
	client.Close()
	_, err = client.Append(of(t, tenant), request())
	require.Equal(t, "LOG_CLIENT_CLOSED", fault.ReasonOf(err))
}

func TestNew_refusals(t *testing.T) {
	t.Parallel()
	for _, cfg := range []logclient.Config{{InFlightMax: -1}, {TriesMax: -1}, {IdleMax: -1}} {
		_, err := logclient.New(t.Context(), clock.System(), nil, cfg)
		require.Error(t, err)
	}
}
