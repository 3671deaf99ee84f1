package server

import (
	"context"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/testkit"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

const head = 40

// bundle is the server over a real store, with three rows of everything that it serves.
type bundle struct {
	*State
	store  *store.Store
	hub    Watcher
	writer *storetest.Writer
	rng    *rand.Rand
	tenant uuid.UUID
	rows   map[protoreflect.Name][]projection.Row
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := testkit.Database(t)
	writer := storetest.NewWriter(db.Pool(t, ""))
	reader, err := store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{WaitMax: 20 * time.Millisecond})
	require.NoError(t, err)
	state, err := NewState(reader)
	require.NoError(t, err)
	b := &bundle{
		State: state, store: reader, writer: writer, rng: rand.New(rand.NewPCG(5, 6)), tenant: uuid.New(),
		rows: map[protoreflect.Name][]projection.Row{},
	}
	for _, table := range projection.Tables() {
		if !state.rows.Tells(table) {
			continue
		}
		empty, err := state.rows.Message(table.NewRow())
		require.NoError(t, err)
		name := empty.ProtoReflect().Descriptor().Name()
		for range 3 {
			row := table.NewRow()
			storetest.RandomInto(b.rng, row)
			b.put(t, row)
			b.rows[name] = append(b.rows[name], row)
			if name == "Tenant" {
				break
			}
		}
	}
	return b
}

// put gives a row to the bundle's tenant.
func (b *bundle) put(t *testing.T, row projection.Row) {
	t.Helper()
	reflect.ValueOf(row).Elem().FieldByName("TenantID").Set(reflect.ValueOf(b.tenant))
	require.NoError(t, b.writer.Append(t.Context(), b.tenant, head, row))
}

func (b *bundle) ctx(t *testing.T) context.Context { return identity.WithTenant(t.Context(), b.tenant) }

// call makes an RPC by its name, as gRPC does.
func (b *bundle) call(ctx context.Context, rpc string, request proto.Message) (proto.Message, error) {
	out := reflect.ValueOf(b.State).MethodByName(rpc).Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})
	err, _ := out[1].Interface().(error)
	if err != nil {
		return nil, err
	}
	return out[0].Interface().(proto.Message), nil
}

// rpcs gives the methods of StateService whose names begin with prefix.
func rpcs(prefix string) []protoreflect.MethodDescriptor {
	methods := projectorv1.File_robson_projector_v1_projector_proto.Services().ByName("StateService").Methods()
	var found []protoreflect.MethodDescriptor
	for i := range methods.Len() {
		if strings.HasPrefix(string(methods.Get(i).Name()), prefix) {
			found = append(found, methods.Get(i))
		}
	}
	return found
}

func newRequest(t *testing.T, m protoreflect.MethodDescriptor, values map[protoreflect.Name]any) proto.Message {
	t.Helper()
	request := newMessage(t, m.Input())
	for name, value := range values {
		fd := m.Input().Fields().ByName(name)
		require.NotNil(t, fd, "%s.%s", m.Input().Name(), name)
		request.ProtoReflect().Set(fd, protoreflect.ValueOf(value))
	}
	return request
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	for _, message := range []proto.Message{
		&projectorv1.GetTenantRequest{}, &projectorv1.GetAccountRequest{}, &projectorv1.GetStrategyRequest{},
		&projectorv1.GetPositionRequest{}, &projectorv1.GetOrderRequest{}, &projectorv1.GetIntentRequest{},
		&projectorv1.GetDecisionRequest{}, &projectorv1.GetSignalRequest{}, &projectorv1.GetFillRequest{},
		&projectorv1.GetDiscrepancyRequest{}, &projectorv1.ListAccountsRequest{}, &projectorv1.ListStrategiesRequest{},
		&projectorv1.ListPositionsRequest{}, &projectorv1.ListOrdersRequest{}, &projectorv1.ListIntentsRequest{},
		&projectorv1.ListDecisionsRequest{}, &projectorv1.ListSignalsRequest{}, &projectorv1.ListFillsRequest{},
		&projectorv1.ListDiscrepanciesRequest{}, &projectorv1.ListBalancesRequest{}, &projectorv1.ListRiskStatesRequest{},
		&projectorv1.ListPnLPeriodsRequest{}, &projectorv1.ListMarginLoansRequest{}, &projectorv1.ListConnectorStatesRequest{},
		&projectorv1.ListMarginStatesRequest{}, &projectorv1.ListReconciliationRunsRequest{}, &projectorv1.ListReplayRunsRequest{}, &projectorv1.ListSnapshotsRequest{},
	} {
		if message.ProtoReflect().Descriptor() == d {
			return message
		}
	}
	t.Fatalf("no request %s", d.Name())
	return nil
}

