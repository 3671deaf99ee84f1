package paper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// holderDir makes the test binary hold the venue in a directory until it is killed.
const holderDir = "PAPER_TEST_HOLDER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderDir); dir != "" {
		holdForever(dir, os.Stdout)
		return
	}
	goleak.VerifyTestMain(m)
}

func holdForever(dir string, out io.Writer) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	node, err := New(slog.New(slog.DiscardHandler), clock.System(), Config{Dir: dir})
	if err == nil {
		err = node.Start(ctx)
	}
	if err == nil {
		_, err = NewVenue(node).Market().Time(ctx)
	}
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(out, "holding")
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent, should it not kill us
}

var ref = venue.AccountRef{Key: "t/a", Product: venue.Spot}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// same compares by JSON: equal decimals may have other insides.
func same(t *testing.T, want, got any) {
	t.Helper()
	wantJSON, err := json.Marshal(want)
	require.NoError(t, err)
	gotJSON, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(wantJSON), string(gotJSON))
}

func start(t *testing.T, dir string) (*Node, *Venue) {
	t.Helper()
	node, err := New(slog.New(slog.DiscardHandler), clock.System(), Config{Dir: dir, TakeOver: 10 * time.Millisecond})
	require.NoError(t, err)
	require.False(t, node.Started())
	require.NoError(t, node.Start(t.Context()))
	require.NoError(t, node.Start(t.Context()), "starting twice is starting once")
	require.True(t, node.Started())
	t.Cleanup(node.Stop)
	return node, NewVenue(node)
}

func fund(t *testing.T, v *Venue) {
	t.Helper()
	script := feed.Source{Script: []feed.ScriptTick{
		{Time: time.UnixMilli(1).UTC(), Price: dec("60000")}, {Time: time.UnixMilli(2).UTC(), Price: dec("61000")},
	}}
	_, err := v.LoadMarket(t.Context(), "BTCUSDT", engine.BookConfig{}, script, "script")
	require.NoError(t, err)
	_, err = v.Deposit(t.Context(), ref, "d", "spot", "USDT", dec("10000"))
	require.NoError(t, err)
}

func buy(t *testing.T, v *Venue, id string) (venue.Placed, error) {
	t.Helper()
	now, err := v.Market().Time(t.Context())
	require.NoError(t, err)
	return v.Account(ref).Trading.Place(t.Context(), venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Buy, Type: venue.Market, Quantity: dec("0.01"), ClientOrderID: venue.ClientOrderID(id), Stamp: now,
	})
}

// Two processes share one venue: what one does the other sees, whichever of them runs it.
func TestNode_Shared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, one := start(t, dir)
	fund(t, one)
	require.True(t, first.Holds())
	second, two := start(t, dir)
	placed, err := buy(t, two, "x")
	require.NoError(t, err)
	require.False(t, second.Holds())
	require.EqualValues(t, 1, placed.Order.OrderID)
	order, err := one.Account(ref).Trading.QueryOrder(t.Context(), "BTCUSDT", "x")
	require.NoError(t, err)
	same(t, placed.Order, order)

	first.Stop()
	order, err = two.Account(ref).Trading.QueryOrder(t.Context(), "BTCUSDT", "x")
	require.NoError(t, err, "the other takes over")
	same(t, placed.Order, order)
	require.True(t, second.Holds())
	// A process that has stopped holding asks the one that holds.
	_, err = one.Account(ref).Trading.QueryOrder(t.Context(), "BTCUSDT", "x")
	require.NoError(t, err)
}

