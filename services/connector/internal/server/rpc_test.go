package server

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// openStop opens a long position and rests a stop order for it; it gives the stop's ids.
func (b *bench) openStop() (intent, order string) {
	b.t.Helper()
	p := projectiontest.Long("p")
	b.deposit(projectiontest.Spot, "spot", "USDT", "20000")
	entry, _ := b.entry(p)
	_, err := b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: entry, Attempt: 1})
	require.NoError(b.t, err)
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		if _, err := l.Append(l.Opened(p, "95000", "0.06666")); err != nil {
			return err
		}
		_, err := l.Append(l.Protect(p, 1, "0.06659", "93500"))
		return err
	})
	id := projectiontest.ProtectID(p, 1)
	response, err := b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: id.String(), Attempt: 1})
	require.NoError(b.t, err)
	require.Equal(b.t, "acknowledged", response.GetOrder().GetStatus())
	return id.String(), event.OrderID(id, 1).String()
}

func TestExecution(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	b.deposit(projectiontest.Spot, "spot", "USDT", "20000")
	intent, order := b.entry(projectiontest.Long("p"))
	executed, err := b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: intent, Attempt: 1})
	require.NoError(t, err)
	require.True(t, executed.GetSent())
	state := executed.GetOrder()
	require.Equal(t, order, state.GetOrderId())
	require.Equal(t, "filled", state.GetStatus())
	require.Equal(t, "0.06666", state.GetFilledQuantity())
	require.Equal(t, event.ClientOrderID(uuid.MustParse(order)), state.GetClientOrderId())
	require.Equal(t, "1", state.GetExchangeOrderId())
	require.False(t, state.GetNeedsResolution())
	require.Positive(t, state.GetPosition())

	again, err := b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: intent, Attempt: 1})
	require.NoError(t, err)
	require.False(t, again.GetSent())
	resolved, err := connectorv1.NewExecutionServiceClient(b.dial("operator")).ResolveOrder(t.Context(), &connectorv1.ResolveOrderRequest{OrderId: order})
	require.NoError(t, err)
	require.Equal(t, "filled", resolved.GetOrder().GetStatus())
	canceled, err := b.execution().CancelOrder(b.forTenant(), &connectorv1.CancelOrderRequest{OrderId: order})
	require.NoError(t, err, "an order that has ended is no error")
	require.Equal(t, "filled", canceled.GetOrder().GetStatus())
	_, err = b.execution().EndIntent(b.forTenant(), &connectorv1.EndIntentRequest{IntentId: intent, Reason: "panic"})
	require.NoError(t, err, "it is over already")

	nobody := uuid.NewString()
	for name, call := range map[string]func() error{
		"execute": func() error {
			_, err := b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: nobody, Attempt: 1})
			return err
		},
		"end": func() error {
			_, err := b.execution().EndIntent(b.forTenant(), &connectorv1.EndIntentRequest{IntentId: nobody, Reason: "panic"})
			return err
		},
		"cancel": func() error {
			_, err := b.execution().CancelOrder(b.forTenant(), &connectorv1.CancelOrderRequest{OrderId: nobody})
			return err
		},
		"resolve": func() error {
			_, err := b.execution().ResolveOrder(b.forTenant(), &connectorv1.ResolveOrderRequest{OrderId: nobody})
			return err
		},
	} {
		require.True(t, fault.Is(call(), fault.NotFound), name)
	}
	_, err = b.execution().Execute(b.forTenant(), &connectorv1.ExecuteRequest{IntentId: intent})
	requireField(t, err, "attempt")
}

func TestExecution_EndsWhatWasNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	intent, _ := b.openStop()
	_, err := b.execution().EndIntent(b.forTenant(), &connectorv1.EndIntentRequest{IntentId: intent, Reason: "panic"})
	require.True(t, fault.Is(err, fault.Refused), "%v", err)
	require.Equal(t, "INTENT_CLAIMED", fault.ReasonOf(err))

	short, order := b.entry(projectiontest.Short("q"))
	ended, err := b.execution().EndIntent(b.forTenant(), &connectorv1.EndIntentRequest{IntentId: short, Reason: "expired"})
	require.NoError(t, err)
	require.Equal(t, order, ended.GetOrder().GetOrderId())
	require.Equal(t, "rejected", ended.GetOrder().GetStatus())
	require.Equal(t, "expired", ended.GetOrder().GetRejectReason())
}

