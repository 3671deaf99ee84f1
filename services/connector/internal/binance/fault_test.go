package binance_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
	"github.com/robson/robson/services/connector/internal/binance"
	"github.com/robson/robson/services/connector/internal/venue"
)

// brief shortens how long an answer is waited for.
func brief(c *binance.Config) { c.RequestTimeout = 300 * time.Millisecond }

// TestPlace_fault places under each fault: what is concluded is never more than what is known, and the order is sent once.
func TestPlace_fault(t *testing.T) {
	t.Parallel()
	uncertain := func(cause venue.UncertainCause) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			t.Helper()
			var unknown *venue.UncertainError
			require.ErrorAs(t, err, &unknown)
			require.Equal(t, cause, unknown.Cause)
			require.True(t, venue.IsUncertain(err))
		}
	}
	rejected := func(code int) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			t.Helper()
			var refused *venue.RejectedError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, code, refused.Code)
			require.False(t, venue.IsUncertain(err))
		}
	}
	for name, c := range map[string]struct {
		fault simexchange.Fault
		want  func(*testing.T, error)
	}{
		"cut before it is done":    {simexchange.Fault{Kind: simexchange.DropBefore}, uncertain(venue.CauseConnReset)},
		"cut after it is done":     {simexchange.Fault{Kind: simexchange.AcceptThenDrop}, uncertain(venue.CauseConnReset)},
		"no answer":                {simexchange.Fault{Kind: simexchange.AcceptThenTimeout}, uncertain(venue.CauseTimeout)},
		"5xx with a page":          {simexchange.Fault{Kind: simexchange.AcceptThenError, HTTP: 502, Body: "<html>"}, uncertain(venue.Cause5xx)},
		"-1006":                    {simexchange.Fault{Kind: simexchange.AcceptThenError, HTTP: 400, Code: -1006}, uncertain(venue.Cause1006)},
		"-1007":                    {simexchange.Fault{Kind: simexchange.AcceptThenError, HTTP: 408, Code: -1007}, uncertain(venue.Cause1007)},
		"-1008 busy":               {simexchange.Fault{Kind: simexchange.Reject, HTTP: 503, Code: -1008}, uncertain(venue.Cause5xx)},
		"half an answer":           {simexchange.Fault{Kind: simexchange.BadBody}, uncertain(venue.CauseBadBody)},
		"a refusal":                {simexchange.Fault{Kind: simexchange.Reject, HTTP: 400, Code: -2010, Message: "no money"}, rejected(-2010)},
		"a filter":                 {simexchange.Fault{Kind: simexchange.Reject, HTTP: 400, Code: -1013, Message: "LOT_SIZE"}, rejected(-1013)},
		"a bad key":                {simexchange.Fault{Kind: simexchange.Reject, HTTP: 401, Code: -2015, Message: "key"}, rejected(-2015)},
		"a page instead of a 4xx":  {simexchange.Fault{Kind: simexchange.AcceptThenError, HTTP: 403, Body: "<html>"}, uncertain(venue.CauseBadBody)},
		"-1021":                    {simexchange.Fault{Kind: simexchange.Reject, HTTP: 400, Code: -1021, Message: "late"}, rejected(-1021)},
		"a duplicate is no reject": {simexchange.Fault{Kind: simexchange.Reject, HTTP: 400, Code: -2010, Message: venue.MessageDuplicateOrder}, isError(venue.ErrDuplicateOrder)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, brief)
			c.fault.Method, c.fault.Path = http.MethodPost, "/api/v3/order"
			b.fault(c.fault)
			_, err := b.account.Trading.Place(t.Context(), b.market("f-1", "0.01"))
			c.want(t, err)
			require.Len(t, b.requests(http.MethodPost), 1, "sent once")
			require.NotContains(t, err.Error(), "signature")
		})
	}
}

func isError(want error) func(*testing.T, error) {
	return func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, want)
		require.False(t, venue.IsUncertain(err))
	}
}

// requests are those of a method that reached the exchange for the account.
func (b *bed) requests(method string) (out []simexchange.Request) {
	for _, r := range b.exchange.Requests("one") {
		if r.Method == method {
			out = append(out, r)
		}
	}
	return out
}

// TestPlace_late sends what was claimed too long ago: the venue refuses it, so that nobody else has to fear it.
func TestPlace_late(t *testing.T) {
	t.Parallel()
	b := open(t)
	order := b.market("late", "0.01")
	order.Stamp = order.Stamp.Add(-6 * time.Second)
	_, err := b.account.Trading.Place(t.Context(), order)
	var refused *venue.RejectedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, -1021, refused.Code)
	orders, err := b.exchange.Orders("one", "BTCUSDT")
	require.NoError(t, err)
	require.Empty(t, orders)
}

// TestPlace_never_left tells what provably was not sent from what may have been.
func TestPlace_never_left(t *testing.T) {
	t.Parallel()
	b := open(t)
	order := b.market("n-1", "0.01")
	margin := order
	margin.SideEffect = venue.MarginBuy
	_, err := b.account.Trading.Place(t.Context(), margin)
	require.ErrorIs(t, err, venue.ErrNotSent)
	isolated := b.venue.Account(venue.AccountRef{Key: "one", Product: venue.IsolatedMargin, MarginSymbol: "ETHUSDT"})
	_, err = isolated.Trading.Place(t.Context(), order)
	require.ErrorIs(t, err, venue.ErrNotSent)
	order.Stamp = time.Time{}
	_, err = b.account.Trading.Place(t.Context(), order)
	require.ErrorIs(t, err, venue.ErrNotSent)
	order = b.market("n-2", "0.01")
	b.exchange.Close()
	b.venue.Stop()
	_, err = b.account.Trading.Place(t.Context(), order)
	require.ErrorIs(t, err, venue.ErrNotSent)
	require.False(t, venue.IsUncertain(err))
}

