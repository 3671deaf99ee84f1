package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/rpc"
	_ "github.com/robson/robson/proto/gen/go/robson/command/v1"
	_ "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
	_ "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// How long a test waits for what another goroutine is about to do, and how often it looks.
const (
	waitMax  = 10 * time.Second
	waitStep = 5 * time.Millisecond
)

var tenant = uuid.MustParse("aaaaaaaa-0000-4000-8000-000000000001")

// tokens authenticates the two callers of these tests.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	switch token {
	case "alice":
		return identity.Identity{Subject: "alice", Grants: map[uuid.UUID][]optionsv1.Permission{tenant: {optionsv1.Permission_PERMISSION_READ}}}, nil
	case "command":
		return identity.Identity{Service: "command"}, nil
	default:
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
}

// reader answers with what the test wants and remembers the context it was called in.
type reader struct {
	eventlogv1.UnimplementedReadServiceServer
	head func(context.Context) (*eventlogv1.GetHeadResponse, error)
}

func (r *reader) GetHead(ctx context.Context, _ *eventlogv1.GetHeadRequest) (*eventlogv1.GetHeadResponse, error) {
	return r.head(ctx)
}

func (r *reader) Subscribe(_ *eventlogv1.SubscribeRequest, stream grpc.ServerStreamingServer[eventlogv1.SubscribeResponse]) error {
	if err := stream.Send(&eventlogv1.SubscribeResponse{}); err != nil {
		return err
	}
	return fault.New(fault.Exhausted, "SUBSCRIBER_TOO_SLOW", "too slow").WithRetryAfter(time.Second)
}

// serve starts a server and gives a way to dial it.
func serve(t *testing.T, r eventlogv1.ReadServiceServer) func(token string) eventlogv1.ReadServiceClient {
	t.Helper()
	return serveBy(t, clock.System(), tokens{}, r)
}

// serveBy is serve by a clock and tokens of the test's own.
func serveBy(t *testing.T, clk clock.Clock, auth rpc.Authenticator, r eventlogv1.ReadServiceServer) func(token string) eventlogv1.ReadServiceClient {
	t.Helper()
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler), clk, auth, rpc.ServerConfig{})
	require.NoError(t, err)
	eventlogv1.RegisterReadServiceServer(server, r)
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return func(token string) eventlogv1.ReadServiceClient {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///buf", Token: token},
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return eventlogv1.NewReadServiceClient(conn)
	}
}

func TestServer_tells_who_calls_and_with_which_ids(t *testing.T) {
	t.Parallel()
	contexts := make(chan context.Context, 1)
	dial := serve(t, &reader{head: func(ctx context.Context) (*eventlogv1.GetHeadResponse, error) {
		contexts <- ctx
		return &eventlogv1.GetHeadResponse{Position: 7}, nil
	}})
	ids := correlation.IDs{Trace: uuid.New(), Command: uuid.New(), Workflow: uuid.New(), Causation: "01ARZ3NDEKTSV4RRFFQ69G5FAV", CommandGiven: true}
	var header metadata.MD
	response, err := dial("alice").GetHead(correlation.With(context.Background(), ids), &eventlogv1.GetHeadRequest{}, grpc.Header(&header))
	require.NoError(t, err)
	require.EqualValues(t, 7, response.GetPosition())
	seen := <-contexts
	require.Equal(t, ids, correlation.From(seen))
	require.Equal(t, tenant, identity.Tenant(seen))
	caller, ok := identity.From(seen)
	require.True(t, ok)
	require.Equal(t, "alice", caller.Subject)
	_, hasDeadline := seen.Deadline()
	require.True(t, hasDeadline)
	require.Equal(t, []string{ids.Trace.String()}, header.Get(correlation.HeaderTrace))

	_, err = dial("alice").GetHead(context.Background(), &eventlogv1.GetHeadRequest{}, grpc.Header(&header))
	require.NoError(t, err)
	made := correlation.From(<-contexts)
	require.NotEqual(t, uuid.Nil, made.Trace)
	require.NotEqual(t, uuid.Nil, made.Command)
	require.False(t, made.CommandGiven)
	require.Equal(t, []string{made.Command.String()}, header.Get(correlation.HeaderCommand))
}

