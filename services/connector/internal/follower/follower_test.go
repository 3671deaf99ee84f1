package follower

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledgertest"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a log and a paper venue with a market, and followers between them.
type bench struct {
	t       *testing.T
	books   *ledgertest.Books
	paper   *paper.Venue
	desk    *line.Desk
	ctx     context.Context
	catches atomic.Int32
}

func setup(t *testing.T) *bench {
	t.Helper()
	node, err := paper.New(slog.New(slog.DiscardHandler), clock.System(), paper.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(node.Stop)
	b := &bench{t: t, books: ledgertest.New(t), paper: paper.NewVenue(node)}
	b.desk = line.NewDesk(b.paper)
	b.ctx = identity.WithTenant(t.Context(), b.books.Tenant())
	script := feed.Source{Script: []feed.ScriptTick{{Time: projectiontest.Start, Price: num("95000")}}}
	_, err = b.paper.LoadMarket(t.Context(), "BTCUSDT", engine.BookConfig{}, script, "script")
	require.NoError(t, err)
	return b
}

func (b *bench) lines(account uuid.UUID) line.Lines {
	b.t.Helper()
	row, err := b.books.Ledger().Account(b.ctx, account.String())
	require.NoError(b.t, err)
	lines, err := b.desk.For(b.books.Tenant(), row)
	require.NoError(b.t, err)
	return lines
}

func (b *bench) translator(account uuid.UUID) *translator {
	return newTranslator(account, b.lines(account), b.books.Ledger())
}

// claimed takes a plan up to the claim of its entry.
func (b *bench) claimed(p projectiontest.Plan) (order uuid.UUID) {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		if err := l.Opening(p); err != nil {
			return err
		}
		_, err := l.Append(l.Claim(p.EntryID(), 1))
		return err
	})
	return event.OrderID(p.EntryID(), 1)
}

func (b *bench) deposit(amount string) {
	b.t.Helper()
	_, err := b.paper.Deposit(b.ctx, b.lines(projectiontest.Spot).Ref, uuid.NewString(), "spot", "USDT", num(amount))
	require.NoError(b.t, err)
}

// buy places an order at the venue as its sender would have.
func (b *bench) buy(order uuid.UUID) {
	b.t.Helper()
	_, err := b.lines(projectiontest.Spot).Trading.Place(b.ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Buy, Type: venue.Market, Quantity: decimal.RequireFromString("0.06666"),
		ClientOrderID: venue.ClientOrderID(event.ClientOrderID(order)), Stamp: clock.System().Now(),
	})
	require.NoError(b.t, err)
}

// manager starts a connector's followers.
func (b *bench) manager(config Config) *Manager {
	b.t.Helper()
	config.DiscoverEvery, config.RetryDelay, config.RetryDelayMax = 5*time.Millisecond, time.Millisecond, 20*time.Millisecond
	books := b.books.Ledger()
	m, err := New(slog.New(slog.DiscardHandler), clock.System(), books, b.desk, func(context.Context, string) error {
		b.catches.Add(1)
		return nil
	}, config)
	require.NoError(b.t, err)
	books.OnFill(m.Filled)
	require.False(b.t, m.Started())
	require.NoError(b.t, m.Start(b.t.Context()))
	require.NoError(b.t, m.Start(b.t.Context()), "starting twice is starting once")
	require.True(b.t, m.Started())
	b.t.Cleanup(m.Stop)
	return m
}

func (b *bench) unreported(m *Manager) int64 {
	b.t.Helper()
	ref := b.lines(projectiontest.Spot).Ref
	cursors, err := b.paper.Cursors(b.ctx, string(ref.Key))
	require.NoError(b.t, err)
	n, err := m.Unreported(b.ctx, projectiontest.Spot, cursors[ref.Key])
	require.NoError(b.t, err)
	return n
}

func (b *bench) eventually(what string, holds func() bool) {
	b.t.Helper()
	require.Eventually(b.t, holds, 10*time.Second, 2*time.Millisecond, what)
}

func (b *bench) count(name event.Type) int { return len(b.books.Events(name)) }

func TestManager_Follows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.deposit("20000")
	b.buy(order)
	m := b.manager(Config{SampleAfter: time.Hour})
	b.eventually("everything is in the log", func() bool { return b.unreported(m) == 0 })
	for name, want := range map[event.Type]int{
		"BALANCE_ADJUSTED": 1, "ORDER_ACKED": 1, "FILL_RECEIVED": 1, "BALANCE_SAMPLED": 3, "EXCHANGE_DISCONNECTED": 0,
	} {
		require.Equal(t, want, b.count(name), name)
	}
	require.Equal(t, "0.06666", b.books.Row(order).FilledQuantity.String())
	require.Zero(t, b.catches.Load(), "nothing was missed")
	m.Stop()
	m.Stop()
	require.Equal(t, b.count("EXCHANGE_CONNECTED"), b.count("EXCHANGE_DISCONNECTED"))
	for _, e := range b.books.Events("EXCHANGE_DISCONNECTED") {
		require.True(t, e.GetPayload().GetExchangeDisconnected().GetPlanned())
	}
}

