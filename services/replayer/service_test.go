package replayer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/eventlog"
	"github.com/robson/robson/services/replayer"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a running event log and a running replayer on one database.
type stage struct {
	tenant             uuid.UUID
	super              *pgxpool.Pool
	db                 *testkit.DB
	tokens             string
	eventlog, replayer string
	log                *projectiontest.Log
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// serve runs a service until the test ends.
func serve(t testing.TB, run func(context.Context, net.Listener) error) string {
	t.Helper()
	listener := listen(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- run(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ran)
	})
	return listener.Addr().String()
}

func setup(t testing.TB, cfg replayer.Config) *stage {
	t.Helper()
	s := &stage{tenant: uuid.New(), db: testkit.Database(t), tokens: filepath.Join(t.TempDir(), "tokens.json"), log: projectiontest.NewLog()}
	s.super = s.db.Pool(t, "")
	all := []string{"read", "trade", "operate", "audit"}
	file := identity.File{Tokens: []identity.Entry{
		{SHA256: identity.HashToken("owner"), Subject: "owner", Tenants: map[string][]string{s.tenant.String(): all}},
		{SHA256: identity.HashToken("stranger"), Subject: "stranger", Tenants: map[string][]string{uuid.NewString(): all}},
		{SHA256: identity.HashToken("reader"), Subject: "reader", Tenants: map[string][]string{s.tenant.String(): {"read"}}},
	}}
	for _, service := range identity.Services {
		file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(service), Service: service})
	}
	require.NoError(t, file.Save(s.tokens))
	s.eventlog = serve(t, func(ctx context.Context, l net.Listener) error {
		return eventlog.Run(ctx, testkit.Logger(t), clock.System(), eventlog.Config{Listener: l, TokenFile: s.tokens, Database: postgres.Config{URL: s.db.URL()}})
	})
	s.replayer = s.serveReplayer(t, cfg)
	return s
}

func (s *stage) serveReplayer(t testing.TB, cfg replayer.Config) string {
	t.Helper()
	return serve(t, func(ctx context.Context, l net.Listener) error {
		cfg.Listener, cfg.TokenFile, cfg.ServiceToken, cfg.EventlogAddress = l, s.tokens, "replayer", s.eventlog
		cfg.Database = postgres.Config{URL: s.db.URL()}
		return replayer.Run(ctx, testkit.Logger(t), clock.System(), cfg)
	})
}

func (s *stage) dial(t testing.TB, address, token string) *grpc.ClientConn {
	t.Helper()
	cfg := rpc.ClientConfig{Address: address, Token: token}
	if token != "owner" && token != "stranger" && token != "reader" {
		cfg.Tenant = s.tenant
	}
	conn, err := rpc.Dial(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func (s *stage) rebuilds(t testing.TB, token string) replayerv1.RebuildServiceClient {
	return replayerv1.NewRebuildServiceClient(s.dial(t, s.replayer, token))
}

// appender gives what appends an event by the service that may.
func (s *stage) appender(t testing.TB) func(context.Context, proto.Message) error {
	command, connector := eventlogv1.NewAppendServiceClient(s.dial(t, s.eventlog, "command")), eventlogv1.NewAppendServiceClient(s.dial(t, s.eventlog, "connector"))
	return func(ctx context.Context, payload proto.Message) error {
		d, err := event.OfMessage(payload)
		if err != nil {
			return err
		}
		digest := sha256.Sum256([]byte("request"))
		request := &eventlogv1.AppendRequest{
			CommandId: uuid.NewString(), RequestDigest: digest[:],
			Streams: []*eventlogv1.StreamAppend{{
				StreamKey: s.streamOf(payload), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
				Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(payload), OccurredAt: timestamppb.New(projectiontest.Start)}},
			}},
		}
		if d.IsDecision() && d.Type != "ORDER_SUBMITTED" {
			_, err = command.Append(metadata.AppendToOutgoingContext(ctx, identity.HeaderOnBehalfOf, "owner"), request)
			return err
		}
		id, err := event.Identity(payload)
		if err == nil && d.IsFact() {
			digest, err := event.Digest(payload)
			if err != nil {
				return err
			}
			request.CommandId, request.RequestDigest = event.FactCommandID(id).String(), digest[:]
		}
		_, err = connector.Append(ctx, request)
		return err
	}
}

func (s *stage) streamOf(payload proto.Message) string {
	switch p := payload.(type) {
	case *eventv1.TenantCreated:
		return "tenant:" + s.tenant.String()
	case *eventv1.RiskCheckPassed:
		if id, err := uuid.Parse(p.GetDecisionId()); err == nil {
			return "position:" + s.log.Decision(id).PositionID.String()
		}
	}
	return projectiontest.Stream(payload)
}

// catchUp appends what the log here has and the service's has not, from an event on.
func (s *stage) catchUp(ctx context.Context, add func(context.Context, proto.Message) error, from int) (int, error) {
	for ; from < len(s.log.Events); from++ {
		payload := s.log.Events[from].Payload
		switch p := payload.(type) {
		case *eventv1.TenantCreated:
			p.TenantId = s.tenant.String()
		case *eventv1.PositionArmed:
			p.TrailingMode = eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS
		case *eventv1.RiskCheckPassed:
			p.ExposureBefore, p.ExposureAfter, p.BudgetRemaining = "0", "1", "1"
		}
		if err := add(ctx, payload); err != nil {
			return from, fmt.Errorf("append %s: %w", s.log.Events[from].Type, err)
		}
	}
	return from, nil
}

