package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// impatient is a clock that does not wait.
func (b *testBundle) impatient() {
	b.committer.clock, b.committer.retryDelay = clock.System(), 1
}

func TestCommitter_Conflicts(t *testing.T) {
	t.Parallel()
	conflict := fault.New(fault.Conflict, "ROW_CHANGED", "account risk has changed")
	t.Run("decides anew on fresh state", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.impatient()
		b.log.fails = []error{conflict, conflict}
		answer, err := b.OpenPosition(b.call(t), b.s1())
		require.NoError(t, err)
		require.Equal(t, int32(2), answer.GetOutcome().GetConflicts())
	})
	t.Run("gives up after the named number", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.impatient()
		for range 6 {
			b.log.fails = append(b.log.fails, conflict)
		}
		_, err := b.OpenPosition(b.call(t), b.s1())
		refusal(t, err, fault.Conflict, "ROW_CHANGED")
		require.Empty(t, b.log.fails)
	})
	t.Run("other errors are told at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.log.fails = []error{fault.New(fault.Unavailable, "BUSY", "later")}
		_, err := b.OpenPosition(b.call(t), b.s1())
		refusal(t, err, fault.Unavailable, "BUSY")
	})
	t.Run("no identity, no command", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.OpenPosition(t.Context(), b.s1())
		refusal(t, err, fault.Unauthenticated, "NO_IDENTITY")
	})
	t.Run("a broken row is corrupt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.state.view.AccountRisk.OpenRisk = "x"
		_, err := b.OpenPosition(b.call(t), b.s1())
		refusal(t, err, fault.Corrupt, "ROW_AMOUNT")
		b.held(projectorv1.PositionState_POSITION_STATE_ACTIVE).PositionId = "x"
	})
}
