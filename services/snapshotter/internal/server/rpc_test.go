package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/server"
	"github.com/robson/robson/services/snapshotter/internal/store"
	"github.com/robson/robson/services/snapshotter/internal/store/storetest"
	"github.com/robson/robson/services/snapshotter/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is a log that takes everything.
type told struct{}

func (told) Tell(context.Context, checkpoint.Snapshot) error { return nil }

// testBundle is the service over gRPC, on a database with a tenant whose position was opened.
type testBundle struct {
	world    *storetest.World
	super    *pgxpool.Pool
	clock    *clock.Fake
	tenant   uuid.UUID
	plan     projectiontest.Plan
	dial     func(token string) *grpc.ClientConn
	stopping chan struct{}
	verifier server.Verifier
}

// Authenticate knows users by their permission, a stranger, and services.
func (b *testBundle) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	user := func(tenant uuid.UUID, p optionsv1.Permission) (identity.Identity, error) {
		return identity.Identity{Subject: token, Grants: map[uuid.UUID][]optionsv1.Permission{tenant: {p}}}, nil
	}
	switch token {
	case "reader":
		return user(b.tenant, optionsv1.Permission_PERMISSION_READ)
	case "auditor":
		return user(b.tenant, optionsv1.Permission_PERMISSION_AUDIT)
	case "operator":
		return user(b.tenant, optionsv1.Permission_PERMISSION_OPERATE)
	case "stranger":
		return identity.Identity{Subject: token, Grants: map[uuid.UUID][]optionsv1.Permission{uuid.Max: {
			optionsv1.Permission_PERMISSION_READ, optionsv1.Permission_PERMISSION_AUDIT, optionsv1.Permission_PERMISSION_OPERATE,
		}}}, nil
	case "replayer", "command":
		return identity.Identity{Service: token}, nil
	default:
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	db := testkit.Database(t)
	shelf, err := store.New(db.Pool(t, storetest.Role), store.Config{})
	require.NoError(t, err)
	b := &testBundle{super: db.Pool(t, ""), plan: projectiontest.Long("a"), clock: clock.NewFake(projectiontest.Start), stopping: make(chan struct{})}
	b.world = storetest.NewWorld(b.super)
	b.tenant = b.world.Log.TenantID
	require.NoError(t, b.world.Log.Registered())
	require.NoError(t, b.world.Log.Opening(b.plan))
	require.NoError(t, b.world.Write(t.Context()))
	maker, err := checkpoint.NewMaker(shelf, shelf, told{}, snapshot.Config{})
	require.NoError(t, err)
	watch, err := worker.NewWatch(testkit.Logger(t))
	require.NoError(t, err)
	checker := checkpoint.NewChecker(shelf, watch)
	b.verifier = checkpoint.NewVerifier(shelf, checker)
	servers := server.New(server.Deps{
		Clock: b.clock, Store: shelf, Maker: maker, Checker: checker, Verifier: gate{b}, Pruner: checkpoint.NewPruner(shelf, checker), Stopping: b.stopping,
	})
	b.serve(t, servers)
	return b
}

// gate lets a test put another verifier in the place of the real one.
type gate struct{ b *testBundle }

func (g gate) Verify(ctx context.Context, tenant uuid.UUID, f checkpoint.Filter, deep bool, findings checkpoint.Findings) error {
	return g.b.verifier.Verify(ctx, tenant, f, deep, findings)
}

func (b *testBundle) serve(t *testing.T, servers *server.Servers) {
	t.Helper()
	s, err := rpc.NewServer(testkit.Logger(t), clock.System(), b, rpc.ServerConfig{})
	require.NoError(t, err)
	snapshotterv1.RegisterReadServiceServer(s, servers.Read)
	snapshotterv1.RegisterStateServiceServer(s, servers.State)
	snapshotterv1.RegisterOperateServiceServer(s, servers.Operate)
	listener := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
	})
	b.dial = func(token string) *grpc.ClientConn {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///snapshotter", Token: token}, grpc.WithContextDialer(
			func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return conn
	}
}

func (b *testBundle) scope() *snapshotterv1.Scope {
	return &snapshotterv1.Scope{Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION, Id: b.plan.PositionID().String()}
}

func (b *testBundle) create(t *testing.T) *snapshotterv1.Snapshot {
	t.Helper()
	made, err := snapshotterv1.NewOperateServiceClient(b.dial("operator")).CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{Scope: b.scope()})
	require.NoError(t, err)
	return made.GetSnapshot()
}