// TestPlace_given_up is a caller who leaves while the answer is awaited.
func TestPlace_given_up(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.fault(simexchange.Fault{Kind: simexchange.AcceptThenTimeout, Method: http.MethodPost})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := b.account.Trading.Place(ctx, b.market("g-1", "0.01"))
	require.True(t, venue.IsUncertain(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestCancel_of_what_is_not_open says only that.
func TestCancel_of_what_is_not_open(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, err := b.account.Trading.Cancel(t.Context(), venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "never"})
	require.ErrorIs(t, err, venue.ErrUnknownOrder)
	_, err = b.account.Trading.QueryOrder(t.Context(), "BTCUSDT", "never")
	require.ErrorIs(t, err, venue.ErrOrderNotFound)
}

// TestRateLimit_shuts_one_gate: after 429 or 418 nothing goes out, of any account, until the time is over.
func TestRateLimit_shuts_one_gate(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusTeapot} {
		b := open(t)
		b.fault(simexchange.Fault{Kind: simexchange.RateLimit, Method: http.MethodPost, HTTP: status, RetryAfter: 1})
		var limited *venue.RateLimitedError
		_, err := b.account.Trading.Place(t.Context(), b.market("r-1", "0.01"))
		require.ErrorAs(t, err, &limited)
		require.Equal(t, time.Second, limited.RetryAfter)
		before := len(b.exchange.Requests(""))
		other := b.venue.Account(venue.AccountRef{Key: "other", Product: venue.Spot})
		_, err = other.Wallets.Balances(t.Context())
		require.ErrorAs(t, err, &limited)
		require.Positive(t, limited.RetryAfter)
		require.Len(t, b.exchange.Requests(""), before, "nothing went out")
		require.Eventually(t, func() bool {
			_, err := other.Wallets.Balances(t.Context())
			return err == nil
		}, 5*time.Second, 20*time.Millisecond)
	}
}

// TestRead_compares_clocks_again: a question that -1021 refused is asked once more, an order is not.
func TestRead_compares_clocks_again(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.exchange.SetSkew(time.Hour)
	_, err := b.account.Wallets.Balances(t.Context())
	require.NoError(t, err)
	b.exchange.SetSkew(0)
	_, err = b.account.Trading.QueryOrder(t.Context(), "BTCUSDT", "never")
	require.ErrorIs(t, err, venue.ErrOrderNotFound)
}

// TestFollow_ends by everything that can happen to a line.
func TestFollow_ends(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault simexchange.Fault
		said  string
	}{
		"cut":        {simexchange.Fault{Kind: simexchange.Disconnect}, "broke"},
		"half open":  {simexchange.Fault{Kind: simexchange.HalfOpen}, "silent"},
		"terminated": {simexchange.Fault{Kind: simexchange.Terminated}, "eventStreamTerminated"},
		"shutdown":   {simexchange.Fault{Kind: simexchange.Shutdown}, "serverShutdown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, func(c *binance.Config) { c.Silence = 500 * time.Millisecond })
			c.fault.Event = "executionReport"
			b.fault(c.fault)
			err := b.account.Reports.Follow(t.Context(), 0, func(ctx context.Context, batch []venue.Report) error {
				if batch[0].Connected == nil {
					return nil
				}
				_, err := b.account.Trading.Place(ctx, b.market("e-1", "0.01"))
				return err
			})
			require.ErrorContains(t, err, c.said)
		})
	}
}

// TestFollow_refused tells why, and hands over nothing.
func TestFollow_refused(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *binance.Config) { c.Credentials = held{APIKey: "nobody", Secret: "none"} })
	err := b.account.Reports.Follow(t.Context(), 0, func(context.Context, []venue.Report) error {
		return errors.New("nothing should come")
	})
	require.ErrorContains(t, err, "refused the subscription")
	b = open(t)
	b.fault(simexchange.Fault{Kind: simexchange.SubscribeReject, Event: "subscribe"})
	err = b.account.Reports.Follow(t.Context(), 0, func(context.Context, []venue.Report) error { return nil })
	require.ErrorContains(t, err, "-2015")
}

// TestFollowPrices_over_a_break goes on after the line broke, and says what was missed.
func TestFollowPrices_over_a_break(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx, stop := context.WithCancel(t.Context())
	prices := make(chan venue.Price, 100)
	done := make(chan error, 1)
	go func() {
		done <- b.venue.FollowPrices(ctx, "BTCUSDT", 0, func(_ context.Context, batch []venue.Price) error {
			for _, p := range batch {
				prices <- p
			}
			return nil
		})
	}()
	first := <-prices
	require.False(t, first.Gap)
	require.NoError(t, b.exchange.SetPrice("BTCUSDT", "60001"))
	second := <-prices
	require.Equal(t, first.Sequence+1, second.Sequence)
	require.False(t, second.Gap)
	b.exchange.SetDown(true)
	require.NoError(t, b.exchange.SetPrice("BTCUSDT", "60002"))
	require.NoError(t, b.exchange.SetPrice("BTCUSDT", "60003"))
	b.exchange.SetDown(false)
	third := <-prices
	require.True(t, third.Gap)
	require.Equal(t, second.Sequence+2, third.Sequence)
	require.True(t, third.Price.Equal(dec("60003")))
	require.Equal(t, fmt.Sprintf("binance/sim/BTCUSDT/%d", third.Sequence), third.EventID)
	stop()
	require.ErrorIs(t, <-done, context.Canceled)
	failed := errors.New("full")
	require.ErrorIs(t, b.venue.FollowPrices(t.Context(), "BTCUSDT", 0, func(context.Context, []venue.Price) error { return failed }), failed)
}
