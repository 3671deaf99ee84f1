package worldtest

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// fill writes a row into the message that the projector would serve it as: fields go by their names.
func fill[M proto.Message](row any, message M) M {
	into := message.ProtoReflect()
	value := reflect.Indirect(reflect.ValueOf(row))
	for _, field := range reflect.VisibleFields(value.Type()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		descriptor := into.Descriptor().Fields().ByName(protoreflect.Name(name))
		if field.Anonymous || descriptor == nil {
			continue
		}
		set(into, descriptor, value.FieldByIndex(field.Index))
	}
	return message
}

func set(into protoreflect.Message, field protoreflect.FieldDescriptor, value reflect.Value) {
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return
		}
		value = value.Elem()
	}
	switch known := value.Interface().(type) {
	case time.Time:
		into.Set(field, protoreflect.ValueOfMessage(timestamppb.New(known).ProtoReflect()))
		return
	case bool:
		into.Set(field, protoreflect.ValueOfBool(known))
		return
	case int32:
		into.Set(field, protoreflect.ValueOfInt32(known))
		return
	case int64:
		into.Set(field, protoreflect.ValueOfInt64(known))
		return
	}
	switch {
	case field.IsMap():
		filled := into.Mutable(field).Map()
		for _, key := range value.MapKeys() {
			filled.Set(protoreflect.ValueOfString(key.String()).MapKey(), protoreflect.ValueOfString(text(value.MapIndex(key), "")))
		}
	case field.IsList():
		if field.Kind() != protoreflect.StringKind {
			return
		}
		for i := range value.Len() {
			into.Mutable(field).List().Append(protoreflect.ValueOfString(text(value.Index(i), "")))
		}
	case field.Kind() == protoreflect.EnumKind:
		into.Set(field, protoreflect.ValueOfEnum(event.EnumNumber(field.Enum(), value.String())))
	default:
		into.Set(field, protoreflect.ValueOfString(text(value, string(field.Name()))))
	}
}

// text writes an id or an amount.
func text(value reflect.Value, name string) string {
	id := func(id uuid.UUID) string {
		if strings.HasSuffix(name, "event_id") {
			return ulid.ULID(id).String()
		}
		return id.String()
	}
	switch known := value.Interface().(type) {
	case uuid.UUID:
		return id(known)
	case uuid.NullUUID:
		if known.Valid {
			return id(known.UUID)
		}
		return ""
	case decimal.Decimal:
		return known.String()
	case decimal.NullDecimal:
		if known.Valid {
			return known.Decimal.String()
		}
		return ""
	default:
		return value.String()
	}
}

// all gives the rows of a type that are wanted, oldest first.
func all[R projection.Row](w *World, wanted func(R) bool) []R {
	var list []R
	for _, row := range w.rows {
		if typed, ok := row.(R); ok && wanted(typed) {
			list = append(list, typed)
		}
	}
	slices.SortFunc(list, func(a, b R) int {
		return cmp.Or(a.Changed().CreatedAt.Compare(b.Changed().CreatedAt), a.Key().Compare(b.Key()))
	})
	return list
}

func one[R projection.Row](w *World, key projection.Key) (R, error) {
	row, ok := w.rows[key].(R)
	if !ok {
		return row, fault.New(fault.NotFound, "ROW_UNKNOWN", "no %s", key)
	}
	return row, nil
}

// Position gives a position as it stands.
func (w *World) Position(id string) *projectorv1.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Position](w, projection.PositionKey(uuid.MustParse(id)))
	if err != nil {
		return &projectorv1.Position{}
	}
	return fill(row, &projectorv1.Position{})
}

// GetPosition implements the state.
func (w *World) GetPosition(_ context.Context, in *projectorv1.GetPositionRequest, _ ...grpc.CallOption) (*projectorv1.GetPositionResponse, error) {
	position := w.Position(in.GetPositionId())
	if position.GetPositionId() == "" {
		return nil, fault.New(fault.NotFound, "ROW_UNKNOWN", "no position %s", in.GetPositionId())
	}
	return &projectorv1.GetPositionResponse{Position: position}, nil
}

// GetOrder implements the state.
func (w *World) GetOrder(_ context.Context, in *projectorv1.GetOrderRequest, _ ...grpc.CallOption) (*projectorv1.GetOrderResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Order](w, projection.OrderKey(uuid.MustParse(in.GetOrderId())))
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetOrderResponse{Order: fill(row, &projectorv1.Order{}), AsOf: int64(len(w.events))}, nil
}