// Who may do what is the contract's word; an account is its tenant's alone.
func TestAccess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	spot := projectiontest.Spot.String()
	for name, call := range map[string]func() error{
		"users do not execute": func() error {
			_, err := connectorv1.NewExecutionServiceClient(b.dial("operator")).Execute(t.Context(), &connectorv1.ExecuteRequest{IntentId: spot, Attempt: 1})
			return err
		},
		"readers do not deposit": func() error {
			_, err := b.paperAs("reader").Deposit(t.Context(), &connectorv1.DepositRequest{DepositId: spot, AccountId: spot, Wallet: "spot", Asset: "USDT", Amount: "1"})
			return err
		},
		"operators do not audit": func() error {
			_, err := b.paperAs("operator").ListOrders(t.Context(), &connectorv1.ListOrdersRequest{AccountId: spot})
			return err
		},
		"services do not steer the market": func() error {
			_, err := b.paperAs("command").SetPace(b.forTenant(), &connectorv1.SetPaceRequest{Symbol: "BTCUSDT"})
			return err
		},
	} {
		require.True(t, fault.Is(call(), fault.Denied), name)
	}
	for name, call := range map[string]func() error{
		"instrument": func() error {
			_, err := b.market("stranger").GetInstrument(t.Context(), &connectorv1.GetInstrumentRequest{AccountId: spot, Symbol: "BTCUSDT"})
			return err
		},
		"samples": func() error {
			_, err := b.market("stranger").SampleBalances(t.Context(), &connectorv1.SampleBalancesRequest{AccountId: spot})
			return err
		},
		"deposit": func() error {
			_, err := b.paperAs("stranger").Deposit(t.Context(), &connectorv1.DepositRequest{DepositId: spot, AccountId: spot, Wallet: "spot", Asset: "USDT", Amount: "1"})
			return err
		},
		"faults": func() error {
			_, err := b.paperAs("stranger").SetFaults(t.Context(), &connectorv1.SetFaultsRequest{AccountId: spot})
			return err
		},
		"orders": func() error {
			_, err := b.paperAs("stranger").ListOrders(t.Context(), &connectorv1.ListOrdersRequest{AccountId: spot})
			return err
		},
		"prices": func() error {
			stream, err := b.market("stranger").StreamPrices(t.Context(), &connectorv1.StreamPricesRequest{AccountId: spot, Symbol: "BTCUSDT"})
			require.NoError(t, err)
			_, err = stream.Recv()
			return err
		},
	} {
		require.True(t, fault.Is(call(), fault.NotFound), "%s of another tenant's account", name)
	}
	b.deposit(projectiontest.Spot, "spot", "USDT", "5")
	market, err := b.paperAs("stranger").GetMarket(t.Context(), &connectorv1.GetMarketRequest{Symbol: "BTCUSDT"})
	require.NoError(t, err)
	require.Zero(t, market.GetUnreported(), "another tenant's reports are not counted")
}

func TestAccountThatIsNotSim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	account := uuid.New()
	b.books.Do(t, func(l *projectiontest.Log) error {
		registered := l.AccountRegistered(account, eventv1.Product_PRODUCT_SPOT)
		registered.Environment = eventv1.Environment_ENVIRONMENT_TESTNET
		_, err := l.Append(registered)
		return err
	})
	_, err := b.market("reader").GetInstrument(t.Context(), &connectorv1.GetInstrumentRequest{AccountId: account.String(), Symbol: "BTCUSDT"})
	require.True(t, fault.Is(err, fault.Refused), "%v", err)
	require.Equal(t, "VENUE_NOT_SERVED", fault.ReasonOf(err))
}

