package ledgertest

import (
	"context"
	"net"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/logclient/logclienttest"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Token is what Serve's callers must show: the connector's.
const Token = "the connector's token"

// Authenticate knows the connector alone.
func (b *Books) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	if token != Token {
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
	return identity.Identity{Service: "connector"}, nil
}

// Server is what the books are served on, with all that a real server has.
type Server interface {
	grpc.ServiceRegistrar
	Serve(ctx context.Context, listener net.Listener) error
}

// Register puts the books behind the contracts of event log and projector. Of another tenant nothing is known.
func (b *Books) Register(on Server) {
	eventlogv1.RegisterAppendServiceServer(on, appends{b: b})
	eventlogv1.RegisterReadServiceServer(on, reads{b: b})
	eventlogv1.RegisterWorkerServiceServer(on, workers{b: b})
	projectorv1.RegisterStateServiceServer(on, states{b: b})
}

// answer passes a request to the books if it is about their tenant.
func answer[In, Out any](ctx context.Context, b *Books, in In, pass func(context.Context, In, ...grpc.CallOption) (Out, error)) (Out, error) {
	if tenant := identity.Tenant(ctx); tenant != b.Tenant() && tenant != uuid.Nil {
		var none Out
		return none, fault.New(fault.NotFound, "TENANT", "tenant %s has no log", tenant)
	}
	return pass(ctx, in)
}

type appends struct {
	eventlogv1.UnimplementedAppendServiceServer
	b *Books
}

func (s appends) Append(ctx context.Context, in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	return answer(ctx, s.b, in, s.b.Append)
}

func (s appends) AppendBatch(ctx context.Context, in *eventlogv1.AppendBatchRequest) (*eventlogv1.AppendBatchResponse, error) {
	return answer(ctx, s.b, in, s.b.AppendBatch)
}

func (s appends) AppendStream(stream grpc.BidiStreamingServer[eventlogv1.AppendStreamRequest, eventlogv1.AppendStreamResponse]) error {
	return logclienttest.ServeStream(stream, s.Append)
}

type reads struct {
	eventlogv1.UnimplementedReadServiceServer
	b *Books
}

func (s reads) GetEvent(ctx context.Context, in *eventlogv1.GetEventRequest) (*eventlogv1.GetEventResponse, error) {
	return answer(ctx, s.b, in, s.b.GetEvent)
}

func (s reads) ReadStream(ctx context.Context, in *eventlogv1.ReadStreamRequest) (*eventlogv1.ReadStreamResponse, error) {
	return answer(ctx, s.b, in, s.b.ReadStream)
}

func (s reads) ListTenants(ctx context.Context, in *eventlogv1.ListTenantsRequest) (*eventlogv1.ListTenantsResponse, error) {
	return answer(ctx, s.b, in, s.b.ListTenants)
}

func (s reads) QueryEvents(ctx context.Context, in *eventlogv1.QueryEventsRequest) (*eventlogv1.QueryEventsResponse, error) {
	return answer(ctx, s.b, in, s.b.QueryEvents)
}

type workers struct {
	eventlogv1.UnimplementedWorkerServiceServer
	b *Books
}

func (s workers) GetCheckpoint(ctx context.Context, in *eventlogv1.GetCheckpointRequest) (*eventlogv1.GetCheckpointResponse, error) {
	return answer(ctx, s.b, in, s.b.GetCheckpoint)
}

func (s workers) SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest) (*eventlogv1.SaveCheckpointResponse, error) {
	return answer(ctx, s.b, in, s.b.SaveCheckpoint)
}

func (s workers) AcquireLease(ctx context.Context, in *eventlogv1.AcquireLeaseRequest) (*eventlogv1.AcquireLeaseResponse, error) {
	return answer(ctx, s.b, in, s.b.AcquireLease)
}

func (s workers) ReleaseLease(ctx context.Context, in *eventlogv1.ReleaseLeaseRequest) (*eventlogv1.ReleaseLeaseResponse, error) {
	return answer(ctx, s.b, in, s.b.ReleaseLease)
}

type states struct {
	projectorv1.UnimplementedStateServiceServer
	b *Books
}

func (s states) GetAccount(ctx context.Context, in *projectorv1.GetAccountRequest) (*projectorv1.GetAccountResponse, error) {
	return answer(ctx, s.b, in, s.b.GetAccount)
}

func (s states) ListAccounts(ctx context.Context, in *projectorv1.ListAccountsRequest) (*projectorv1.ListAccountsResponse, error) {
	return answer(ctx, s.b, in, s.b.ListAccounts)
}

func (s states) GetOrder(ctx context.Context, in *projectorv1.GetOrderRequest) (*projectorv1.GetOrderResponse, error) {
	return answer(ctx, s.b, in, s.b.GetOrder)
}

func (s states) ListOrders(ctx context.Context, in *projectorv1.ListOrdersRequest) (*projectorv1.ListOrdersResponse, error) {
	return answer(ctx, s.b, in, s.b.ListOrders)
}

func (s states) GetIntent(ctx context.Context, in *projectorv1.GetIntentRequest) (*projectorv1.GetIntentResponse, error) {
	return answer(ctx, s.b, in, s.b.GetIntent)
}

func (s states) ListIntents(ctx context.Context, in *projectorv1.ListIntentsRequest) (*projectorv1.ListIntentsResponse, error) {
	return answer(ctx, s.b, in, s.b.ListIntents)
}

func (s states) ListFills(ctx context.Context, in *projectorv1.ListFillsRequest) (*projectorv1.ListFillsResponse, error) {
	return answer(ctx, s.b, in, s.b.ListFills)
}

func (s states) ListPositions(ctx context.Context, in *projectorv1.ListPositionsRequest) (*projectorv1.ListPositionsResponse, error) {
	return answer(ctx, s.b, in, s.b.ListPositions)
}

func (s states) ListBalances(ctx context.Context, in *projectorv1.ListBalancesRequest) (*projectorv1.ListBalancesResponse, error) {
	return answer(ctx, s.b, in, s.b.ListBalances)
}

func (s states) ListMarginLoans(ctx context.Context, in *projectorv1.ListMarginLoansRequest) (*projectorv1.ListMarginLoansResponse, error) {
	return answer(ctx, s.b, in, s.b.ListMarginLoans)
}

func (s states) ListDiscrepancies(ctx context.Context, in *projectorv1.ListDiscrepanciesRequest) (*projectorv1.ListDiscrepanciesResponse, error) {
	return answer(ctx, s.b, in, s.b.ListDiscrepancies)
}
