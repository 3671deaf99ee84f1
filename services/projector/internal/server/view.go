package server

import (
	"context"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// GetDecisionView implements projectorv1.StateServiceServer.
func (s *State) GetDecisionView(ctx context.Context, r *projectorv1.GetDecisionViewRequest) (*projectorv1.GetDecisionViewResponse, error) {
	params, err := viewParams(r)
	if err != nil {
		return nil, err
	}
	view, err := s.reader.DecisionView(ctx, identity.Tenant(ctx), params)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	switch {
	case view.Account == nil:
		return nil, notFound("account", params.AccountID.String())
	case params.StrategyID != uuid.Nil && view.Strategy == nil:
		return nil, notFound("strategy", params.StrategyID.String())
	case params.PositionID != uuid.Nil && view.Position == nil:
		return nil, notFound("position", params.PositionID.String())
	case view.AccountRisk == nil:
		// Without its limits every gate would stand open.
		return nil, fault.New(fault.Corrupt, "RISK_STATE_MISSING", "account %s has no risk state", params.AccountID)
	}
	return s.viewResponse(view)
}

func viewParams(r *projectorv1.GetDecisionViewRequest) (p store.ViewParams, err error) {
	p.Least = r.GetMinPosition()
	if r.GetAt() != nil {
		p.At = r.GetAt().AsTime()
	}
	for _, f := range []struct {
		field, text string
		id          *uuid.UUID
	}{
		{"account_id", r.GetAccountId(), &p.AccountID},
		{"strategy_id", r.GetStrategyId(), &p.StrategyID},
		{"position_id", r.GetPositionId(), &p.PositionID},
	} {
		if f.text == "" {
			continue
		}
		if *f.id, err = parseID(f.field, f.text); err != nil {
			return store.ViewParams{}, err
		}
	}
	return p, nil
}

func (s *State) viewResponse(view store.View) (*projectorv1.GetDecisionViewResponse, error) {
	out := &projectorv1.GetDecisionViewResponse{AsOf: view.AsOf}
	steps := []func() error{
		func() (err error) { out.Account, err = message[*projectorv1.Account](s, view.Account); return err },
		func() (err error) { out.AccountRisk, err = message[*projectorv1.Risk](s, view.AccountRisk); return err },
		func() (err error) { out.Strategy, err = message[*projectorv1.Strategy](s, view.Strategy); return err },
		func() (err error) {
			out.StrategyRisk, err = message[*projectorv1.Risk](s, view.StrategyRisk)
			return err
		},
		func() (err error) { out.Position, err = message[*projectorv1.Position](s, view.Position); return err },
		func() (err error) { out.Orders, err = messages[*projectorv1.Order](s, view.Orders); return err },
		func() (err error) { out.Intents, err = messages[*projectorv1.Intent](s, view.Intents); return err },
		func() (err error) {
			out.OpenPositions, err = messages[*projectorv1.Position](s, view.OpenPositions)
			return err
		},
		func() (err error) { out.Balances, err = messages[*projectorv1.Balance](s, view.Balances); return err },
		func() (err error) { out.Periods, err = messages[*projectorv1.PnLPeriod](s, view.Periods); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
