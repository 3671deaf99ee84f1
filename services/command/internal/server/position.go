package server

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/rows"
)

// ClosePosition implements commandv1.TradingServiceServer.
func (s *Server) ClosePosition(ctx context.Context, in *commandv1.ClosePositionRequest) (*commandv1.ClosePositionResponse, error) {
	req := request{method: commandv1.TradingService_ClosePosition_FullMethodName, body: in, dryRun: in.GetDryRun()}
	already := false
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, _ caller) (*plan, error) {
		at, position, err := s.lookAt(ctx, in.GetPositionId())
		if err != nil {
			return nil, err
		}
		planned := &plan{decidedAt: at.view.GetAsOf()}
		if already = rows.Exiting(position); already {
			planned.standing, err = s.exitUnderWay(ctx, position.GetPositionId())
			return planned, err
		}
		if !enteredOrEntering(position) {
			return nil, wrongState(position, "only a position that is entered can be closed; use DisarmPosition for an armed one")
		}
		planned.read(rowPosition, position.GetPositionId())
		planned.add(positionStream(position.GetPositionId()), exists(), at.now, ExitPayload(ExitParams{
			Position: position, Reason: eventv1.ExitReason_EXIT_REASON_USER_CLOSE, Price: at.market.GetLastPrice(), At: at.now,
		}))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.ClosePositionResponse{Outcome: res.outcome(), AlreadyExiting: already && !res.duplicate}, nil
}

// streamPage is how many events of a stream are read at a time.
const streamPage = 100

// exitUnderWay finds the event that triggered a position's exit, so that whoever asks for it again gets the same answer.
func (s *Server) exitUnderWay(ctx context.Context, positionID string) ([]*eventv1.Event, error) {
	request := &eventlogv1.ReadStreamRequest{
		StreamKey: positionStream(positionID), Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: streamPage,
	}
	for {
		page, err := s.committer.commands.ReadStream(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("find the exit of position %s: %w", positionID, err)
		}
		for _, event := range page.GetEvents() {
			if event.GetPayload().GetExitTriggered() != nil {
				return []*eventv1.Event{event}, nil
			}
		}
		if request.FromSeq = page.GetNextSeq(); request.GetFromSeq() == 0 {
			return nil, fault.New(fault.Corrupt, "EXIT_UNKNOWN", "position %s is being left and its stream does not say why", positionID)
		}
	}
}

// enteredOrEntering says whether there is or may come something to leave.
func enteredOrEntering(position *projectorv1.Position) bool {
	switch position.GetState() {
	case projectorv1.PositionState_POSITION_STATE_ENTERING, projectorv1.PositionState_POSITION_STATE_ACTIVE,
		projectorv1.PositionState_POSITION_STATE_ERROR:
		return true
	default:
		return false
	}
}

// ExitParams say which exit is triggered.
type ExitParams struct {
	Position *projectorv1.Position
	Reason   eventv1.ExitReason
	// Price is the market's at the time.
	Price string
	At    time.Time
}

// ExitPayload is the event that triggers an exit of all that is open.
func ExitPayload(params ExitParams) *eventv1.Payload {
	open := params.Position.GetCurrentQuantity()
	if open == "" {
		open = "0"
	}
	return event.Wrap(&eventv1.ExitTriggered{
		PositionId: params.Position.GetPositionId(), Reason: params.Reason, TriggerPrice: params.Price,
		StopPrice: params.Position.GetTrailingStopPrice(), Quantity: open, TriggeredAt: timestamppb.New(params.At),
	})
}

