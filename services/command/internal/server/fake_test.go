package server

import (
	"context"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

var marketTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fakeLog keeps appends and answers a command as the log does; fails are given first, one per append.
type fakeLog struct {
	fails    []error
	appends  []*eventlogv1.AppendRequest
	events   []*eventv1.Event
	commands map[string]*eventlogv1.GetCommandResponse
	// stream is what every stream holds, newest first.
	stream []*eventv1.Event
}

func (f *fakeLog) ReadStream(context.Context, *eventlogv1.ReadStreamRequest, ...grpc.CallOption) (*eventlogv1.ReadStreamResponse, error) {
	return &eventlogv1.ReadStreamResponse{Events: f.stream}, nil
}

func (f *fakeLog) Append(_ context.Context, in *eventlogv1.AppendRequest, _ ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	if err := protovalidate.Validate(in); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "CONTRACT", "append")
	}
	if len(f.fails) > 0 {
		err := f.fails[0]
		f.fails = f.fails[1:]
		if err != nil {
			return nil, err
		}
	}
	f.appends = append(f.appends, in)
	receipt := &eventlogv1.AppendResponse{CommandId: in.GetCommandId()}
	for _, stream := range in.GetStreams() {
		for _, event := range stream.GetEvents() {
			position := int64(len(f.events) + 1)
			id := ulid.ULID{15: byte(position)}
			f.events = append(f.events, &eventv1.Event{EventId: id.String(), Position: position, Payload: event.GetPayload(), TraceId: "first"})
			receipt.Events = append(receipt.Events, &eventlogv1.EventReceipt{EventId: id.String(), Position: position, StreamKey: stream.GetStreamKey()})
		}
	}
	f.commands[in.GetCommandId()] = &eventlogv1.GetCommandResponse{Receipt: receipt, RequestDigest: in.GetRequestDigest()}
	return receipt, nil
}

func (f *fakeLog) GetCommand(_ context.Context, in *eventlogv1.GetCommandRequest, _ ...grpc.CallOption) (*eventlogv1.GetCommandResponse, error) {
	if found, ok := f.commands[in.GetCommandId()]; ok {
		return found, nil
	}
	return nil, fault.New(fault.NotFound, "COMMAND_UNKNOWN", "no such command")
}

func (f *fakeLog) ReadLog(_ context.Context, in *eventlogv1.ReadLogRequest, _ ...grpc.CallOption) (*eventlogv1.ReadLogResponse, error) {
	from := in.GetFromPosition() - 1
	return &eventlogv1.ReadLogResponse{Events: f.events[from:min(from+int64(in.GetPageSize()), int64(len(f.events)))]}, nil
}

// fakeState is one canned view, and what Get calls find in it.
type fakeState struct {
	State
	view  *projectorv1.GetDecisionViewResponse
	order *projectorv1.Order
	// tenant says whether the tenant exists, account whether the account does.
	tenant, account bool
}

var errNotFound = fault.New(fault.NotFound, "ROW_UNKNOWN", "no such row")

func (f *fakeState) GetDecisionView(context.Context, *projectorv1.GetDecisionViewRequest, ...grpc.CallOption) (*projectorv1.GetDecisionViewResponse, error) {
	return f.view, nil
}

func (f *fakeState) GetPosition(context.Context, *projectorv1.GetPositionRequest, ...grpc.CallOption) (*projectorv1.GetPositionResponse, error) {
	if f.view.GetPosition() == nil {
		return nil, errNotFound
	}
	return &projectorv1.GetPositionResponse{Position: f.view.GetPosition()}, nil
}

func (f *fakeState) GetOrder(context.Context, *projectorv1.GetOrderRequest, ...grpc.CallOption) (*projectorv1.GetOrderResponse, error) {
	return &projectorv1.GetOrderResponse{Order: f.order, AsOf: f.view.GetAsOf()}, nil
}

func (f *fakeState) GetStrategy(context.Context, *projectorv1.GetStrategyRequest, ...grpc.CallOption) (*projectorv1.GetStrategyResponse, error) {
	if f.view.GetStrategy() == nil {
		return nil, errNotFound
	}
	return &projectorv1.GetStrategyResponse{Strategy: f.view.GetStrategy(), AsOf: f.view.GetAsOf()}, nil
}

func (f *fakeState) GetTenant(context.Context, *projectorv1.GetTenantRequest, ...grpc.CallOption) (*projectorv1.GetTenantResponse, error) {
	if !f.tenant {
		return nil, errNotFound
	}
	return &projectorv1.GetTenantResponse{}, nil
}

func (f *fakeState) GetAccount(context.Context, *projectorv1.GetAccountRequest, ...grpc.CallOption) (*projectorv1.GetAccountResponse, error) {
	if !f.account {
		return nil, errNotFound
	}
	return &projectorv1.GetAccountResponse{Account: f.view.GetAccount(), AsOf: f.view.GetAsOf()}, nil
}

