package e2e_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// crossingUp falls, turns twice on its way, and with its last minute but one the average of 2 closes crosses that of 4: the
// signal is there when the last begins. Lows that stand out: 94 000, then 94 400.
var crossingUp = []string{
	"95000", "94800", "94600", "94000", "94500", "94700", "94600", "94400", "94600", "94800", "94700", "94600", "94500", "94450", "95200", "95200",
}

// crosses registers a strategy that watches for crosses of 2 and 4 minutes, enables it and arms a long position for it.
func (u *user) crosses(account string, change func(*commandv1.RegisterStrategyRequest)) (strategy, position string) {
	u.t.Helper()
	request := &commandv1.RegisterStrategyRequest{
		AccountId: account, StrategyName: "crosses", StrategyType: "ma_cross", RiskConfig: &eventv1.RiskConfig{RiskPercent: "0.5"},
		DetectorConfig: map[string]string{"symbol": btc, "interval": "1m", "fast": "2", "slow": "4", "stop_lookback": "14", "signal_ttl": "5m"},
	}
	if change != nil {
		change(request)
	}
	registered, err := u.setup().RegisterStrategy(u.ctx(), request)
	require.NoError(u.t, err)
	_, err = u.setup().EnableStrategy(u.ctx(), &commandv1.EnableStrategyRequest{StrategyId: registered.GetStrategyId()})
	require.NoError(u.t, err)
	armed, err := u.trading().ArmPosition(u.ctx(), &commandv1.ArmPositionRequest{
		AccountId: account, StrategyId: registered.GetStrategyId(), Symbol: btc, Side: long,
	})
	require.NoError(u.t, err)
	eventually(u.t, "the detector watches", settleMax, func() string {
		progress, err := u.monitor().GetProgress(u.ctx(), &commandv1.GetProgressRequest{})
		if err != nil {
			return err.Error()
		}
		if len(progress.GetDetectorPrices()) == 0 {
			return "nothing is watched"
		}
		return ""
	})
	return registered.GetStrategyId(), armed.GetPositionId()
}

// signal waits until the position's only signal has a status.
func (u *user) signal(position string, status projectorv1.SignalStatus) *projectorv1.Signal {
	u.t.Helper()
	var found *projectorv1.Signal
	eventually(u.t, "the signal is "+status.String(), settleMax, func() string {
		list, err := u.state().ListSignals(u.ctx(), &projectorv1.ListSignalsRequest{PositionId: position})
		switch {
		case err != nil:
			return err.Error()
		case len(list.GetSignals()) != 1 || list.GetSignals()[0].GetStatus() != status:
			return list.String()
		}
		found = list.GetSignals()[0]
		return ""
	})
	return found
}

// advance moves the market to the end of a bar without waiting for anybody.
func (m *market) advance(bar int) {
	m.u.t.Helper()
	_, err := m.u.paper().AdvanceMarket(m.u.ctx(), &connectorv1.AdvanceMarketRequest{Symbol: m.symbol, ToSequence: m.first + int64(ticksOfBar*bar+ticksOfBar-1)})
	require.NoError(m.u.t, err)
}

