package monitor

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// TestWatched_left: what the resting stop has begun to sell is not triggered once more as a trailing stop.
func TestWatched_left(t *testing.T) {
	t.Parallel()
	row := &projectorv1.Position{
		PositionId: "p", Side: eventv1.PositionSide_POSITION_SIDE_LONG, State: projectorv1.PositionState_POSITION_STATE_ACTIVE,
		TrailingMode: eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS, TechnicalStopPrice: "93500", TechnicalStopDistance: "1500",
		TrailingStopPrice: "93500", FavorableExtreme: "95000", CurrentQuantity: "0.06",
	}
	hit := tick{Tick: engine.Tick{Price: decimal.RequireFromString("93000"), At: time.Unix(1_800_000_000, 0)}, sequence: 7}
	cause := &lifecycle.Cause{EventID: "01ARZ3NDEKTSV4RRFFQ69G5FAV"}

	guarded, err := newWatched(row, cause)
	require.NoError(t, err)
	request, _ := guarded.append("BTCUSDT", hit)
	require.NotNil(t, request.GetStreams()[0].GetEvents()[0].GetPayload().GetExitTriggered())

	row.ExitQuantity = "0.02"
	guarded, err = newWatched(row, cause)
	require.NoError(t, err)
	request, _ = guarded.append("BTCUSDT", hit)
	require.Nil(t, request)
}
