package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/detector"
	"github.com/robson/robson/services/command/internal/rows"
)

// arming is what a user says of a position to be: what, which direction, how much at risk.
type arming struct {
	accountID    string
	strategyID   string
	symbol       string
	side         eventv1.PositionSide
	capital      string
	riskPercent  string
	trailingMode eventv1.TrailingMode
}

// situation is one view of the state, and the market at the time of deciding.
type situation struct {
	market *connectorv1.GetInstrumentResponse
	now    time.Time
	view   *projectorv1.GetDecisionViewResponse
}

// look asks the venue for the time and the state for everything that a decision at that time rests on.
func (s *Server) look(ctx context.Context, accountID, symbol, strategyID, positionID string) (*situation, error) {
	market, err := s.market.GetInstrument(ctx, &connectorv1.GetInstrumentRequest{AccountId: accountID, Symbol: symbol})
	if err != nil {
		return nil, fmt.Errorf("ask the venue about %s: %w", symbol, err)
	}
	view, err := s.state.GetDecisionView(ctx, &projectorv1.GetDecisionViewRequest{
		AccountId: accountID, StrategyId: strategyID, PositionId: positionID, At: market.GetMarketTime(),
	})
	if err != nil {
		return nil, fmt.Errorf("read what a decision rests on: %w", err)
	}
	return &situation{market: market, now: market.GetMarketTime().AsTime(), view: view}, nil
}