// MoveStop implements commandv1.TradingServiceServer.
func (s *Server) MoveStop(ctx context.Context, in *commandv1.MoveStopRequest) (*commandv1.MoveStopResponse, error) {
	req := request{method: commandv1.TradingService_MoveStop_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		wanted, err := userAmount("new_stop", in.GetNewStop())
		if err != nil {
			return nil, err
		}
		at, position, err := s.lookAt(ctx, in.GetPositionId())
		if err != nil {
			return nil, err
		}
		if !stoppable(position) {
			return nil, wrongState(position, "only a position that is open and not being left has a stop to move")
		}
		moved, err := moveStop(at, position, wanted)
		if err != nil {
			return nil, err
		}
		moved.PriceEventId = lifecycle.UserPriceEvent + who.commandID.String()
		planned := &plan{decidedAt: at.view.GetAsOf()}
		planned.read(rowPosition, position.GetPositionId())
		planned.add(positionStream(position.GetPositionId()), exists(), at.now,
			event.Wrap(moved))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.MoveStopResponse{Outcome: res.outcome()}, nil
}

// stoppable says whether a position has a stop that may be moved: in error it still is guarded.
func stoppable(position *projectorv1.Position) bool {
	switch position.GetState() {
	case projectorv1.PositionState_POSITION_STATE_ACTIVE:
		return true
	case projectorv1.PositionState_POSITION_STATE_ERROR:
		return position.GetTrailingStopPrice() != "" && !rows.Exiting(position)
	default:
		return false
	}
}

// moveStop checks that a stop moves in the position's favour and not onto the market.
func moveStop(at *situation, position *projectorv1.Position, wanted decimal.Decimal) (*eventv1.TrailingStopUpdated, error) {
	reader := &rows.Reader{}
	standing, extreme := reader.Amount(position.GetTrailingStopPrice()), reader.Amount(position.GetFavorableExtreme())
	price := reader.Amount(at.market.GetLastPrice())
	if reader.Err != nil {
		return nil, reader.Err
	}
	better, short := wanted.GreaterThan(standing), position.GetSide() == eventv1.PositionSide_POSITION_SIDE_SHORT
	hit, best := wanted.GreaterThanOrEqual(price), decimal.Max(extreme, price)
	if short {
		better, hit, best = wanted.LessThan(standing), wanted.LessThanOrEqual(price), decimal.Min(extreme, price)
	}
	switch {
	case !better:
		return nil, fault.New(fault.Refused, "STOP_NOT_BETTER", "a stop only moves in the position's favour; it stands at %s", standing).
			With("stop", standing.String())
	case hit:
		return nil, fault.New(fault.Refused, "STOP_WOULD_TRIGGER", "the market is at %s: the stop would be hit at once; use ClosePosition", price).
			With("price", price.String())
	}
	return &eventv1.TrailingStopUpdated{
		PositionId: position.GetPositionId(), PreviousStop: standing.String(), NewStop: wanted.String(),
		FavorableExtreme: best.String(), TriggerPrice: price.String(), ObservedAt: timestamppb.New(at.now),
	}, nil
}

// CancelOrder implements commandv1.TradingServiceServer.
func (s *Server) CancelOrder(ctx context.Context, in *commandv1.CancelOrderRequest) (*commandv1.CancelOrderResponse, error) {
	req := request{method: commandv1.TradingService_CancelOrder_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		found, err := s.state.GetOrder(ctx, &projectorv1.GetOrderRequest{OrderId: in.GetOrderId()})
		if err != nil {
			return nil, fmt.Errorf("read order %s: %w", in.GetOrderId(), err)
		}
		order := found.GetOrder()
		if rows.Ended(order.GetStatus()) {
			return nil, fault.New(fault.Refused, "ORDER_ENDED", "order %s has ended", order.GetOrderId())
		}
		at, err := s.look(ctx, order.GetAccountId(), order.GetSymbol(), "", order.GetPositionId())
		if err != nil {
			return nil, err
		}
		stream := accountStream(order.GetAccountId())
		if order.GetPositionId() != "" {
			stream = positionStream(order.GetPositionId())
		}
		planned := &plan{decidedAt: found.GetAsOf()}
		planned.read(rowOrder, order.GetOrderId())
		planned.add(stream, exists(), at.now, cancelPayload(who, order))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.CancelOrderResponse{
		Outcome: res.outcome(), IntentId: res.events[0].payload.GetIntentCreated().GetIntentId(),
	}, nil
}

func cancelPayload(who caller, order *projectorv1.Order) *eventv1.Payload {
	id := who.derive("intent")
	return event.Wrap(&eventv1.IntentCreated{
		IntentId: id.String(), PositionId: order.GetPositionId(), AccountId: order.GetAccountId(),
		IntentType: eventv1.IntentType_INTENT_TYPE_CANCEL, Symbol: order.GetSymbol(), Side: order.GetSide(),
		OrderType: order.GetOrderType(), Quantity: order.GetQuantity(),
		ClientOrderId:  event.ClientOrderID(event.OrderID(id, 1)),
		CancelsOrderId: order.GetOrderId(), Reason: "user",
	})
}
