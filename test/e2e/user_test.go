package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

// The symbols that the paper venue lists.
const (
	btc = "BTCUSDT"
	eth = "ETHUSDT"
)

// Short names.
const (
	long     = eventv1.PositionSide_POSITION_SIDE_LONG
	short    = eventv1.PositionSide_POSITION_SIDE_SHORT
	accepted = commandv1.Verdict_VERDICT_ACCEPTED
	refused  = commandv1.Verdict_VERDICT_REFUSED
	limit    = eventv1.OrderType_ORDER_TYPE_LIMIT
)

// user is somebody with a token, and a tenant of a test's own.
type user struct {
	t      *testing.T
	stack  *stack
	base   context.Context // that of the test, for clean-up too
	token  string
	tenant string
}

// newUser gives a test a user with all permissions and a new tenant.
func (s *stack) newUser(t *testing.T) *user {
	t.Helper()
	s.mu.Lock()
	require.NotEmpty(t, s.tenants, "no more tenants: raise tenantsMax")
	tenant := s.tenants[0]
	s.tenants = s.tenants[1:]
	s.mu.Unlock()
	u := &user{t: t, stack: s, base: context.WithoutCancel(t.Context()), token: tenant, tenant: tenant}
	_, err := u.setup().CreateTenant(u.ctx(), &commandv1.CreateTenantRequest{Name: t.Name()})
	require.NoError(t, err)
	return u
}

// withoutSnapshots keeps snapshots from being made by themselves, for a test that asks whether anything was written.
func (u *user) withoutSnapshots() {
	u.t.Helper()
	never, no := int32(0), false
	_, err := snapshotterv1.NewOperateServiceClient(u.conn("snapshotter")).SetSchedule(u.ctx(), &snapshotterv1.SetScheduleRequest{EveryEvents: &never, EverySeconds: &never, AtWorkflowEnd: &no})
	require.NoError(u.t, err)
}

// in is the same user in a subtest.
func (u *user) in(t *testing.T) *user {
	t.Helper()
	other := *u
	other.t, other.base = t, context.WithoutCancel(t.Context())
	return &other
}

// with is somebody else's token on the same stack.
func (u *user) with(token string) *user {
	other := *u
	other.token = token
	return &other
}

// ctx is a context of a call.
func (u *user) ctx(pairs ...string) context.Context {
	if u.token != "" {
		pairs = append([]string{"authorization", "Bearer " + u.token}, pairs...)
	}
	return metadata.AppendToOutgoingContext(u.base, pairs...)
}

// service is a context of a service that calls for the user's tenant.
func (u *user) service(name string, pairs ...string) context.Context {
	return u.with(serviceToken(name)).ctx(append([]string{"x-robson-tenant-id", u.tenant}, pairs...)...)
}

// named is a context of a call that names its command.
func (u *user) named(command uuid.UUID, pairs ...string) context.Context {
	return u.ctx(append([]string{"x-robson-command-id", command.String()}, pairs...)...)
}

func (u *user) conn(name string) *grpc.ClientConn { return u.stack.conn(u.t, name) }

func (u *user) setup() commandv1.SetupServiceClient {
	return commandv1.NewSetupServiceClient(u.conn("command"))
}

func (u *user) trading() commandv1.TradingServiceClient {
	return commandv1.NewTradingServiceClient(u.conn("command"))
}

func (u *user) monitor() commandv1.MonitorServiceClient {
	return commandv1.NewMonitorServiceClient(u.conn("command"))
}

func (u *user) log() eventlogv1.ReadServiceClient {
	return eventlogv1.NewReadServiceClient(u.conn("eventlog"))
}

func (u *user) appender() eventlogv1.AppendServiceClient {
	return eventlogv1.NewAppendServiceClient(u.conn("eventlog"))
}

func (u *user) state() projectorv1.StateServiceClient {
	return projectorv1.NewStateServiceClient(u.conn("projector"))
}

