package eventlog_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a running event log, with the tokens of everybody who might call.
type stage struct {
	tenant  uuid.UUID
	db      *testkit.DB
	address string
	tokens  string
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// setup runs the service on a database of its own.
func setup(t *testing.T) *stage {
	t.Helper()
	s := &stage{tenant: uuid.New(), db: testkit.Database(t), tokens: filepath.Join(t.TempDir(), "tokens.json")}
	all := []string{"read", "trade", "operate", "audit"}
	file := identity.File{Tokens: []identity.Entry{
		{SHA256: identity.HashToken("owner"), Subject: "owner", Tenants: map[string][]string{s.tenant.String(): all}},
		{SHA256: identity.HashToken("stranger"), Subject: "stranger", Tenants: map[string][]string{uuid.NewString(): all}},
	}}
	for _, service := range identity.Services {
		file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(service), Service: service})
	}
	require.NoError(t, file.Save(s.tokens))
	s.address = s.run(t)
	return s
}

// run starts a replica and gives its address.
func (s *stage) run(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() {
		ran <- eventlog.Run(ctx, testkit.Logger(t), clock.System(), eventlog.Config{
			Listener: listener, TokenFile: s.tokens, Database: postgres.Config{URL: s.db.URL()},
		})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ran)
	})
	return listener.Addr().String()
}

func (s *stage) dial(t *testing.T, token string) *grpc.ClientConn {
	t.Helper()
	return dialTo(t, s.address, token, s.tenant)
}

func dialTo(t *testing.T, address, token string, tenant uuid.UUID) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: address, Token: token, Tenant: tenant})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func (s *stage) appender(t *testing.T, token string) eventlogv1.AppendServiceClient {
	t.Helper()
	return eventlogv1.NewAppendServiceClient(s.dial(t, token))
}

// forUser is a context of a service that acts for a verified user.
func forUser(ctx context.Context, user string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, identity.HeaderOnBehalfOf, user)
}

// of is the append of one event under a new command.
func of(payload proto.Message) *eventlogv1.AppendRequest {
	digest := sha256.Sum256([]byte("request"))
	return &eventlogv1.AppendRequest{
		CommandId: uuid.NewString(), RequestDigest: digest[:],
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: projectiontest.Stream(payload), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(payload), OccurredAt: timestamppb.New(projectiontest.Start)}},
		}},
	}
}

// ofFact is the append of a fact, named by its identity.
func ofFact(t testing.TB, payload proto.Message) *eventlogv1.AppendRequest {
	t.Helper()
	r := of(payload)
	id, err := event.Identity(payload)
	require.NoError(t, err)
	digest, err := event.Digest(payload)
	require.NoError(t, err)
	r.CommandId, r.RequestDigest = event.FactCommandID(id).String(), digest[:]
	return r
}

// begin makes the tenant and an account.
func (s *stage) begin(t *testing.T) {
	t.Helper()
	command := s.appender(t, "command")
	created := of(&eventv1.TenantCreated{TenantId: s.tenant.String(), Name: "tenant"})
	_, err := command.Append(forUser(t.Context(), "owner"), created)
	require.NoError(t, err)
	log := projectiontest.NewLog()
	_, err = command.Append(forUser(t.Context(), "owner"), of(log.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT)))
	require.NoError(t, err)
}

func TestRun_takes_in_and_tells(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	log := projectiontest.NewLog()
	connector := s.appender(t, "connector")
	ids := correlation.IDs{Trace: uuid.New(), Workflow: uuid.New(), Causation: "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
	sample := ofFact(t, log.Sample("run", "USDT", "100.50"))
	receipt, err := connector.Append(correlation.With(t.Context(), ids), sample)
	require.NoError(t, err)
	require.EqualValues(t, 3, receipt.GetEvents()[0].GetPosition())
	again, err := connector.Append(t.Context(), sample)
	require.NoError(t, err)
	require.True(t, again.GetDuplicate())
	require.True(t, proto.Equal(receipt.GetEvents()[0], again.GetEvents()[0]))

	reader := eventlogv1.NewReadServiceClient(s.dial(t, "owner"))
	page, err := reader.ReadLog(t.Context(), &eventlogv1.ReadLogRequest{})
	require.NoError(t, err)
	require.Len(t, page.GetEvents(), 3)
	last := page.GetEvents()[2]
	require.Equal(t, "100.5", last.GetPayload().GetBalanceSampled().GetFree(), "numbers have one form")
	require.Equal(t, ids.Trace.String(), last.GetTraceId())
	require.Equal(t, ids.Workflow.String(), last.GetWorkflowId())
	require.Equal(t, ids.Causation, last.GetCausationId())
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_DAEMON, last.GetActorType())
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_CLI, page.GetEvents()[0].GetActorType())
	require.Equal(t, "owner", page.GetEvents()[0].GetActorId())
}