// begin appends a tenant with its accounts, and opens and closes positions.
func (s *stage) begin(t testing.TB, positions int) {
	t.Helper()
	require.NoError(t, s.log.Registered())
	for i := range positions {
		require.NoError(t, storetest.Life(s.log, projectiontest.Long(fmt.Sprint("begin ", i)), i))
	}
	_, err := s.catchUp(t.Context(), s.appender(t), 0)
	require.NoError(t, err)
}

// rebuilt follows a rebuild to its end.
func rebuilt(stream grpc.ServerStreamingClient[replayerv1.RebuildResponse], err error) (*replayerv1.RunResult, []*replayerv1.Difference, error) {
	if err != nil {
		return nil, nil, err
	}
	var result *replayerv1.RunResult
	var differences []*replayerv1.Difference
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return result, differences, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if m.GetDifference() != nil {
			differences = append(differences, m.GetDifference())
		}
		if m.GetResult() != nil {
			result = m.GetResult()
		}
	}
}

// TestRun serves, rebuilds and tells the log.
func TestRun(t *testing.T) {
	t.Parallel()
	s := setup(t, replayer.Config{})
	s.begin(t, 3)
	client := s.rebuilds(t, "owner")
	result, _, err := rebuilt(client.Rebuild(t.Context(), &replayerv1.RebuildRequest{}))
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_IDENTICAL, result.GetOutcome())
	require.True(t, result.GetAnnounced(), "%s", result)

	_, err = s.super.Exec(t.Context(), "update risk_state_current set total_exposure = total_exposure + 1")
	require.NoError(t, err)
	result, differences, err := rebuilt(client.Rebuild(t.Context(), &replayerv1.RebuildRequest{}))
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_MENDED, result.GetOutcome())
	require.NotEmpty(t, differences)
	require.Equal(t, "total_exposure", differences[0].GetFields()[0].GetField())
	require.True(t, result.GetAnnounced())

	result, _, err = rebuilt(client.Rebuild(t.Context(), &replayerv1.RebuildRequest{Build: true}))
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_BUILT, result.GetOutcome())
	result, _, err = rebuilt(client.Rebuild(t.Context(), &replayerv1.RebuildRequest{DryRun: true}))
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_IDENTICAL, result.GetOutcome())

	read := eventlogv1.NewReadServiceClient(s.dial(t, s.eventlog, "owner"))
	events, err := read.QueryEvents(t.Context(), &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{EventTypes: []string{"PROJECTION_REBUILT"}}})
	require.NoError(t, err)
	require.Len(t, events.GetEvents(), 3)

	_, _, err = rebuilt(s.rebuilds(t, "reader").Rebuild(t.Context(), &replayerv1.RebuildRequest{}))
	require.ErrorContains(t, err, "permission")
	_, _, err = rebuilt(s.rebuilds(t, "stranger").Rebuild(t.Context(), &replayerv1.RebuildRequest{}))
	require.ErrorContains(t, err, "has no log")
}

// TestRebuild_while_appends_go_on: no append fails, none waits long, and the state is right afterwards, byte for byte.
func TestRebuild_while_appends_go_on(t *testing.T) {
	t.Parallel()
	s := setup(t, replayer.Config{})
	s.begin(t, 3)
	add := s.appender(t)
	ctx, stop := context.WithCancel(t.Context())
	type outcome struct {
		appended int
		longest  time.Duration
		err      error
	}
	done := make(chan outcome, 4)
	work := func(step func(n int) error) {
		var o outcome
		for n := 0; ctx.Err() == nil && o.err == nil; n++ {
			begun := clock.System().Now()
			o.err = step(n)
			o.longest = max(o.longest, clock.System().Now().Sub(begun))
			o.appended++
		}
		done <- o
	}
	for range 3 {
		samples := projectiontest.NewLog()
		go work(func(int) error { return add(t.Context(), samples.Sample(uuid.NewString(), "USDT", "1")) })
	}
	from := len(s.log.Events)
	go work(func(n int) error {
		err := storetest.Life(s.log, projectiontest.Long(fmt.Sprint("load ", n)), 1000+n)
		if err == nil {
			from, err = s.catchUp(t.Context(), add, from)
		}
		return err
	})
	client := s.rebuilds(t, "owner")
	for i := range 6 {
		request := &replayerv1.RebuildRequest{Build: i%2 == 0}
		if !request.GetBuild() {
			_, err := s.super.Exec(t.Context(), "update orders_current set quantity = quantity + 1; update decisions_current set symbol = 'X'; update balances_current set locked = 7")
			require.NoError(t, err)
		}
		result, _, err := rebuilt(client.Rebuild(t.Context(), request))
		require.NoError(t, err)
		t.Log(result.GetOutcome(), result.GetEvents(), result.GetHeld().AsDuration(), result.GetTook().AsDuration(), result.GetRowsChanged())
	}
	stop()
	for range 4 {
		o := <-done
		require.NoError(t, o.err)
		t.Log(o.appended, o.longest)
	}
	result, differences, err := rebuilt(client.Rebuild(t.Context(), &replayerv1.RebuildRequest{DryRun: true}))
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_IDENTICAL, result.GetOutcome(), "%v", differences)
}