func (u *user) paper() connectorv1.PaperServiceClient {
	return connectorv1.NewPaperServiceClient(u.conn("connector"))
}

func (u *user) venue() connectorv1.MarketServiceClient {
	return connectorv1.NewMarketServiceClient(u.conn("connector"))
}

// head is the last position of the log.
func (u *user) head() int64 {
	u.t.Helper()
	response, err := u.log().GetHead(u.ctx(), &eventlogv1.GetHeadRequest{})
	require.NoError(u.t, err)
	return response.GetPosition()
}

// limits are those of an account that can trade.
func limits() *eventv1.RiskLimits {
	return &eventv1.RiskLimits{
		RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "300", MaxDrawdown: "1000",
		MonthlyBudgetPercent: "4", CapitalBase: "10000", MaxOpenPositions: 3,
	}
}

// account makes a paper account with 50 000 USDT.
func (u *user) account(changes ...func(*commandv1.RegisterAccountRequest)) string {
	u.t.Helper()
	request := &commandv1.RegisterAccountRequest{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: u.t.Name()[:min(100, len(u.t.Name()))], QuoteAsset: "USDT",
		ApiKeyFingerprint: uuid.NewString(), Permissions: []string{"trade"}, RiskLimits: limits(),
	}
	for _, change := range changes {
		change(request)
	}
	registered, err := u.setup().RegisterAccount(u.ctx(), request)
	require.NoError(u.t, err)
	wallet := "spot"
	if request.GetMarginSymbol() != "" {
		wallet = "isolated:" + request.GetMarginSymbol()
	}
	u.deposit(registered.GetAccountId(), wallet, "50000")
	u.settle() // until the log knows of the money
	return registered.GetAccountId()
}

// deposit puts paper money in.
func (u *user) deposit(account, wallet, amount string) {
	u.t.Helper()
	_, err := u.paper().Deposit(u.ctx(), &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: account, Wallet: wallet, Asset: "USDT", Amount: amount})
	require.NoError(u.t, err)
}

// faults says how the venue treats an account's next requests.
func (u *user) faults(account string, faults ...*connectorv1.Fault) {
	u.t.Helper()
	_, err := u.paper().SetFaults(u.ctx(), &connectorv1.SetFaultsRequest{AccountId: account, Faults: faults})
	require.NoError(u.t, err)
}

// market is a symbol's market that a test has for itself: a path of prices that are given one by one.
type market struct {
	u      *user
	symbol string
	first  int64
	prices []string
}

// ticksOfBar is how many ticks the venue makes of a bar. The bars here are flat, so they are all at one price.
const ticksOfBar = 4

// marketStart is when the first bar of each path opens.
var marketStart = time.Date(2026, time.March, 2, 10, 0, 0, 0, time.UTC)

// market waits for a symbol's market, gives it a path and leaves it at the first price. When the test is over every
// position of its user is closed, and the next test may have the market.
//
// A test that holds a market has no parallel subtests: they would wait for a place that tests have who wait for the market.
func (u *user) market(header *connectorv1.MarketHeader, prices ...string) *market {
	u.t.Helper()
	lock := u.stack.markets[header.GetSymbol()]
	lock.Lock()
	u.t.Cleanup(lock.Unlock)
	u.t.Cleanup(u.flatten)
	m := &market{u: u, symbol: header.GetSymbol(), prices: prices}
	m.load(header, u.t.Name())
	return m
}

// still are markets that nobody moves, by symbol and price.
var still = map[string]string{btc: "95000", eth: "2000"}