// It goes on after the last report whose facts are in the log, and tells nothing twice.
func TestManager_GoesOnFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.deposit("20000")
	first := b.manager(Config{})
	b.eventually("the deposit is in the log", func() bool { return b.unreported(first) == 0 })
	first.Stop()
	b.buy(order)
	require.Positive(t, b.unreported(first))
	require.Zero(t, b.count("FILL_RECEIVED"))
	second := b.manager(Config{})
	b.eventually("the trade is in the log", func() bool { return b.unreported(second) == 0 })
	require.Equal(t, 1, b.count("FILL_RECEIVED"))
	require.Equal(t, 1, b.count("BALANCE_ADJUSTED"))
	require.Zero(t, b.catches.Load())
}

// A report that the log does not take stops the stream there: the checkpoint stays before it, and nothing is skipped.
func TestManager_StopsAtWhatItCannotRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var refuse atomic.Bool
	refuse.Store(true)
	var refused atomic.Int32
	b.books.BeforeAppend = func(in *eventlogv1.AppendRequest) error {
		if refuse.Load() && in.GetStreams()[0].GetEvents()[0].GetPayload().GetFillReceived() != nil {
			refused.Add(1)
			return fault.New(fault.Invalid, "TEST", "not this one")
		}
		return nil
	}
	order := b.claimed(projectiontest.Long("p"))
	b.deposit("20000")
	b.buy(order)
	m := b.manager(Config{})
	b.eventually("it tries and tries", func() bool { return refused.Load() >= 3 })
	require.Positive(t, b.unreported(m))
	require.Zero(t, b.count("FILL_RECEIVED"))
	refuse.Store(false)
	b.eventually("it goes on", func() bool { return b.unreported(m) == 0 })
	require.Equal(t, 1, b.count("FILL_RECEIVED"))
	broken := b.books.Events("EXCHANGE_DISCONNECTED")[0].GetPayload().GetExchangeDisconnected()
	require.False(t, broken.GetPlanned())
	require.Contains(t, broken.GetReason(), "not this one")
}

// Where the venue no longer has what comes after the checkpoint, orders and balances are asked for.
func TestManager_Gap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deposit("20000")
	_, err := b.books.SaveCheckpoint(b.ctx, &eventlogv1.SaveCheckpointRequest{Name: CheckpointName(projectiontest.Spot), Value: 1000})
	require.NoError(t, err)
	b.manager(Config{})
	b.eventually("it asks", func() bool { return b.catches.Load() == 1 && b.count("BALANCE_SAMPLED") == 1 })
	sample := b.books.Events("BALANCE_SAMPLED")[0].GetPayload().GetBalanceSampled()
	require.Equal(t, "20000", sample.GetFree())
	require.Equal(t, eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT, sample.GetSource())
}

func TestManager_Lease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := CheckpointName(projectiontest.Spot)
	b.books.Steal(name)
	b.deposit("20000")
	m := b.manager(Config{LeaseTTL: 30 * time.Millisecond})
	b.eventually("the other account is followed", func() bool { return b.count("EXCHANGE_CONNECTED") == 1 })
	require.Zero(t, b.count("BALANCE_ADJUSTED"), "whoever holds the lease follows")
	b.books.Free(name)
	b.eventually("it takes over", func() bool { return b.unreported(m) == 0 })

	b.books.Steal(name)
	b.eventually("it gives up what another has", func() bool { return b.count("EXCHANGE_DISCONNECTED") == 1 })
	lost := b.books.Events("EXCHANGE_DISCONNECTED")[0].GetPayload().GetExchangeDisconnected()
	require.Equal(t, projectiontest.Spot.String(), lost.GetAccountId())
	require.True(t, lost.GetPlanned())
	b.deposit("1")
	require.Positive(t, b.unreported(m))
	b.books.Free(name)
	b.eventually("and takes over again", func() bool { return b.unreported(m) == 0 })
	require.Equal(t, 2, b.count("BALANCE_ADJUSTED"))
}

func TestManager_SamplesPeriodically(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deposit("20000")
	b.manager(Config{SampleEvery: 10 * time.Millisecond})
	b.eventually("samples are taken", func() bool { return b.count("BALANCE_SAMPLED") >= 4 })
	ids := map[string]bool{}
	for _, e := range b.books.Events("BALANCE_SAMPLED") {
		ids[e.GetPayload().GetBalanceSampled().GetSampleId()] = true
		require.Equal(t, "20000", e.GetPayload().GetBalanceSampled().GetFree())
	}
	require.Len(t, ids, b.count("BALANCE_SAMPLED"), "the same amounts in a later sample are a new event")
}

