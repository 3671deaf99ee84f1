package ledgertest

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// rowsOf lists the rows of a type that belong to an account.
func rowsOf[T any](b *Books, belongs func(T) bool) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []T
	for _, row := range b.log.State.Rows() {
		if typed, ok := row.(T); ok && belongs(typed) {
			out = append(out, typed)
		}
	}
	return out
}

// ListIntents lists an account's intents.
func (b *Books) ListIntents(_ context.Context, in *projectorv1.ListIntentsRequest, _ ...grpc.CallOption) (*projectorv1.ListIntentsResponse, error) {
	out := &projectorv1.ListIntentsResponse{}
	for _, row := range rowsOf(b, func(i *projection.Intent) bool { return i.AccountID.String() == in.GetAccountId() }) {
		out.Intents = append(out.Intents, intentOf(row))
	}
	return out, nil
}

// ListFills lists an order's fills.
func (b *Books) ListFills(_ context.Context, in *projectorv1.ListFillsRequest, _ ...grpc.CallOption) (*projectorv1.ListFillsResponse, error) {
	out := &projectorv1.ListFillsResponse{}
	for _, row := range rowsOf(b, func(f *projection.Fill) bool { return f.OrderID.String() == in.GetOrderId() }) {
		fill := &projectorv1.Fill{
			OrderId: row.OrderID.String(), Symbol: row.Symbol, ExchangeOrderId: row.ExchangeOrderID, ExchangeTradeId: row.ExchangeTradeID,
			Side:      number[eventv1.Side](eventv1.Side_value, "SIDE_", row.Side),
			FillPrice: row.FillPrice.String(), FillQuantity: row.FillQuantity.String(), QuoteQuantity: row.QuoteQuantity.String(),
			Fee: row.Fee.String(), Source: row.Source,
		}
		if row.FeeAsset != nil {
			fill.FeeAsset = *row.FeeAsset
		}
		out.Fills = append(out.Fills, fill)
	}
	return out, nil
}

// ListPositions lists an account's positions in some states.
func (b *Books) ListPositions(_ context.Context, in *projectorv1.ListPositionsRequest, _ ...grpc.CallOption) (*projectorv1.ListPositionsResponse, error) {
	out := &projectorv1.ListPositionsResponse{}
	for _, row := range rowsOf(b, func(p *projection.Position) bool { return p.AccountID.String() == in.GetAccountId() }) {
		state := number[projectorv1.PositionState](projectorv1.PositionState_value, "POSITION_STATE_", string(row.State))
		if slices.Contains(in.GetStates(), state) {
			found := &projectorv1.Position{
				PositionId: row.PositionID.String(), Symbol: row.Symbol, State: state,
				Side:            number[eventv1.PositionSide](eventv1.PositionSide_value, "POSITION_SIDE_", row.Side),
				CurrentQuantity: row.CurrentQuantity.String(), UpdatedAt: timestamppb.New(row.UpdatedAt),
			}
			if row.TechnicalStopPrice.Valid {
				found.TechnicalStopPrice = row.TechnicalStopPrice.Decimal.String()
			}
			out.Positions = append(out.Positions, found)
		}
	}
	return out, nil
}

// ListBalances lists an account's balances.
func (b *Books) ListBalances(_ context.Context, in *projectorv1.ListBalancesRequest, _ ...grpc.CallOption) (*projectorv1.ListBalancesResponse, error) {
	out := &projectorv1.ListBalancesResponse{}
	for _, row := range rowsOf(b, func(r *projection.Balance) bool { return r.AccountID.String() == in.GetAccountId() }) {
		out.Balances = append(out.Balances, &projectorv1.Balance{
			Wallet: row.Wallet, Asset: row.Asset, Free: row.Free.String(), Locked: row.Locked.String(), Total: row.Total.String(),
		})
	}
	return out, nil
}

// ListMarginLoans lists an account's loans.
func (b *Books) ListMarginLoans(_ context.Context, in *projectorv1.ListMarginLoansRequest, _ ...grpc.CallOption) (*projectorv1.ListMarginLoansResponse, error) {
	out := &projectorv1.ListMarginLoansResponse{}
	for _, row := range rowsOf(b, func(r *projection.MarginLoan) bool { return r.AccountID.String() == in.GetAccountId() }) {
		out.MarginLoans = append(out.MarginLoans, &projectorv1.MarginLoan{Symbol: row.Symbol, Asset: row.Asset, Borrowed: row.Borrowed.String()})
	}
	return out, nil
}

// ListDiscrepancies lists an account's discrepancies that are open, or closed.
func (b *Books) ListDiscrepancies(_ context.Context, in *projectorv1.ListDiscrepanciesRequest, _ ...grpc.CallOption) (*projectorv1.ListDiscrepanciesResponse, error) {
	out := &projectorv1.ListDiscrepanciesResponse{}
	for _, row := range rowsOf(b, func(r *projection.Discrepancy) bool {
		return r.AccountID.String() == in.GetAccountId() && (in.IsOpen == nil || r.IsOpen == in.GetIsOpen())
	}) {
		found := &projectorv1.Discrepancy{
			DiscrepancyId: row.DiscrepancyID.String(), AccountId: row.AccountID.String(), Entity: row.Entity, Expected: row.Expected, Actual: row.Actual,
			Kind:       number[eventv1.DiscrepancyKind](eventv1.DiscrepancyKind_value, "DISCREPANCY_KIND_", row.Kind),
			Resolution: row.Resolution, IsOpen: row.IsOpen, DetectedAt: timestamppb.New(row.DetectedAt),
		}
		setID(&found.RunId, row.RunID)
		setID(&found.OrderId, row.OrderID)
		out.Discrepancies = append(out.Discrepancies, found)
	}
	slices.SortFunc(out.GetDiscrepancies(), func(a, b *projectorv1.Discrepancy) int {
		return cmp.Compare(a.GetDiscrepancyId(), b.GetDiscrepancyId())
	})
	return out, nil
}

// QueryEvents finds the events of a workflow, or those about an account.
func (b *Books) QueryEvents(_ context.Context, in *eventlogv1.QueryEventsRequest, _ ...grpc.CallOption) (*eventlogv1.QueryEventsResponse, error) {
	out := &eventlogv1.QueryEventsResponse{}
	filter := in.GetFilter()
	for _, e := range b.Events() {
		out.AsOf = e.GetPosition()
		switch {
		case len(filter.GetEventTypes()) > 0 && !slices.Contains(filter.GetEventTypes(), e.GetEventType()):
		case filter.GetWorkflowId() != "" && e.GetWorkflowId() != filter.GetWorkflowId():
		case filter.GetAccountId() != "" && accountOfEvent(e) != filter.GetAccountId():
		default:
			out.Events = append(out.Events, e)
		}
	}
	if in.GetDirection() == eventlogv1.Direction_DIRECTION_BACKWARDS {
		slices.Reverse(out.GetEvents())
	}
	return out, nil
}

// accountOfEvent is the account that an event's payload names.
func accountOfEvent(e *eventv1.Event) string {
	message := e.GetPayload().ProtoReflect()
	one := message.WhichOneof(message.Descriptor().Oneofs().Get(0))
	if one == nil {
		return ""
	}
	payload := message.Get(one).Message()
	if field := payload.Descriptor().Fields().ByName("account_id"); field != nil {
		return payload.Get(field).String()
	}
	return ""
}
