package worldtest

import (
	"context"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/logclient/logclienttest"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Serve registers the world on a server as the services that the command service talks to.
func (w *World) Serve(registrar grpc.ServiceRegistrar) {
	eventlogv1.RegisterAppendServiceServer(registrar, appends{w: w})
	eventlogv1.RegisterReadServiceServer(registrar, reads{w: w})
	eventlogv1.RegisterWorkerServiceServer(registrar, workers{w: w})
	projectorv1.RegisterStateServiceServer(registrar, states{w: w})
	connectorv1.RegisterExecutionServiceServer(registrar, executions{w: w})
	connectorv1.RegisterMarketServiceServer(registrar, markets{w: w})
}

type appends struct {
	eventlogv1.UnimplementedAppendServiceServer
	w *World
}

func (s appends) Append(ctx context.Context, in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	return s.w.Append(ctx, in)
}

func (s appends) AppendStream(stream grpc.BidiStreamingServer[eventlogv1.AppendStreamRequest, eventlogv1.AppendStreamResponse]) error {
	return logclienttest.ServeStream(stream, s.Append)
}

type reads struct {
	eventlogv1.UnimplementedReadServiceServer
	w *World
}

func (s reads) GetCommand(ctx context.Context, in *eventlogv1.GetCommandRequest) (*eventlogv1.GetCommandResponse, error) {
	return s.w.GetCommand(ctx, in)
}

func (s reads) ReadLog(ctx context.Context, in *eventlogv1.ReadLogRequest) (*eventlogv1.ReadLogResponse, error) {
	return s.w.ReadLog(ctx, in)
}

func (s reads) ReadStream(ctx context.Context, in *eventlogv1.ReadStreamRequest) (*eventlogv1.ReadStreamResponse, error) {
	return s.w.ReadStream(ctx, in)
}

func (s reads) GetEvent(ctx context.Context, in *eventlogv1.GetEventRequest) (*eventlogv1.GetEventResponse, error) {
	return s.w.GetEvent(ctx, in)
}

func (s reads) ListTenants(ctx context.Context, in *eventlogv1.ListTenantsRequest) (*eventlogv1.ListTenantsResponse, error) {
	return s.w.ListTenants(ctx, in)
}

func (s reads) Subscribe(in *eventlogv1.SubscribeRequest, out grpc.ServerStreamingServer[eventlogv1.SubscribeResponse]) error {
	return pass(func() (grpc.ServerStreamingClient[eventlogv1.SubscribeResponse], error) {
		return s.w.Subscribe(out.Context(), in)
	}, out)
}

type workers struct {
	eventlogv1.UnimplementedWorkerServiceServer
	w *World
}

func (s workers) GetCheckpoint(ctx context.Context, in *eventlogv1.GetCheckpointRequest) (*eventlogv1.GetCheckpointResponse, error) {
	return s.w.GetCheckpoint(ctx, in)
}

func (s workers) SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest) (*eventlogv1.SaveCheckpointResponse, error) {
	return s.w.SaveCheckpoint(ctx, in)
}

type states struct {
	projectorv1.UnimplementedStateServiceServer
	w *World
}

func (s states) GetTenant(ctx context.Context, in *projectorv1.GetTenantRequest) (*projectorv1.GetTenantResponse, error) {
	return s.w.GetTenant(ctx, in)
}

func (s states) GetAccount(ctx context.Context, in *projectorv1.GetAccountRequest) (*projectorv1.GetAccountResponse, error) {
	return s.w.GetAccount(ctx, in)
}

func (s states) GetStrategy(ctx context.Context, in *projectorv1.GetStrategyRequest) (*projectorv1.GetStrategyResponse, error) {
	return s.w.GetStrategy(ctx, in)
}

func (s states) GetPosition(ctx context.Context, in *projectorv1.GetPositionRequest) (*projectorv1.GetPositionResponse, error) {
	return s.w.GetPosition(ctx, in)
}

func (s states) ListPositions(ctx context.Context, in *projectorv1.ListPositionsRequest) (*projectorv1.ListPositionsResponse, error) {
	return s.w.ListPositions(ctx, in)
}

func (s states) GetSignal(ctx context.Context, in *projectorv1.GetSignalRequest) (*projectorv1.GetSignalResponse, error) {
	return s.w.GetSignal(ctx, in)
}

func (s states) ListSignals(ctx context.Context, in *projectorv1.ListSignalsRequest) (*projectorv1.ListSignalsResponse, error) {
	return s.w.ListSignals(ctx, in)
}

func (s states) GetOrder(ctx context.Context, in *projectorv1.GetOrderRequest) (*projectorv1.GetOrderResponse, error) {
	return s.w.GetOrder(ctx, in)
}

func (s states) GetDecisionView(ctx context.Context, in *projectorv1.GetDecisionViewRequest) (*projectorv1.GetDecisionViewResponse, error) {
	return s.w.GetDecisionView(ctx, in)
}

type executions struct {
	connectorv1.UnimplementedExecutionServiceServer
	w *World
}

func (s executions) Execute(ctx context.Context, in *connectorv1.ExecuteRequest) (*connectorv1.ExecuteResponse, error) {
	return s.w.Execute(ctx, in)
}

func (s executions) EndIntent(ctx context.Context, in *connectorv1.EndIntentRequest) (*connectorv1.EndIntentResponse, error) {
	return s.w.EndIntent(ctx, in)
}

func (s executions) ResolveOrder(ctx context.Context, in *connectorv1.ResolveOrderRequest) (*connectorv1.ResolveOrderResponse, error) {
	return s.w.ResolveOrder(ctx, in)
}

type markets struct {
	connectorv1.UnimplementedMarketServiceServer
	w *World
}

func (s markets) GetInstrument(ctx context.Context, in *connectorv1.GetInstrumentRequest) (*connectorv1.GetInstrumentResponse, error) {
	return s.w.GetInstrument(ctx, in)
}

func (s markets) StreamPrices(in *connectorv1.StreamPricesRequest, out grpc.ServerStreamingServer[connectorv1.StreamPricesResponse]) error {
	return pass(func() (grpc.ServerStreamingClient[connectorv1.StreamPricesResponse], error) {
		return s.w.StreamPrices(out.Context(), in)
	}, out)
}

// pass hands a stream on.
func pass[M any](open func() (grpc.ServerStreamingClient[M], error), out grpc.ServerStreamingServer[M]) error {
	stream, err := open()
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := out.Send(message); err != nil {
			return err
		}
	}
}
