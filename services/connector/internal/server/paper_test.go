package server

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/venue"
)

func (b *bench) unreported() int64 {
	b.t.Helper()
	market, err := b.paperAs("reader").GetMarket(b.t.Context(), &connectorv1.GetMarketRequest{Symbol: "BTCUSDT"})
	require.NoError(b.t, err)
	return market.GetUnreported()
}

func TestMarketClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	operator := b.paperAs("operator")
	before, err := operator.GetMarket(t.Context(), &connectorv1.GetMarketRequest{Symbol: "BTCUSDT"})
	require.NoError(t, err)
	require.Zero(t, before.GetMarket().GetSequence())
	require.Empty(t, before.GetMarket().GetPrice())
	require.Nil(t, before.GetMarket().GetMarketTime())
	_, err = operator.GetMarket(t.Context(), &connectorv1.GetMarketRequest{Symbol: "NOPE"})
	requireField(t, err, "symbol")

	b.loaded(50)
	to := func(sequence int64) *connectorv1.MarketState {
		moved, err := operator.AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: sequence})
		require.NoError(t, err)
		return moved.GetMarket()
	}
	require.EqualValues(t, 10, to(10).GetSequence())
	require.EqualValues(t, 10, to(10).GetSequence(), "it is there already")
	require.EqualValues(t, 10, to(3).GetSequence(), "it is further already")
	_, err = operator.AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "NOPE", ToSequence: 3})
	requireField(t, err, "symbol")

	paced, err := operator.SetPace(t.Context(), &connectorv1.SetPaceRequest{Symbol: "BTCUSDT", TickIntervalMs: 1})
	require.NoError(t, err)
	require.EqualValues(t, 1, paced.GetMarket().GetTickIntervalMs())
	require.Eventually(t, func() bool { return to(1).GetSequence() > 20 }, 5*time.Second, time.Millisecond)
	paced, err = operator.SetPace(t.Context(), &connectorv1.SetPaceRequest{Symbol: "BTCUSDT"})
	require.NoError(t, err)
	require.Zero(t, paced.GetMarket().GetTickIntervalMs())
	end := to(1_000_000)
	require.EqualValues(t, 200, end.GetSequence(), "beyond the end: its last tick")
	require.Zero(t, end.GetTicksLeft())
}

// A long path is played quickly when nobody trades on it: what is written is synced once.
func TestAdvanceMarket_Quick(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1000)
	moved, err := b.paperAs("operator").AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: 4000})
	require.NoError(t, err, "within the deadline that a call has when it names none")
	require.EqualValues(t, 4000, moved.GetMarket().GetSequence())
}

func TestMarketOf_Endless(t *testing.T) {
	t.Parallel()
	require.Positive(t, marketOf(engine.MarketState{Left: -1}).GetTicksLeft())
}

func TestDeposit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	operator := b.paperAs("operator")
	once := &connectorv1.DepositRequest{
		DepositId: uuid.NewString(), AccountId: projectiontest.Spot.String(), Wallet: "spot", Asset: "USDT", Amount: "25000.50",
	}
	for range 2 {
		answer, err := operator.Deposit(t.Context(), once)
		require.NoError(t, err)
		require.Equal(t, "25000.5", answer.GetFree(), "the same deposit again does nothing")
	}
	b.deposit(projectiontest.Margin, "isolated:BTCUSDT", "USDT", "100")
	require.Eventually(t, func() bool { return b.unreported() == 0 }, 5*time.Second, time.Millisecond)
	require.Len(t, b.books.Events("BALANCE_ADJUSTED"), 2)
	require.Len(t, b.books.Events("BALANCE_SAMPLED"), 2)

	for field, change := range map[string]func(*connectorv1.DepositRequest){
		"wallet":     func(in *connectorv1.DepositRequest) { in.Wallet = "isolated:BTCUSDT" },
		"amount":     func(in *connectorv1.DepositRequest) { in.Amount = "0.000000001" },
		"account_id": func(in *connectorv1.DepositRequest) { in.AccountId = "x" },
		"deposit_id": func(in *connectorv1.DepositRequest) { in.DepositId = "" },
		"asset":      func(in *connectorv1.DepositRequest) { in.Asset = "usdt" },
	} {
		in := &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: once.GetAccountId(), Wallet: "spot", Asset: "USDT", Amount: "1"}
		change(in)
		_, err := operator.Deposit(t.Context(), in)
		requireField(t, err, field)
	}
	margin := &connectorv1.DepositRequest{
		DepositId: uuid.NewString(), AccountId: projectiontest.Margin.String(), Wallet: "isolated:ETHUSDT", Asset: "USDT", Amount: "1",
	}
	_, err := operator.Deposit(t.Context(), margin)
	requireField(t, err, "wallet")
	margin.Wallet, margin.Asset = "isolated:BTCUSDT", "ETH"
	_, err = operator.Deposit(t.Context(), margin)
	requireField(t, err, "asset")
	margin.Asset, margin.Amount = "USDT", "1000000000000000"
	_, err = operator.Deposit(t.Context(), margin)
	requireField(t, err, "amount")
	margin.AccountId = uuid.NewString()
	_, err = operator.Deposit(t.Context(), margin)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestSetFaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	b.deposit(projectiontest.Spot, "spot", "USDT", "20000")
	set := func(faults ...*connectorv1.Fault) error {
		_, err := b.paperAs("operator").SetFaults(t.Context(), &connectorv1.SetFaultsRequest{AccountId: projectiontest.Spot.String(), Faults: faults})
		return err
	}
	for field, f := range map[string]*connectorv1.Fault{
		"faults[0]":           {Kind: connectorv1.FaultKind_FAULT_KIND_REJECT, Operation: "place", Count: 1},
		"faults[0].code":      {Kind: connectorv1.FaultKind_FAULT_KIND_DROP_BEFORE, Operation: "place", Count: 1, Code: -1},
		"faults[0].kind":      {Operation: "place", Count: 1},
		"faults[0].operation": {Kind: connectorv1.FaultKind_FAULT_KIND_REJECT, Operation: "ask", Count: 1},
		"faults[0].count":     {Kind: connectorv1.FaultKind_FAULT_KIND_REJECT, Operation: "place"},
	} {
		requireField(t, set(f), field)
	}
	requireField(t, set(&connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_CANCEL_AFTER_PARTIAL, Operation: "query", Count: 1}), "faults[0]")
	for kind := range faultKinds {
		operation := map[connectorv1.FaultKind]string{connectorv1.FaultKind_FAULT_KIND_QUERY_LAG: "query"}[kind]
		if operation == "" {
			operation = "place"
		}
		f := &connectorv1.Fault{Kind: kind, Operation: operation, Count: 1}
		if kind == connectorv1.FaultKind_FAULT_KIND_REJECT {
			f.Code = -2010
		}
		require.NoError(t, set(f), kind)
	}
	require.Len(t, faultKinds, len(connectorv1.FaultKind_name)-1, "every kind but UNSPECIFIED")

	// S8 through the RPCs: taken in, no answer; one placing, and it is found out.
	require.NoError(t, set(&connectorv1.Fault{Kind: connectorv1.FaultKind_FAULT_KIND_ACCEPT_THEN_TIMEOUT, Operation: "place", Count: 1}))
	intent, order := b.entry(projectiontest.Long("p"))
	executed, err := b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: intent, Attempt: 1})
	require.NoError(t, err)
	require.Equal(t, "filled", executed.GetOrder().GetStatus())
	require.Len(t, b.books.Events("EXCHANGE_STATE_UNCERTAIN"), 1)
	listed, err := b.paperAs("auditor").ListOrders(t.Context(), &connectorv1.ListOrdersRequest{AccountId: projectiontest.Spot.String()})
	require.NoError(t, err)
	require.Len(t, listed.GetOrders(), 1)
	require.EqualValues(t, 1, listed.GetOrders()[0].GetPlacedCount())
	require.Equal(t, event.ClientOrderID(uuid.MustParse(order)), listed.GetOrders()[0].GetClientOrderId())
	require.NoError(t, set(), "none")
}