// TestRun_refuses holds every kind of bad append to its code, its field, and to having written nothing.
func TestRun_refuses(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	log := projectiontest.NewLog()
	sample := func() *eventlogv1.AppendRequest { return ofFact(t, log.Sample(uuid.NewString(), "USDT", "1")) }
	with := func(change func(*eventlogv1.AppendRequest)) *eventlogv1.AppendRequest {
		r := sample()
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		token string
		send  *eventlogv1.AppendRequest
		kind  fault.Kind
		says  string
	}{
		"no token":                 {"nobody", sample(), fault.Unauthenticated, "token"},
		"a user":                   {"owner", sample(), fault.Denied, "services"},
		"a stranger":               {"stranger", sample(), fault.Denied, "tenant"},
		"a fact by command":        {"command", sample(), fault.Denied, "connector"},
		"a decision by connector":  {"connector", of(log.StrategyRegistered()), fault.Denied, "command"},
		"a service that reads":     {"projector", sample(), fault.Denied, "projector"},
		"a malformed stream":       {"connector", with(func(r *eventlogv1.AppendRequest) { r.Streams[0].StreamKey = "account:x" }), fault.Invalid, "streams[0].stream_key"},
		"a malformed command":      {"connector", with(func(r *eventlogv1.AppendRequest) { r.CommandId = "x" }), fault.Invalid, "command_id"},
		"another's command":        {"connector", with(func(r *eventlogv1.AppendRequest) { r.CommandId = uuid.NewString() }), fault.Invalid, "command_id"},
		"a short digest":           {"connector", with(func(r *eventlogv1.AppendRequest) { r.RequestDigest = []byte("x") }), fault.Invalid, "request_digest"},
		"nothing":                  {"connector", with(func(r *eventlogv1.AppendRequest) { r.Streams = nil }), fault.Invalid, "streams"},
		"no expectation":           {"connector", with(func(r *eventlogv1.AppendRequest) { r.Streams[0].Expected = nil }), fault.Invalid, "expected"},
		"no payload":               {"connector", with(func(r *eventlogv1.AppendRequest) { r.Streams[0].Events[0].Payload = nil }), fault.Invalid, "payload"},
		"no time":                  {"connector", with(func(r *eventlogv1.AppendRequest) { r.Streams[0].Events[0].OccurredAt = nil }), fault.Invalid, "occurred_at"},
		"a cause that comes later": {"connector", with(func(r *eventlogv1.AppendRequest) { r.Streams[0].Events[0].CausedBy = proto.Int32(0) }), fault.Invalid, "caused_by"},
		"a position to come":       {"connector", with(func(r *eventlogv1.AppendRequest) { r.DecidedAt = 99 }), fault.Invalid, "decided_at"},
		"another version": {"connector", with(func(r *eventlogv1.AppendRequest) {
			r.Streams[0].Expected = &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exact{Exact: 7}}
		}), fault.Conflict, "seq"},
		"a malformed number": {"connector", with(func(r *eventlogv1.AppendRequest) {
			r.Streams[0].Events[0].GetPayload().GetBalanceSampled().Free = "1e3"
		}), fault.Invalid, "free"},
		"a number too fine": {"connector", with(func(r *eventlogv1.AppendRequest) {
			r.Streams[0].Events[0].GetPayload().GetBalanceSampled().Free = "0.0000000000000000001"
		}), fault.Invalid, "free"},
		"too many events": {"connector", with(func(r *eventlogv1.AppendRequest) {
			for range 1000 {
				r.Streams[0].Events = append(r.Streams[0].Events, r.GetStreams()[0].GetEvents()[0])
			}
		}), fault.Invalid, "streams[0].events"},
		"an oversized payload": {"command", of(&eventv1.StrategyRegistered{
			StrategyId: uuid.NewString(), AccountId: projectiontest.Spot.String(), StrategyName: strings.Repeat("n", 100_000), StrategyType: "manual",
			RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}, Version: 1,
		}), fault.Invalid, "strategy_name"},
	} {
		_, err := s.appender(t, c.token).Append(t.Context(), c.send)
		require.True(t, fault.Is(err, c.kind), "%s: %v", name, err)
		require.ErrorContains(t, err, c.says, name)
	}
	head, err := eventlogv1.NewReadServiceClient(s.dial(t, "owner")).GetHead(t.Context(), &eventlogv1.GetHeadRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 2, head.GetPosition(), "nothing was written")
}