// elsewhere is a venue that only tells an instrument, its price and what it charges.
type elsewhere struct {
	venue.MarketData
	venue.Wallets
	venue.UserStream
}

func (e elsewhere) Name() string             { return "elsewhere" }
func (e elsewhere) Market() venue.MarketData { return e }
func (e elsewhere) Account(venue.AccountRef) venue.Account {
	return venue.Account{Wallets: e, Reports: e}
}

func (e elsewhere) Instrument(_ context.Context, symbol string) (venue.Instrument, error) {
	return venue.Instrument{Symbol: symbol, Status: venue.StatusTrading}, nil
}

func (e elsewhere) LastPrice(_ context.Context, symbol string) (venue.Price, error) {
	return venue.Price{Symbol: symbol, Price: decimal.NewFromInt(7), Sequence: 3}, nil
}

func (e elsewhere) TakerRate(context.Context, string) (decimal.Decimal, error) {
	return decimal.New(75, -5), nil
}

func (e elsewhere) Follow(ctx context.Context, _ venue.Cursor, _ func(context.Context, []venue.Report) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestAccountOfAnotherVenue has an account's prices and fees come from its own venue, and nothing done to it on paper.
func TestAccountOfAnotherVenue(t *testing.T) {
	t.Parallel()
	b := setupWith(t, Config{}, line.Live{Exchange: "elsewhere", Environment: eventv1.Environment_ENVIRONMENT_TESTNET, Venue: elsewhere{}})
	b.loaded(1)
	account := uuid.New()
	b.books.Do(t, func(l *projectiontest.Log) error {
		registered := l.AccountRegistered(account, eventv1.Product_PRODUCT_SPOT)
		registered.Environment, registered.Exchange = eventv1.Environment_ENVIRONMENT_TESTNET, "elsewhere"
		_, err := l.Append(registered)
		return err
	})
	id := account.String()
	market, err := b.market("reader").GetInstrument(t.Context(), &connectorv1.GetInstrumentRequest{AccountId: id, Symbol: "BTCUSDT"})
	require.NoError(t, err)
	require.Equal(t, "7", market.GetLastPrice())
	require.Equal(t, "0.00075", market.GetTakerFeeRate())

	p := b.paperAs("operator")
	_, errDeposit := p.Deposit(t.Context(), &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: id, Wallet: "spot", Asset: "USDT", Amount: "5"})
	_, errFaults := p.SetFaults(t.Context(), &connectorv1.SetFaultsRequest{AccountId: id})
	_, errOrders := b.paperAs("auditor").ListOrders(t.Context(), &connectorv1.ListOrdersRequest{AccountId: id})
	for _, err := range []error{errDeposit, errFaults, errOrders} {
		require.True(t, fault.Is(err, fault.Refused), "%v", err)
		require.Equal(t, "NOT_ON_PAPER", fault.ReasonOf(err))
	}
}

func TestGetInstrument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func(symbol string) (*connectorv1.GetInstrumentResponse, error) {
		return b.market("reader").GetInstrument(t.Context(), &connectorv1.GetInstrumentRequest{AccountId: projectiontest.Spot.String(), Symbol: symbol})
	}
	_, err := ask("BTCUSDT")
	require.Equal(t, "NO_PRICE", fault.ReasonOf(err), "%v", err)
	require.True(t, fault.Is(err, fault.Refused))
	b.loaded(1)
	_, err = ask("NOPE")
	requireField(t, err, "symbol")
	got, err := ask("BTCUSDT")
	require.NoError(t, err)
	require.Equal(t, "95000", got.GetLastPrice())
	require.EqualValues(t, 1, got.GetSequence())
	require.Equal(t, projectiontest.Start, got.GetMarketTime().AsTime())
	require.Equal(t, "0.001", got.GetTakerFeeRate())
	i := got.GetInstrument()
	require.Equal(t, []string{"BTCUSDT", "BTC", "USDT", "0.00001", "0.00001", "9000", "0.01", "5", "9000000", "0", "0"}, []string{
		i.GetSymbol(), i.GetBaseAsset(), i.GetQuoteAsset(), i.GetStepSize(), i.GetMinQuantity(), i.GetMaxQuantity(), i.GetTickSize(),
		i.GetMinNotional(), i.GetMaxNotional(), i.GetMarketStepSize(), i.GetMarketMaxQuantity(),
	})
	require.True(t, i.GetTrading())
	require.True(t, i.GetMinNotionalAppliesToMarket())
}

