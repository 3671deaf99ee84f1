package snapshotter_test

import (
	"context"
	"crypto/sha256"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/eventlog"
	"github.com/robson/robson/services/snapshotter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ownerToken = "owner's token"

func listen(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// stage is a running event log and a database, with tokens for everybody.
type stage struct {
	tenant          uuid.UUID
	db              *testkit.DB
	eventlogAddress string
	tokens          string
}

func serviceToken(name string) string { return name + "'s token" }

func setup(t *testing.T) *stage {
	t.Helper()
	s := &stage{tenant: projectiontest.ID("tenant"), db: testkit.Database(t), tokens: filepath.Join(t.TempDir(), "tokens.json")}
	file := identity.File{Tokens: []identity.Entry{{
		SHA256: identity.HashToken(ownerToken), Subject: "owner", Tenants: map[string][]string{s.tenant.String(): {"read", "trade", "operate", "audit"}},
	}}}
	for _, name := range identity.Services {
		file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(serviceToken(name)), Service: name})
	}
	require.NoError(t, file.Save(s.tokens))
	listener := listen(t)
	s.eventlogAddress = listener.Addr().String()
	s.run(t, func(ctx context.Context) error {
		return eventlog.Run(ctx, testkit.Logger(t), clock.System(), eventlog.Config{Listener: listener, TokenFile: s.tokens, Database: postgres.Config{URL: s.db.URL()}})
	})
	return s
}

// run runs a service until the test ends, or stop is called.
func (s *stage) run(t *testing.T, service func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- service(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-ran)
	}
	t.Cleanup(stop)
	return stop
}

// start runs a snapshotter, and gives a connection to it as the tenant's owner.
func (s *stage) start(t *testing.T) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	listener := listen(t)
	cfg := snapshotter.Config{
		Listener: listener, TokenFile: s.tokens, ServiceToken: serviceToken("snapshotter"), EventlogAddress: s.eventlogAddress,
		Database: postgres.Config{URL: s.db.URL()}, Worker: snapshotter.WorkerConfig{Poll: 5 * time.Millisecond},
	}
	stop = s.run(t, func(ctx context.Context) error { return snapshotter.Run(ctx, testkit.Logger(t), clock.System(), cfg) })
	return dial(t, listener.Addr().String(), ownerToken, uuid.Nil), stop
}

func dial(t *testing.T, address, token string, tenant uuid.UUID) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: address, Token: token, Tenant: tenant})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// append appends an event as the command service does.
func (s *stage) append(t *testing.T, log *projectiontest.Log, payload proto.Message) {
	t.Helper()
	next := log.Next(payload)
	_, err := log.Append(payload)
	require.NoError(t, err)
	command := uuid.New()
	digest := sha256.Sum256(command[:])
	conn := dial(t, s.eventlogAddress, serviceToken("command"), s.tenant)
	_, err = eventlogv1.NewAppendServiceClient(conn).Append(metadata.AppendToOutgoingContext(t.Context(), identity.HeaderOnBehalfOf, "owner"), &eventlogv1.AppendRequest{
		CommandId: command.String(), RequestDigest: digest[:], TraceId: uuid.NewString(),
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: next.StreamKey, Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(payload), OccurredAt: timestamppb.New(next.OccurredAt)}},
		}},
	})
	require.NoError(t, err)
}

// announced waits for so many snapshots to be told to the log.
func (s *stage) announced(t *testing.T, n int) []*eventv1.SnapshotCreated {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := dial(t, s.eventlogAddress, ownerToken, uuid.Nil)
	stream, err := eventlogv1.NewReadServiceClient(conn).Subscribe(ctx, &eventlogv1.SubscribeRequest{EventTypes: []string{"SNAPSHOT_CREATED"}})
	require.NoError(t, err)
	var told []*eventv1.SnapshotCreated
	for len(told) < n {
		m, err := stream.Recv()
		require.NoError(t, err)
		if e := m.GetEvent(); e != nil {
			require.Equal(t, eventv1.ActorType_ACTOR_TYPE_SYSTEM, e.GetActorType())
			require.Equal(t, "tenant:"+s.tenant.String(), e.GetStreamKey())
			told = append(told, e.GetPayload().GetSnapshotCreated())
		}
	}
	return told
}

// armed is a command as a user gives it.
func armed(log *projectiontest.Log, plan projectiontest.Plan) *eventv1.PositionArmed {
	payload := log.Armed(plan)
	payload.TrailingMode = eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS
	return payload
}

// disarmed ends the workflow of an armed position.
func disarmed(log *projectiontest.Log, plan projectiontest.Plan) *eventv1.PositionDisarmed {
	return &eventv1.PositionDisarmed{
		PositionId: plan.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_USER, DisarmedAt: timestamppb.New(log.Now),
	}
}

// begin brings a log to where a position was armed.
func (s *stage) begin(t *testing.T) (*projectiontest.Log, projectiontest.Plan) {
	t.Helper()
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	s.append(t, log, &eventv1.TenantCreated{TenantId: s.tenant.String(), Name: "tenant"})
	s.append(t, log, log.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT))
	s.append(t, log, armed(log, plan))
	return log, plan
}

