package process

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestAlerts(t *testing.T) {
	t.Parallel()
	alerts, err := NewAlerts()
	require.NoError(t, err)
	tenant, other := uuid.New(), uuid.New()
	require.True(t, alerts.Set(tenant, "b", "b: first"))
	require.True(t, alerts.Set(tenant, "a", "a"))
	require.False(t, alerts.Set(tenant, "b", "b: again"), "no news")
	require.True(t, alerts.Set(other, "a", "another's"))
	require.Equal(t, []string{"a", "b: again"}, alerts.List(tenant))
	require.Equal(t, int64(3), alerts.standing())
	alerts.Clear(tenant, "b")
	alerts.Clear(tenant, "unknown")
	alerts.Clear(uuid.New(), "a")
	require.Equal(t, []string{"a"}, alerts.List(tenant))
	require.Equal(t, int64(2), alerts.standing())

	for i := range 2 * alertsMax {
		alerts.Set(tenant, fmt.Sprint(i), "x")
	}
	require.Len(t, alerts.List(tenant), alertsMax, "no more are told at a time")
}
