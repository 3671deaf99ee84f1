package executor

import (
	"context"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
)

// EndIntent ends an intent that has not been sent, so that it never will be. fault.Refused if an order of it has been
// claimed and lives.
func (e *Executor) EndIntent(ctx context.Context, intentID uuid.UUID, reason string) (*projectorv1.Order, error) {
	intent, err := e.ledger.Intent(ctx, intentID.String())
	if err != nil {
		return nil, err
	}
	// The next attempt's order is the one that could still be claimed. Of an intent that has ended it is the last one.
	id := event.OrderID(intentID, intent.GetAttempts()+1)
	if row, err := e.ledger.Order(ctx, id.String(), 0); err == nil {
		return endedOrClaimed(row)
	}
	switch intent.GetStatus() {
	case projectorv1.IntentStatus_INTENT_STATUS_PENDING, projectorv1.IntentStatus_INTENT_STATUS_FAILED:
	default:
		row, err := e.ledger.Order(ctx, intent.GetOrderId(), 0)
		if err != nil {
			return nil, err
		}
		return endedOrClaimed(row)
	}
	t, err := e.newTask(ctx, intent, id)
	if err != nil {
		return nil, err
	}
	return e.end(ctx, t, reason)
}

// endedOrClaimed: ending what has ended is done; ending what was sent is refused.
func endedOrClaimed(row *projectorv1.Order) (*projectorv1.Order, error) {
	if hasEnded(row) {
		return row, nil
	}
	return nil, fault.New(fault.Refused, "INTENT_CLAIMED", "intent %s has been sent as order %s, which lives", row.GetIntentId(), row.GetOrderId()).
		With("order_id", row.GetOrderId())
}

// end appends the local end on the order's stream, where a claim would stand: either of them is there, never both.
func (e *Executor) end(ctx context.Context, t *task, reason string) (*projectorv1.Order, error) {
	request, err := fact.Rejected(t.order, local(reason), e.marketTime(ctx, t)).Append()
	if err != nil {
		return nil, err
	}
	request.Streams[0].Expected = &eventlogv1.Expected{Kind: &eventlogv1.Expected_NoStream{NoStream: true}}
	receipt, err := e.ledger.Appender.Append(ctx, request)
	if fault.Is(err, fault.Conflict) {
		row, err := e.ledger.Order(ctx, t.order.ID.String(), 0)
		if err != nil {
			return nil, err
		}
		return endedOrClaimed(row)
	}
	if err != nil {
		return nil, err
	}
	return e.ledger.Order(ctx, t.order.ID.String(), receipt.GetEvents()[0].GetPosition())
}