func TestRun_batch_answers_each(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	log := projectiontest.NewLog()
	good, nameless, wrong := ofFact(t, log.Sample("a", "USDT", "1")), ofFact(t, log.Sample("b", "USDT", "2")), of(log.StrategyRegistered())
	nameless.CommandId = ""
	answer, err := s.appender(t, "connector").AppendBatch(t.Context(), &eventlogv1.AppendBatchRequest{
		Appends: []*eventlogv1.AppendRequest{good, nameless, wrong, good},
	})
	require.NoError(t, err)
	require.EqualValues(t, 3, answer.GetResults()[0].GetReceipt().GetEvents()[0].GetPosition())
	require.EqualValues(t, 3, answer.GetResults()[1].GetError().GetCode(), "INVALID_ARGUMENT")
	require.EqualValues(t, 7, answer.GetResults()[2].GetError().GetCode(), "PERMISSION_DENIED")
	require.NotEmpty(t, answer.GetResults()[2].GetError().GetDetails())
	require.True(t, answer.GetResults()[3].GetReceipt().GetDuplicate())
}

// TestRun_two_replicas_race for one version of a stream, and send one command a hundred times.
func TestRun_two_replicas_race(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	other := eventlogv1.NewAppendServiceClient(dialTo(t, s.run(t), "connector", s.tenant))
	replicas := []eventlogv1.AppendServiceClient{s.appender(t, "connector"), other}
	log := projectiontest.NewLog()

	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i, replica := range replicas {
		request := ofFact(t, log.Sample(uuid.NewString(), "USDT", "1"))
		request.Streams[0].Expected = &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exact{Exact: 1}}
		wait.Go(func() { _, errs[i] = replica.Append(t.Context(), request) })
	}
	wait.Wait()
	if errs[0] == nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	require.NoError(t, errs[1])
	told := fault.As(errs[0])
	require.NotNil(t, told)
	require.Equal(t, fault.Conflict, told.Kind)
	require.Equal(t, "1", told.Metadata["expected"])
	require.Equal(t, "2", told.Metadata["found"])

	request := ofFact(t, log.Sample("once", "USDT", "5"))
	receipts := make([]*eventlogv1.AppendResponse, 100)
	for i := range receipts {
		wait.Go(func() {
			var err error
			receipts[i], err = replicas[i%2].Append(t.Context(), request)
			if err != nil {
				receipts[i] = nil
			}
		})
	}
	wait.Wait()
	first := 0
	for _, r := range receipts {
		require.NotNil(t, r)
		require.True(t, proto.Equal(receipts[0].GetEvents()[0], r.GetEvents()[0]))
		if !r.GetDuplicate() {
			first++
		}
	}
	require.Equal(t, 1, first)
}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t).URL()
	tokens, broken := filepath.Join(t.TempDir(), "tokens.json"), filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, identity.File{}.Save(tokens))
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	for name, c := range map[string]struct {
		cfg  eventlog.Config
		says string
	}{
		"no token file":       {eventlog.Config{TokenFile: "/nowhere", Database: postgres.Config{URL: db}}, "token file"},
		"a broken token file": {eventlog.Config{TokenFile: broken, Database: postgres.Config{URL: db}}, "token file"},
		"no database":         {eventlog.Config{TokenFile: tokens}, "URL is empty"},
		"no such role":        {eventlog.Config{TokenFile: tokens, Database: postgres.Config{URL: db, Role: "robson_nobody"}}, "robson_nobody"},
		"impossible limits":   {eventlog.Config{TokenFile: tokens, Database: postgres.Config{URL: db}, Store: eventlog.StoreConfig{TriesMax: -1}}, "TriesMax"},
		"impossible queue":    {eventlog.Config{TokenFile: tokens, Database: postgres.Config{URL: db}, Commit: eventlog.CommitConfig{QueueMax: -1}}, "QueueMax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Listener = listen(t)
			require.ErrorContains(t, eventlog.Run(t.Context(), testkit.Logger(t), clock.System(), c.cfg), c.says)
			require.ErrorIs(t, c.cfg.Listener.Close(), net.ErrClosed, "the listener is given back")
		})
	}
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, eventlog.Run(t.Context(), testkit.Logger(t), clock.System(), eventlog.Config{}), "Listener")
	})
}