// After a fill, by whichever way it came, balances are sampled; fills close to one another share a sample.
func TestManager_SamplesAfterFills(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.deposit("20000")
	m := b.manager(Config{SampleAfter: 20 * time.Millisecond, SampleEvery: time.Hour})
	b.eventually("the deposit is in the log", func() bool { return b.unreported(m) == 0 })
	polled := func() (held []string) {
		for _, e := range b.books.Events("BALANCE_SAMPLED") {
			if s := e.GetPayload().GetBalanceSampled(); s.GetSource() == eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT {
				held = append(held, s.GetAsset()+" "+s.GetTotal())
			}
		}
		return held
	}
	require.Empty(t, polled())
	b.buy(order)
	b.eventually("both assets are sampled", func() bool { return len(polled()) == 2 })
	require.Contains(t, polled(), "BTC 0.06659334", "what was bought, less the fee")
	other := identity.WithTenant(t.Context(), uuid.New())
	m.Filled(other, projectiontest.Spot.String()) // nobody follows it
	m.Filled(b.ctx, projectiontest.Spot.String())
	m.Filled(b.ctx, projectiontest.Spot.String())
	b.eventually("and again", func() bool { return len(polled()) == 4 })
}

// What the venue lists no more is gone, whatever the stream did not tell. What is in another wallet is none of its business.
func TestSampleBalances_WhatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deposit("20000")
	before := fact.Sample{Account: projectiontest.Spot, Run: "before", At: projectiontest.Start, Source: eventv1.SampleSource_SAMPLE_SOURCE_WS_ACCOUNT_POSITION}
	for _, held := range []venue.Balance{
		{Wallet: "spot", Asset: "BTC", Locked: num("0.01")}, {Wallet: "spot", Asset: "ETH"}, {Wallet: "isolated:BTCUSDT", Asset: "BTC", Free: num("3")},
	} {
		_, err := b.books.Ledger().Record(b.ctx, fact.Sampled(before, held))
		require.NoError(t, err)
	}
	sampled, err := SampleBalances(b.ctx, b.books.Ledger(), projectiontest.Spot, b.lines(projectiontest.Spot))
	require.NoError(t, err)
	require.Equal(t, 2, sampled.Assets)
	balances, err := b.books.Ledger().Balances(b.ctx, projectiontest.Spot.String())
	require.NoError(t, err)
	held := map[string]string{}
	for _, row := range balances {
		held[row.GetWallet()+"/"+row.GetAsset()] = row.GetTotal()
	}
	require.Equal(t, map[string]string{"spot/USDT": "20000", "spot/BTC": "0", "spot/ETH": "0", "isolated:BTCUSDT/BTC": "3"}, held)
}

// A margin account's level is sampled with its balances.
func TestSampleBalances_Margin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lines := b.lines(projectiontest.Margin)
	_, err := b.paper.Deposit(b.ctx, lines.Ref, "margin", "isolated:BTCUSDT", "USDT", num("20000"))
	require.NoError(t, err)
	_, err = lines.Trading.Place(b.ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Market, Quantity: num("0.2"), SideEffect: venue.MarginBuy, ClientOrderID: "short", Stamp: clock.System().Now(),
	})
	require.NoError(t, err)
	sampled, err := SampleBalances(b.ctx, b.books.Ledger(), projectiontest.Margin, lines)
	require.NoError(t, err)
	require.Equal(t, 2, sampled.Assets)
	told := b.books.Events("MARGIN_LEVEL_SAMPLED")
	require.Len(t, told, 1)
	level := told[0].GetPayload().GetMarginLevelSampled()
	require.Equal(t, "BTCUSDT", level.GetSymbol())
	require.Equal(t, eventv1.MarginStatus_MARGIN_STATUS_EXCESSIVE, level.GetStatus())
	require.Equal(t, "95000", level.GetIndexPrice())
	require.Equal(t, "19000", level.GetBorrowed())
	require.NotEqual(t, "0", level.GetLiquidatePrice())
	_, err = SampleBalances(b.ctx, b.books.Ledger(), projectiontest.Spot, b.lines(projectiontest.Spot))
	require.NoError(t, err)
	require.Len(t, b.books.Events("MARGIN_LEVEL_SAMPLED"), 1, "a spot account has none")
}

func TestManager_Ensure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.manager(Config{AccountsMax: 3})
	b.eventually("both accounts are followed", func() bool { return b.count("EXCHANGE_CONNECTED") == 2 })
	sim := func() *projectorv1.Account {
		return &projectorv1.Account{AccountId: uuid.NewString(), Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT}
	}
	real := sim()
	real.Environment = eventv1.Environment_ENVIRONMENT_PROD
	m.Ensure(b.books.Tenant(), real)
	m.Ensure(b.books.Tenant(), sim())
	m.Ensure(b.books.Tenant(), sim()) // beyond the limit
	m.mu.Lock()
	require.Len(t, m.following, 3)
	m.mu.Unlock()
	m.Stop()
	m.Ensure(b.books.Tenant(), sim()) // begins nothing any more
	require.Len(t, m.following, 3)
	never, err := New(nil, clock.System(), b.books.Ledger(), b.desk, nil, Config{})
	require.NoError(t, err)
	never.Stop()
	never.Ensure(b.books.Tenant(), sim())
	require.Empty(t, never.following)
}
