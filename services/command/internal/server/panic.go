package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/rows"
)

// panicPositionsMax is how many positions one RISK_LIMIT_EXCEEDED can list; more need more of them.
const panicPositionsMax = 100

// Panic implements commandv1.TradingServiceServer. It only says what is to be closed; the process manager closes each
// position under a command id of its own. The account's risk row moves with it, so an opening in flight is aborted.
func (s *Server) Panic(ctx context.Context, in *commandv1.PanicRequest) (*commandv1.PanicResponse, error) {
	req := request{method: commandv1.TradingService_Panic_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		view, now, err := s.lookAtAccount(ctx, in.GetAccountId())
		if err != nil {
			return nil, err
		}
		if err := s.knows(ctx, in, view); err != nil {
			return nil, err
		}
		planned := &plan{decidedAt: view.GetAsOf()}
		planned.read(rowRisk, in.GetAccountId())
		planned.add(accountStream(in.GetAccountId()), exists(), now, panicPayloads(who, in, view)...)
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	response := &commandv1.PanicResponse{Outcome: res.outcome()}
	for _, event := range res.events {
		response.PositionIds = append(response.PositionIds, event.payload.GetRiskLimitExceeded().GetPositionIds()...)
	}
	return response, nil
}

// knows refuses a symbol that there is not: a slip of the pen would leave everything open and say that it was done. Only
// what no position is in is asked about, and a venue that does not answer keeps nobody from leaving.
func (s *Server) knows(ctx context.Context, in *commandv1.PanicRequest, view *projectorv1.GetDecisionViewResponse) error {
	if in.GetSymbol() == "" || slices.ContainsFunc(view.GetOpenPositions(), func(p *projectorv1.Position) bool { return p.GetSymbol() == in.GetSymbol() }) {
		return nil
	}
	_, err := s.market.GetInstrument(ctx, &connectorv1.GetInstrumentRequest{AccountId: in.GetAccountId(), Symbol: in.GetSymbol()})
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound) {
		return fmt.Errorf("ask the venue about %s: %w", in.GetSymbol(), err)
	}
	return nil
}

// panicPayloads lists every position of the account, or of the symbol, that has not ended and is not being left.
func panicPayloads(who caller, in *commandv1.PanicRequest, view *projectorv1.GetDecisionViewResponse) []*eventv1.Payload {
	var ids []string
	for _, position := range view.GetOpenPositions() {
		if (in.GetSymbol() == "" || position.GetSymbol() == in.GetSymbol()) && !rows.Exiting(position) {
			ids = append(ids, position.GetPositionId())
		}
	}
	var payloads []*eventv1.Payload
	for part := range slices.Chunk(append(ids, ""), panicPositionsMax) {
		occasion := who.derive(fmt.Sprintf("panic/%d", len(payloads)))
		payloads = append(payloads, event.Wrap(&eventv1.RiskLimitExceeded{
			AccountId: in.GetAccountId(), LimitName: eventv1.LimitName_LIMIT_NAME_OPERATOR, Limit: "0", Value: "0",
			Action: eventv1.LimitAction_LIMIT_ACTION_PANIC_CLOSE, Period: hex.EncodeToString(occasion[:]),
			Symbol: in.GetSymbol(), PositionIds: slices.DeleteFunc(slices.Clone(part), func(id string) bool { return id == "" }),
			Note: in.GetNote(),
		}))
	}
	return payloads
}

// ResetRiskLimit implements commandv1.SetupServiceServer.
func (s *Server) ResetRiskLimit(ctx context.Context, in *commandv1.ResetRiskLimitRequest) (*commandv1.ResetRiskLimitResponse, error) {
	req := request{method: commandv1.SetupService_ResetRiskLimit_FullMethodName, body: in, dryRun: in.GetDryRun()}
	name := event.EnumText(in.GetLimitName())
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		view, now, err := s.lookAtAccount(ctx, in.GetAccountId())
		if err != nil {
			return nil, err
		}
		if _, set := view.GetAccountRisk().GetHalts()[name+"|"+in.GetPeriod()]; !set {
			return nil, fault.New(fault.Refused, "LIMIT_NOT_SET", "limit %s of %s is not set on the account", name, in.GetPeriod())
		}
		planned := &plan{decidedAt: view.GetAsOf()}
		planned.read(rowRisk, in.GetAccountId())
		planned.add(accountStream(in.GetAccountId()), exists(), now, event.Wrap(&eventv1.RiskLimitExceeded{
			AccountId: in.GetAccountId(), LimitName: in.GetLimitName(), Limit: "0", Value: "0",
			Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: in.GetPeriod(),
			ClearedBy: who.subject, Note: in.GetNote(),
		}))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.ResetRiskLimitResponse{Outcome: res.outcome()}, nil
}