// ListPositions implements the state.
func (w *World) ListPositions(_ context.Context, in *projectorv1.ListPositionsRequest, _ ...grpc.CallOption) (*projectorv1.ListPositionsResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := &projectorv1.ListPositionsResponse{}
	for _, row := range all(w, func(*projection.Position) bool { return true }) {
		position := fill(row, &projectorv1.Position{})
		if slices.Contains(in.GetStates(), position.GetState()) && (in.GetStrategyId() == "" || in.GetStrategyId() == position.GetStrategyId()) {
			answer.Positions = append(answer.Positions, position)
		}
	}
	return answer, nil
}

// GetTenant implements the state.
func (w *World) GetTenant(context.Context, *projectorv1.GetTenantRequest, ...grpc.CallOption) (*projectorv1.GetTenantResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Tenant](w, projection.TenantKey())
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetTenantResponse{Tenant: fill(row, &projectorv1.Tenant{}), AsOf: int64(len(w.events))}, nil
}

// GetAccount implements the state.
func (w *World) GetAccount(_ context.Context, in *projectorv1.GetAccountRequest, _ ...grpc.CallOption) (*projectorv1.GetAccountResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Account](w, projection.AccountKey(uuid.MustParse(in.GetAccountId())))
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetAccountResponse{Account: fill(row, &projectorv1.Account{}), AsOf: int64(len(w.events))}, nil
}

// GetStrategy implements the state.
func (w *World) GetStrategy(_ context.Context, in *projectorv1.GetStrategyRequest, _ ...grpc.CallOption) (*projectorv1.GetStrategyResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Strategy](w, projection.StrategyKey(uuid.MustParse(in.GetStrategyId())))
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetStrategyResponse{Strategy: fill(row, &projectorv1.Strategy{}), AsOf: int64(len(w.events))}, nil
}

// GetDecisionView implements the state.
func (w *World) GetDecisionView(_ context.Context, in *projectorv1.GetDecisionViewRequest, _ ...grpc.CallOption) (*projectorv1.GetDecisionViewResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	account := uuid.MustParse(in.GetAccountId())
	row, err := one[*projection.Account](w, projection.AccountKey(account))
	if err != nil {
		return nil, err
	}
	view := &projectorv1.GetDecisionViewResponse{AsOf: int64(len(w.events)), Account: fill(row, &projectorv1.Account{})}
	if risk, err := one[*projection.Risk](w, projection.RiskKey(account, uuid.Nil)); err == nil {
		view.AccountRisk = fill(risk, &projectorv1.Risk{})
	}
	if in.GetStrategyId() != "" {
		if risk, err := one[*projection.Risk](w, projection.RiskKey(account, uuid.MustParse(in.GetStrategyId()))); err == nil {
			view.StrategyRisk = fill(risk, &projectorv1.Risk{})
		}
		if strategy, err := one[*projection.Strategy](w, projection.StrategyKey(uuid.MustParse(in.GetStrategyId()))); err == nil {
			view.Strategy = fill(strategy, &projectorv1.Strategy{})
		}
	}
	for _, balance := range all(w, func(b *projection.Balance) bool { return b.AccountID == account }) {
		view.Balances = append(view.Balances, fill(balance, &projectorv1.Balance{}))
	}
	for _, period := range all(w, func(p *projection.PnLPeriod) bool { return p.AccountID == account }) {
		if at := in.GetAt().AsTime(); period.Period == projection.Day(at) || period.Period == projection.Month(at) {
			view.Periods = append(view.Periods, fill(period, &projectorv1.PnLPeriod{}))
		}
	}
	for _, position := range all(w, func(p *projection.Position) bool {
		return p.AccountID == account && p.State != projection.PositionClosed
	}) {
		view.OpenPositions = append(view.OpenPositions, fill(position, &projectorv1.Position{}))
	}
	if in.GetPositionId() == "" {
		return view, nil
	}
	id := uuid.MustParse(in.GetPositionId())
	position, err := one[*projection.Position](w, projection.PositionKey(id))
	if err != nil {
		return nil, err
	}
	view.Position = fill(position, &projectorv1.Position{})
	for _, order := range all(w, func(o *projection.Order) bool { return o.PositionID.Valid && o.PositionID.UUID == id }) {
		view.Orders = append(view.Orders, fill(order, &projectorv1.Order{}))
	}
	for _, intent := range all(w, func(i *projection.Intent) bool { return i.PositionID.Valid && i.PositionID.UUID == id }) {
		view.Intents = append(view.Intents, fill(intent, &projectorv1.Intent{}))
	}
	return view, nil
}
