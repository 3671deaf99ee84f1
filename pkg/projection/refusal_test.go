package projection_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// scene is a log with one plan taken to some state.
type scene struct {
	*projectiontest.Log
	plan projectiontest.Plan
}

// The states that refusals start from. Each leaves a plan "a" of the strategy on the spot account.
func sceneAt(t *testing.T, state string) scene {
	t.Helper()
	s := scene{registered(t), projectiontest.Long("a")}
	s.plan.Strategy = projectiontest.StrategyID
	steps := []struct {
		state string
		step  func() proto.Message
	}{
		{"armed", func() proto.Message { return s.Armed(s.plan) }},
		{"signaled", func() proto.Message { return s.Detected(s.plan) }},
		{"proposed", func() proto.Message { return s.Proposed(s.plan) }},
		{"approved", func() proto.Message { return s.Passed(s.plan) }},
		{"intended", func() proto.Message { return s.Entry(s.plan) }},
		{"claimed", func() proto.Message { return s.Claim(s.plan.EntryID(), 1) }},
		{"filled", func() proto.Message {
			return s.Fill(s.Intent(s.plan.EntryID()), 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.06666"})
		}},
		{"active", func() proto.Message { return s.Opened(s.plan, "95000", "0.06666") }},
		{"exiting", func() proto.Message { return s.Leaving(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE) }},
		{"exit intended", func() proto.Message { return s.Exit(s.plan, 1, "0.06666") }},
		{"exit claimed", func() proto.Message { return s.Claim(projectiontest.ExitID(s.plan, 1), 1) }},
		{"exit filled", func() proto.Message {
			return s.Fill(s.Intent(projectiontest.ExitID(s.plan, 1)), 1, projectiontest.Trade{ID: "t2", Price: "96000", Quantity: "0.06666"})
		}},
		{"closed", func() proto.Message { return s.Closed(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE) }},
	}
	if state == "registered" {
		return s
	}
	for _, step := range steps {
		add(t, s.Log, step.step())
		if step.state == state {
			return s
		}
	}
	t.Fatalf("no scene %q", state)
	return s
}

// refusal is a decision that must be refused: with a reason, or as Invalid for a field.
type refusal struct {
	name    string
	at      string
	reason  string
	field   string
	payload func(s scene) proto.Message
}

func requireRefusals(t *testing.T, tests []refusal) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.at+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			s := sceneAt(t, test.at)
			payload := test.payload(s)
			if test.field != "" {
				refuseField(t, s.Log, test.field, payload)
				return
			}
			e := refusalOf(t, s.Log, test.reason, payload)
			require.True(t, fault.Is(e, fault.Refused), "%v", e)
		})
	}
}

// changed is a payload with one thing changed.
func changed[P proto.Message](payload P, change func(P)) P {
	change(payload)
	return payload
}