// TestRun serves next to a real event log: what a workflow's end makes due is made and told, what is asked for likewise, and what it
// holds is what the log folds to.
func TestRun(t *testing.T) {
	t.Parallel()
	s := setup(t)
	log, plan := s.begin(t)
	conn, stop := s.start(t)
	s.append(t, log, disarmed(log, plan))
	told := s.announced(t, 1)
	require.Equal(t, plan.PositionID().String(), told[0].GetScopeId())
	require.Equal(t, "workflow", told[0].GetSnapshotType())
	require.EqualValues(t, 4, told[0].GetAsOfPosition())
	require.EqualValues(t, 2, told[0].GetEventCount())
	require.EqualExportedValues(t, &eventv1.StreamSeq{StreamKey: "position:" + plan.PositionID().String(), Seq: 2}, told[0].GetAsOfSeqs()[0])
	require.EqualValues(t, 1, told[0].GetStreamCount())

	account := &snapshotterv1.Scope{Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT, Id: projectiontest.Spot.String()}
	made, err := snapshotterv1.NewOperateServiceClient(conn).CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{Scope: account})
	require.NoError(t, err)
	require.True(t, made.GetCreated())
	require.Len(t, s.announced(t, 2), 2)

	verified, err := snapshotterv1.NewStateServiceClient(conn).VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{Deep: true})
	require.NoError(t, err)
	var sum *snapshotterv1.VerifySummary
	for sum == nil {
		m, err := verified.Recv()
		require.NoError(t, err)
		sum = m.GetSummary()
	}
	require.EqualExportedValues(t, &snapshotterv1.VerifySummary{Verified: 2}, sum)
	health, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, health.GetStatus())
	stop()
}

// TestRun_twice: two snapshotters share the work, and the log hears of each snapshot once.
func TestRun_twice(t *testing.T) {
	t.Parallel()
	s := setup(t)
	log, _ := s.begin(t)
	first, _ := s.start(t)
	s.start(t)
	for _, name := range []string{"b", "c", "d"} {
		plan := projectiontest.Long(name)
		plan.Symbol = map[string]string{"b": "ETHUSDT", "c": "SOLUSDT", "d": "XRPUSDT"}[name]
		s.append(t, log, armed(log, plan))
		s.append(t, log, disarmed(log, plan))
	}
	ids := map[string]bool{}
	for _, told := range s.announced(t, 3) {
		require.False(t, ids[told.GetSnapshotId()], "told once")
		ids[told.GetSnapshotId()] = true
	}
	page, err := snapshotterv1.NewReadServiceClient(first).ListSnapshots(t.Context(), &snapshotterv1.ListSnapshotsRequest{})
	require.NoError(t, err)
	require.Len(t, page.GetSnapshots(), 3)
}

// TestRun_without_an_event_log makes snapshots all the same; the log is told when it is back.
func TestRun_without_an_event_log(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, plan := s.begin(t)
	there := s.eventlogAddress
	s.eventlogAddress = "127.0.0.1:1"
	conn, stop := s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	made, err := snapshotterv1.NewOperateServiceClient(conn).CreateSnapshot(ctx, &snapshotterv1.CreateSnapshotRequest{
		Scope: &snapshotterv1.Scope{Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION, Id: plan.PositionID().String()},
	})
	require.NoError(t, err)
	require.True(t, made.GetCreated())
	require.Nil(t, made.GetSnapshot().GetAnnouncedAt())
	stop()
	_, err = s.db.Pool(t, "").Exec(t.Context(), "update snapshots set created_at = created_at - interval '2 min'")
	require.NoError(t, err)
	s.eventlogAddress = there
	s.start(t)
	require.Equal(t, made.GetSnapshot().GetSnapshotId(), s.announced(t, 1)[0].GetSnapshotId())
}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t).URL()
	tokens := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, (&identity.File{Tokens: []identity.Entry{{SHA256: identity.HashToken("x"), Service: "command"}}}).Save(tokens))
	broken := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	good := snapshotter.Config{TokenFile: tokens, ServiceToken: "x", EventlogAddress: "127.0.0.1:1", Database: postgres.Config{URL: db}}
	for name, c := range map[string]struct {
		change func(*snapshotter.Config)
		says   string
	}{
		"no service token":    {func(c *snapshotter.Config) { c.ServiceToken = "" }, "ServiceToken is empty"},
		"no token file":       {func(c *snapshotter.Config) { c.TokenFile = "/nowhere" }, "token file"},
		"a broken token file": {func(c *snapshotter.Config) { c.TokenFile = broken }, "token file"},
		"no database":         {func(c *snapshotter.Config) { c.Database.URL = "" }, "URL is empty"},
		"no such role":        {func(c *snapshotter.Config) { c.Database.Role = "robson_nobody" }, "robson_nobody"},
		"impossible lease":    {func(c *snapshotter.Config) { c.Store.Lease = -1 }, "Lease"},
		"impossible pace":     {func(c *snapshotter.Config) { c.Worker.Poll = -1 }, "Poll"},
		"impossible size":     {func(c *snapshotter.Config) { c.Snapshot = snapshot.Config{TextMax: -1} }, "TextMax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			cfg.Listener = listen(t)
			c.change(&cfg)
			require.ErrorContains(t, snapshotter.Run(t.Context(), testkit.Logger(t), clock.System(), cfg), c.says)
			require.ErrorIs(t, cfg.Listener.Close(), net.ErrClosed, "the listener is given back")
		})
	}
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, snapshotter.Run(t.Context(), testkit.Logger(t), clock.System(), snapshotter.Config{}), "Listener")
	})
}
