package server

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callers are the tokens of these tests: users of the bundle's tenant by their permission, one of another, services.
type callers struct{ tenant uuid.UUID }

func (c callers) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	user := func(tenant uuid.UUID, p optionsv1.Permission) (identity.Identity, error) {
		return identity.Identity{Subject: token, Grants: map[uuid.UUID][]optionsv1.Permission{tenant: {p}}}, nil
	}
	switch token {
	case "reader":
		return user(c.tenant, optionsv1.Permission_PERMISSION_READ)
	case "auditor":
		return user(c.tenant, optionsv1.Permission_PERMISSION_AUDIT)
	case "stranger":
		return user(uuid.Max, optionsv1.Permission_PERMISSION_READ)
	case "command", "eventlog":
		return identity.Identity{Service: token}, nil
	default:
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
}

// dial serves the bundle over gRPC, with all that a real server has, and gives a connection for a token.
func (b *bundle) dial(t *testing.T) func(token string) *grpc.ClientConn {
	t.Helper()
	s, err := rpc.NewServer(testkit.Logger(t), clock.System(), callers{b.tenant}, rpc.ServerConfig{})
	require.NoError(t, err)
	projectorv1.RegisterStateServiceServer(s, b.State)
	projectorv1.RegisterAuditServiceServer(s, NewAudit(b.store))
	projectorv1.RegisterWatchServiceServer(s, NewWatch(b.State, b.hub))
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
	})
	return func(token string) *grpc.ClientConn {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///projector", Token: token}, grpc.WithContextDialer(
			func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return conn
	}
}

func TestRPC(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dial := b.dial(t)
	order := b.rows["Order"][0].(*projection.Order).OrderID.String()
	state := projectorv1.NewStateServiceClient(dial("reader"))

	t.Run("a wrong request names its field", func(t *testing.T) {
		t.Parallel()
		for field, ask := range map[string]func() error{
			"order_id": func() error {
				_, err := state.GetOrder(t.Context(), &projectorv1.GetOrderRequest{OrderId: "x"})
				return err
			},
			"account_id": func() error {
				_, err := state.GetDecisionView(t.Context(), &projectorv1.GetDecisionViewRequest{})
				return err
			},
			"page_size": func() error {
				_, err := state.ListFills(t.Context(), &projectorv1.ListFillsRequest{PageSize: 1001})
				return err
			},
			"min_position": func() error {
				_, err := state.GetTenant(t.Context(), &projectorv1.GetTenantRequest{MinPosition: -1})
				return err
			},
			"page_token": func() error {
				_, err := state.ListFills(t.Context(), &projectorv1.ListFillsRequest{PageToken: "x"})
				return err
			},
			"states[0]": func() error {
				_, err := state.ListPositions(t.Context(), &projectorv1.ListPositionsRequest{States: []projectorv1.PositionState{99}})
				return err
			},
			"symbol": func() error {
				_, err := state.ListMarginLoans(t.Context(), &projectorv1.ListMarginLoansRequest{Symbol: "btc' or true"})
				return err
			},
		} {
			err := ask()
			require.True(t, fault.Is(err, fault.Invalid), "%s: %v", field, err)
			require.Equal(t, field, fault.As(err).Fields[0].Path)
		}
	})

	t.Run("a position that does not come says how far the log is", func(t *testing.T) {
		t.Parallel()
		_, err := state.GetOrder(t.Context(), &projectorv1.GetOrderRequest{OrderId: order, MinPosition: head + 1})
		require.True(t, fault.Is(err, fault.Stale), "%v", err)
		require.Equal(t, map[string]string{"min_position": "41", "position": "40"}, fault.As(err).Metadata)
	})

	t.Run("a service reads for the tenant that it names", func(t *testing.T) {
		t.Parallel()
		client := projectorv1.NewStateServiceClient(dial("command"))
		_, err := client.GetOrder(t.Context(), &projectorv1.GetOrderRequest{OrderId: order})
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		got, err := client.GetOrder(b.ctx(t), &projectorv1.GetOrderRequest{OrderId: order})
		require.NoError(t, err)
		require.Equal(t, order, got.GetOrder().GetOrderId())
	})

	t.Run("who may not read gets nothing", func(t *testing.T) {
		t.Parallel()
		for token, kind := range map[string]fault.Kind{
			"": fault.Unauthenticated, "nobody": fault.Unauthenticated, "auditor": fault.Denied, "eventlog": fault.Denied, "stranger": fault.NotFound,
		} {
			ctx := t.Context()
			if token == "eventlog" {
				ctx = b.ctx(t)
			}
			_, err := projectorv1.NewStateServiceClient(dial(token)).GetOrder(ctx, &projectorv1.GetOrderRequest{OrderId: order})
			require.True(t, fault.Is(err, kind), "%q: %v", token, err)
		}
		_, err := projectorv1.NewStateServiceClient(dial("stranger")).GetOrder(b.ctx(t), &projectorv1.GetOrderRequest{OrderId: order})
		require.True(t, fault.Is(err, fault.Denied), "%v", err)
	})
}

