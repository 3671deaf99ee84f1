package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// What came or went without a report is told once; a report that comes late explains it.
func TestReconcile_Balances(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Zero(t, b.run().Completed.GetBalancesChecked(), "from now on there is something to count from")
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	b.place("by-hand", venue.Market, "0.01", "0")
	b.run()
	require.NotContains(t, b.kinds(), "balance_mismatch needs_operator", "trades explain it, by hand or not")
	require.EqualValues(t, 2, b.settled().Completed.GetBalancesChecked())

	_, err := b.paper.Deposit(b.ctx, b.ref, "hidden", "spot", "USDT", num("77"))
	require.NoError(t, err)
	report := b.run()
	require.EqualValues(t, 1, report.Completed.GetBalanceMismatches())
	last := b.books.Events("DISCREPANCY_DETECTED")
	mismatch := last[len(last)-1].GetPayload().GetDiscrepancyDetected()
	require.Equal(t, "balance:spot/USDT", mismatch.GetEntity())
	require.Equal(t, "77", mismatch.GetActual()["difference"])
	b.settled()
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(&eventv1.BalanceAdjusted{
			AccountId: b.account, Wallet: "spot", Asset: "USDT", Delta: "77", Kind: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT, ClearedAt: timestamppb.Now(),
		})
		return err
	})
	require.Equal(t, []string{mismatch.GetDiscrepancyId()}, b.run().Completed.GetResolvedIds())
	require.EqualValues(t, 2, b.settled().Completed.GetUnresolved(), "the order by hand and its trade")
}

// busy is a venue at which something happens after each answer about balances.
type busy struct {
	venue.Venue
	answered func(times int)
}

type busyWallets struct {
	venue.Wallets
	answered func(times int)
	times    int
}

func (b busy) Account(ref venue.AccountRef) venue.Account {
	account := b.Venue.Account(ref)
	account.Wallets = &busyWallets{Wallets: account.Wallets, answered: b.answered}
	return account
}

func (w *busyWallets) Balances(ctx context.Context) (venue.BalanceSheet, error) {
	sheet, err := w.Wallets.Balances(ctx)
	w.times++
	w.answered(w.times)
	return sheet, err
}

// An account trades for the first time in a symbol while its balances are looked at: they are of no one moment, and are not counted from.
func TestReconcile_BalancesWhileItBegins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := b.books.Ledger()
	buys := func(times int) {
		if times != 2 { // the first answer is for the symbols
			return
		}
		row, err := books.Order(b.ctx, b.claimed(projectiontest.Long("p")).String(), 0)
		require.NoError(t, err)
		placed := b.place(row.GetClientOrderId(), venue.Market, "0.06666", "0")
		order, _, err := books.Claimed(b.ctx, ledger.OrderOf(row))
		require.NoError(t, err)
		lines := line.Lines{Account: b.paper.Account(b.ref), Market: b.paper.Market(), Ref: b.ref}
		facts, err := lines.Facts(b.ctx, order, placed.Order, placed.Trades, fact.Answer)
		require.NoError(t, err)
		_, err = books.Record(b.ctx, facts...)
		require.NoError(t, err)
	}
	manager, err := New(slog.New(slog.DiscardHandler), clock.System(), books, line.NewDesk(busy{b.paper, buys}), Config{Young: time.Millisecond})
	require.NoError(t, err)
	_, err = manager.Reconcile(b.ctx, b.account, nil)
	require.NoError(t, err)
	for range 2 {
		b.run()
		require.Empty(t, b.kinds())
	}
	require.EqualValues(t, 2, b.settled().Completed.GetBalancesChecked())
}

// remote is a venue that lists assets that are held and no others, as Binance does, and whose trades cannot be asked for while it is cut off.
type remote struct {
	venue.Venue
	isCut func() bool
}

type remoteTrading struct {
	venue.Trading
	isCut func() bool
}

type remoteWallets struct{ venue.Wallets }

func (r remote) Account(ref venue.AccountRef) venue.Account {
	account := r.Venue.Account(ref)
	account.Trading, account.Wallets = remoteTrading{account.Trading, r.isCut}, remoteWallets{account.Wallets}
	return account
}

func (r remoteTrading) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	if r.isCut() {
		return nil, errors.New("connection cut")
	}
	return r.Trading.Trades(ctx, symbol, from, limit)
}