// rowField is the field of an answer that holds its rows.
func rowField(m protoreflect.MethodDescriptor) protoreflect.FieldDescriptor {
	return m.Output().Fields().ByNumber(1)
}

func (b *bundle) want(t *testing.T, row projection.Row) proto.Message {
	t.Helper()
	m, err := b.State.rows.Message(row)
	require.NoError(t, err)
	return m
}

// TestState_Get asks every Get for a row that is there, one that is not, and one of another tenant.
func TestState_Get(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Len(t, rpcs("Get"), 11)
	for _, m := range rpcs("Get") {
		if m.Name() == "GetDecisionView" {
			continue
		}
		t.Run(string(m.Name()), func(t *testing.T) {
			t.Parallel()
			rpc, row := string(m.Name()), b.rows[rowField(m).Message().Name()][0]
			want := b.want(t, row)
			key := m.Input().Fields().ByNumber(1)
			ask := func(id string) proto.Message {
				if key.Name() == "min_position" {
					return newRequest(t, m, nil)
				}
				return newRequest(t, m, map[protoreflect.Name]any{key.Name(): id})
			}
			id := b.tenant.String()
			if key.Name() != "min_position" {
				id = want.ProtoReflect().Get(want.ProtoReflect().Descriptor().Fields().ByName(key.Name())).String()
			}

			got, err := b.call(b.ctx(t), rpc, ask(id))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(want, got.ProtoReflect().Get(rowField(m)).Message().Interface(), protocmp.Transform()))
			require.EqualValues(t, head, got.ProtoReflect().Get(m.Output().Fields().ByName("as_of")).Int())

			other := uuid.New()
			_, foreign := b.call(identity.WithTenant(t.Context(), other), rpc, ask(id))
			require.True(t, fault.Is(foreign, fault.NotFound), "%v", foreign)
			if key.Name() == "min_position" {
				return
			}
			_, absent := b.call(b.ctx(t), rpc, ask(other.String()))
			require.True(t, fault.Is(absent, fault.NotFound), "%v", absent)
			require.Equal(t, map[string]string{string(key.Name()): other.String()}, fault.As(absent).Metadata)
			require.Equal(t, strings.ReplaceAll(absent.Error(), other.String(), id), foreign.Error(),
				"another tenant's row and nobody's are told alike")

			_, err = b.call(b.ctx(t), rpc, ask("no-id"))
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			require.Equal(t, string(key.Name()), fault.As(err).Fields[0].Path)
		})
	}
}

// TestState_List asks every List for all it has, and by every condition of its contract.
func TestState_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Len(t, rpcs("List"), 18)
	for _, m := range rpcs("List") {
		t.Run(string(m.Name()), func(t *testing.T) {
			t.Parallel()
			var all []proto.Message
			for _, row := range b.rows[rowField(m).Message().Name()] {
				all = append(all, b.want(t, row))
			}
			require.ElementsMatch(t, texts(all), b.list(t, m, nil))
			require.Empty(t, b.listAs(t, uuid.New(), m, nil), "another tenant sees nothing")
			fields := m.Input().Fields()
			for i := range fields.Len() {
				if fd := fields.Get(i); !paging[fd.Name()] {
					b.requireFilter(t, m, fd, all)
				}
			}
		})
	}
}

// paging are the fields of a List request that are no condition.
var paging = map[protoreflect.Name]bool{"page_size": true, "page_token": true, "min_position": true}

