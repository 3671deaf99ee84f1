package process_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/worldtest"
)

// sampled records how the venue judges the margin account, so long after the market's time.
func (b *testBundle) sampled(t *testing.T, level string, status eventv1.MarginStatus, after time.Duration) {
	t.Helper()
	require.NoError(t, b.Record("account:"+b.account, b.Now(), event.Wrap(&eventv1.MarginLevelSampled{
		SampleId: uuid.NewString(), AccountId: b.account, Symbol: worldtest.Symbol, MarginLevel: level, MarginRatio: "3", Status: status,
		IndexPrice: "95000", LiquidatePrice: "150000", Borrowed: "0", Interest: "0", SampledAt: timestamppb.New(b.Now().Add(after)),
	})))
}

// Entries are halted once while the venue judges the margin below normal, and go on when it does not any more.
func TestManager_MarginLevel(t *testing.T) {
	t.Parallel()
	b := setup(t, margin)
	b.run(t)
	b.sampled(t, "3", eventv1.MarginStatus_MARGIN_STATUS_EXCESSIVE, 0)
	b.settle(t)
	require.Zero(t, b.count("RISK_LIMIT_EXCEEDED"))

	b.Fail(nil, fault.New(fault.Unavailable, "AWAY", "the log is away")) // the sample is recorded, what follows is not at first
	b.sampled(t, "1.3", eventv1.MarginStatus_MARGIN_STATUS_MARGIN_CALL, time.Minute)
	b.until(t, 1, "RISK_LIMIT_EXCEEDED")
	b.sampled(t, "1.1", eventv1.MarginStatus_MARGIN_STATUS_PRE_LIQUIDATION, 2*time.Minute)
	b.sampled(t, "3", eventv1.MarginStatus_MARGIN_STATUS_NORMAL, time.Second) // older: it came late
	b.settle(t)
	require.Equal(t, 1, b.count("RISK_LIMIT_EXCEEDED"), "it is set already, and an old sample clears nothing")

	answer, err := b.OpenPosition(b.call(t), &commandv1.OpenPositionRequest{
		AccountId: b.account, Symbol: worldtest.Symbol, Side: short, EntryPrice: "95000", TechnicalStop: "96500",
	})
	require.NoError(t, err)
	require.Equal(t, "account_violated", answer.GetOutcome().GetFailedChecks()[0].GetName())
	require.Contains(t, answer.GetOutcome().GetFailedChecks()[0].GetMessage(), "1.3, as margin_call")

	b.sampled(t, "2", eventv1.MarginStatus_MARGIN_STATUS_NORMAL, 3*time.Minute)
	b.until(t, 2, "RISK_LIMIT_EXCEEDED")
	b.settle(t)
	b.open(t, short)
	b.sampled(t, "1.05", eventv1.MarginStatus_MARGIN_STATUS_FORCE_LIQUIDATION, 4*time.Minute)
	b.until(t, 3, "RISK_LIMIT_EXCEEDED")
	b.settle(t)
	require.Equal(t, 3, b.count("RISK_LIMIT_EXCEEDED"))
}