func (r remoteWallets) Balances(ctx context.Context) (venue.BalanceSheet, error) {
	sheet, err := r.Wallets.Balances(ctx)
	sheet.Balances = slices.DeleteFunc(sheet.Balances, func(b venue.Balance) bool { return b.Free.Add(b.Locked).IsZero() })
	return sheet, err
}

// A run is broken off after it has sampled, and an asset is gone by the time that it is gone on with: it is not counted from.
func TestReconcile_BalancesOfARunBrokenOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place("bought", venue.Market, "0.01", "0")
	sampled := func() bool { return len(b.books.Events("BALANCE_SAMPLED")) > 0 }
	broken := true
	manager, err := New(slog.New(slog.DiscardHandler), clock.System(), b.books.Ledger(),
		line.NewDesk(remote{b.paper, func() bool { return broken && sampled() }}), Config{Young: time.Millisecond})
	require.NoError(t, err)
	_, err = manager.Reconcile(b.ctx, b.account, nil)
	require.Error(t, err)
	require.True(t, sampled())
	broken = false
	_, err = b.paper.Account(b.ref).Trading.Place(b.ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Market, Quantity: num("0.00999"), ClientOrderID: "sold", Stamp: clock.System().Now(),
	})
	require.NoError(t, err)
	for range 2 {
		_, err = manager.Reconcile(b.ctx, b.account, nil)
		require.NoError(t, err)
		require.NotContains(t, b.kinds(), "balance_mismatch needs_operator")
	}
}

// A run that has sampled is broken off before its end, and again while it samples anew: what it sampled whole is counted from.
func TestReconcile_BalancesOfALookBrokenOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place("bought", venue.Market, "0.01", "0")
	samples, attempt := 0, 1
	b.books.BeforeAppend = func(in *eventlogv1.AppendRequest) error {
		payload := in.GetStreams()[0].GetEvents()[0].GetPayload()
		if payload.GetBalanceSampled() != nil {
			samples++
		}
		if attempt == 1 && payload.GetReconciliationCompleted() != nil || attempt == 2 && samples == 4 {
			return fault.New(fault.Invalid, "TEST", "not now")
		}
		return nil
	}
	_, err := b.Reconcile(b.ctx, b.account, nil)
	require.ErrorContains(t, err, "not now")
	require.Equal(t, 2, samples, "of BTC and USDT")
	attempt++
	_, err = b.paper.Deposit(b.ctx, b.ref, "more", "spot", "USDT", num("77"))
	require.NoError(t, err)
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(&eventv1.BalanceAdjusted{
			AccountId: b.account, Wallet: "spot", Asset: "USDT", Delta: "77", Kind: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT, ClearedAt: timestamppb.Now(),
		})
		return err
	})
	_, err = b.Reconcile(b.ctx, b.account, nil)
	require.ErrorContains(t, err, "not now")
	require.Equal(t, 4, samples)
	attempt++
	for range 2 {
		_, err = b.Reconcile(b.ctx, b.account, nil)
		require.NoError(t, err)
		require.NotContains(t, b.kinds(), "balance_mismatch needs_operator")
	}
}

// Money comes, and its report does, while the balances are looked at: they are of no one moment, and are not counted from.
func TestReconcile_BalancesWhileMoneyComes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	comes := func(times int) {
		if times != 2 { // the first answer is for the symbols
			return
		}
		_, err := b.paper.Deposit(b.ctx, b.ref, "more", "spot", "USDT", num("77"))
		require.NoError(t, err)
		b.books.Do(t, func(l *projectiontest.Log) error {
			_, err := l.Append(&eventv1.BalanceAdjusted{
				AccountId: b.account, Wallet: "spot", Asset: "USDT", Delta: "77", Kind: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT, ClearedAt: timestamppb.Now(),
			})
			return err
		})
	}
	manager, err := New(slog.New(slog.DiscardHandler), clock.System(), b.books.Ledger(), line.NewDesk(busy{b.paper, comes}), Config{Young: time.Millisecond})
	require.NoError(t, err)
	_, err = manager.Reconcile(b.ctx, b.account, nil)
	require.NoError(t, err)
	for range 2 {
		b.run()
		require.Empty(t, b.kinds())
	}
}
