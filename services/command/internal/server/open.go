package server

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/rows"
)

// manualDetector is who saw a signal that a person gave.
const manualDetector = "manual"

// calling is a signal as it comes in, and how to act on it.
type calling struct {
	signalID       uuid.UUID
	entryPrice     string // empty: the venue's last
	stop           string
	detector       string
	orderType      eventv1.OrderType
	signalExpires  *timestamppb.Timestamp
	entryExpiresAt *timestamppb.Timestamp
}

// OpenPosition implements commandv1.TradingServiceServer.
func (s *Server) OpenPosition(ctx context.Context, in *commandv1.OpenPositionRequest) (*commandv1.OpenPositionResponse, error) {
	wish := arming{
		accountID: in.GetAccountId(), strategyID: in.GetStrategyId(), symbol: in.GetSymbol(), side: in.GetSide(),
		capital: in.GetCapital(), riskPercent: in.GetRiskPercent(), trailingMode: in.GetTrailingMode(),
	}
	call := calling{
		entryPrice: in.GetEntryPrice(), stop: in.GetTechnicalStop(), detector: manualDetector,
		orderType: in.GetOrderType(), entryExpiresAt: in.GetEntryExpiresAt(),
	}
	req := request{method: commandv1.TradingService_OpenPosition_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		at, err := s.look(ctx, wish.accountID, wish.symbol, wish.strategyID, "")
		if err != nil {
			return nil, err
		}
		if call.entryExpiresAt != nil && !call.entryExpiresAt.AsTime().After(at.now) {
			return nil, fault.InvalidField("entry_expires_at", "must be after the venue's time, %s", at.now.Format(time.RFC3339))
		}
		return s.open(at, who, wish, call)
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.OpenPositionResponse{
		Outcome: res.outcome(), Decision: res.decision(),
		PositionId: res.signal().GetPositionId(), SignalId: res.signal().GetSignalId(),
	}, nil
}

// open plans all of arming, deciding and entering. A refusal is recorded and disarms the position again.
func (s *Server) open(at *situation, who caller, wish arming, call calling) (*plan, error) {
	armed, err := arm(at, wish, who.derive("position"))
	if err != nil {
		return nil, err
	}
	call.signalID = who.derive("signal")
	signal, err := s.signal(at, armed, call)
	if err != nil {
		return nil, err
	}
	if _, err := sensible(at, signal, call.orderType); err != nil {
		return nil, err
	}
	decided, approved, err := s.decide(at, who, armed, signal, call)
	if err != nil {
		return nil, err
	}
	payloads := append([]*eventv1.Payload{armedPayload(armed), detectedPayload(armed, signal, call, at.now)}, decided...)
	if !approved {
		payloads = append(payloads, disarmedPayload(armed.GetPositionId(), eventv1.DisarmReason_DISARM_REASON_RISK_REFUSED, at.now))
	}
	planned := &plan{decidedAt: at.view.GetAsOf()}
	planned.read(rowRisk, wish.accountID)
	planned.read(rowStrategy, wish.strategyID)
	planned.add(positionStream(armed.GetPositionId()), noStream(), at.now, payloads...)
	return planned, nil
}

// signal reads a signal; its entry is the venue's last price where none is given.
func (s *Server) signal(at *situation, armed *eventv1.PositionArmed, call calling) (engine.Signal, error) {
	signal := engine.Signal{Side: armed.GetSide()}
	var err error
	if call.stop == "" {
		return signal, fault.InvalidField("technical_stop", "is missing: without it nobody knows where the idea is wrong")
	}
	if signal.Stop, err = userAmount("technical_stop", call.stop); err != nil {
		return signal, err
	}
	if call.entryPrice == "" {
		if call.orderType == eventv1.OrderType_ORDER_TYPE_LIMIT {
			return signal, fault.InvalidField("entry_price", "is needed for a limit order")
		}
		reader := &rows.Reader{}
		if signal.Entry = reader.Amount(at.market.GetLastPrice()); reader.Err == nil && !signal.Entry.IsPositive() {
			return signal, fault.New(fault.Refused, "NO_PRICE", "the venue tells no price of %s yet: name the entry price", armed.GetSymbol())
		}
		return signal, reader.Err
	}
	if signal.Entry, err = userAmount("entry_price", call.entryPrice); err != nil {
		return signal, err
	}
	reader := &rows.Reader{}
	tick := reader.Amount(at.market.GetInstrument().GetTickSize())
	if call.orderType == eventv1.OrderType_ORDER_TYPE_LIMIT && tick.IsPositive() && !signal.Entry.Mod(tick).IsZero() {
		return signal, fault.InvalidField("entry_price", "must be a multiple of the symbol's tick, %s", tick)
	}
	return signal, reader.Err
}

// decide lets the engine decide on a signal and tells the events of its decision, to the intent or the refusal.
func (s *Server) decide(
	at *situation, who caller, armed *eventv1.PositionArmed, signal engine.Signal, call calling,
) ([]*eventv1.Payload, bool, error) {
	orderType := call.orderType
	if orderType == eventv1.OrderType_ORDER_TYPE_UNSPECIFIED {
		orderType = eventv1.OrderType_ORDER_TYPE_MARKET
	}
	if orderType != eventv1.OrderType_ORDER_TYPE_MARKET && orderType != eventv1.OrderType_ORDER_TYPE_LIMIT {
		return nil, false, fault.InvalidField("order_type", "must be MARKET or LIMIT")
	}
	in, err := engineInput(at, armed, signal, orderType)
	if err != nil {
		return nil, false, err
	}
	decision, err := engine.Decide(in)
	if err != nil {
		return nil, false, fault.Wrap(err, fault.Corrupt, "ENGINE_CONTRADICTION", "decide on signal %s", call.signalID)
	}
	proposal := proposed(who, armed, call, in, decision)
	payloads := []*eventv1.Payload{event.Wrap(proposal)}
	if !decision.Approved() {
		return append(payloads,
			checkFailed(who, armed, proposal.GetDecisionId(), decision),
			rejectedPayload(armed, call, eventv1.SignalRejection_SIGNAL_REJECTION_RISK),
		), false, nil
	}
	return append(payloads,
		checkPassed(who, armed, proposal.GetDecisionId(), decision),
		acceptedPayload(armed, call, proposal.GetDecisionId()), // while the position is armed: the intent makes it enter
		s.entryIntent(at.now, who, armed, proposal, orderType, call.entryExpiresAt),
	), true, nil
}

// engineInput gathers what the engine decides on.
func engineInput(at *situation, armed *eventv1.PositionArmed, signal engine.Signal, orderType eventv1.OrderType) (engine.Input, error) {
	reader := &rows.Reader{}
	positionID, err := uuid.Parse(armed.GetPositionId())
	if err != nil {
		return engine.Input{}, fault.Wrap(err, fault.Corrupt, "ROW_ID", "read position id %q", armed.GetPositionId())
	}
	in := engine.Input{
		Signal: signal,
		Policy: engine.Policy{
			Capital: reader.Amount(armed.GetCapital()), RiskPercent: reader.Amount(armed.GetRiskPercent()),
			StopMinPercent: reader.AmountOr(at.view.GetStrategy().GetStopMinPct(), stopMinPercent),
			StopMaxPercent: reader.AmountOr(at.view.GetStrategy().GetStopMaxPct(), stopMaxPercent),
		},
		Instrument: reader.Instrument(at.market, orderType, signal.Entry),
		Strategy:   strategyState(reader, at.view),
		Now:        at.now,
	}
	in.Account = accountState(reader, at.view, wallet(at.view.GetAccount(), armed.GetSymbol()), in.Instrument.QuoteAsset)
	in.Account.Duplicates = duplicates(at.view, armed.GetSymbol(), armed.GetSide(), positionID)
	return in, reader.Err
}

// entryIntent is the intent to enter, to be ended unsent once its signal is stale.
func (s *Server) entryIntent(
	now time.Time, who caller, armed *eventv1.PositionArmed, proposal *eventv1.DecisionProposed,
	orderType eventv1.OrderType, expires *timestamppb.Timestamp,
) *eventv1.Payload {
	id := who.derive("intent")
	intent := &eventv1.IntentCreated{
		IntentId: id.String(), PositionId: armed.GetPositionId(), AccountId: armed.GetAccountId(),
		DecisionId: proposal.GetDecisionId(), IntentType: eventv1.IntentType_INTENT_TYPE_ENTRY,
		Symbol: armed.GetSymbol(), Side: eventv1.Side_SIDE_BUY, OrderType: orderType,
		Quantity: proposal.GetQuantity(), ClientOrderId: event.ClientOrderID(event.OrderID(id, 1)),
		ExpiresAt: expires, Reason: "signal",
	}
	if armed.GetSide() == eventv1.PositionSide_POSITION_SIDE_SHORT {
		intent.Side = eventv1.Side_SIDE_SELL
	}
	if orderType == eventv1.OrderType_ORDER_TYPE_LIMIT {
		intent.Price, intent.TimeInForce = proposal.GetEntryPrice(), eventv1.TimeInForce_TIME_IN_FORCE_GTC
	}
	if intent.GetExpiresAt() == nil {
		intent.ExpiresAt = timestamppb.New(now.Add(s.config.EntryValidity))
	}
	return event.Wrap(intent)
}