// several makes as many snapshots, the oldest first.
func (b *testBundle) several(t *testing.T, n int) []*snapshotterv1.Snapshot {
	t.Helper()
	var all []*snapshotterv1.Snapshot
	for range n {
		all = append(all, b.create(t))
		_, err := b.world.Log.Append(b.world.Log.Sample(uuid.NewString(), "USDT", "7"))
		require.NoError(t, err)
		require.NoError(t, b.world.Write(t.Context()))
	}
	return all
}

func (b *testBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.super.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// all receives a stream to its end.
func all[M any](stream grpc.ServerStreamingClient[M], err error) ([]*M, error) {
	if err != nil {
		return nil, err
	}
	var messages []*M
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
		messages = append(messages, m)
	}
}

func TestRPC_create_get_list(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.several(t, 3)
	require.EqualValues(t, projection.RulesVersion, made[0].GetRulesVersion())
	require.Equal(t, snapshotterv1.Trigger_TRIGGER_REQUEST, made[0].GetTrigger())
	require.Equal(t, b.scope().String(), made[0].GetScope().String())
	require.NotZero(t, made[0].GetRows())
	require.Len(t, made[0].GetHash(), 64)
	read := snapshotterv1.NewReadServiceClient(b.dial("reader"))
	got, err := read.GetSnapshot(t.Context(), &snapshotterv1.GetSnapshotRequest{SnapshotId: made[1].GetSnapshotId()})
	require.NoError(t, err)
	require.NotNil(t, got.GetSnapshot().GetAnnouncedAt())

	var listed []string
	request := &snapshotterv1.ListSnapshotsRequest{PageSize: 2, Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION, ScopeId: b.plan.PositionID().String()}
	for {
		page, err := read.ListSnapshots(t.Context(), request)
		require.NoError(t, err)
		for _, s := range page.GetSnapshots() {
			listed = append(listed, s.GetSnapshotId())
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
		require.Len(t, listed, 2)
		request.Kind = eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT
		_, err = read.ListSnapshots(t.Context(), request)
		require.Equal(t, "PAGE_TOKEN", fault.ReasonOf(err))
		request.Kind = eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION
	}
	require.Equal(t, []string{made[2].GetSnapshotId(), made[1].GetSnapshotId(), made[0].GetSnapshotId()}, listed)
	page, err := read.ListSnapshots(t.Context(), &snapshotterv1.ListSnapshotsRequest{CreatedFrom: made[1].GetCreatedAt(), CreatedBefore: made[2].GetCreatedAt()})
	require.NoError(t, err)
	require.Len(t, page.GetSnapshots(), 1)
	_, err = read.ListSnapshots(t.Context(), &snapshotterv1.ListSnapshotsRequest{PageToken: "x"})
	require.Equal(t, "PAGE_TOKEN", fault.ReasonOf(err))

	operate := snapshotterv1.NewOperateServiceClient(b.dial("operator"))
	latest := b.create(t)
	again, err := operate.CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{Scope: b.scope()})
	require.NoError(t, err)
	require.False(t, again.GetCreated())
	require.Equal(t, latest.GetSnapshotId(), again.GetSnapshot().GetSnapshotId())
}

