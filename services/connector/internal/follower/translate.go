package follower

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// claimsMax bounds how many orders' claims are remembered.
const claimsMax = 5_000

// translator turns an account's reports into facts. It is used by one goroutine.
type translator struct {
	account uuid.UUID
	lines   line.Lines
	ledger  *ledger.Ledger
	claims  map[uuid.UUID]fact.Order
}

func newTranslator(account uuid.UUID, lines line.Lines, books *ledger.Ledger) *translator {
	return &translator{account: account, lines: lines, ledger: books, claims: map[uuid.UUID]fact.Order{}}
}

func (t *translator) facts(ctx context.Context, r venue.Report) ([]fact.Fact, error) {
	switch {
	case r.Execution != nil:
		return t.execution(ctx, r)
	case r.Position != nil:
		sample := fact.Sample{
			Account: t.account, Run: fact.StreamRun(r.Cursor), At: r.Time, Source: eventv1.SampleSource_SAMPLE_SOURCE_WS_ACCOUNT_POSITION,
		}
		var facts []fact.Fact
		for _, b := range r.Position.Balances {
			facts = append(facts, fact.Sampled(sample, b))
		}
		return facts, nil
	case r.Movement != nil:
		return []fact.Fact{fact.Moved(t.account, *r.Movement, r.Time)}, nil
	case r.Loan != nil:
		return t.loan(ctx, r)
	default:
		return nil, fmt.Errorf("report %d of account %s says nothing that is known here", r.Cursor, t.account)
	}
}

func (t *translator) execution(ctx context.Context, r venue.Report) ([]fact.Fact, error) {
	at := r.Execution.Order
	order, ours, err := t.order(ctx, at.Symbol, at.ClientOrderID)
	if err != nil {
		return nil, err
	}
	if !ours {
		facts := []fact.Fact{fact.UnknownOrder(t.account, at, r.Time)}
		if trade := r.Execution.Trade; trade != nil {
			facts = append(facts, fact.UnknownTrade(t.account, at, *trade, r.Time))
		}
		return facts, nil
	}
	switch r.Execution.Type {
	case venue.ExecutionNew:
		return []fact.Fact{fact.Acked(order, at, fact.Stream)}, nil
	case venue.ExecutionTrade:
		if r.Execution.Trade == nil {
			return nil, fmt.Errorf("report %d: a trade of order %s without the trade", r.Cursor, at.ClientOrderID)
		}
		filled, err := t.lines.Fill(ctx, order, *r.Execution.Trade, fact.Stream)
		return []fact.Fact{filled}, err
	case venue.ExecutionCanceled, venue.ExecutionExpired, venue.ExecutionRejected:
		ended, over := fact.Ended(order, at, fact.Stream)
		if !over {
			return nil, fmt.Errorf("report %d: order %s is %s in a report of its end", r.Cursor, at.ClientOrderID, at.Status)
		}
		return []fact.Fact{ended}, nil
	default:
		return nil, fmt.Errorf("report %d: execution type %q is not known here", r.Cursor, r.Execution.Type)
	}
}

func (t *translator) loan(ctx context.Context, r venue.Report) ([]fact.Fact, error) {
	order, ours, err := t.order(ctx, r.Loan.Symbol, r.Loan.ClientOrderID)
	if err != nil {
		return nil, err
	}
	if !ours {
		order = fact.Order{}
	}
	return []fact.Fact{fact.Lent(t.account, *r.Loan, order.ID, r.Time, order.Origin)}, nil
}

// order finds what we know of the order that a client order id of ours names.
func (t *translator) order(ctx context.Context, symbol string, client venue.ClientOrderID) (fact.Order, bool, error) {
	id, ours := event.ParseClientOrderID(string(client))
	if !ours {
		return fact.Order{}, false, nil
	}
	if order, ok := t.claims[id]; ok {
		return order, true, nil
	}
	order, claimed, err := t.ledger.Claimed(ctx, fact.Order{ID: id, Account: t.account, Symbol: symbol, ClientOrderID: client})
	if err != nil {
		return order, false, err
	}
	if claimed {
		if len(t.claims) >= claimsMax {
			clear(t.claims)
		}
		t.claims[id] = order
	}
	return order, true, nil
}