// All the port's calls, here and at another process, answer and refuse alike.
func TestVenue_Port(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, holder := start(t, dir)
	fund(t, holder)
	_, other := start(t, dir)
	for name, v := range map[string]*Venue{"here": holder, "there": other} {
		ctx, lines := t.Context(), v.Account(ref)
		require.Equal(t, "paper", v.Name())
		instrument, err := v.Market().Instrument(ctx, "BTCUSDT")
		require.NoError(t, err)
		require.Equal(t, "0.00001", instrument.Lot.Step.String())
		_, err = v.Market().Instrument(ctx, "NOPE")
		require.ErrorIs(t, err, venue.ErrInvalidSymbol)
		instruments, err := v.Market().Instruments(ctx)
		require.NoError(t, err)
		require.Len(t, instruments, 2)
		price, err := v.Market().LastPrice(ctx, "BTCUSDT")
		require.NoError(t, err)
		require.Equal(t, "60000", price.Price.String())
		at, err := v.Market().MarketTime(ctx, "BTCUSDT")
		require.NoError(t, err)
		require.Equal(t, time.UnixMilli(1).UTC(), at)
		_, err = v.Market().LastPrice(ctx, "ETHUSDT")
		require.ErrorIs(t, err, venue.ErrNoPrice)
		require.Equal(t, 6*time.Second, v.Market().Timing().Lifetime())

		placed, err := buy(t, v, "m"+name)
		require.NoError(t, err)
		trades, err := lines.Trading.OrderTrades(ctx, "BTCUSDT", placed.Order.OrderID)
		require.NoError(t, err)
		same(t, placed.Trades, trades)
		trades, err = lines.Trading.Trades(ctx, "BTCUSDT", trades[0].TradeID, 1)
		require.NoError(t, err)
		same(t, placed.Trades, trades)
		orders, err := lines.Trading.Orders(ctx, "BTCUSDT", placed.Order.OrderID, venue.PageMax)
		require.NoError(t, err)
		same(t, []venue.Order{placed.Order}, orders)
		_, err = lines.Trading.Trades(ctx, "BTCUSDT", 0, venue.PageMax+1)
		require.ErrorIs(t, err, engine.ErrInvalid)
		_, err = lines.Trading.Orders(ctx, "NOPE", 0, 1)
		require.ErrorIs(t, err, venue.ErrInvalidSymbol)
		now, err := v.Market().Time(ctx)
		require.NoError(t, err)
		resting := venue.NewOrder{
			Symbol: "BTCUSDT", Side: venue.Buy, Type: venue.Limit, TimeInForce: venue.GTC, Quantity: dec("0.01"), Price: dec("50000"),
			ClientOrderID: venue.ClientOrderID("l" + name), Stamp: now,
		}
		_, err = lines.Trading.Place(ctx, resting)
		require.NoError(t, err)
		_, err = lines.Trading.Place(ctx, resting)
		require.ErrorIs(t, err, venue.ErrDuplicateOrder)
		open, err := lines.Trading.OpenOrders(ctx, "")
		require.NoError(t, err)
		require.Len(t, open, 1)
		_, err = v.CancelByExchange(ctx, ref, "BTCUSDT", resting.ClientOrderID)
		require.NoError(t, err)
		_, err = lines.Trading.Cancel(ctx, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: resting.ClientOrderID})
		require.ErrorIs(t, err, venue.ErrUnknownOrder)
		_, err = lines.Trading.QueryOrder(ctx, "BTCUSDT", "never")
		require.ErrorIs(t, err, venue.ErrOrderNotFound)
		resting.Quantity = dec("0.000001")
		_, err = lines.Trading.Place(ctx, resting)
		var rejected *venue.RejectedError
		require.ErrorAs(t, err, &rejected)
		require.Equal(t, &venue.RejectedError{Operation: "place", Code: -1013, Message: "Filter failure: LOT_SIZE", HTTPStatus: 400}, rejected)
		sheet, err := lines.Wallets.Balances(ctx)
		require.NoError(t, err)
		require.Len(t, sheet.Balances, 2)
		_, err = lines.Wallets.Margin(ctx)
		require.ErrorIs(t, err, venue.ErrNoMargin)

		require.NoError(t, v.SetFaults(ctx, ref.Key, []engine.Fault{{Kind: engine.FaultAcceptThen5xx, Operation: venue.OpPlace, Count: 1}}))
		_, err = buy(t, v, "f"+name)
		var unknown *venue.UncertainError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, 502, unknown.HTTPStatus)
		require.NoError(t, v.SetFaults(ctx, ref.Key, []engine.Fault{{Kind: engine.FaultRateLimit, Operation: venue.OpPlace, Count: 1, Delay: time.Second}}))
		_, err = buy(t, v, "r"+name)
		var limited *venue.RateLimitedError
		require.ErrorAs(t, err, &limited)
		require.ErrorIs(t, v.SetFaults(ctx, ref.Key, []engine.Fault{{}}), engine.ErrInvalid)
		config, err := v.AccountConfig(ctx, ref)
		require.NoError(t, err)
		require.NoError(t, v.Configure(ctx, config))
		config.Product = "other"
		require.ErrorIs(t, v.Configure(ctx, config), engine.ErrAccount)
		require.NoError(t, v.SetInstruments(ctx, instruments))
		market, err := v.MarketState(ctx, "BTCUSDT")
		require.NoError(t, err)
		require.EqualValues(t, 1, market.Left)
		_, err = v.SetPace(ctx, "BTCUSDT", 0)
		require.NoError(t, err)
		_, err = v.Advance(ctx, "BTCUSDT", 1)
		require.NoError(t, err)
		listed, err := v.ListOrders(ctx, ref, "", 0, 1)
		require.NoError(t, err)
		require.EqualValues(t, 1, listed[0].Placed)
		cursors, err := v.Cursors(ctx, "t/")
		require.NoError(t, err)
		require.Contains(t, cursors, ref.Key)
	}
}

