package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/executor"
)

// Executor carries out intents.
type Executor interface {
	Execute(ctx context.Context, intent uuid.UUID, attempt int32) (executor.Result, error)
	EndIntent(ctx context.Context, intent uuid.UUID, reason string) (*projectorv1.Order, error)
	Cancel(ctx context.Context, order string) (*projectorv1.Order, error)
	Resolve(ctx context.Context, order string) (*projectorv1.Order, error)
}

var _ connectorv1.ExecutionServiceServer = (*Execution)(nil)

// Execution is the ExecutionService.
type Execution struct {
	connectorv1.UnimplementedExecutionServiceServer
	deps Deps
}

// NewExecution makes the service.
func NewExecution(deps Deps) *Execution { return &Execution{deps: deps} }

// Execute implements connectorv1.ExecutionServiceServer.
func (s *Execution) Execute(ctx context.Context, in *connectorv1.ExecuteRequest) (*connectorv1.ExecuteResponse, error) {
	id, err := parseID("intent_id", in.GetIntentId())
	if err != nil {
		return nil, err
	}
	result, err := s.deps.Executor.Execute(ctx, id, in.GetAttempt())
	if err != nil {
		return nil, fmt.Errorf("execute intent %s: %w", id, err)
	}
	return &connectorv1.ExecuteResponse{Order: orderState(result.Order), Sent: result.Sent}, nil
}

// EndIntent implements connectorv1.ExecutionServiceServer.
func (s *Execution) EndIntent(ctx context.Context, in *connectorv1.EndIntentRequest) (*connectorv1.EndIntentResponse, error) {
	id, err := parseID("intent_id", in.GetIntentId())
	if err != nil {
		return nil, err
	}
	row, err := s.deps.Executor.EndIntent(ctx, id, in.GetReason())
	if err != nil {
		return nil, fmt.Errorf("end intent %s: %w", id, err)
	}
	return &connectorv1.EndIntentResponse{Order: orderState(row)}, nil
}

// CancelOrder implements connectorv1.ExecutionServiceServer.
func (s *Execution) CancelOrder(ctx context.Context, in *connectorv1.CancelOrderRequest) (*connectorv1.CancelOrderResponse, error) {
	row, err := s.deps.Executor.Cancel(ctx, in.GetOrderId())
	if err != nil {
		return nil, fmt.Errorf("cancel order %s: %w", in.GetOrderId(), err)
	}
	return &connectorv1.CancelOrderResponse{Order: orderState(row)}, nil
}

// ResolveOrder implements connectorv1.ExecutionServiceServer.
func (s *Execution) ResolveOrder(ctx context.Context, in *connectorv1.ResolveOrderRequest) (*connectorv1.ResolveOrderResponse, error) {
	row, err := s.deps.Executor.Resolve(ctx, in.GetOrderId())
	if err != nil {
		return nil, fmt.Errorf("resolve order %s: %w", in.GetOrderId(), err)
	}
	return &connectorv1.ResolveOrderResponse{Order: orderState(row)}, nil
}

// orderState is where an order stands, in the contract's words.
func orderState(row *projectorv1.Order) *connectorv1.OrderState {
	return &connectorv1.OrderState{
		OrderId: row.GetOrderId(), ClientOrderId: row.GetClientOrderId(), ExchangeOrderId: row.GetExchangeOrderId(),
		Status:         strings.ToLower(strings.TrimPrefix(row.GetStatus().String(), "ORDER_STATUS_")),
		FilledQuantity: row.GetFilledQuantity(), NeedsResolution: row.GetNeedsResolution(), RejectReason: row.GetRejectReason(),
		Position: row.GetLastPosition(),
	}
}