func TestAudit_ExportState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dial := b.dial(t)

	export := func(t *testing.T, token string, r *projectorv1.ExportStateRequest) ([]*projectorv1.ExportStateResponse, error) {
		t.Helper()
		stream, err := projectorv1.NewAuditServiceClient(dial(token)).ExportState(t.Context(), r)
		require.NoError(t, err)
		var all []*projectorv1.ExportStateResponse
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return all, nil
			}
			if err != nil {
				return all, err
			}
			all = append(all, m)
		}
	}

	t.Run("streams the header and every row", func(t *testing.T) {
		t.Parallel()
		all, err := export(t, "auditor", &projectorv1.ExportStateRequest{})
		require.NoError(t, err)
		require.EqualValues(t, head, all[0].GetHeader().GetPosition())
		require.Equal(t, strings.Repeat("30", 30)+"3430", all[0].GetHeader().GetHash(), "in hex")
		got := map[string]string{}
		for _, m := range all[1:] {
			got[m.GetRow().GetTable()+"/"+m.GetRow().GetKey()] = string(m.GetRow().GetJson())
		}
		want := map[string]string{}
		for _, rows := range b.rows {
			for _, row := range rows {
				want[row.Key().String()] = string(projection.RowJSON(row))
			}
		}
		require.Equal(t, want, got)
	})

	t.Run("streams the tables asked for", func(t *testing.T) {
		t.Parallel()
		all, err := export(t, "auditor", &projectorv1.ExportStateRequest{Tables: []string{projection.TableOrders}})
		require.NoError(t, err)
		require.Len(t, all, 1+len(b.rows["Order"]))
	})

	for name, c := range map[string]struct {
		token   string
		request *projectorv1.ExportStateRequest
		kind    fault.Kind
	}{
		"a reader who is no auditor":    {"reader", &projectorv1.ExportStateRequest{}, fault.Denied},
		"a table that is none":          {"auditor", &projectorv1.ExportStateRequest{Tables: []string{"event_log"}}, fault.Invalid},
		"a name that cannot be a table": {"auditor", &projectorv1.ExportStateRequest{Tables: []string{"fills; drop table fills"}}, fault.Invalid},
		"a position that does not come": {"auditor", &projectorv1.ExportStateRequest{MinPosition: head + 1}, fault.Stale},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			all, err := export(t, c.token, c.request)
			require.True(t, fault.Is(err, c.kind), "%v", err)
			require.Empty(t, all)
		})
	}

	t.Run("a receiver that goes away ends it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var rows []projection.Row
		for range 2000 {
			o := storetest.Random[projection.Order](b.rng)
			o.TenantID = b.tenant
			rows = append(rows, o)
		}
		require.NoError(t, b.writer.Append(t.Context(), b.tenant, head, rows...))
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := projectorv1.NewAuditServiceClient(b.dial(t)("auditor")).ExportState(ctx, &projectorv1.ExportStateRequest{})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.NoError(t, err)
		cancel()
		for err == nil {
			_, err = stream.Recv()
		}
		require.ErrorContains(t, err, "cancel")
	})
}