func TestCheck_PositionArmed(t *testing.T) {
	t.Parallel()
	armed := func(change func(p *eventv1.PositionArmed)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Armed(s.plan), change) }
	}
	other := uuid.NewString()
	requireRefusals(t, []refusal{
		{name: "twice", at: "armed", reason: "POSITION_EXISTS", payload: armed(func(*eventv1.PositionArmed) {})},
		{name: "beside another", at: "armed", reason: "DUPLICATE_POSITION", payload: armed(func(p *eventv1.PositionArmed) { p.PositionId = other })},
		{name: "account unknown", at: "registered", reason: "ACCOUNT_UNKNOWN", payload: armed(func(p *eventv1.PositionArmed) { p.AccountId = other })},
		{name: "strategy unknown", at: "registered", reason: "STRATEGY_UNKNOWN", payload: armed(func(p *eventv1.PositionArmed) { p.StrategyId = other })},
		{name: "strategy of another account", at: "registered", reason: "STRATEGY_UNKNOWN", payload: armed(func(p *eventv1.PositionArmed) {
			p.AccountId = projectiontest.Margin.String()
		})},
		{name: "too much risk", at: "registered", field: "risk_percent", payload: armed(func(p *eventv1.PositionArmed) { p.RiskPercent = "1.01" })},
		{name: "no risk", at: "registered", field: "risk_percent", payload: armed(func(p *eventv1.PositionArmed) { p.RiskPercent = "0" })},
		{name: "no capital", at: "registered", field: "capital", payload: armed(func(p *eventv1.PositionArmed) { p.Capital = "0" })},
		{name: "another quote", at: "registered", field: "symbol", payload: armed(func(p *eventv1.PositionArmed) { p.Symbol = "ETHBTC" })},
		{name: "short on spot", at: "registered", field: "side", payload: armed(func(p *eventv1.PositionArmed) { p.Side = eventv1.PositionSide_POSITION_SIDE_SHORT })},
		{name: "another pair on isolated margin", at: "registered", field: "symbol", payload: armed(func(p *eventv1.PositionArmed) {
			p.AccountId, p.StrategyId, p.Symbol = projectiontest.Margin.String(), "", "ETHUSDT"
		})},
	})
	t.Run("strategy disabled", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "registered")
		add(t, s.Log, &eventv1.StrategyDisabled{StrategyId: projectiontest.StrategyID.String(), Reason: "test"})
		refuse(t, s.Log, "STRATEGY_DISABLED", s.Armed(s.plan))
	})
	t.Run("again after the first has ended", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "armed")
		add(t, s.Log, &eventv1.PositionDisarmed{PositionId: s.plan.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_USER})
		require.Equal(t, "disarmed", *s.Position(s.plan.PositionID()).ExitReason)
		require.Equal(t, "user", *s.Position(s.plan.PositionID()).DisarmReason)
		next := projectiontest.Long("b")
		add(t, s.Log, s.Armed(next))
	})
}

func TestCheck_PositionDisarmed(t *testing.T) {
	t.Parallel()
	disarmed := func(s scene) proto.Message {
		return &eventv1.PositionDisarmed{PositionId: s.plan.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_USER}
	}
	requireRefusals(t, []refusal{
		{name: "unknown", at: "registered", reason: "POSITION_UNKNOWN", payload: disarmed},
		{name: "entering", at: "intended", reason: "POSITION_STATE", payload: disarmed},
		{name: "closed", at: "closed", reason: "POSITION_STATE", payload: disarmed},
	})
}