func TestServer_forwards_the_user_from_service_to_service(t *testing.T) {
	t.Parallel()
	var seen identity.Identity
	dial := serve(t, &reader{head: func(ctx context.Context) (*eventlogv1.GetHeadResponse, error) {
		seen, _ = identity.From(ctx)
		return &eventlogv1.GetHeadResponse{}, nil
	}})
	ctx := identity.WithTenant(identity.With(context.Background(), identity.Identity{Subject: "alice"}), tenant)
	_, err := dial("command").GetHead(ctx, &eventlogv1.GetHeadRequest{})
	require.NoError(t, err)
	require.Equal(t, "command", seen.Service)
	require.Equal(t, "alice", seen.OnBehalfOf)

	_, err = dial("command").GetHead(identity.WithTenant(context.Background(), tenant), &eventlogv1.GetHeadRequest{})
	require.NoError(t, err)
	require.Empty(t, seen.OnBehalfOf)

	_, err = dial("alice").GetHead(ctx, &eventlogv1.GetHeadRequest{})
	require.True(t, fault.Is(err, fault.Denied), "a user may not call on behalf of anyone")
}

func TestServer_refuses(t *testing.T) {
	t.Parallel()
	dial := serve(t, &reader{})
	ctx := context.Background()

	_, err := dial("mallory").GetHead(ctx, &eventlogv1.GetHeadRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	require.True(t, fault.Is(err, fault.Unauthenticated))

	_, err = dial("alice").ListTenants(ctx, &eventlogv1.ListTenantsRequest{})
	require.True(t, fault.Is(err, fault.Denied))
	require.Equal(t, "SERVICES_ONLY", fault.ReasonOf(err))

	_, err = dial("alice").GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: "x"})
	require.True(t, fault.Is(err, fault.Invalid))
	require.Equal(t, []fault.Field{{Path: "event_id", Description: "must be an event id: a ULID of 26 characters in upper case"}}, fault.As(err).Fields)

	_, err = dial("alice").GetHead(identity.WithTenant(ctx, uuid.New()), &eventlogv1.GetHeadRequest{})
	require.True(t, fault.Is(err, fault.Denied))
	require.Equal(t, "TENANT_NOT_HELD", fault.ReasonOf(err))

	_, err = dial("alice").GetHead(metadata.AppendToOutgoingContext(ctx, correlation.HeaderCommand, "x"), &eventlogv1.GetHeadRequest{})
	require.True(t, fault.Is(err, fault.Invalid))
	require.ErrorContains(t, err, correlation.HeaderCommand)
}

func TestServer_faults_arrive_whole(t *testing.T) {
	t.Parallel()
	var answer error
	dial := serve(t, &reader{head: func(context.Context) (*eventlogv1.GetHeadResponse, error) { return nil, answer }})
	client := dial("alice")

	answer = fault.New(fault.Conflict, "STREAM_VERSION", "the stream moved").With("expected", "3").With("found", "4")
	_, err := client.GetHead(context.Background(), &eventlogv1.GetHeadRequest{})
	require.Equal(t, codes.Aborted, status.Code(err))
	require.True(t, fault.Is(err, fault.Conflict))
	require.Equal(t, "the stream moved", err.Error())
	require.Equal(t, map[string]string{"expected": "3", "found": "4"}, fault.As(err).Metadata)

	answer = fault.New(fault.Exhausted, "QUEUE_FULL", "wait").WithRetryAfter(3 * time.Second)
	_, err = client.GetHead(context.Background(), &eventlogv1.GetHeadRequest{})
	require.Equal(t, 3*time.Second, rpc.RetryAfter(err))

	answer = errors.New("secret detail")
	_, err = client.GetHead(context.Background(), &eventlogv1.GetHeadRequest{})
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "secret")
	require.Equal(t, fault.Unknown, fault.KindOf(err))
}

func TestServer_survives_a_panic(t *testing.T) {
	t.Parallel()
	dial := serve(t, &reader{head: func(context.Context) (*eventlogv1.GetHeadResponse, error) { panic("boom") }})
	for range 2 {
		_, err := dial("alice").GetHead(context.Background(), &eventlogv1.GetHeadRequest{})
		require.Equal(t, codes.Internal, status.Code(err))
		require.NotContains(t, err.Error(), "boom")
	}
}