// stillMarket waits for a symbol's market to stand still at its one price. Tests share it.
func (u *user) stillMarket(symbol string) {
	u.t.Helper()
	lock := u.stack.markets[symbol]
	lock.RLock()
	u.t.Cleanup(lock.RUnlock)
	u.t.Cleanup(u.flatten)
	u.stack.loading.Lock()
	defer u.stack.loading.Unlock()
	const origin = "still"
	now, err := u.paper().GetMarket(u.ctx(), &connectorv1.GetMarketRequest{Symbol: symbol})
	require.NoError(u.t, err)
	if now.GetMarket().GetOrigin() != origin {
		m := &market{u: u, symbol: symbol, prices: []string{still[symbol]}}
		m.load(standing(symbol), origin)
	}
}

// standing is a header without depth.
func standing(symbol string) *connectorv1.MarketHeader {
	return &connectorv1.MarketHeader{Symbol: symbol}
}

// load gives the market its path.
func (m *market) load(header *connectorv1.MarketHeader, origin string) {
	m.u.t.Helper()
	stream, err := m.u.paper().LoadMarket(m.u.ctx())
	require.NoError(m.u.t, err)
	header = proto.CloneOf(header)
	header.Source = &connectorv1.MarketHeader_Klines{Klines: &connectorv1.KlineSource{Origin: origin}}
	require.NoError(m.u.t, stream.Send(&connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Header{Header: header}}))
	chunk := &connectorv1.KlineChunk{}
	for i, price := range m.prices {
		opened := marketStart.Add(time.Duration(i) * time.Minute)
		chunk.Klines = append(chunk.Klines, &connectorv1.Kline{
			OpenTime: timestamppb.New(opened), CloseTime: timestamppb.New(opened.Add(time.Minute - time.Millisecond)), Open: price, High: price, Low: price, Close: price, Volume: "1",
		})
	}
	require.NoError(m.u.t, stream.Send(&connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Klines{Klines: chunk}}))
	loaded, err := stream.CloseAndRecv()
	require.NoError(m.u.t, err)
	m.first = loaded.GetMarket().GetSequence()
}

// to moves the market to the end of a bar, by its index, and waits until everybody has reacted to it.
func (m *market) to(u *user, bar int) {
	u.t.Helper()
	response, err := u.paper().AdvanceMarket(u.ctx(), &connectorv1.AdvanceMarketRequest{Symbol: m.symbol, ToSequence: m.first + int64(ticksOfBar*bar+ticksOfBar-1)})
	require.NoError(u.t, err)
	require.Equal(u.t, m.prices[bar], response.GetMarket().GetPrice())
	u.settle()
}

// flatten closes what a test has left open, so that the market can be exchanged.
func (u *user) flatten() {
	accounts, err := u.state().ListAccounts(u.ctx(), &projectorv1.ListAccountsRequest{PageSize: 1000})
	require.NoError(u.t, err)
	for _, account := range accounts.GetAccounts() {
		_, err := u.paper().SetFaults(u.ctx(), &connectorv1.SetFaultsRequest{AccountId: account.GetAccountId()})
		require.NoError(u.t, err)
		open, err := u.state().ListPositions(u.ctx(), &projectorv1.ListPositionsRequest{AccountId: account.GetAccountId(), States: unended})
		require.NoError(u.t, err)
		if len(open.GetPositions()) > 0 {
			_, err = u.trading().Panic(u.ctx(), &commandv1.PanicRequest{AccountId: account.GetAccountId(), Note: "the test is over"})
			require.NoError(u.t, err)
		}
	}
	eventually(u.t, "every position is closed", settleMax, func() string {
		open, err := u.state().ListPositions(u.ctx(), &projectorv1.ListPositionsRequest{States: unended})
		if err != nil {
			return err.Error()
		}
		for _, p := range open.GetPositions() {
			return p.String()
		}
		return ""
	})
}

// unended are the states in which a position may still have orders.
var unended = []projectorv1.PositionState{
	projectorv1.PositionState_POSITION_STATE_ENTERING, projectorv1.PositionState_POSITION_STATE_ACTIVE,
	projectorv1.PositionState_POSITION_STATE_EXITING, projectorv1.PositionState_POSITION_STATE_ERROR,
}