func TestCheck_signals(t *testing.T) {
	t.Parallel()
	detected := func(change func(p *eventv1.SignalDetected)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Detected(s.plan), change) }
	}
	accepted := func(s scene) proto.Message {
		return &eventv1.SignalAccepted{SignalId: s.plan.SignalID().String(), PositionId: s.plan.PositionID().String(), DecisionId: s.plan.DecisionID().String()}
	}
	rejected := func(reason eventv1.SignalRejection) func(s scene) proto.Message {
		return func(s scene) proto.Message {
			return &eventv1.SignalRejected{SignalId: s.plan.SignalID().String(), PositionId: s.plan.PositionID().String(), Reason: reason}
		}
	}
	expired := func(s scene) proto.Message {
		return &eventv1.SignalExpired{SignalId: s.plan.SignalID().String(), PositionId: s.plan.PositionID().String(), ExpiredAt: timestamppb.New(s.Now)}
	}
	requireRefusals(t, []refusal{
		{name: "twice", at: "signaled", reason: "SIGNAL_EXISTS", payload: detected(func(*eventv1.SignalDetected) {})},
		{name: "position unknown", at: "registered", reason: "POSITION_UNKNOWN", payload: detected(func(*eventv1.SignalDetected) {})},
		{name: "wrong side", at: "armed", field: "side", payload: detected(func(p *eventv1.SignalDetected) { p.Side = eventv1.PositionSide_POSITION_SIDE_SHORT })},
		{name: "another symbol", at: "armed", field: "symbol", payload: detected(func(p *eventv1.SignalDetected) { p.Symbol = "ETHUSDT" })},
		{name: "another strategy", at: "armed", field: "strategy_id", payload: detected(func(p *eventv1.SignalDetected) { p.StrategyId = uuid.NewString() })},
		{name: "unattached, of an unknown strategy", at: "armed", reason: "STRATEGY_UNKNOWN", payload: detected(func(p *eventv1.SignalDetected) {
			p.PositionId, p.StrategyId = "", uuid.NewString()
		})},
		{name: "accepted before a decision", at: "signaled", reason: "DECISION_UNKNOWN", payload: accepted},
		{name: "accepted though unknown", at: "armed", reason: "SIGNAL_UNKNOWN", payload: accepted},
		{name: "accepted once entering", at: "intended", reason: "POSITION_NOT_ARMED", payload: accepted},
		{name: "rejected for risk without a decision", at: "signaled", reason: "SIGNAL_DECIDED", payload: rejected(eventv1.SignalRejection_SIGNAL_REJECTION_RISK)},
		{name: "rejected as a duplicate after a decision", at: "proposed", reason: "SIGNAL_DECIDED", payload: rejected(eventv1.SignalRejection_SIGNAL_REJECTION_DUPLICATE)},
		{name: "expired after a decision", at: "proposed", reason: "SIGNAL_DECIDED", payload: expired},
		{name: "expired though unknown", at: "armed", reason: "SIGNAL_UNKNOWN", payload: expired},
	})
	t.Run("what becomes of one", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "proposed")
		add(t, s.Log, accepted(s))
		require.Equal(t, projection.SignalAccepted, s.Signal(s.plan.SignalID()).Status)
		refuse(t, s.Log, "SIGNAL_NOT_WAITING", accepted(s))
		require.EqualValues(t, 1, s.Strategy(projectiontest.StrategyID).TotalSignals)

		s = sceneAt(t, "signaled")
		add(t, s.Log, expired(s))
		require.Equal(t, projection.SignalExpired, s.Signal(s.plan.SignalID()).Status)
		refuse(t, s.Log, "SIGNAL_NOT_WAITING", s.Proposed(s.plan))

		s = sceneAt(t, "signaled")
		add(t, s.Log, rejected(eventv1.SignalRejection_SIGNAL_REJECTION_STOP_BOUNDS)(s))
		require.Equal(t, "stop_bounds", *s.Signal(s.plan.SignalID()).RejectionReason)

		s = sceneAt(t, "armed") // One that did not fit the position was never detected.
		add(t, s.Log, rejected(eventv1.SignalRejection_SIGNAL_REJECTION_WRONG_SIDE)(s))
		require.Nil(t, s.Signal(s.plan.SignalID()))
	})
	t.Run("a stale one decides nothing", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "armed")
		signal := s.Detected(s.plan)
		signal.ExpiresAt = timestamppb.New(s.Now)
		add(t, s.Log, signal)
		refuse(t, s.Log, "SIGNAL_EXPIRED", s.Proposed(s.plan))
	})
	t.Run("an unattached one is in its strategy's stream", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "registered")
		signal := s.Detected(s.plan)
		signal.PositionId = ""
		add(t, s.Log, signal)
		require.False(t, s.Signal(s.plan.SignalID()).PositionID.Valid)
	})
}

