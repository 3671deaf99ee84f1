package ledgertest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// AppendBatch appends one by one.
func (b *Books) AppendBatch(ctx context.Context, in *eventlogv1.AppendBatchRequest, _ ...grpc.CallOption) (*eventlogv1.AppendBatchResponse, error) {
	out := &eventlogv1.AppendBatchResponse{}
	for _, request := range in.GetAppends() {
		receipt, err := b.Append(ctx, request)
		if err != nil {
			code := int32(9) // FAILED_PRECONDITION
			if fault.Is(err, fault.Unavailable) {
				code = 14
			}
			out.Results = append(out.Results, &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Error{
				Error: &eventlogv1.AppendError{Code: code, Message: err.Error()},
			}})
			continue
		}
		out.Results = append(out.Results, &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Receipt{Receipt: receipt}})
	}
	return out, nil
}

// GetEvent finds an event.
func (b *Books) GetEvent(_ context.Context, in *eventlogv1.GetEventRequest, _ ...grpc.CallOption) (*eventlogv1.GetEventResponse, error) {
	for _, e := range b.Events() {
		if e.GetEventId() == in.GetEventId() {
			return &eventlogv1.GetEventResponse{Event: e}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "EVENT", "no event %s", in.GetEventId())
}

// ReadStream reads a stream forwards.
func (b *Books) ReadStream(_ context.Context, in *eventlogv1.ReadStreamRequest, _ ...grpc.CallOption) (*eventlogv1.ReadStreamResponse, error) {
	out := &eventlogv1.ReadStreamResponse{}
	for _, e := range b.Events() {
		if e.GetStreamKey() == in.GetStreamKey() && len(out.GetEvents()) < int(in.GetPageSize()) {
			out.Events = append(out.Events, e)
		}
	}
	return out, nil
}

// ListTenants lists the one tenant.
func (b *Books) ListTenants(context.Context, *eventlogv1.ListTenantsRequest, ...grpc.CallOption) (*eventlogv1.ListTenantsResponse, error) {
	return &eventlogv1.ListTenantsResponse{TenantIds: []string{b.Tenant().String()}}, nil
}

func number[E ~int32](values map[string]int32, prefix, text string) E {
	return E(values[prefix+strings.ToUpper(text)])
}

// GetAccount gives a row.
func (b *Books) GetAccount(_ context.Context, in *projectorv1.GetAccountRequest, _ ...grpc.CallOption) (*projectorv1.GetAccountResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, err := uuid.Parse(in.GetAccountId())
	row, _ := b.log.State.Get(projection.AccountKey(id))
	account, ok := row.(*projection.Account)
	if err != nil || !ok {
		return nil, fault.New(fault.NotFound, "ACCOUNT", "no account %s", in.GetAccountId())
	}
	return &projectorv1.GetAccountResponse{Account: accountOf(account)}, nil
}

func accountOf(row *projection.Account) *projectorv1.Account {
	out := &projectorv1.Account{
		AccountId: row.AccountID.String(), Exchange: row.Exchange, ApiKeyFingerprint: row.APIKeyFingerprint,
		Environment: number[eventv1.Environment](eventv1.Environment_value, "ENVIRONMENT_", row.Environment),
		Product:     number[eventv1.Product](eventv1.Product_value, "PRODUCT_", row.Product),
	}
	if row.MarginSymbol != nil {
		out.MarginSymbol = *row.MarginSymbol
	}
	return out
}

// ListAccounts lists all.
func (b *Books) ListAccounts(context.Context, *projectorv1.ListAccountsRequest, ...grpc.CallOption) (*projectorv1.ListAccountsResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := &projectorv1.ListAccountsResponse{}
	for _, row := range b.log.State.Rows() {
		if account, ok := row.(*projection.Account); ok {
			out.Accounts = append(out.Accounts, accountOf(account))
		}
	}
	return out, nil
}

// GetIntent gives a row.
func (b *Books) GetIntent(_ context.Context, in *projectorv1.GetIntentRequest, _ ...grpc.CallOption) (*projectorv1.GetIntentResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, err := uuid.Parse(in.GetIntentId())
	row := b.log.Intent(id)
	if err != nil || row == nil {
		return nil, fault.New(fault.NotFound, "INTENT", "no intent %s", in.GetIntentId())
	}
	return &projectorv1.GetIntentResponse{Intent: intentOf(row)}, nil
}

func intentOf(row *projection.Intent) *projectorv1.Intent {
	out := &projectorv1.Intent{
		IntentId: row.IntentID.String(), AccountId: row.AccountID.String(), Symbol: row.Symbol, Quantity: row.Quantity.String(),
		IntentType: number[eventv1.IntentType](eventv1.IntentType_value, "INTENT_TYPE_", row.IntentType),
		Side:       number[eventv1.Side](eventv1.Side_value, "SIDE_", row.Side),
		OrderType:  number[eventv1.OrderType](eventv1.OrderType_value, "ORDER_TYPE_", row.OrderType),
		Status:     number[projectorv1.IntentStatus](projectorv1.IntentStatus_value, "INTENT_STATUS_", string(row.Status)),
		Attempts:   row.Attempts, LastEventId: ulid.ULID(row.LastEventID).String(),
	}
	setID(&out.PositionId, row.PositionID)
	setID(&out.CancelsOrderId, row.CancelsOrderID)
	setID(&out.OrderId, row.OrderID)
	if row.Price.Valid {
		out.Price = row.Price.Decimal.String()
	}
	if row.StopPrice.Valid {
		out.StopPrice = row.StopPrice.Decimal.String()
	}
	return out
}

func setID(field *string, id uuid.NullUUID) {
	if id.Valid {
		*field = id.UUID.String()
	}
}

// GetOrder gives a row.
func (b *Books) GetOrder(_ context.Context, in *projectorv1.GetOrderRequest, _ ...grpc.CallOption) (*projectorv1.GetOrderResponse, error) {
	id, err := uuid.Parse(in.GetOrderId())
	row := b.Row(id)
	if err != nil || row == nil {
		return nil, fault.New(fault.NotFound, "ORDER", "no order %s", in.GetOrderId())
	}
	return &projectorv1.GetOrderResponse{Order: orderOf(row)}, nil
}

func orderOf(row *projection.Order) *projectorv1.Order {
	out := &projectorv1.Order{
		OrderId: row.OrderID.String(), AccountId: row.AccountID.String(), ClientOrderId: row.ClientOrderID, Symbol: row.Symbol,
		Status:   number[projectorv1.OrderStatus](projectorv1.OrderStatus_value, "ORDER_STATUS_", string(row.Status)),
		Quantity: row.Quantity.String(), CumQuote: row.CumQuote.String(),
		ReduceIntent: number[eventv1.ReduceIntent](eventv1.ReduceIntent_value, "REDUCE_INTENT_", row.ReduceIntent),
		Known:        row.Known, NeedsResolution: row.NeedsResolution, FilledQuantity: row.FilledQuantity.String(), LastPosition: row.LastPosition,
		CreatedAt: timestamppb.New(row.CreatedAt), UpdatedAt: timestamppb.New(row.UpdatedAt),
	}
	setID(&out.PositionId, row.PositionID)
	setID(&out.IntentId, row.IntentID)
	if row.ExchangeOrderID != nil {
		out.ExchangeOrderId = *row.ExchangeOrderID
	}
	if row.RejectReason != nil {
		out.RejectReason = *row.RejectReason
	}
	return out
}

// ListOrders lists an account's orders with some statuses.
func (b *Books) ListOrders(_ context.Context, in *projectorv1.ListOrdersRequest, _ ...grpc.CallOption) (*projectorv1.ListOrdersResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := &projectorv1.ListOrdersResponse{}
	for _, row := range b.log.State.Rows() {
		order, ok := row.(*projection.Order)
		if !ok || in.GetAccountId() != "" && order.AccountID.String() != in.GetAccountId() {
			continue
		}
		if listed := orderOf(order); slices.Contains(in.GetStatuses(), listed.GetStatus()) {
			out.Orders = append(out.Orders, listed)
		}
	}
	slices.SortFunc(out.GetOrders(), func(a, b *projectorv1.Order) int { return cmp.Compare(a.GetOrderId(), b.GetOrderId()) })
	return out, nil
}

// GetCheckpoint gives what was saved.
func (b *Books) GetCheckpoint(_ context.Context, in *eventlogv1.GetCheckpointRequest, _ ...grpc.CallOption) (*eventlogv1.GetCheckpointResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &eventlogv1.GetCheckpointResponse{Value: b.points[in.GetName()]}, nil
}

// SaveCheckpoint moves a checkpoint forwards.
func (b *Books) SaveCheckpoint(_ context.Context, in *eventlogv1.SaveCheckpointRequest, _ ...grpc.CallOption) (*eventlogv1.SaveCheckpointResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.points[in.GetName()] = max(b.points[in.GetName()], in.GetValue())
	return &eventlogv1.SaveCheckpointResponse{Value: b.points[in.GetName()]}, nil
}

// AcquireLease gives a lease that nobody else holds; it never lapses.
func (b *Books) AcquireLease(_ context.Context, in *eventlogv1.AcquireLeaseRequest, _ ...grpc.CallOption) (*eventlogv1.AcquireLeaseResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leases[in.GetName()] == "" {
		b.leases[in.GetName()] = in.GetHolder()
	}
	holder := b.leases[in.GetName()]
	if holder != in.GetHolder() {
		b.denied++
	}
	return &eventlogv1.AcquireLeaseResponse{Acquired: holder == in.GetHolder(), Holder: holder}, nil
}

// ReleaseLease gives a lease back.
func (b *Books) ReleaseLease(_ context.Context, in *eventlogv1.ReleaseLeaseRequest, _ ...grpc.CallOption) (*eventlogv1.ReleaseLeaseResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leases[in.GetName()] == in.GetHolder() {
		delete(b.leases, in.GetName())
	}
	return &eventlogv1.ReleaseLeaseResponse{}, nil
}

// Steal gives a lease to somebody else, whoever holds it.
func (b *Books) Steal(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases[name] = "somebody else"
}

// Denied counts the times that a lease was not given.
func (b *Books) Denied() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.denied
}

// Free takes a lease from whoever holds it.
func (b *Books) Free(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.leases, name)
}