func TestACrossOfAveragesOpensAPositionInOneRun(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(standing(btc), crossingUp...)
	strategy, position := u.crosses(u.account(), nil)
	before := u.head()
	for bar := range crossingUp {
		market.to(u, bar)
	}
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ACTIVE, u.position(position).GetState())
	require.Equal(t, "94000", u.position(position).GetTechnicalStopPrice(), "the second low below")
	signal := u.signal(position, projectorv1.SignalStatus_SIGNAL_STATUS_ACCEPTED)
	require.Equal(t, []string{"95200", "94000", "ma_cross", strategy},
		[]string{signal.GetEntryPrice(), signal.GetStopLoss(), signal.GetDetector(), signal.GetStrategyId()})

	news := u.readLog(before)
	detected := only(news, "SIGNAL_DETECTED")[0]
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_DAEMON, detected.GetActorType())
	run := u.query(&eventlogv1.EventFilter{WorkflowId: detected.GetWorkflowId()})
	found := types(run)
	require.Equal(t, []string{"SIGNAL_DETECTED", "TECHNICAL_STOP_ANALYZED", "DECISION_PROPOSED", "RISK_CHECK_PASSED", "SIGNAL_ACCEPTED", "INTENT_CREATED"}, found[:6])
	for _, e := range run {
		require.Equal(t, eventv1.ActorType_ACTOR_TYPE_DAEMON, e.GetActorType(), "%s is nobody's command", e.GetEventType())
	}
	require.Contains(t, types(u.query(&eventlogv1.EventFilter{TraceId: detected.GetTraceId()})), "POSITION_OPENED", "the trace goes on from there")
	stop := only(run, "TECHNICAL_STOP_ANALYZED")[0].GetPayload().GetTechnicalStopAnalyzed()
	require.Equal(t, []string{"swing_low", "high", "1200"}, []string{stop.GetMethod(), stop.GetConfidence(), stop.GetDistance()})
	require.Equal(t, []string{"94400", "94000"}, stop.GetLevels())
	require.EqualValues(t, 2, stop.GetLevelN())
}

func TestACrossWhoseStopIsOutOfBoundsIsRejected(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(standing(btc), crossingUp...)
	_, position := u.crosses(u.account(), func(r *commandv1.RegisterStrategyRequest) { r.RiskConfig.StopMaxPct = "1" })
	before := u.head()
	for bar := range crossingUp {
		market.to(u, bar)
	}
	require.Equal(t, "stop_bounds", u.signal(position, projectorv1.SignalStatus_SIGNAL_STATUS_REJECTED).GetRejectionReason())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, u.position(position).GetState())
	require.Equal(t, []string{"SIGNAL_DETECTED", "TECHNICAL_STOP_ANALYZED", "SIGNAL_REJECTED"}, u.newsSince(before))
}

// The account's entries are halted when the signal comes, and nobody clears the limit before it expires by the venue's time.
func TestASignalThatNobodyMayActOnExpires(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	path := append([]string{}, crossingUp...)
	for range 7 {
		path = append(path, "95200")
	}
	market := u.market(standing(btc), path...)
	account := u.account()
	_, err := u.trading().Panic(u.ctx(), &commandv1.PanicRequest{AccountId: account, Note: "rehearsal"})
	require.NoError(t, err)
	_, position := u.crosses(account, nil)
	for bar := range crossingUp {
		market.advance(bar)
	}
	u.signal(position, projectorv1.SignalStatus_SIGNAL_STATUS_DETECTED)
	market.advance(len(path) - 1)
	expired := u.signal(position, projectorv1.SignalStatus_SIGNAL_STATUS_EXPIRED)
	u.settle()
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, u.position(position).GetState())
	events := u.query(&eventlogv1.EventFilter{PositionId: position})
	require.Equal(t, []string{"POSITION_ARMED", "SIGNAL_DETECTED", "TECHNICAL_STOP_ANALYZED", "SIGNAL_EXPIRED"}, types(events))
	require.Equal(t, events[1].GetWorkflowId(), events[3].GetWorkflowId())
	require.Equal(t, events[1].GetEventId(), events[3].GetCausationId())
	require.Equal(t, 5*time.Minute, expired.GetExpiresAt().AsTime().Sub(expired.GetDetectedAt().AsTime()))
}

func TestAKeyIsRotatedByItsFingerprint(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	account, fresh := u.account(), uuid.NewString()
	rotated, err := u.setup().RotateCredentials(u.ctx(), &commandv1.RotateCredentialsRequest{
		AccountId: account, NewFingerprint: fresh, KeyType: "ED25519", Reason: "quarterly",
	})
	require.NoError(t, err)
	require.NotEqual(t, fresh, rotated.GetOldFingerprint())
	found, err := u.state().GetAccount(u.ctx(), &projectorv1.GetAccountRequest{AccountId: account, MinPosition: rotated.GetOutcome().GetPosition()})
	require.NoError(t, err)
	require.Equal(t, fresh, found.GetAccount().GetApiKeyFingerprint())
}