func TestCheck_DecisionProposed(t *testing.T) {
	t.Parallel()
	proposed := func(change func(p *eventv1.DecisionProposed)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Proposed(s.plan), change) }
	}
	wrong := func(field string, change func(p *eventv1.DecisionProposed)) refusal {
		return refusal{name: field, at: "signaled", field: field, payload: proposed(change)}
	}
	requireRefusals(t, []refusal{
		{name: "twice", at: "proposed", reason: "DECISION_EXISTS", payload: proposed(func(*eventv1.DecisionProposed) {})},
		{name: "a second one for the signal", at: "proposed", reason: "SIGNAL_DECIDED", payload: proposed(func(p *eventv1.DecisionProposed) { p.DecisionId = uuid.NewString() })},
		{name: "without a signal", at: "armed", reason: "SIGNAL_UNKNOWN", payload: proposed(func(*eventv1.DecisionProposed) {})},
		{name: "for a position that is not armed", at: "intended", reason: "POSITION_STATE", payload: proposed(func(p *eventv1.DecisionProposed) { p.DecisionId = uuid.NewString() })},
		wrong("symbol", func(p *eventv1.DecisionProposed) { p.Symbol = "ETHUSDT" }),
		wrong("side", func(p *eventv1.DecisionProposed) { p.Side = eventv1.PositionSide_POSITION_SIDE_SHORT }),
		wrong("risk_percent", func(p *eventv1.DecisionProposed) { p.RiskPercent = "0.5" }),
		wrong("capital", func(p *eventv1.DecisionProposed) { p.Capital = "10000.01" }),
		wrong("technical_stop_price", func(p *eventv1.DecisionProposed) { p.TechnicalStopPrice = "96500" }),
		wrong("technical_stop_price", func(p *eventv1.DecisionProposed) { p.TechnicalStopPrice = "95000" }),
		wrong("technical_stop_distance", func(p *eventv1.DecisionProposed) { p.TechnicalStopDistance = "1499" }),
		wrong("max_risk_amount", func(p *eventv1.DecisionProposed) { p.MaxRiskAmount = "100.01" }),
		wrong("raw_quantity", func(p *eventv1.DecisionProposed) { p.RawQuantity = "0.0666667" }),
		wrong("planned_risk", func(p *eventv1.DecisionProposed) { p.PlannedRisk = "99.98" }),
		wrong("notional", func(p *eventv1.DecisionProposed) { p.Notional = "6332.71" }),
		wrong("quantity", func(p *eventv1.DecisionProposed) { // Not a multiple of the step.
			p.Quantity, p.PlannedRisk, p.Notional = "0.066661", "99.9915", "6332.795"
		}),
		wrong("quantity", func(p *eventv1.DecisionProposed) { // Rounded down too far.
			p.Quantity, p.PlannedRisk, p.Notional = "0.06665", "99.975", "6331.75"
		}),
		wrong("quantity", func(p *eventv1.DecisionProposed) {
			p.Quantity, p.PlannedRisk, p.Notional = "-0.06665", "-99.975", "-6331.75"
		}),
		wrong("quantity", func(p *eventv1.DecisionProposed) { // More than the capital buys.
			p.TechnicalStopPrice, p.TechnicalStopDistance, p.RawQuantity = "94900", "100", "1"
			p.Quantity, p.PlannedRisk, p.Notional = "0.10527", "10.527", "10000.65"
		}),
	})
}

func TestCheck_risk_checks(t *testing.T) {
	t.Parallel()
	passed := func(change func(p *eventv1.RiskCheckPassed)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Passed(s.plan), change) }
	}
	failed := func(change func(p *eventv1.RiskCheckFailed)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Failed(s.plan), change) }
	}
	requireRefusals(t, []refusal{
		{name: "no decision", at: "signaled", reason: "DECISION_UNKNOWN", payload: passed(func(*eventv1.RiskCheckPassed) {})},
		{name: "passed twice", at: "approved", reason: "DECISION_CHECKED", payload: passed(func(*eventv1.RiskCheckPassed) {})},
		{name: "failed after passed", at: "approved", reason: "DECISION_CHECKED", payload: failed(func(*eventv1.RiskCheckFailed) {})},
		{name: "no gate", at: "proposed", field: "checks_performed", payload: passed(func(p *eventv1.RiskCheckPassed) { p.ChecksPerformed = nil })},
		{name: "a gate that did not pass", at: "proposed", field: "checks_performed", payload: passed(func(p *eventv1.RiskCheckPassed) { p.ChecksPerformed[0].Passed = false })},
		{name: "another account", at: "proposed", field: "account_id", payload: passed(func(p *eventv1.RiskCheckPassed) { p.AccountId = uuid.NewString() })},
		{name: "another strategy", at: "proposed", field: "strategy_id", payload: failed(func(p *eventv1.RiskCheckFailed) { p.StrategyId = "" })},
		{name: "nothing failed", at: "proposed", field: "failed_checks", payload: failed(func(p *eventv1.RiskCheckFailed) { p.FailedChecks = nil })},
		{name: "failed but not performed", at: "proposed", field: "failed_checks", payload: failed(func(p *eventv1.RiskCheckFailed) { p.ChecksPerformed = nil })},
	})
	t.Run("a decision without a quantity does not pass", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "signaled")
		add(t, s.Log, changed(s.Proposed(s.plan), func(p *eventv1.DecisionProposed) { p.RejectedReason = "min_notional" }))
		refuse(t, s.Log, "NO_QUANTITY", s.Passed(s.plan))
	})
}