// requireFilter holds one condition, with each value that a row has, against the rows that have it.
func (b *bundle) requireFilter(t *testing.T, m protoreflect.MethodDescriptor, fd protoreflect.FieldDescriptor, all []proto.Message) {
	t.Helper()
	name := fd.Name()
	if fd.IsList() {
		name = map[protoreflect.Name]protoreflect.Name{"states": "state", "statuses": "status", "scopes": "scope"}[name]
	}
	column := all[0].ProtoReflect().Descriptor().Fields().ByName(name)
	require.NotNil(t, column, "%s is no column", fd.Name())
	for _, sample := range all {
		value := sample.ProtoReflect().Get(column)
		var want []proto.Message
		for _, row := range all {
			if row.ProtoReflect().Get(column).Equal(value) {
				want = append(want, row)
			}
		}
		request := newMessage(t, m.Input())
		switch {
		case fd.IsList():
			request.ProtoReflect().Mutable(fd).List().Append(value)
		case value.Interface() == "":
			continue // No condition at all.
		default:
			request.ProtoReflect().Set(fd, value)
		}
		require.ElementsMatch(t, texts(want), b.listed(t, b.tenant, m, request), "%s = %v", fd.Name(), value)
	}
}

func (b *bundle) list(t *testing.T, m protoreflect.MethodDescriptor, values map[protoreflect.Name]any) []string {
	t.Helper()
	return b.listAs(t, b.tenant, m, values)
}

func (b *bundle) listAs(t *testing.T, tenant uuid.UUID, m protoreflect.MethodDescriptor, values map[protoreflect.Name]any) []string {
	t.Helper()
	return b.listed(t, tenant, m, newRequest(t, m, values))
}

// listed reads a whole list in pages of two.
func (b *bundle) listed(t *testing.T, tenant uuid.UUID, m protoreflect.MethodDescriptor, request proto.Message) []string {
	t.Helper()
	set := func(name protoreflect.Name, value any) {
		request.ProtoReflect().Set(m.Input().Fields().ByName(name), protoreflect.ValueOf(value))
	}
	set("page_size", int32(2))
	var found []proto.Message
	for {
		page, err := b.call(identity.WithTenant(t.Context(), tenant), string(m.Name()), request)
		require.NoError(t, err)
		rows := page.ProtoReflect().Get(rowField(m)).List()
		for i := range rows.Len() {
			found = append(found, rows.Get(i).Message().Interface())
		}
		next := page.ProtoReflect().Get(m.Output().Fields().ByName("next_page_token")).String()
		if next == "" {
			return texts(found)
		}
		set("page_token", next)
	}
}

// texts are the messages as bytes that can be compared.
func texts(messages []proto.Message) []string {
	out := []string{}
	for _, m := range messages {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			panic(err)
		}
		out = append(out, string(data))
	}
	return out
}

func TestState_List_refusals(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("a condition that is no id names its field", func(t *testing.T) {
		t.Parallel()
		_, err := b.ListOrders(b.ctx(t), &projectorv1.ListOrdersRequest{PositionId: "x"})
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.Equal(t, "position_id", fault.As(err).Fields[0].Path)
	})

	t.Run("a token of another list names page_token", func(t *testing.T) {
		t.Parallel()
		page, err := b.ListOrders(b.ctx(t), &projectorv1.ListOrdersRequest{PageSize: 1})
		require.NoError(t, err)
		_, err = b.ListFills(b.ctx(t), &projectorv1.ListFillsRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.Equal(t, "page_token", fault.As(err).Fields[0].Path)
	})

	t.Run("a position that does not come is told", func(t *testing.T) {
		t.Parallel()
		_, err := b.ListOrders(b.ctx(t), &projectorv1.ListOrdersRequest{MinPosition: head + 1})
		require.True(t, fault.Is(err, fault.Stale), "%v", err)
		_, err = b.GetTenant(b.ctx(t), &projectorv1.GetTenantRequest{MinPosition: head + 1})
		require.True(t, fault.Is(err, fault.Stale), "%v", err)
		_, err = b.GetDecisionView(b.ctx(t), &projectorv1.GetDecisionViewRequest{AccountId: uuid.NewString(), MinPosition: head + 1})
		require.True(t, fault.Is(err, fault.Stale), "%v", err)
	})

	t.Run("a row that cannot be told whole stops the page", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		order := storetest.Random[projection.Order](b.rng)
		order.Side = "sideways"
		b.put(t, order)
		_, err := b.ListOrders(b.ctx(t), &projectorv1.ListOrdersRequest{})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
		_, err = b.GetOrder(b.ctx(t), &projectorv1.GetOrderRequest{OrderId: order.OrderID.String()})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
	})
}

