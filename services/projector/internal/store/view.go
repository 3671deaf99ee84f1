package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// viewRowsMax bounds each list of a decision view. Real accounts stay far below; one that does not is told so instead
// of being shown a part of what its decision rests on.
const viewRowsMax = 2000

// Days and months of P&L rows, in UTC.
const (
	dayLayout   = "2006-01-02"
	monthLayout = "2006-01"
)

// ViewParams says what a decision is about.
type ViewParams struct {
	AccountID uuid.UUID
	// StrategyID and PositionID are uuid.Nil where the decision is about none.
	StrategyID, PositionID uuid.UUID
	// At is the time of deciding, whose day and month choose the P&L rows; zero: none.
	At time.Time
	// Least is the position up to which the view must hold at least.
	Least int64
}

// View is everything that a decision rests on, in one snapshot. Rows are nil where they do not exist.
type View struct {
	AsOf                                              int64
	Account, AccountRisk, Strategy, StrategyRisk      projection.Row
	Position                                          projection.Row
	Orders, Intents, OpenPositions, Balances, Periods []projection.Row
}

// DecisionView reads an account and what belongs to it. A strategy or position of another account counts as absent.
func (s *Store) DecisionView(ctx context.Context, tenant uuid.UUID, p ViewParams) (View, error) {
	var account, accountRisk, strategy, strategyRisk, position []projection.Row
	var v View
	ofAccount := IsID("account_id", p.AccountID)
	head, err := s.read(ctx, tenant, p.Least, func(b *pgx.Batch) {
		one := func(l Listing, rows *[]projection.Row, conditions ...Condition) {
			rowsQuery{verb: "View", listing: Listing{table: l.table}, conditions: conditions, limit: 1}.queue(b, tenant, rows)
		}
		all := func(l Listing, rows *[]projection.Row, conditions ...Condition) {
			rowsQuery{verb: "View", listing: l, conditions: conditions, limit: viewRowsMax + 1}.queue(b, tenant, rows)
		}
		one(Accounts, &account, ofAccount)
		one(RiskStates, &accountRisk, ofAccount, IsID("strategy_id", uuid.Nil))
		if p.StrategyID != uuid.Nil {
			one(Strategies, &strategy, IsID("strategy_id", p.StrategyID), ofAccount)
			one(RiskStates, &strategyRisk, ofAccount, IsID("strategy_id", p.StrategyID))
		}
		if p.PositionID != uuid.Nil {
			ofPosition := IsID("position_id", p.PositionID)
			one(Positions, &position, ofPosition, ofAccount)
			all(oldestOrders, &v.Orders, ofPosition, ofAccount)
			all(oldestIntents, &v.Intents, ofPosition, ofAccount)
		}
		all(openPositions, &v.OpenPositions, ofAccount, NotClosed)
		all(Balances, &v.Balances, ofAccount)
		if at := p.At.UTC(); !p.At.IsZero() {
			all(PnLPeriods, &v.Periods, ofAccount, inIDs("strategy_id", uuid.Nil, p.StrategyID),
				InTexts("period", []string{at.Format(dayLayout), at.Format(monthLayout)}))
		}
	})
	if err != nil {
		return View{}, err
	}
	v.AsOf = head.Position
	v.Account, v.AccountRisk = first(account), first(accountRisk)
	v.Strategy, v.StrategyRisk, v.Position = first(strategy), first(strategyRisk), first(position)
	for name, rows := range map[string][]projection.Row{
		"orders": v.Orders, "intents": v.Intents, "open_positions": v.OpenPositions, "balances": v.Balances,
	} {
		if len(rows) > viewRowsMax {
			return View{}, fault.New(fault.Exhausted, "VIEW_TOO_LARGE", "account %s has more than %d %s", p.AccountID, viewRowsMax, name)
		}
	}
	return v, nil
}

func first(rows []projection.Row) projection.Row {
	if len(rows) == 0 {
		return nil
	}
	return rows[0]
}
