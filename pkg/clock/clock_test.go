package clock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
)

func TestFake_fires_what_is_due(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	fake := clock.NewFake(start)
	timer, ticker := fake.NewTimer(2*time.Second), fake.NewTicker(time.Second)
	fake.Advance(time.Second)
	require.Equal(t, start.Add(time.Second), <-ticker.C())
	require.Empty(t, timer.C())
	fake.Advance(time.Second)
	require.Equal(t, start.Add(2*time.Second), <-timer.C())
	require.False(t, timer.Stop())
	ticker.Stop()
	fake.Advance(time.Hour)
	require.Len(t, ticker.C(), 1, "the tick of the second second, and none after Stop")
}

func TestSleep(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Unix(0, 0))
	done := make(chan error, 1)
	go func() { done <- clock.Sleep(context.Background(), fake, time.Minute) }()
	fake.WaitFor(1)
	fake.Advance(time.Minute)
	require.NoError(t, <-done)

	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, clock.Sleep(canceled, fake, time.Minute), context.Canceled)
	require.ErrorIs(t, clock.Sleep(canceled, fake, 0), context.Canceled)
}

func TestSystem(t *testing.T) {
	t.Parallel()
	c := clock.System()
	require.False(t, c.Now().IsZero())
	require.NoError(t, clock.Sleep(context.Background(), c, time.Nanosecond))
	ticker := c.NewTicker(time.Hour)
	ticker.Stop()
}