func TestRPC_schedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	read, operate := snapshotterv1.NewReadServiceClient(b.dial("reader")), snapshotterv1.NewOperateServiceClient(b.dial("operator"))
	got, err := read.GetSchedule(t.Context(), &snapshotterv1.GetScheduleRequest{})
	require.NoError(t, err)
	require.EqualExportedValues(t, &snapshotterv1.Schedule{EveryEvents: 5000, EverySeconds: 3600, AtWorkflowEnd: true}, got.GetSchedule())
	events, no := int32(100), false
	set, err := operate.SetSchedule(t.Context(), &snapshotterv1.SetScheduleRequest{EveryEvents: &events, AtWorkflowEnd: &no})
	require.NoError(t, err)
	require.EqualExportedValues(t, &snapshotterv1.Schedule{EveryEvents: 100, EverySeconds: 3600}, set.GetSchedule())
	for _, wrong := range []int32{-1, 1, 99, 100000001} {
		_, err = operate.SetSchedule(t.Context(), &snapshotterv1.SetScheduleRequest{EveryEvents: &wrong})
		require.True(t, fault.Is(err, fault.Invalid), "%d: %v", wrong, err)
		require.Equal(t, "every_events", fault.As(err).Fields[0].Path)
	}
	short := int32(59)
	_, err = operate.SetSchedule(t.Context(), &snapshotterv1.SetScheduleRequest{EverySeconds: &short})
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	_, err = snapshotterv1.NewReadServiceClient(b.dial("stranger")).GetSchedule(t.Context(), &snapshotterv1.GetScheduleRequest{})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestRPC_find_load_restore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.several(t, 2)
	ctx := metadata.AppendToOutgoingContext(t.Context(), identity.HeaderTenant, b.tenant.String())
	state := snapshotterv1.NewStateServiceClient(b.dial("replayer"))
	found, err := state.FindSnapshot(ctx, &snapshotterv1.FindSnapshotRequest{Scope: b.scope()})
	require.NoError(t, err)
	require.Equal(t, made[1].GetSnapshotId(), found.GetSnapshot().GetSnapshotId())
	found, err = state.FindSnapshot(ctx, &snapshotterv1.FindSnapshotRequest{Scope: b.scope(), At: &snapshotterv1.FindSnapshotRequest_Position{Position: made[0].GetAsOfPosition()}})
	require.NoError(t, err)
	require.Equal(t, made[0].GetSnapshotId(), found.GetSnapshot().GetSnapshotId())
	_, err = state.FindSnapshot(ctx, &snapshotterv1.FindSnapshotRequest{Scope: b.scope(), At: &snapshotterv1.FindSnapshotRequest_Time{Time: timestamppb.New(time.Unix(1, 0))}})
	require.Equal(t, "NO_SNAPSHOT", fault.ReasonOf(err))

	loaded, err := all(state.LoadSnapshot(ctx, &snapshotterv1.LoadSnapshotRequest{SnapshotId: made[1].GetSnapshotId()}))
	require.NoError(t, err)
	require.Equal(t, made[1].GetHash(), loaded[0].GetSnapshot().GetHash())
	var stored []byte
	for _, m := range loaded[1:] {
		stored = append(stored, m.GetData()...)
	}
	require.Len(t, stored, int(made[1].GetStoredBytes()))

	restored, err := all(state.RestoreSnapshot(ctx, &snapshotterv1.RestoreSnapshotRequest{SnapshotId: made[1].GetSnapshotId()}))
	require.NoError(t, err)
	scope := projection.Scope{Kind: projection.ScopePosition, ID: b.plan.PositionID()}
	want := map[string]string{}
	for _, row := range scope.Cut(b.world.Fold.Rows()).Own {
		want[row.Key().String()] = string(projection.RowJSON(row))
	}
	rows := map[string]string{}
	for _, m := range restored[1:] {
		if !m.GetRow().GetContext() {
			rows[m.GetRow().GetTable()+"/"+m.GetRow().GetKey()] = string(m.GetRow().GetJson())
		}
	}
	require.Equal(t, want, rows)

	// What is not fit is refused, and found out by who looks for one.
	b.exec(t, "update snapshots set hash = sha256('x') where snapshot_id = $1", made[1].GetSnapshotId())
	_, err = all(state.LoadSnapshot(ctx, &snapshotterv1.LoadSnapshotRequest{SnapshotId: made[1].GetSnapshotId()}))
	require.True(t, fault.Is(err, fault.Refused), "%v", err)
	require.Equal(t, "bad_hash", fault.As(err).Metadata["unfit"])
	b.exec(t, "update snapshots set unfit = null")
	found, err = state.FindSnapshot(ctx, &snapshotterv1.FindSnapshotRequest{Scope: b.scope()})
	require.NoError(t, err)
	require.Equal(t, made[0].GetSnapshotId(), found.GetSnapshot().GetSnapshotId())
	require.Len(t, found.GetPassedOver(), 1)
	require.Equal(t, snapshotterv1.Unfit_UNFIT_BAD_HASH, found.GetPassedOver()[0].GetSnapshot().GetUnfit())
	require.NotEmpty(t, found.GetPassedOver()[0].GetDescription())
	_, err = all(state.RestoreSnapshot(ctx, &snapshotterv1.RestoreSnapshotRequest{SnapshotId: made[1].GetSnapshotId()}))
	require.Equal(t, "SNAPSHOT_UNFIT", fault.ReasonOf(err))
	_, err = all(state.RestoreSnapshot(ctx, &snapshotterv1.RestoreSnapshotRequest{SnapshotId: uuid.Max.String()}))
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestRPC_verify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.several(t, 2)
	b.exec(t, "update snapshots set rules_version = 1 where snapshot_id = $1", made[0].GetSnapshotId())
	state := snapshotterv1.NewStateServiceClient(b.dial("auditor"))
	messages, err := all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{Deep: true}))
	require.NoError(t, err)
	verdicts := map[string]snapshotterv1.Unfit{}
	for _, m := range messages {
		if v := m.GetVerified(); v != nil {
			verdicts[v.GetSnapshot().GetSnapshotId()] = v.GetSnapshot().GetUnfit()
		}
	}
	require.Equal(t, map[string]snapshotterv1.Unfit{
		made[0].GetSnapshotId(): snapshotterv1.Unfit_UNFIT_OTHER_RULES, made[1].GetSnapshotId(): snapshotterv1.Unfit_UNFIT_UNSPECIFIED,
	}, verdicts)
	require.EqualExportedValues(t, &snapshotterv1.VerifySummary{Verified: 2, Unfit: 1}, messages[len(messages)-1].GetSummary())
	_, err = all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{SnapshotId: uuid.Max.String()}))
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	messages, err = all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{SnapshotId: made[1].GetSnapshotId()}))
	require.NoError(t, err)
	require.Len(t, messages, 2)
}