func TestState_GetDecisionView(t *testing.T) {
	t.Parallel()
	b := setup(t)
	account, strategy := storetest.Random[projection.Account](b.rng), storetest.Random[projection.Strategy](b.rng)
	risk, strategyRisk := storetest.Random[projection.Risk](b.rng), storetest.Random[projection.Risk](b.rng)
	position, order, intent := storetest.Random[projection.Position](b.rng), storetest.Random[projection.Order](b.rng), storetest.Random[projection.Intent](b.rng)
	balance, day := storetest.Random[projection.Balance](b.rng), storetest.Random[projection.PnLPeriod](b.rng)
	of := uuid.NullUUID{UUID: position.PositionID, Valid: true}
	strategy.AccountID, position.AccountID, order.AccountID, intent.AccountID = account.AccountID, account.AccountID, account.AccountID, account.AccountID
	balance.AccountID, day.AccountID, risk.AccountID, strategyRisk.AccountID = account.AccountID, account.AccountID, account.AccountID, account.AccountID
	risk.StrategyID, strategyRisk.StrategyID, day.StrategyID = uuid.Nil, strategy.StrategyID, uuid.Nil
	order.PositionID, intent.PositionID, position.State, day.Period = of, of, projection.PositionActive, "2026-11-23"
	for _, row := range []projection.Row{account, strategy, risk, strategyRisk, position, order, intent, balance, day} {
		b.put(t, row)
	}
	ask := func(change func(*projectorv1.GetDecisionViewRequest)) *projectorv1.GetDecisionViewRequest {
		r := &projectorv1.GetDecisionViewRequest{
			AccountId: account.AccountID.String(), StrategyId: strategy.StrategyID.String(), PositionId: position.PositionID.String(),
			At: timestamppb.New(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)), MinPosition: head,
		}
		change(r)
		return r
	}

	t.Run("gives all of it", func(t *testing.T) {
		t.Parallel()
		got, err := b.GetDecisionView(b.ctx(t), ask(func(*projectorv1.GetDecisionViewRequest) {}))
		require.NoError(t, err)
		want := &projectorv1.GetDecisionViewResponse{
			AsOf:          head,
			Account:       b.want(t, account).(*projectorv1.Account),
			AccountRisk:   b.want(t, risk).(*projectorv1.Risk),
			Strategy:      b.want(t, strategy).(*projectorv1.Strategy),
			StrategyRisk:  b.want(t, strategyRisk).(*projectorv1.Risk),
			Position:      b.want(t, position).(*projectorv1.Position),
			Orders:        []*projectorv1.Order{b.want(t, order).(*projectorv1.Order)},
			Intents:       []*projectorv1.Intent{b.want(t, intent).(*projectorv1.Intent)},
			OpenPositions: []*projectorv1.Position{b.want(t, position).(*projectorv1.Position)},
			Balances:      []*projectorv1.Balance{b.want(t, balance).(*projectorv1.Balance)},
			Periods:       []*projectorv1.PnLPeriod{b.want(t, day).(*projectorv1.PnLPeriod)},
		}
		require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
	})

	for name, c := range map[string]struct {
		change func(*projectorv1.GetDecisionViewRequest)
		kind   fault.Kind
		says   string
	}{
		"an unknown account":  {func(r *projectorv1.GetDecisionViewRequest) { r.AccountId = uuid.Max.String() }, fault.NotFound, "no account"},
		"an unknown strategy": {func(r *projectorv1.GetDecisionViewRequest) { r.StrategyId = uuid.Max.String() }, fault.NotFound, "no strategy"},
		"an unknown position": {func(r *projectorv1.GetDecisionViewRequest) { r.PositionId = uuid.Max.String() }, fault.NotFound, "no position"},
		"an id that is none":  {func(r *projectorv1.GetDecisionViewRequest) { r.PositionId = "x" }, fault.Invalid, "position_id"},
		"an account without its limits": {func(r *projectorv1.GetDecisionViewRequest) {
			r.AccountId, r.StrategyId, r.PositionId = b.rows["Account"][0].Key().ID(), "", ""
		}, fault.Corrupt, "no risk state"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := b.GetDecisionView(b.ctx(t), ask(c.change))
			require.True(t, fault.Is(err, c.kind), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}

	t.Run("tells another tenant nothing", func(t *testing.T) {
		t.Parallel()
		_, err := b.GetDecisionView(identity.WithTenant(t.Context(), uuid.New()), ask(func(r *projectorv1.GetDecisionViewRequest) { r.MinPosition = 0 }))
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	})
}