// TestRun_stream sends many appends without waiting, a malformed one and a duplicate among them.
func TestRun_stream(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	log := projectiontest.NewLog()
	stream, err := s.appender(t, "connector").AppendStream(t.Context())
	require.NoError(t, err)
	const count = 3000 // more than may be under way
	requests := make([]*eventlogv1.AppendRequest, count+3)
	for i := range requests {
		requests[i] = ofFact(t, log.Sample(fmt.Sprint(i), "USDT", "1"))
	}
	requests[count].Streams[0].StreamKey, requests[count+1].CommandId, requests[count+2] = "nothing", "", requests[0]
	sent := make(chan error, 1)
	go func() {
		for i, r := range requests {
			if err := stream.Send(&eventlogv1.AppendStreamRequest{Tag: uint64(i), Append: r}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	answers := map[uint64]*eventlogv1.AppendResult{}
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotContains(t, answers, answer.GetTag(), "each is answered once")
		answers[answer.GetTag()] = answer.GetResult()
	}
	require.NoError(t, <-sent)
	require.Len(t, answers, count+3)
	for i := range uint64(count) {
		require.EqualValues(t, 3+i, answers[i].GetReceipt().GetEvents()[0].GetPosition(), "in the order of sending")
	}
	require.EqualValues(t, 3, answers[count].GetError().GetCode(), "INVALID_ARGUMENT")
	require.Contains(t, answers[count].GetError().GetMessage(), "stream_key")
	require.Contains(t, answers[count+1].GetError().GetMessage(), "command_id")
	require.True(t, answers[count+2].GetReceipt().GetDuplicate())
}

// TestRun_stream_ends_under_load stops a replica whose sender never pauses: what was taken is answered, and then the sender is
// told to go to another.
func TestRun_stream_ends_under_load(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.begin(t)
	listener := listen(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	defer stop()
	ran := make(chan error, 1)
	go func() {
		ran <- eventlog.Run(ctx, testkit.Logger(t), clock.System(), eventlog.Config{Listener: listener, TokenFile: s.tokens, Database: postgres.Config{URL: s.db.URL()}})
	}()
	stream, err := eventlogv1.NewAppendServiceClient(dialTo(t, listener.Addr().String(), "connector", s.tenant)).AppendStream(t.Context())
	require.NoError(t, err)
	log, sent := projectiontest.NewLog(), make(chan struct{})
	appends := make([]*eventlogv1.AppendStreamRequest, 20_000)
	for i := range appends {
		appends[i] = &eventlogv1.AppendStreamRequest{Tag: uint64(i), Append: ofFact(t, log.Sample(uuid.NewString(), "USDT", "1"))}
	}
	go func() {
		defer close(sent)
		for _, in := range appends {
			if stream.Send(in) != nil {
				return
			}
		}
	}()
	for answers := 1; err == nil; answers++ {
		if answers == 500 {
			stop()
		}
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.ErrorContains(t, err, "this replica takes no more appends")
	require.NoError(t, <-ran)
	<-sent
}
