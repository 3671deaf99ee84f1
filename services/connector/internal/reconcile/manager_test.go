package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// However often an account is to be reconciled, it is looked at that often whether its turn has come.
func TestConfig_Every(t *testing.T) {
	t.Parallel()
	require.Equal(t, 10*time.Second, Config{}.withDefaults().DiscoverEvery)
	require.Equal(t, time.Hour, Config{}.withDefaults().Every)
	require.Equal(t, time.Second, Config{Every: time.Second}.withDefaults().DiscoverEvery)
}

// hourly counts the runs that their turn has started.
func (b *bench) hourly() (count int) {
	for _, e := range b.books.Events("RECONCILIATION_COMPLETED") {
		if e.GetPayload().GetReconciliationCompleted().GetTrigger() == eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_HOURLY {
			count++
		}
	}
	return count
}

// An account whose turn comes is reconciled again and again.
func TestManager_Hourly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Every, b.config.DiscoverEvery = time.Millisecond, time.Millisecond
	require.NoError(t, b.Start(t.Context()))
	t.Cleanup(b.Stop)
	require.Eventually(t, func() bool { return b.hourly() > 2 }, 10*time.Second, time.Millisecond)
}