func TestCheck_IntentCreated_entry(t *testing.T) {
	t.Parallel()
	entry := func(change func(p *eventv1.IntentCreated)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Entry(s.plan), change) }
	}
	renamed := func(p *eventv1.IntentCreated) {
		id := uuid.New()
		p.IntentId, p.ClientOrderId = id.String(), event.ClientOrderID(event.OrderID(id, 1))
	}
	requireRefusals(t, []refusal{
		{name: "twice", at: "intended", reason: "INTENT_EXISTS", payload: entry(func(*eventv1.IntentCreated) {})},
		{name: "a second one", at: "intended", reason: "POSITION_NOT_ARMED", payload: entry(renamed)},
		{name: "not approved", at: "proposed", reason: "RISK_NOT_PASSED", payload: entry(func(*eventv1.IntentCreated) {})},
		{name: "no decision", at: "signaled", reason: "DECISION_UNKNOWN", payload: entry(func(*eventv1.IntentCreated) {})},
		{name: "decision unnamed", at: "approved", reason: "DECISION_UNKNOWN", payload: entry(func(p *eventv1.IntentCreated) { p.DecisionId = "" })},
		{name: "another client order id", at: "approved", field: "client_order_id", payload: entry(func(p *eventv1.IntentCreated) { p.ClientOrderId = "rb-x" })},
		{name: "another quantity", at: "approved", field: "quantity", payload: entry(func(p *eventv1.IntentCreated) { p.Quantity = "0.06667" })},
		{name: "no quantity", at: "approved", field: "quantity", payload: entry(func(p *eventv1.IntentCreated) { p.Quantity = "0" })},
		{name: "the other side", at: "approved", field: "side", payload: entry(func(p *eventv1.IntentCreated) { p.Side = eventv1.Side_SIDE_SELL })},
		{name: "another symbol", at: "approved", field: "symbol", payload: entry(func(p *eventv1.IntentCreated) { p.Symbol = "ETHUSDT" })},
		{name: "another account", at: "approved", field: "account_id", payload: entry(func(p *eventv1.IntentCreated) { p.AccountId = projectiontest.Margin.String() })},
		{name: "a limit without a price", at: "approved", field: "price", payload: entry(func(p *eventv1.IntentCreated) { p.OrderType = eventv1.OrderType_ORDER_TYPE_LIMIT })},
		{name: "a stop without a trigger", at: "approved", field: "stop_price", payload: entry(func(p *eventv1.IntentCreated) { p.OrderType = eventv1.OrderType_ORDER_TYPE_STOP_LOSS })},
		{name: "to borrow", at: "approved", reason: "INTENT_UNSUPPORTED", payload: entry(func(p *eventv1.IntentCreated) { p.IntentType = eventv1.IntentType_INTENT_TYPE_BORROW })},
	})
	t.Run("another position's decision", func(t *testing.T) {
		t.Parallel()
		s, other := sceneAt(t, "approved"), projectiontest.Long("b")
		other.Symbol = "ETHUSDT"
		add(t, s.Log, s.Armed(other))
		intent := s.Entry(other)
		intent.DecisionId = s.plan.DecisionID().String()
		refuse(t, s.Log, "DECISION_UNKNOWN", intent)
	})
	t.Run("the strategy was disabled", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "approved")
		add(t, s.Log, &eventv1.StrategyDisabled{StrategyId: projectiontest.StrategyID.String(), Reason: "test"})
		refuse(t, s.Log, "STRATEGY_DISABLED", s.Entry(s.plan))
	})
}