func TestVenue_Follow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, holder := start(t, dir)
	fund(t, holder)
	_, other := start(t, dir)
	_, err := buy(t, other, "x")
	require.NoError(t, err)
	for _, v := range []*Venue{holder, other} {
		var got []venue.Report
		done := errors.New("enough")
		err := v.Account(ref).Reports.Follow(t.Context(), 2, func(_ context.Context, batch []venue.Report) error {
			got = append(got, batch...)
			if len(got) == 4 {
				return done
			}
			return nil
		})
		require.ErrorIs(t, err, done)
		require.NotNil(t, got[0].Connected)
		require.False(t, got[0].Connected.Gap)
		require.EqualValues(t, 2, got[0].Cursor)
		require.Equal(t, venue.ExecutionNew, got[1].Execution.Type)
		require.Equal(t, venue.ExecutionTrade, got[2].Execution.Type)
		require.NotNil(t, got[3].Position)
		require.EqualValues(t, 5, got[3].Cursor)

		err = v.Account(ref).Reports.Follow(t.Context(), 77, func(_ context.Context, batch []venue.Report) error {
			require.True(t, batch[0].Connected.Gap)
			require.EqualValues(t, 5, batch[0].Cursor)
			return done
		})
		require.ErrorIs(t, err, done)
	}
	t.Run("prices", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen := make(chan venue.Price, 2)
		var group sync.WaitGroup
		group.Go(func() {
			_ = other.Market().FollowPrices(ctx, "BTCUSDT", 0, func(_ context.Context, prices []venue.Price) error {
				for _, price := range prices {
					seen <- price
				}
				return nil
			})
		})
		require.EqualValues(t, 1, (<-seen).Sequence)
		_, err := holder.Advance(ctx, "BTCUSDT", 2)
		require.NoError(t, err)
		require.Equal(t, "61000", (<-seen).Price.String())
		cancel()
		group.Wait()
	})
}

// The holder is killed; nothing that it answered is lost, and another process goes on.
func TestNode_HolderKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holderDir+"="+dir)
	input, err := holder.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = input.Close() }()
	output, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "holding\n", line)

	node, v := start(t, dir)
	fund(t, v)
	answered := map[string]venue.Order{}
	for n := range 16 {
		id := fmt.Sprintf("o%d", n)
		if n == 8 {
			require.NoError(t, holder.Process.Signal(syscall.SIGKILL))
		}
		placed, err := buy(t, v, id)
		if venue.IsUncertain(err) {
			continue
		}
		require.NoError(t, err)
		answered[id] = placed.Order
	}
	_ = holder.Wait()
	require.True(t, node.Holds())
	require.GreaterOrEqual(t, len(answered), 14)
	for id, want := range answered {
		got, err := v.Account(ref).Trading.QueryOrder(t.Context(), "BTCUSDT", venue.ClientOrderID(id))
		require.NoError(t, err)
		same(t, want, got)
	}
}

func TestNode_NobodyHolds(t *testing.T) {
	t.Parallel()
	node, err := New(slog.New(slog.DiscardHandler), clock.System(), Config{Dir: t.TempDir(), CallTimeout: 20 * time.Millisecond})
	require.NoError(t, err)
	node.Stop() // never started
	_, err = NewVenue(node).Account(ref).Trading.Place(t.Context(), venue.NewOrder{})
	require.ErrorIs(t, err, venue.ErrNotSent)
	require.False(t, venue.IsUncertain(err), "it never left the house")
	_, err = New(nil, nil, Config{})
	require.Error(t, err)
}

// A venue whose memory is damaged is not served, and the reason is told.
func TestNode_Damaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "snapshot-000000000001"), []byte("rubbish, and long enough to be read"), 0o600))
	_, v := start(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := v.Market().Time(ctx)
	require.ErrorContains(t, err, "checksum differs")
}

func TestNode_LongDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	_, one := start(t, dir)
	fund(t, one)
	second, two := start(t, dir)
	_, err := buy(t, two, "x")
	require.NoError(t, err)
	require.False(t, second.Holds())
}