// settle waits until the venue has told all, and the process manager and the monitor have reacted to all.
func (u *user) settle() {
	u.t.Helper()
	last := int64(-1)
	eventually(u.t, "the stack comes to rest", settleMax, func() string {
		position, waiting := u.settled()
		if waiting == "" && position != last {
			waiting = "the log has grown"
		}
		last = position
		return waiting
	})
}

// settled looks once.
func (u *user) settled() (position int64, waiting string) {
	sequences := map[string]int64{}
	for _, symbol := range []string{btc, eth} {
		market, err := u.paper().GetMarket(u.ctx(), &connectorv1.GetMarketRequest{Symbol: symbol})
		if err != nil {
			return 0, err.Error()
		}
		if n := market.GetUnreported(); n > 0 {
			return 0, fmt.Sprintf("%d reports of the venue are not in the log yet", n)
		}
		sequences[symbol] = market.GetMarket().GetSequence()
	}
	head, err := u.log().GetHead(u.ctx(), &eventlogv1.GetHeadRequest{})
	if err != nil {
		return 0, err.Error()
	}
	progress, err := u.monitor().GetProgress(u.ctx(), &commandv1.GetProgressRequest{})
	switch {
	case err != nil:
		return 0, err.Error()
	case progress.GetReactedPosition() < head.GetPosition(), progress.GetBusyPositions() > 0:
		return 0, fmt.Sprintf("of %d positions of the log: %v", head.GetPosition(), progress)
	}
	for _, p := range append(progress.GetPrices(), progress.GetDetectorPrices()...) {
		if p.GetSequence() < sequences[p.GetSymbol()] {
			return 0, fmt.Sprintf("the monitor or the detector is at tick %d of %d of %s", p.GetSequence(), sequences[p.GetSymbol()], p.GetSymbol())
		}
	}
	return head.GetPosition(), ""
}

// longBTC is the long of the worked scenarios: 10 000 USDT, entry at the market, technical stop 93 500.
func longBTC(account string) *commandv1.OpenPositionRequest {
	return &commandv1.OpenPositionRequest{AccountId: account, Symbol: btc, Side: long, Capital: "10000", RiskPercent: "1", TechnicalStop: "93500"}
}

// open opens a position that is accepted, and waits until it is entered.
func (u *user) open(request *commandv1.OpenPositionRequest) *commandv1.OpenPositionResponse {
	u.t.Helper()
	response, err := u.trading().OpenPosition(u.ctx(), request)
	require.NoError(u.t, err)
	require.Equal(u.t, accepted, response.GetOutcome().GetVerdict(), response.GetOutcome().GetFailedChecks())
	u.settle()
	return response
}