func TestCheck_IntentCreated_reducing(t *testing.T) {
	t.Parallel()
	exit := func(quantity string) func(s scene) proto.Message {
		return func(s scene) proto.Message { return s.Exit(s.plan, 9, quantity) }
	}
	stop := func(quantity string) func(s scene) proto.Message {
		return func(s scene) proto.Message { return s.Protect(s.plan, 9, quantity, "93400") }
	}
	cancel := func(s scene) proto.Message { return s.Cancel(s.plan, event.OrderID(s.plan.EntryID(), 1)) }
	requireRefusals(t, []refusal{
		{name: "exit of an active position", at: "active", reason: "POSITION_STATE", payload: exit("0.06666")},
		{name: "exit of more than is open", at: "exiting", reason: "EXCEEDS_OPEN", payload: exit("0.06667")},
		{name: "exit beside one that takes all", at: "exit claimed", reason: "EXCEEDS_OPEN", payload: exit("0.00001")},
		{name: "exit on the wrong side", at: "exiting", field: "side", payload: func(s scene) proto.Message {
			return changed(s.Exit(s.plan, 9, "0.06666"), func(p *eventv1.IntentCreated) { p.Side = eventv1.Side_SIDE_BUY })
		}},
		{name: "stop of an exiting position", at: "exiting", reason: "POSITION_STATE", payload: stop("0.06666")},
		{name: "stop of an entering position", at: "filled", reason: "POSITION_STATE", payload: stop("0.06666")},
		{name: "stop of more than is open", at: "active", reason: "EXCEEDS_OPEN", payload: stop("0.06667")},
		{name: "cancel of an order that has ended", at: "filled", reason: "ORDER_ENDED", payload: cancel},
		{name: "cancel of an unknown order", at: "intended", reason: "ORDER_UNKNOWN", payload: cancel},
		{name: "cancel under another position", at: "claimed", field: "symbol", payload: func(s scene) proto.Message {
			return changed(s.Cancel(s.plan, event.OrderID(s.plan.EntryID(), 1)), func(p *eventv1.IntentCreated) { p.Symbol = "ETHUSDT" })
		}},
	})
}

