package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// pageSize is how much is read at a time.
const pageSize = 500

// Account gives an account's row. fault.NotFound if the tenant has none such.
func (l *Ledger) Account(ctx context.Context, id string) (*projectorv1.Account, error) {
	response, err := l.State.GetAccount(ctx, &projectorv1.GetAccountRequest{AccountId: id})
	return response.GetAccount(), err
}

// Accounts lists the tenant's accounts.
func (l *Ledger) Accounts(ctx context.Context) ([]*projectorv1.Account, error) {
	var out []*projectorv1.Account
	request := &projectorv1.ListAccountsRequest{PageSize: pageSize}
	for {
		response, err := l.State.ListAccounts(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		out = append(out, response.GetAccounts()...)
		if response.GetNextPageToken() == "" {
			return out, nil
		}
		request.PageToken = response.GetNextPageToken()
	}
}

// Intent gives an intent's row.
func (l *Ledger) Intent(ctx context.Context, id string) (*projectorv1.Intent, error) {
	response, err := l.State.GetIntent(ctx, &projectorv1.GetIntentRequest{IntentId: id})
	return response.GetIntent(), err
}

// Order gives an order's row at a position or later.
func (l *Ledger) Order(ctx context.Context, id string, position int64) (*projectorv1.Order, error) {
	response, err := l.State.GetOrder(ctx, &projectorv1.GetOrderRequest{OrderId: id, MinPosition: position})
	return response.GetOrder(), err
}

// liveStatuses are those of orders that the venue may still change.
var liveStatuses = []projectorv1.OrderStatus{
	projectorv1.OrderStatus_ORDER_STATUS_PENDING, projectorv1.OrderStatus_ORDER_STATUS_SUBMITTED,
	projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, projectorv1.OrderStatus_ORDER_STATUS_PARTIAL,
}

// LiveOrders lists an account's orders that have not ended.
func (l *Ledger) LiveOrders(ctx context.Context, account string) ([]*projectorv1.Order, error) {
	var out []*projectorv1.Order
	request := &projectorv1.ListOrdersRequest{AccountId: account, Statuses: liveStatuses, PageSize: pageSize}
	for {
		response, err := l.State.ListOrders(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list live orders: %w", err)
		}
		out = append(out, response.GetOrders()...)
		if response.GetNextPageToken() == "" {
			return out, nil
		}
		request.PageToken = response.GetNextPageToken()
	}
}

// Tenants lists the tenants that have a log.
func (l *Ledger) Tenants(ctx context.Context) ([]uuid.UUID, error) {
	var out []uuid.UUID
	request := &eventlogv1.ListTenantsRequest{PageSize: pageSize}
	for {
		response, err := l.Reader.ListTenants(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list tenants: %w", err)
		}
		for _, text := range response.GetTenantIds() {
			id, err := uuid.Parse(text)
			if err != nil {
				return nil, fmt.Errorf("list tenants: id %q: %w", text, err)
			}
			out = append(out, id)
		}
		if response.GetNextPageToken() == "" {
			return out, nil
		}
		request.PageToken = response.GetNextPageToken()
	}
}

// Follow gives the origin of what follows from an event: it keeps the event's trace.
func (l *Ledger) Follow(ctx context.Context, eventID string) (fact.Origin, error) {
	if eventID == "" {
		return fact.Origin{}, nil
	}
	response, err := l.Reader.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: eventID})
	if err != nil {
		return fact.Origin{}, fmt.Errorf("read cause %s: %w", eventID, err)
	}
	return originOf(response.GetEvent())
}

func originOf(e *eventv1.Event) (fact.Origin, error) {
	trace, err := uuid.Parse(e.GetTraceId())
	if err != nil {
		return fact.Origin{}, fmt.Errorf("trace of event %s: %w", e.GetEventId(), err)
	}
	return fact.Origin{Trace: trace, Cause: e.GetEventId()}, nil
}

// Claimed gives what the claim of an order says of it: its facts follow from the claim. Of an order that was never
// claimed only what is given is known.
func (l *Ledger) Claimed(ctx context.Context, order fact.Order) (fact.Order, bool, error) {
	key := event.StreamKey{Kind: event.KindOrder, ID: order.ID}
	response, err := l.Reader.ReadStream(ctx, &eventlogv1.ReadStreamRequest{
		StreamKey: key.String(), FromSeq: 1, Direction: eventlogv1.Direction_DIRECTION_FORWARDS, PageSize: 1,
	})
	if err != nil {
		return order, false, fmt.Errorf("read claim of %s: %w", key, err)
	}
	for _, e := range response.GetEvents() {
		claim := e.GetPayload().GetOrderSubmitted()
		if claim == nil {
			continue
		}
		order.Origin, err = originOf(e)
		if err != nil {
			return order, false, err
		}
		order.Intent, order.Position = OptionalID(claim.GetIntentId()), OptionalID(claim.GetPositionId())
		order.Symbol, order.ClientOrderID = claim.GetSymbol(), venue.ClientOrderID(claim.GetClientOrderId())
		return order, true, nil
	}
	return order, false, nil
}

// OptionalID reads an id that the contract has checked; Nil for an absent one.
func OptionalID(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// OrderOf is what a row says of an order. Its origin is to be found by Claimed.
func OrderOf(row *projectorv1.Order) fact.Order {
	return fact.Order{
		ID: OptionalID(row.GetOrderId()), Account: OptionalID(row.GetAccountId()), Position: OptionalID(row.GetPositionId()),
		Intent: OptionalID(row.GetIntentId()), Symbol: row.GetSymbol(), ClientOrderID: venue.ClientOrderID(row.GetClientOrderId()),
	}
}