// fakeMarket is BTCUSDT, and knows no other symbol.
type fakeMarket struct{ price string }

func (f *fakeMarket) GetInstrument(_ context.Context, in *connectorv1.GetInstrumentRequest, _ ...grpc.CallOption) (*connectorv1.GetInstrumentResponse, error) {
	if in.GetSymbol() != "BTCUSDT" {
		return nil, fault.InvalidField("symbol", "is unknown to the venue")
	}
	return &connectorv1.GetInstrumentResponse{
		Instrument: &connectorv1.Instrument{
			Symbol: "BTCUSDT", BaseAsset: "BTC", QuoteAsset: "USDT", Trading: true, StepSize: "0.00001", MinQuantity: "0.00001",
			MaxQuantity: "9000", TickSize: "0.01", MinNotional: "5", MinNotionalAppliesToMarket: true, MarketStepSize: "0",
		},
		LastPrice: f.price, MarketTime: timestamppb.New(marketTime), TakerFeeRate: "0.001",
	}, nil
}

// testBundle is a server on fakes, for one user.
type testBundle struct {
	*Server
	log    *fakeLog
	state  *fakeState
	market *fakeMarket
	who    identity.Identity
	tenant uuid.UUID
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	account := uuid.NewString()
	const zero = "00000000-0000-0000-0000-000000000000"
	most := int32(3)
	b := &testBundle{
		log:    &fakeLog{commands: map[string]*eventlogv1.GetCommandResponse{}},
		market: &fakeMarket{price: "95000"},
		who:    identity.Identity{Subject: "ana"},
		tenant: uuid.New(),
		state: &fakeState{tenant: true, account: true, view: &projectorv1.GetDecisionViewResponse{
			AsOf: 7,
			Account: &projectorv1.Account{
				AccountId: account, Product: eventv1.Product_PRODUCT_SPOT, QuoteAsset: "USDT", Version: 1,
				Exchange: exchangeBinance, Environment: eventv1.Environment_ENVIRONMENT_SIM,
			},
			AccountRisk: &projectorv1.Risk{
				AccountId: account, StrategyId: zero, RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "1000",
				MaxDrawdown: "2000", MonthlyBudgetPercent: "4", CapitalBase: "10000", MaxOpenPositions: &most,
			},
			Balances: []*projectorv1.Balance{{Wallet: "spot", Asset: "USDT", Free: "10000"}},
		}},
	}
	var err error
	b.Server, err = New(clock.NewFake(marketTime), Deps{Appender: b.log, Commands: b.log, State: b.state, Market: b.market}, Config{})
	require.NoError(t, err)
	return b
}

func (b *testBundle) accountID() string { return b.state.view.GetAccount().GetAccountId() }

// call is a context as the interceptors make it, for a command of its own.
func (b *testBundle) call(t *testing.T) context.Context {
	t.Helper()
	ctx := identity.WithTenant(identity.With(t.Context(), b.who), b.tenant)
	return correlation.With(ctx, correlation.IDs{Command: uuid.New(), Trace: uuid.New()})
}

// payloads lists what the log holds.
func (b *testBundle) payloads() []*eventv1.Payload {
	var list []*eventv1.Payload
	for _, event := range b.log.events {
		list = append(list, event.GetPayload())
	}
	return list
}

// types names what the log holds.
func (b *testBundle) types() []string {
	list := []string{}
	for _, payload := range b.payloads() {
		message := payload.ProtoReflect()
		list = append(list, string(message.WhichOneof(message.Descriptor().Oneofs().Get(0)).Name()))
	}
	return list
}

// held makes the state hold a position in a state.
func (b *testBundle) held(state projectorv1.PositionState) *projectorv1.Position {
	position := &projectorv1.Position{
		PositionId: uuid.NewString(), AccountId: b.accountID(), Symbol: "BTCUSDT", State: state,
		Side: eventv1.PositionSide_POSITION_SIDE_LONG, Capital: "10000", RiskPercent: "1",
		CurrentQuantity: "0.06659334", TrailingStopPrice: "93500", FavorableExtreme: "95000",
	}
	b.state.view.Position = position
	b.state.view.OpenPositions = append(b.state.view.OpenPositions, position)
	return position
}

// refusal requires an error of a kind and reason.
func refusal(t *testing.T, err error, kind fault.Kind, reason string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind, fault.KindOf(err), err.Error())
	require.Equal(t, reason, fault.ReasonOf(err))
}

// field requires that a request was refused for one field.
func field(t *testing.T, err error, path string) {
	t.Helper()
	refusal(t, err, fault.Invalid, "INVALID_FIELD")
	require.Equal(t, path, fault.As(err).Fields[0].Path)
}

// same requires equal messages.
func same(t *testing.T, want, got any) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
}