func TestCheck_OrderSubmitted(t *testing.T) {
	t.Parallel()
	claim := func(change func(p *eventv1.OrderSubmitted)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Claim(s.plan.EntryID(), 1), change) }
	}
	wrong := func(field string, change func(p *eventv1.OrderSubmitted)) refusal {
		return refusal{name: field, at: "intended", field: field, payload: claim(change)}
	}
	requireRefusals(t, []refusal{
		{name: "twice", at: "claimed", reason: "ORDER_EXISTS", payload: claim(func(*eventv1.OrderSubmitted) {})},
		{name: "a second attempt while the first lives", at: "claimed", reason: "INTENT_LIVE", payload: func(s scene) proto.Message { return s.Claim(s.plan.EntryID(), 2) }},
		{name: "a second attempt after it filled", at: "filled", reason: "INTENT_ENDED", payload: func(s scene) proto.Message { return s.Claim(s.plan.EntryID(), 2) }},
		{name: "an attempt too far", at: "intended", reason: "ATTEMPT", payload: func(s scene) proto.Message { return s.Claim(s.plan.EntryID(), 2) }},
		{name: "intent unknown", at: "intended", reason: "INTENT_UNKNOWN", payload: claim(func(p *eventv1.OrderSubmitted) { p.IntentId = uuid.NewString() })},
		{name: "nothing to recover", at: "intended", reason: "ORDER_NOT_RECOVERABLE", payload: claim(func(p *eventv1.OrderSubmitted) { p.Recovered = true })},
		wrong("attempt", func(p *eventv1.OrderSubmitted) { p.Attempt = 0 }),
		wrong("order_id", func(p *eventv1.OrderSubmitted) { p.OrderId = uuid.NewString() }),
		wrong("client_order_id", func(p *eventv1.OrderSubmitted) { p.ClientOrderId = "rb-other" }),
		wrong("account_id", func(p *eventv1.OrderSubmitted) { p.AccountId = projectiontest.Margin.String() }),
		wrong("position_id", func(p *eventv1.OrderSubmitted) { p.PositionId = "" }),
		wrong("symbol", func(p *eventv1.OrderSubmitted) { p.Symbol = "ETHUSDT" }),
		wrong("side", func(p *eventv1.OrderSubmitted) { p.Side = eventv1.Side_SIDE_SELL }),
		wrong("order_type", func(p *eventv1.OrderSubmitted) { p.OrderType = eventv1.OrderType_ORDER_TYPE_LIMIT }),
		wrong("time_in_force", func(p *eventv1.OrderSubmitted) { p.TimeInForce = eventv1.TimeInForce_TIME_IN_FORCE_IOC }),
		wrong("reduce_intent", func(p *eventv1.OrderSubmitted) { p.ReduceIntent = eventv1.ReduceIntent_REDUCE_INTENT_EXIT }),
		wrong("quantity", func(p *eventv1.OrderSubmitted) { p.Quantity = "0.06665" }),
		wrong("price", func(p *eventv1.OrderSubmitted) { p.Price = "95000" }),
		wrong("product", func(p *eventv1.OrderSubmitted) { p.Product = eventv1.Product_PRODUCT_ISOLATED_MARGIN }),
	})
	t.Run("an expired intent", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "approved")
		intent := s.Entry(s.plan)
		intent.ExpiresAt = timestamppb.New(s.Now.Add(time.Second))
		add(t, s.Log, intent)
		s.Now = s.Now.Add(time.Microsecond)
		refuse(t, s.Log, "INTENT_EXPIRED", s.Claim(s.plan.EntryID(), 1))
		add(t, s.Log, s.EndedUnsent(s.Intent(s.plan.EntryID())))
	})
	t.Run("an intent that was ended unsent, and its position", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "intended")
		equal(t, "6332.7", s.Risk(projectiontest.Spot, nilID).TotalExposure)
		add(t, s.Log, s.EndedUnsent(s.Intent(s.plan.EntryID())))
		intent, order := s.Intent(s.plan.EntryID()), s.Order(event.OrderID(s.plan.EntryID(), 1))
		require.True(t, intent.Ended)
		require.Equal(t, projection.IntentFailed, intent.Status)
		require.Equal(t, "expired", *intent.EndReason)
		require.Equal(t, projection.OrderRejected, order.Status)
		require.False(t, order.Known)
		equal(t, "0", s.Risk(projectiontest.Spot, nilID).TotalExposure)
		require.EqualValues(t, 1, s.Risk(projectiontest.Spot, nilID).OpenPositions)
		refuse(t, s.Log, "INTENT_ENDED", s.Claim(s.plan.EntryID(), 1))
		add(t, s.Log, s.Closed(s.plan, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED))
		require.Zero(t, s.Risk(projectiontest.Spot, nilID).OpenPositions)
		require.Nil(t, s.Risk(projectiontest.Spot, nilID).PnLDay) // Nothing was entered: no result to book.
	})
	t.Run("a second attempt after the venue refused the first", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "claimed")
		add(t, s.Log, s.Rejected(s.Intent(s.plan.EntryID()), 1))
		require.Equal(t, projection.IntentFailed, s.Intent(s.plan.EntryID()).Status)
		require.True(t, s.Position(s.plan.PositionID()).EntryDone)
		equal(t, "0", s.Risk(projectiontest.Spot, nilID).TotalExposure)
		add(t, s.Log, s.Claim(s.plan.EntryID(), 2))
		equal(t, "6332.7", s.Risk(projectiontest.Spot, nilID).TotalExposure)
		require.EqualValues(t, 2, s.Intent(s.plan.EntryID()).Attempts)
	})
	t.Run("an entry whose position is being left, or whose account an operator has halted", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "intended")
		add(t, s.Log, s.Leaving(s.plan, eventv1.ExitReason_EXIT_REASON_PANIC))
		refuse(t, s.Log, "POSITION_STATE", s.Claim(s.plan.EntryID(), 1))
		s = sceneAt(t, "intended")
		add(t, s.Log, panicked("1"))
		refuse(t, s.Log, "ENTRIES_HALTED", s.Claim(s.plan.EntryID(), 1))
	})
}

// panicked is an operator's panic of the whole spot account.
func panicked(period string) *eventv1.RiskLimitExceeded {
	return &eventv1.RiskLimitExceeded{
		AccountId: projectiontest.Spot.String(), LimitName: eventv1.LimitName_LIMIT_NAME_OPERATOR, Limit: "0", Value: "0",
		Action: eventv1.LimitAction_LIMIT_ACTION_PANIC_CLOSE, Period: period, Note: "fire",
	}
}