// slow is a verifier that takes its time.
type slow struct {
	clock   *clock.Fake
	begun   chan struct{}
	proceed chan struct{}
}

func (s slow) Verify(ctx context.Context, _ uuid.UUID, _ checkpoint.Filter, _ bool, findings checkpoint.Findings) error {
	s.begun <- struct{}{}
	select {
	case <-s.proceed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := findings.Progress(1, 10); err != nil {
		return err
	}
	s.clock.Advance(2 * time.Second)
	return findings.Progress(8, 10)
}

func TestRPC_verify_is_bounded_and_tells_how_far_it_is(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := slow{b.clock, make(chan struct{}), make(chan struct{})}
	b.verifier = s
	state := snapshotterv1.NewStateServiceClient(b.dial("auditor"))
	results := make(chan []*snapshotterv1.VerifySnapshotsResponse, server.VerifyingMax)
	for range server.VerifyingMax {
		go func() {
			messages, _ := all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{Deep: true}))
			results <- messages
		}()
		<-s.begun
	}
	_, err := all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{}))
	require.Equal(t, "VERIFYING_ALREADY", fault.ReasonOf(err))
	s.proceed <- struct{}{}
	messages := <-results
	require.Len(t, messages, 2)
	require.EqualExportedValues(t, &snapshotterv1.VerifyProgress{EventsDone: 8, EventsTotal: 10, EventsPerSecond: 4}, messages[0].GetProgress())
	// The other one ends with the service.
	close(b.stopping)
	require.Empty(t, <-results)
	_, err = all(snapshotterv1.NewOperateServiceClient(b.dial("operator")).PruneSnapshots(t.Context(), &snapshotterv1.PruneSnapshotsRequest{Keep: 1}))
	require.True(t, err == nil || fault.ReasonOf(err) == "STOPPING", "%v", err)
}

func TestRPC_prune(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.several(t, 3)
	operate := snapshotterv1.NewOperateServiceClient(b.dial("operator"))
	for _, dry := range []bool{true, false} {
		messages, err := all(operate.PruneSnapshots(t.Context(), &snapshotterv1.PruneSnapshotsRequest{Keep: 1, DryRun: dry}))
		require.NoError(t, err)
		require.Equal(t, made[1].GetSnapshotId(), messages[0].GetRemoved().GetSnapshotId())
		require.EqualValues(t, 2, messages[2].GetSummary().GetRemoved())
		require.Equal(t, made[0].GetStoredBytes()+made[1].GetStoredBytes(), messages[2].GetSummary().GetStoredBytes())
	}
	messages, err := all(operate.PruneSnapshots(t.Context(), &snapshotterv1.PruneSnapshotsRequest{Keep: 1}))
	require.NoError(t, err)
	require.Len(t, messages, 1)
}

func TestRPC_a_wrong_request_names_its_field(t *testing.T) {
	t.Parallel()
	b := setup(t)
	read, operate := snapshotterv1.NewReadServiceClient(b.dial("reader")), snapshotterv1.NewOperateServiceClient(b.dial("operator"))
	state := snapshotterv1.NewStateServiceClient(b.dial("auditor"))
	for field, ask := range map[string]func() error{
		"snapshot_id": func() error {
			_, err := read.GetSnapshot(t.Context(), &snapshotterv1.GetSnapshotRequest{SnapshotId: "x"})
			return err
		},
		"page_size": func() error {
			_, err := read.ListSnapshots(t.Context(), &snapshotterv1.ListSnapshotsRequest{PageSize: 1001})
			return err
		},
		"kind": func() error {
			_, err := read.ListSnapshots(t.Context(), &snapshotterv1.ListSnapshotsRequest{Kind: 99})
			return err
		},
		"scope": func() error {
			_, err := operate.CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{})
			return err
		},
		"scope.kind": func() error {
			_, err := operate.CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{Scope: &snapshotterv1.Scope{Id: uuid.NewString()}})
			return err
		},
		"scope.id": func() error {
			_, err := state.FindSnapshot(t.Context(), &snapshotterv1.FindSnapshotRequest{Scope: &snapshotterv1.Scope{Kind: 1, Id: "x"}})
			return err
		},
		"keep": func() error {
			_, err := all(operate.PruneSnapshots(t.Context(), &snapshotterv1.PruneSnapshotsRequest{}))
			return err
		},
		"scope_id": func() error {
			_, err := all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{ScopeId: "x"}))
			return err
		},
	} {
		err := ask()
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", field, err)
		require.Equal(t, field, fault.As(err).Fields[0].Path)
	}
	_, err := operate.CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{Scope: &snapshotterv1.Scope{Kind: 1, Id: uuid.NewString()}})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

