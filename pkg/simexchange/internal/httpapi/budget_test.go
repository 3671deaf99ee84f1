package httpapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBudget_bans_who_goes_on(t *testing.T) {
	t.Parallel()
	now := int64(30_000)
	b := &Budget{}
	require.EqualValues(t, weightUsual, b.spend(now, weightUsual))
	status, _ := b.blocked(now)
	require.Zero(t, status)
	b.spend(now, 1)
	for range refusedMax {
		status, wait := b.blocked(now)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.EqualValues(t, 31, wait)
	}
	status, wait := b.blocked(now)
	require.Equal(t, http.StatusTeapot, status)
	require.EqualValues(t, 120, wait)
	b.spend(now+60_000, 1)
	status, _ = b.blocked(now + 60_000)
	require.Equal(t, http.StatusTeapot, status, "a new minute does not end a ban")
	b.spend(now+banned, 1)
	status, _ = b.blocked(now + banned)
	require.Zero(t, status)
}