// ArmPosition implements commandv1.TradingServiceServer.
func (s *Server) ArmPosition(ctx context.Context, in *commandv1.ArmPositionRequest) (*commandv1.ArmPositionResponse, error) {
	wish := arming{
		accountID: in.GetAccountId(), strategyID: in.GetStrategyId(), symbol: in.GetSymbol(), side: in.GetSide(),
		capital: in.GetCapital(), riskPercent: in.GetRiskPercent(), trailingMode: in.GetTrailingMode(),
	}
	req := request{method: commandv1.TradingService_ArmPosition_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		at, err := s.look(ctx, wish.accountID, wish.symbol, wish.strategyID, "")
		if err != nil {
			return nil, err
		}
		armed, err := arm(at, wish, who.derive("position"))
		if err != nil {
			return nil, err
		}
		planned := &plan{decidedAt: at.view.GetAsOf()}
		planned.read(rowRisk, wish.accountID) // its limits, and the capital that they are of
		planned.read(rowStrategy, wish.strategyID)
		planned.add(positionStream(armed.GetPositionId()), noStream(), at.now, armedPayload(armed))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.ArmPositionResponse{
		Outcome: res.outcome(), PositionId: res.events[0].payload.GetPositionArmed().GetPositionId(),
	}, nil
}

func armedPayload(armed *eventv1.PositionArmed) *eventv1.Payload {
	return event.Wrap(armed)
}

// arm decides whether a position may be armed. What stands against it is an error: nothing was asked of the market yet,
// so there is nothing to record.
func arm(at *situation, wish arming, positionID uuid.UUID) (*eventv1.PositionArmed, error) {
	if err := mayTrade(at, wish); err != nil {
		return nil, err
	}
	if duplicates(at.view, wish.symbol, wish.side, positionID) > 0 {
		return nil, fault.New(fault.Refused, "DUPLICATE_POSITION",
			"the account has a position in %s of this side that has not ended", wish.symbol)
	}
	capital, percent, err := stake(at, wish)
	if err != nil {
		return nil, err
	}
	mode := wish.trailingMode
	if mode == eventv1.TrailingMode_TRAILING_MODE_UNSPECIFIED {
		mode = at.view.GetStrategy().GetTrailingMode()
	}
	if mode == eventv1.TrailingMode_TRAILING_MODE_UNSPECIFIED {
		mode = eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS
	}
	return &eventv1.PositionArmed{
		PositionId: positionID.String(), AccountId: wish.accountID, StrategyId: wish.strategyID,
		Symbol: wish.symbol, Side: wish.side, Capital: capital.String(), RiskPercent: percent.String(),
		TrailingMode: mode, DetectorConfig: at.view.GetStrategy().GetDetectorConfig(), ArmedAt: timestamppb.New(at.now),
	}, nil
}

// mayTrade checks that the account and the strategy are fit for the symbol and side at all.
func mayTrade(at *situation, wish arming) error {
	account, strategy, instrument := at.view.GetAccount(), at.view.GetStrategy(), at.market.GetInstrument()
	margin := account.GetProduct() == eventv1.Product_PRODUCT_ISOLATED_MARGIN
	switch {
	case strategy != nil && strategy.GetAccountId() != wish.accountID:
		return fault.InvalidField("strategy_id", "must be a strategy of the account")
	case strategy != nil && !strategy.GetIsEnabled():
		return fault.New(fault.Refused, "STRATEGY_DISABLED", "strategy %s is disabled", wish.strategyID)
	case detects(strategy) != "" && detects(strategy) != wish.symbol:
		return fault.InvalidField("symbol", "must be the one that the strategy's detector watches, %s", detects(strategy))
	case instrument.GetQuoteAsset() != account.GetQuoteAsset():
		return fault.InvalidField("symbol", "must be quoted in the account's %s", account.GetQuoteAsset())
	case !instrument.GetTrading():
		return fault.New(fault.Refused, "SYMBOL_NOT_TRADING", "%s does not trade now", wish.symbol)
	case margin && account.GetMarginSymbol() != wish.symbol:
		return fault.InvalidField("symbol", "must be the account's pair, %s", account.GetMarginSymbol())
	case !margin && wish.side == eventv1.PositionSide_POSITION_SIDE_SHORT:
		return fault.InvalidField("side", "must be LONG on a spot account: a short needs an isolated-margin account")
	default:
		return nil
	}
}

// detects is the only symbol that a strategy's built-in detector watches; empty where there is no such bound.
func detects(strategy *projectorv1.Strategy) string {
	if strategy.GetStrategyType() != detector.MACross {
		return ""
	}
	return strategy.GetDetectorConfig()[detector.KeySymbol]
}

// defaultRiskPercent is what a trade risks where nobody says; the account's cap may be lower.
var defaultRiskPercent = decimal.NewFromInt(1)

// stake is the capital and the percent of it at risk, the user's or the defaults.
func stake(at *situation, wish arming) (capital, percent decimal.Decimal, err error) {
	reader := &rows.Reader{}
	most := reader.Amount(at.view.GetAccountRisk().GetRiskPercentMax())
	capital = reader.Amount(at.view.GetAccountRisk().GetCapitalBase())
	// The account's cap may have been lowered since the strategy was registered.
	percent = decimal.Min(reader.AmountOr(at.view.GetStrategy().GetRiskPercent(), defaultRiskPercent), most)
	if reader.Err != nil {
		return capital, percent, reader.Err
	}
	if wish.capital != "" {
		if capital, err = userAmount("capital", wish.capital); err != nil {
			return capital, percent, err
		}
	}
	if wish.riskPercent != "" {
		if percent, err = userAmount("risk_percent", wish.riskPercent); err != nil {
			return capital, percent, err
		}
		if percent.GreaterThan(most) {
			return capital, percent, fault.InvalidField("risk_percent", "must be at most the account's %s", most)
		}
	}
	return capital, percent, nil
}

// DisarmPosition implements commandv1.TradingServiceServer.
func (s *Server) DisarmPosition(ctx context.Context, in *commandv1.DisarmPositionRequest) (*commandv1.DisarmPositionResponse, error) {
	req := request{method: commandv1.TradingService_DisarmPosition_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, _ caller) (*plan, error) {
		at, position, err := s.lookAt(ctx, in.GetPositionId())
		if err != nil {
			return nil, err
		}
		if position.GetState() != projectorv1.PositionState_POSITION_STATE_ARMED {
			return nil, wrongState(position, "only an armed position can be disarmed; use ClosePosition")
		}
		planned := &plan{decidedAt: at.view.GetAsOf()}
		planned.read(rowPosition, position.GetPositionId())
		planned.add(positionStream(position.GetPositionId()), exists(), at.now,
			disarmedPayload(position.GetPositionId(), eventv1.DisarmReason_DISARM_REASON_USER, at.now))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.DisarmPositionResponse{Outcome: res.outcome()}, nil
}

func disarmedPayload(positionID string, reason eventv1.DisarmReason, at time.Time) *eventv1.Payload {
	return event.Wrap(&eventv1.PositionDisarmed{
		PositionId: positionID, Reason: reason, DisarmedAt: timestamppb.New(at),
	})
}

// lookAt finds a position by its id, then everything that a decision on it rests on.
func (s *Server) lookAt(ctx context.Context, positionID string) (*situation, *projectorv1.Position, error) {
	found, err := s.state.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: positionID})
	if err != nil {
		return nil, nil, fmt.Errorf("read position %s: %w", positionID, err)
	}
	row := found.GetPosition()
	at, err := s.look(ctx, row.GetAccountId(), row.GetSymbol(), row.GetStrategyId(), positionID)
	if err != nil {
		return nil, nil, err
	}
	return at, at.view.GetPosition(), nil
}

// wrongState says that a position is not in the state that a command needs.
func wrongState(position *projectorv1.Position, hint string) error {
	return fault.New(fault.Refused, "POSITION_STATE", "position %s is %s: %s",
		position.GetPositionId(), event.EnumText(position.GetState()), hint).With("state", event.EnumText(position.GetState()))
}