// close closes a position and waits until it is closed.
func (u *user) close(position string) *projectorv1.Position {
	u.t.Helper()
	_, err := u.trading().ClosePosition(u.ctx(), &commandv1.ClosePositionRequest{PositionId: position})
	require.NoError(u.t, err)
	u.settle()
	p := u.position(position)
	require.Equal(u.t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
	return p
}

// position reads a position's row.
func (u *user) position(id string) *projectorv1.Position {
	u.t.Helper()
	response, err := u.state().GetPosition(u.ctx(), &projectorv1.GetPositionRequest{PositionId: id, MinPosition: u.head()})
	require.NoError(u.t, err)
	return response.GetPosition()
}

// fills are a position's trades, oldest first.
func (u *user) fills(position string) []*projectorv1.Fill {
	u.t.Helper()
	response, err := u.state().ListFills(u.ctx(), &projectorv1.ListFillsRequest{PositionId: position, PageSize: 1000, MinPosition: u.head()})
	require.NoError(u.t, err)
	slices.Reverse(response.GetFills())
	return response.GetFills()
}

// query finds events, all pages of them.
func (u *user) query(filter *eventlogv1.EventFilter) []*eventv1.Event {
	u.t.Helper()
	var events []*eventv1.Event
	token := ""
	for {
		page, err := u.log().QueryEvents(u.ctx(), &eventlogv1.QueryEventsRequest{Filter: filter, PageSize: 100, PageToken: token})
		require.NoError(u.t, err)
		events = append(events, page.GetEvents()...)
		if token = page.GetNextPageToken(); token == "" {
			return events
		}
	}
}

// readLog is the log after a position.
func (u *user) readLog(after int64) []*eventv1.Event {
	u.t.Helper()
	var events []*eventv1.Event
	for from := after + 1; ; {
		page, err := u.log().ReadLog(u.ctx(), &eventlogv1.ReadLogRequest{FromPosition: from, PageSize: 1000, Direction: eventlogv1.Direction_DIRECTION_FORWARDS})
		require.NoError(u.t, err)
		events = append(events, page.GetEvents()...)
		if from = page.GetNextPosition(); from == 0 {
			return events
		}
	}
}

// export reads the raw rows of the tenant's tables, by table and key.
func (u *user) export() map[string]string {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.ctx(), callMax)
	defer cancel()
	stream, err := projectorv1.NewAuditServiceClient(u.conn("projector")).ExportState(ctx, &projectorv1.ExportStateRequest{})
	require.NoError(u.t, err)
	rows := map[string]string{}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return rows
		}
		require.NoError(u.t, err)
		if row := message.GetRow(); row != nil {
			rows[row.GetTable()+"/"+row.GetKey()] = string(row.GetJson())
		}
	}
}

// unsampled is export without what samples of balances change by themselves.
func (u *user) unsampled() map[string]string {
	u.t.Helper()
	rows := u.export()
	maps.DeleteFunc(rows, func(key, _ string) bool { return strings.HasPrefix(key, "balances_current/") })
	return rows
}

// newsSince lists what happened after a position, beside what comes by itself: samples of balances, and snapshots.
func (u *user) newsSince(position int64) []string {
	u.t.Helper()
	return slices.DeleteFunc(types(u.readLog(position)), func(name string) bool { return name == "BALANCE_SAMPLED" || name == "SNAPSHOT_CREATED" })
}

// types lists the types of events, in order.
func types(events []*eventv1.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.GetEventType()
	}
	return list
}

// only keeps the events of some types.
func only(events []*eventv1.Event, kept ...string) []*eventv1.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e *eventv1.Event) bool { return !slices.Contains(kept, e.GetEventType()) })
}

// count counts events by type.
func count(events []*eventv1.Event) map[string]int {
	counts := map[string]int{}
	for _, e := range events {
		counts[e.GetEventType()]++
	}
	return counts
}

// ids are the events' ids, in order.
func ids(events []*eventv1.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.GetEventId()
	}
	return list
}

// requireOneSend holds that the venue saw each client order id at most once, and gives its orders.
func (u *user) requireOneSend(account string) []*connectorv1.VenueOrder {
	u.t.Helper()
	var orders []*connectorv1.VenueOrder
	token := ""
	for {
		page, err := u.paper().ListOrders(u.ctx(), &connectorv1.ListOrdersRequest{AccountId: account, PageSize: 1000, PageToken: token})
		require.NoError(u.t, err)
		orders = append(orders, page.GetOrders()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	seen := map[string]bool{}
	for _, o := range orders {
		require.LessOrEqual(u.t, o.GetPlacedCount(), int32(1), "order %s was sent %d times", o.GetClientOrderId(), o.GetPlacedCount())
		require.False(u.t, seen[o.GetClientOrderId()], "client order id %s twice", o.GetClientOrderId())
		seen[o.GetClientOrderId()] = true
	}
	return orders
}

// failed are the names of refusing gates.
func failed(checks []*eventv1.RiskCheck) string {
	names := map[string]bool{}
	for _, c := range checks {
		names[c.GetName()] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " ")
}