// Law 9, and the split by power.
func TestRPC_who_may_not_gets_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.create(t)
	asks := map[string]func(conn *grpc.ClientConn) error{
		"read": func(conn *grpc.ClientConn) error {
			_, err := snapshotterv1.NewReadServiceClient(conn).GetSnapshot(t.Context(), &snapshotterv1.GetSnapshotRequest{SnapshotId: made.GetSnapshotId()})
			return err
		},
		"state": func(conn *grpc.ClientConn) error {
			_, err := all(snapshotterv1.NewStateServiceClient(conn).RestoreSnapshot(t.Context(), &snapshotterv1.RestoreSnapshotRequest{SnapshotId: made.GetSnapshotId()}))
			return err
		},
		"operate": func(conn *grpc.ClientConn) error {
			_, err := snapshotterv1.NewOperateServiceClient(conn).CreateSnapshot(t.Context(), &snapshotterv1.CreateSnapshotRequest{Scope: b.scope()})
			return err
		},
	}
	for token, kinds := range map[string]map[string]fault.Kind{
		"nobody":   {"read": fault.Unauthenticated, "state": fault.Unauthenticated, "operate": fault.Unauthenticated},
		"reader":   {"state": fault.Denied, "operate": fault.Denied},
		"auditor":  {"read": fault.Denied, "operate": fault.Denied},
		"operator": {"read": fault.Denied, "state": fault.Denied},
		"stranger": {"read": fault.NotFound, "state": fault.NotFound, "operate": fault.NotFound},
	} {
		for name, ask := range asks {
			err := ask(b.dial(token))
			if kind, refused := kinds[name]; refused {
				require.True(t, fault.Is(err, kind), "%s as %s: %v", name, token, err)
			} else {
				require.NoError(t, err, "%s as %s", name, token)
			}
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), identity.HeaderTenant, b.tenant.String())
	_, err := snapshotterv1.NewReadServiceClient(b.dial("command")).GetSnapshot(ctx, &snapshotterv1.GetSnapshotRequest{SnapshotId: made.GetSnapshotId()})
	require.True(t, fault.Is(err, fault.Denied), "%v", err)
}

// A database that fails is no answer.
func TestRPC_a_database_that_fails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t)
	b.exec(t, "revoke select on snapshots from robson_snapshotter")
	b.exec(t, "revoke select on tenant_log from robson_snapshotter")
	read, operate := snapshotterv1.NewReadServiceClient(b.dial("reader")), snapshotterv1.NewOperateServiceClient(b.dial("operator"))
	state := snapshotterv1.NewStateServiceClient(b.dial("auditor"))
	id := uuid.NewString()
	for name, ask := range map[string]func() error{
		"list": func() error {
			_, err := read.ListSnapshots(t.Context(), &snapshotterv1.ListSnapshotsRequest{})
			return err
		},
		"schedule": func() error { _, err := read.GetSchedule(t.Context(), &snapshotterv1.GetScheduleRequest{}); return err },
		"set": func() error {
			_, err := operate.SetSchedule(t.Context(), &snapshotterv1.SetScheduleRequest{})
			return err
		},
		"prune": func() error {
			_, err := all(operate.PruneSnapshots(t.Context(), &snapshotterv1.PruneSnapshotsRequest{Keep: 1}))
			return err
		},
		"load": func() error {
			_, err := all(state.LoadSnapshot(t.Context(), &snapshotterv1.LoadSnapshotRequest{SnapshotId: id}))
			return err
		},
		"verify": func() error {
			_, err := all(state.VerifySnapshots(t.Context(), &snapshotterv1.VerifySnapshotsRequest{}))
			return err
		},
	} {
		require.Error(t, ask(), name)
	}
}