func TestServer_streams(t *testing.T) {
	t.Parallel()
	dial := serve(t, &reader{})
	stream, err := dial("alice").Subscribe(context.Background(), &eventlogv1.SubscribeRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.True(t, fault.Is(err, fault.Exhausted))

	stream, err = dial("alice").Subscribe(context.Background(), &eventlogv1.SubscribeRequest{StreamKinds: []string{"x"}})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.True(t, fault.Is(err, fault.Invalid))
	require.ErrorContains(t, err, "stream_kinds[0]")
}

// revocable authenticates as tokens does, until all are taken out.
type revocable struct {
	tokens
	revoked atomic.Bool
}

func (r *revocable) Authenticate(ctx context.Context, token string) (identity.Identity, error) {
	if r.revoked.Load() {
		token = ""
	}
	return r.tokens.Authenticate(ctx, token)
}

// ticker sends a message for each tick.
type ticker struct {
	eventlogv1.UnimplementedReadServiceServer
	ticks chan struct{}
}

func (s *ticker) Subscribe(_ *eventlogv1.SubscribeRequest, stream grpc.ServerStreamingServer[eventlogv1.SubscribeResponse]) error {
	for range s.ticks {
		if err := stream.Send(&eventlogv1.SubscribeResponse{}); err != nil {
			return err
		}
	}
	return nil
}

// TestServer_ends_streams_of_a_token_that_was_taken_out within the time that a stream goes on without being asked.
func TestServer_ends_streams_of_a_token_that_was_taken_out(t *testing.T) {
	t.Parallel()
	clk, auth, r := clock.NewFake(time.Unix(1_800_000_000, 0)), &revocable{}, &ticker{ticks: make(chan struct{})}
	stream, err := serveBy(t, clk, auth, r)("alice").Subscribe(t.Context(), &eventlogv1.SubscribeRequest{})
	require.NoError(t, err)
	for range 3 {
		r.ticks <- struct{}{}
		_, err = stream.Recv()
		require.NoError(t, err)
		clk.Advance(3 * time.Second)
	}
	auth.revoked.Store(true)
	r.ticks <- struct{}{}
	_, err = stream.Recv()
	require.True(t, fault.Is(err, fault.Unauthenticated), "%v", err)
}

func TestServer_serves_health_without_a_token(t *testing.T) {
	t.Parallel()
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler), clock.System(), tokens{}, rpc.ServerConfig{})
	require.NoError(t, err)
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///buf"}, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true))
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, answer.GetStatus())
	require.NoError(t, conn.Close())
	cancel()
	require.NoError(t, <-done)
}

// TestContracts holds the contracts to what this package needs: each RPC declares who may call it, and each pattern can be
// said to a person.
func TestContracts(t *testing.T) {
	t.Parallel()
	rpcs, patterns := 0, 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if file.Package().Parent().Parent() != "robson" {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				access, _ := proto.GetExtension(methods.Get(j).Options(), optionsv1.E_Access).(*optionsv1.Access)
				require.NotNil(t, access, methods.Get(j).FullName())
				require.True(t, access.GetPermission() != 0 || len(access.GetServices()) > 0, methods.Get(j).FullName())
				rpcs++
			}
		}
		patterns += checkPatterns(t, file.Messages())
		return true
	})
	require.Greater(t, rpcs, 40)
	require.Greater(t, patterns, 100)
}

// checkPatterns holds each field's pattern to compile and to have a text.
func checkPatterns(t *testing.T, messages protoreflect.MessageDescriptors) int {
	t.Helper()
	n := 0
	for i := range messages.Len() {
		fields := messages.Get(i).Fields()
		for j := range fields.Len() {
			rules, _ := proto.GetExtension(fields.Get(j).Options(), validate.E_Field).(*validate.FieldRules)
			for _, pattern := range []string{rules.GetString().GetPattern(), rules.GetRepeated().GetItems().GetString().GetPattern()} {
				if pattern == "" {
					continue
				}
				n++
				_, err := regexp.Compile(pattern)
				require.NoError(t, err)
				require.True(t, rpc.HasPatternText(pattern), "%s: %s", fields.Get(j).FullName(), pattern)
			}
		}
	}
	return n
}
