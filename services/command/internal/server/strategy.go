package server

import (
	"context"
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/detector"
	"github.com/robson/robson/services/command/internal/rows"
)

// RegisterStrategy implements commandv1.SetupServiceServer.
func (s *Server) RegisterStrategy(ctx context.Context, in *commandv1.RegisterStrategyRequest) (*commandv1.RegisterStrategyResponse, error) {
	req := request{method: commandv1.SetupService_RegisterStrategy_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		view, now, err := s.lookAtAccount(ctx, in.GetAccountId())
		if err != nil {
			return nil, err
		}
		if err := checkRiskConfig(in.GetRiskConfig(), view.GetAccountRisk()); err != nil {
			return nil, err
		}
		if err := checkDetector(in.GetStrategyType(), in.GetDetectorConfig()); err != nil {
			return nil, err
		}
		id := in.GetStrategyId()
		if id == "" {
			id = who.derive("strategy").String()
		}
		switch _, err := s.state.GetStrategy(ctx, &projectorv1.GetStrategyRequest{StrategyId: id}); {
		case err == nil:
			return nil, fault.New(fault.Refused, "STRATEGY_EXISTS", "strategy %s is registered already; use UpdateStrategy", id)
		case !fault.Is(err, fault.NotFound):
			return nil, fmt.Errorf("read strategy %s: %w", id, err)
		}
		planned := &plan{decidedAt: view.GetAsOf()}
		planned.add(strategyStream(id), noStream(), now, event.Wrap(&eventv1.StrategyRegistered{
			StrategyId: id, AccountId: in.GetAccountId(), StrategyName: in.GetStrategyName(), StrategyType: in.GetStrategyType(),
			DetectorConfig: in.GetDetectorConfig(), RiskConfig: in.GetRiskConfig(), Version: 1,
		}))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.RegisterStrategyResponse{
		Outcome: res.outcome(), StrategyId: res.events[0].payload.GetStrategyRegistered().GetStrategyId(),
	}, nil
}

// checkRiskConfig refuses settings that are weaker than the account's limits.
func checkRiskConfig(config *eventv1.RiskConfig, account *projectorv1.Risk) error {
	reader := &rows.Reader{}
	for _, setting := range []struct{ field, value, limit string }{
		{"risk_config.risk_percent", config.GetRiskPercent(), account.GetRiskPercentMax()},
		{"risk_config.max_exposure", config.GetMaxExposure(), account.GetMaxExposure()},
		{"risk_config.daily_loss_limit", config.GetDailyLossLimit(), account.GetDailyLossLimit()},
		{"risk_config.max_drawdown", config.GetMaxDrawdown(), account.GetMaxDrawdown()},
	} {
		if setting.value == "" {
			continue
		}
		value, err := userAmount(setting.field, setting.value)
		if err != nil {
			return err
		}
		if limit := reader.Amount(setting.limit); limit.IsPositive() && value.GreaterThan(limit) {
			return fault.InvalidField(setting.field, "must be at most the account's %s", limit)
		}
	}
	least, most := reader.AmountOr(config.GetStopMinPct(), stopMinPercent), reader.AmountOr(config.GetStopMaxPct(), stopMaxPercent)
	if least.GreaterThan(most) {
		return fault.InvalidField("risk_config.stop_min_pct", "must be at most stop_max_pct")
	}
	if config.MaxOpenPositions != nil {
		if config.GetMaxOpenPositions() <= 0 || config.GetMaxOpenPositions() > account.GetMaxOpenPositions() {
			return fault.InvalidField("risk_config.max_open_positions", "must be from 1 to the account's %d", account.GetMaxOpenPositions())
		}
	}
	return reader.Err
}

// checkDetector refuses settings that the built-in detector of a type cannot watch by. Of a type that is not built in, a
// bot outside reads them.
func checkDetector(strategyType string, settings map[string]string) error {
	if strategyType != detector.MACross {
		return nil
	}
	if _, err := detector.Parse(settings); err != nil {
		return fmt.Errorf("read the settings of %s: %w", strategyType, err)
	}
	return nil
}

// EnableStrategy implements commandv1.SetupServiceServer.
func (s *Server) EnableStrategy(ctx context.Context, in *commandv1.EnableStrategyRequest) (*commandv1.EnableStrategyResponse, error) {
	req := request{method: commandv1.SetupService_EnableStrategy_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.changeStrategy(ctx, req, in.GetStrategyId(), func(row *projectorv1.Strategy) (*eventv1.Payload, error) {
		if row.GetIsEnabled() {
			return nil, fault.New(fault.Refused, "STRATEGY_ENABLED", "strategy %s is enabled", row.GetStrategyId())
		}
		view, _, err := s.lookAtAccount(ctx, row.GetAccountId())
		if err != nil {
			return nil, err
		}
		if err := checkRiskConfig(riskConfig(row), view.GetAccountRisk()); fault.Is(err, fault.Invalid) {
			// Nothing in the request is wrong: the account's limits have become tighter.
			return nil, fault.Wrap(err, fault.Refused, "SETTINGS_TOO_WIDE", "use UpdateStrategy before strategy %s is enabled", row.GetStrategyId())
		} else if err != nil {
			return nil, err
		}
		if err := checkDetector(row.GetStrategyType(), row.GetDetectorConfig()); err != nil {
			// Registered when no detector of this type ran here.
			return nil, fault.Wrap(err, fault.Refused, "DETECTOR_SETTINGS", "use UpdateStrategy before strategy %s is enabled", row.GetStrategyId())
		}
		return event.Wrap(&eventv1.StrategyEnabled{
			StrategyId: row.GetStrategyId(), AccountId: row.GetAccountId(), StrategyName: row.GetStrategyName(),
			StrategyType: row.GetStrategyType(), DetectorConfig: row.GetDetectorConfig(), RiskConfig: riskConfig(row),
			Version: row.GetVersion(),
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.EnableStrategyResponse{Outcome: res.outcome()}, nil
}

// DisableStrategy implements commandv1.SetupServiceServer.
func (s *Server) DisableStrategy(ctx context.Context, in *commandv1.DisableStrategyRequest) (*commandv1.DisableStrategyResponse, error) {
	req := request{method: commandv1.SetupService_DisableStrategy_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.changeStrategy(ctx, req, in.GetStrategyId(), func(row *projectorv1.Strategy) (*eventv1.Payload, error) {
		if !row.GetIsEnabled() {
			return nil, fault.New(fault.Refused, "STRATEGY_DISABLED", "strategy %s is disabled", row.GetStrategyId())
		}
		return event.Wrap(&eventv1.StrategyDisabled{
			StrategyId: row.GetStrategyId(), Reason: in.GetReason(),
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.DisableStrategyResponse{Outcome: res.outcome()}, nil
}

// UpdateStrategy implements commandv1.SetupServiceServer.
func (s *Server) UpdateStrategy(ctx context.Context, in *commandv1.UpdateStrategyRequest) (*commandv1.UpdateStrategyResponse, error) {
	req := request{method: commandv1.SetupService_UpdateStrategy_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.changeStrategy(ctx, req, in.GetStrategyId(), func(row *projectorv1.Strategy) (*eventv1.Payload, error) {
		view, _, err := s.lookAtAccount(ctx, row.GetAccountId())
		if err != nil {
			return nil, err
		}
		if err := checkRiskConfig(in.GetRiskConfig(), view.GetAccountRisk()); err != nil {
			return nil, err
		}
		if err := checkDetector(row.GetStrategyType(), in.GetDetectorConfig()); err != nil {
			return nil, err
		}
		changed := changedFields(row, in)
		if len(changed) == 0 {
			return nil, fault.New(fault.Refused, "NOTHING_CHANGED", "strategy %s has these settings already", row.GetStrategyId())
		}
		return event.Wrap(&eventv1.StrategyUpdated{
			StrategyId: row.GetStrategyId(), Version: row.GetVersion() + 1, DetectorConfig: in.GetDetectorConfig(),
			RiskConfig: in.GetRiskConfig(), ChangedFields: changed,
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.UpdateStrategyResponse{
		Outcome: res.outcome(), Version: res.events[0].payload.GetStrategyUpdated().GetVersion(),
	}, nil
}

// changeStrategy decides on a strategy as it now is.
func (s *Server) changeStrategy(
	ctx context.Context, req request, id string, change func(*projectorv1.Strategy) (*eventv1.Payload, error),
) (*result, error) {
	return s.committer.commit(ctx, req, func(ctx context.Context, _ caller) (*plan, error) {
		found, err := s.state.GetStrategy(ctx, &projectorv1.GetStrategyRequest{StrategyId: id})
		if err != nil {
			return nil, fmt.Errorf("read strategy %s: %w", id, err)
		}
		payload, err := change(found.GetStrategy())
		if err != nil {
			return nil, err
		}
		planned := &plan{decidedAt: found.GetAsOf()}
		planned.read(rowStrategy, id)
		planned.add(strategyStream(id), exists(), s.committer.clock.Now(), payload)
		return planned, nil
	})
}

// riskConfig is the settings of a strategy as they were registered.
func riskConfig(row *projectorv1.Strategy) *eventv1.RiskConfig {
	return &eventv1.RiskConfig{
		RiskPercent: row.GetRiskPercent(), MaxExposure: row.GetMaxExposure(), DailyLossLimit: row.GetDailyLossLimit(),
		MaxDrawdown: row.GetMaxDrawdown(), MaxOpenPositions: row.MaxOpenPositions, TrailingMode: row.GetTrailingMode(),
		StopMinPct: row.GetStopMinPct(), StopMaxPct: row.GetStopMaxPct(),
	}
}

// changedFields names what an update changes.
func changedFields(row *projectorv1.Strategy, in *commandv1.UpdateStrategyRequest) []string {
	var changed []string
	if !maps.Equal(row.GetDetectorConfig(), in.GetDetectorConfig()) {
		changed = append(changed, "detector_config")
	}
	if !proto.Equal(normalConfig(riskConfig(row)), normalConfig(in.GetRiskConfig())) {
		changed = append(changed, "risk_config")
	}
	return changed
}

// normalConfig writes settings out, so that those that mean the same are equal. Their form has been checked.
func normalConfig(config *eventv1.RiskConfig) *eventv1.RiskConfig {
	normal := proto.CloneOf(config)
	if normal.GetTrailingMode() == eventv1.TrailingMode_TRAILING_MODE_UNSPECIFIED {
		normal.TrailingMode = eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS
	}
	reader := &rows.Reader{}
	for _, text := range []*string{&normal.RiskPercent, &normal.MaxExposure, &normal.DailyLossLimit, &normal.MaxDrawdown} {
		if *text != "" {
			*text = reader.Amount(*text).String()
		}
	}
	normal.StopMinPct = reader.AmountOr(config.GetStopMinPct(), stopMinPercent).String()
	normal.StopMaxPct = reader.AmountOr(config.GetStopMaxPct(), stopMaxPercent).String()
	return normal
}
