package binance

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	lib "github.com/adshao/go-binance/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/venue"
)

func used(weight int) http.Header {
	header := http.Header{}
	header.Set("X-Mbx-Used-Weight-1m", strconv.Itoa(weight))
	return header
}

// TestBudget_keeps_a_reserve: what lists is held back first, then what asks; what trades goes out to the limit.
func TestBudget_keeps_a_reserve(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2026, 11, 25, 9, 0, 20, 0, time.UTC))
	b := newBudget(fake)
	b.limits([]lib.RateLimit{
		{RateLimitType: "ORDERS", Interval: "SECOND", IntervalNum: 10, Limit: 5}, {RateLimitType: "REQUEST_WEIGHT", Interval: "MINUTE", IntervalNum: 1, Limit: 1000},
	})
	ctx, cancel := context.WithDeadline(t.Context(), fake.Now().Add(10*time.Second))
	defer cancel()
	take := func(of class, weight int64) error {
		spent, err := b.take(ctx, &call{operation: "x", class: of, weight: weight})
		if err == nil {
			spent.settle()
		}
		return err
	}
	spent, err := b.take(ctx, &call{class: listing, weight: 20})
	require.NoError(t, err)
	spent.answered(used(740))
	spent.settle() // counts no second time
	var limited *venue.RateLimitedError
	require.ErrorAs(t, take(listing, 20), &limited)
	require.Equal(t, 40*time.Second, limited.RetryAfter)
	require.NoError(t, take(asking, 150))
	require.ErrorAs(t, take(asking, 20), &limited)
	require.NoError(t, take(trading, 100))
	require.ErrorAs(t, take(trading, 100), &limited)

	held := make(chan error, 1)
	go func() {
		_, err := b.take(context.Background(), &call{class: listing, weight: 20})
		held <- err
	}()
	fake.WaitFor(1)
	fake.Advance(40 * time.Second)
	require.NoError(t, <-held, "a new minute")
}

// TestBudget_learns: a process that begins where others have used more than the usual limit asks for the limit first, and is not held
// back for a minute by one that is not the venue's.
func TestBudget_learns(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2026, 11, 25, 9, 0, 20, 0, time.UTC))
	b := newBudget(fake)
	spent, err := b.take(t.Context(), &call{class: trading, weight: 1})
	require.NoError(t, err)
	spent.answered(used(9000))
	var limited *venue.RateLimitedError
	_, err = b.take(t.Context(), &call{class: trading, weight: 1})
	require.ErrorAs(t, err, &limited)
	require.Equal(t, time.Second, limited.RetryAfter)
	held := make(chan error, 1)
	go func() {
		_, err := b.take(context.Background(), &call{class: asking, weight: 20})
		held <- err
	}()
	fake.WaitFor(1)
	_, err = b.take(t.Context(), &call{class: learning, weight: weightInfo})
	require.NoError(t, err)
	b.limits([]lib.RateLimit{{RateLimitType: "REQUEST_WEIGHT", Interval: "MINUTE", IntervalNum: 1, Limit: 12_000}})
	_, err = b.take(t.Context(), &call{class: trading, weight: 1})
	require.NoError(t, err)
	fake.Advance(time.Second)
	require.NoError(t, <-held)

	spent, err = b.take(t.Context(), &call{class: trading, weight: 1})
	require.NoError(t, err)
	spent.answered(used(12_000))
	ctx, cancel := context.WithDeadline(t.Context(), fake.Now().Add(10*time.Second))
	defer cancel()
	_, err = b.take(ctx, &call{class: learning, weight: weightInfo})
	require.ErrorAs(t, err, &limited, "what is known need not be learnt")
}

// TestBudget_shut refuses everyone for an address, one for its orders.
func TestBudget_shut(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC))
	b := newBudget(fake)
	place := func(account venue.AccountKey, operation string) error {
		_, err := b.take(t.Context(), &call{operation: operation, account: account})
		return err
	}
	b.shutOrders("one", 10*time.Second)
	var limited *venue.RateLimitedError
	require.ErrorAs(t, place("one", venue.OpPlace), &limited)
	require.NoError(t, place("one", venue.OpCancel))
	require.NoError(t, place("two", venue.OpPlace))
	b.shut(time.Minute)
	b.shut(time.Second)
	require.ErrorAs(t, place("two", venue.OpCancel), &limited)
	require.Equal(t, time.Minute, limited.RetryAfter)
	fake.Advance(time.Minute)
	require.NoError(t, place("one", venue.OpPlace))
	require.Equal(t, limitPause, retryAfter(http.Header{}, limitPause))
	require.Equal(t, pauseMax, retryAfter(http.Header{"Retry-After": {"99999999999"}}, limitPause))
}