func TestStreamPrices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(500)
	follow := func(ctx context.Context, after int64) connectorv1.MarketService_StreamPricesClient {
		stream, err := b.market("reader").StreamPrices(ctx, &connectorv1.StreamPricesRequest{
			AccountId: projectiontest.Spot.String(), Symbol: "BTCUSDT", AfterSequence: after,
		})
		require.NoError(t, err)
		return stream
	}
	now := follow(t.Context(), 0)
	first, err := now.Recv()
	require.NoError(t, err)
	require.EqualValues(t, 1, first.GetSequence())
	require.Equal(t, "95000", first.GetPrice())
	require.Equal(t, projectiontest.Start, first.GetMarketTime().AsTime())
	_, err = b.paperAs("operator").AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: 2000})
	require.NoError(t, err)
	for _, stream := range []connectorv1.MarketService_StreamPricesClient{now, follow(t.Context(), 1)} {
		for want := int64(2); want <= 2000; want++ {
			price, err := stream.Recv()
			require.NoError(t, err)
			require.Equal(t, want, price.GetSequence(), "in order, without leaving any out")
			require.False(t, price.GetGap())
		}
	}
	lost, err := follow(t.Context(), 5000).Recv()
	require.NoError(t, err)
	require.True(t, lost.GetGap(), "a sequence that this venue never had")
	require.EqualValues(t, 2000, lost.GetSequence())

	stream, err := b.market("reader").StreamPrices(t.Context(), &connectorv1.StreamPricesRequest{AccountId: projectiontest.Spot.String(), Symbol: "NOPE"})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireField(t, err, "symbol")

	t.Run("ends with its caller, and with the service", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := follow(ctx, 2000)
		cancel()
		_, err := ended.Recv()
		require.Equal(t, codes.Canceled, status.Code(err))
		open := follow(t.Context(), 0)
		_, err = open.Recv()
		require.NoError(t, err)
		close(b.stopping)
		_, err = open.Recv()
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.Equal(t, "STOPPING", fault.ReasonOf(err))
		require.NotErrorIs(t, err, io.EOF)
	})
}

func TestStreamPrices_Bounded(t *testing.T) {
	t.Parallel()
	b := setupWith(t, Config{StreamsMax: 1})
	b.loaded(1)
	follow := func() error {
		stream, err := b.market("reader").StreamPrices(t.Context(), &connectorv1.StreamPricesRequest{AccountId: projectiontest.Spot.String(), Symbol: "BTCUSDT"})
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	require.NoError(t, follow())
	err := follow()
	require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
	require.Positive(t, fault.As(err).RetryAfter)
	close(b.stopping)
}

func TestSampleBalances(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loaded(1)
	b.deposit(projectiontest.Spot, "spot", "USDT", "20000")
	sampled, err := b.market("operator").SampleBalances(t.Context(), &connectorv1.SampleBalancesRequest{AccountId: projectiontest.Spot.String()})
	require.NoError(t, err)
	require.EqualValues(t, 1, sampled.GetAssets())
	require.Positive(t, sampled.GetPosition())
	require.Eventually(t, func() bool { return b.unreported() == 0 }, 5*time.Second, time.Millisecond)
	empty, err := b.market("command").SampleBalances(b.forTenant(), &connectorv1.SampleBalancesRequest{AccountId: projectiontest.Margin.String()})
	require.NoError(t, err)
	require.Zero(t, empty.GetAssets())
}