func TestListOrders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	_, err := b.load(header(func(h *connectorv1.MarketHeader) { h.Symbol = "ETHUSDT" }), klines(bar(0, "3000", "3000", "3000", "3000")))
	require.NoError(t, err)
	b.deposit(projectiontest.Spot, "spot", "USDT", "100000")
	ref := venue.AccountRef{Key: venue.AccountKey(b.books.Tenant().String() + "/" + projectiontest.Spot.String()), Product: venue.Spot}
	for n, symbol := range []string{"ETHUSDT", "BTCUSDT", "ETHUSDT", "BTCUSDT", "BTCUSDT"} {
		now, err := b.paper.Market().Time(t.Context())
		require.NoError(t, err)
		_, err = b.paper.Account(ref).Trading.Place(t.Context(), venue.NewOrder{
			Symbol: symbol, Side: venue.Buy, Type: venue.Market, Quantity: decimal.RequireFromString("0.01"),
			ClientOrderID: venue.ClientOrderID("by-hand-" + string(rune('a'+n))), Stamp: now,
		})
		require.NoError(t, err)
	}
	ask := func(in *connectorv1.ListOrdersRequest) (*connectorv1.ListOrdersResponse, error) {
		in.AccountId = projectiontest.Spot.String()
		return b.paperAs("auditor").ListOrders(t.Context(), in)
	}
	var ids []string
	in := &connectorv1.ListOrdersRequest{PageSize: 2}
	pages := 0
	for {
		page, err := ask(in)
		require.NoError(t, err)
		pages++
		for _, o := range page.GetOrders() {
			ids = append(ids, o.GetClientOrderId())
		}
		if page.GetNextPageToken() == "" {
			break
		}
		in.PageToken = page.GetNextPageToken()
	}
	require.Equal(t, []string{"by-hand-a", "by-hand-b", "by-hand-c", "by-hand-d", "by-hand-e"}, ids, "oldest first, over all symbols")
	require.Equal(t, 3, pages)
	eth, err := ask(&connectorv1.ListOrdersRequest{Symbol: "ETHUSDT"})
	require.NoError(t, err)
	require.Len(t, eth.GetOrders(), 2)
	require.Empty(t, eth.GetNextPageToken())
	one := eth.GetOrders()[0]
	require.Equal(t, "1", one.GetExchangeOrderId(), "ids begin at 1 for each symbol")
	require.Equal(t, eventv1.Side_SIDE_BUY, one.GetSide())
	require.Equal(t, eventv1.OrderType_ORDER_TYPE_MARKET, one.GetOrderType())
	require.Equal(t, []string{"FILLED", "0.01", "0.01", "30"}, []string{one.GetStatus(), one.GetQuantity(), one.GetFilledQuantity(), one.GetCumQuote()})
	for _, token := range []string{"x", "0", "-1"} {
		_, err := ask(&connectorv1.ListOrdersRequest{PageToken: token})
		requireField(t, err, "page_token")
	}
	_, err = ask(&connectorv1.ListOrdersRequest{PageSize: 1001})
	requireField(t, err, "page_size")
	require.Eventually(t, func() bool { return b.unreported() == 0 }, 5*time.Second, time.Millisecond)
	require.Len(t, b.books.Events("DISCREPANCY_DETECTED"), 10, "each foreign order and each of its trades")
}
