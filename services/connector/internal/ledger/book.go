package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// pages reads page after page until there is none, or take has had enough.
func pages[R any](what string, page func(token string) ([]R, string, error), take func(R) bool) error {
	token := ""
	for {
		rows, next, err := page(token)
		if err != nil {
			return fmt.Errorf("list %s: %w", what, err)
		}
		for _, row := range rows {
			if !take(row) {
				return nil
			}
		}
		if next == "" {
			return nil
		}
		token = next
	}
}

func all[R any](what string, page func(token string) ([]R, string, error)) ([]R, error) {
	var out []R
	err := pages(what, page, func(row R) bool {
		out = append(out, row)
		return true
	})
	return out, err
}

// Fills lists an order's fills, as of a position or later.
func (l *Ledger) Fills(ctx context.Context, order string, position int64) ([]*projectorv1.Fill, error) {
	return all("fills", func(token string) ([]*projectorv1.Fill, string, error) {
		page, err := l.State.ListFills(ctx, &projectorv1.ListFillsRequest{OrderId: order, PageSize: pageSize, PageToken: token, MinPosition: position})
		return page.GetFills(), page.GetNextPageToken(), err
	})
}

// IntentOf finds the intent, and its attempt, whose order has an id, as of a position or later; nil if the account has none. An order's id
// follows from its intent and does not lead back: all intents are gone through.
func (l *Ledger) IntentOf(ctx context.Context, account string, order uuid.UUID, position int64) (found *projectorv1.Intent, attempt int32, err error) {
	err = pages("intents", func(token string) ([]*projectorv1.Intent, string, error) {
		page, err := l.State.ListIntents(ctx, &projectorv1.ListIntentsRequest{AccountId: account, PageSize: pageSize, PageToken: token, MinPosition: position})
		return page.GetIntents(), page.GetNextPageToken(), err
	}, func(intent *projectorv1.Intent) bool {
		for n := int32(1); n <= intent.GetAttempts()+1; n++ { // the next attempt may be the one whose claim is missing
			if event.OrderID(OptionalID(intent.GetIntentId()), n) == order {
				found, attempt = intent, n
			}
		}
		return found == nil
	})
	return found, attempt, err
}

// heldStates are those of positions that are not over.
var heldStates = []projectorv1.PositionState{
	projectorv1.PositionState_POSITION_STATE_ENTERING, projectorv1.PositionState_POSITION_STATE_ACTIVE,
	projectorv1.PositionState_POSITION_STATE_EXITING, projectorv1.PositionState_POSITION_STATE_ERROR,
}

// HeldPositions lists an account's positions that are entered and not closed.
func (l *Ledger) HeldPositions(ctx context.Context, account string, position int64) ([]*projectorv1.Position, error) {
	return all("positions", func(token string) ([]*projectorv1.Position, string, error) {
		page, err := l.State.ListPositions(ctx, &projectorv1.ListPositionsRequest{
			AccountId: account, States: heldStates, PageSize: pageSize, PageToken: token, MinPosition: position,
		})
		return page.GetPositions(), page.GetNextPageToken(), err
	})
}

// Balances lists an account's balances as last told.
func (l *Ledger) Balances(ctx context.Context, account string) ([]*projectorv1.Balance, error) {
	return all("balances", func(token string) ([]*projectorv1.Balance, string, error) {
		page, err := l.State.ListBalances(ctx, &projectorv1.ListBalancesRequest{AccountId: account, PageSize: pageSize, PageToken: token})
		return page.GetBalances(), page.GetNextPageToken(), err
	})
}

// Loans lists an account's loans.
func (l *Ledger) Loans(ctx context.Context, account string, position int64) ([]*projectorv1.MarginLoan, error) {
	return all("loans", func(token string) ([]*projectorv1.MarginLoan, string, error) {
		page, err := l.State.ListMarginLoans(ctx, &projectorv1.ListMarginLoansRequest{AccountId: account, PageSize: pageSize, PageToken: token, MinPosition: position})
		return page.GetMarginLoans(), page.GetNextPageToken(), err
	})
}

// OpenDiscrepancies lists what is open of an account, newest first.
func (l *Ledger) OpenDiscrepancies(ctx context.Context, account string, position int64) ([]*projectorv1.Discrepancy, error) {
	open := true
	return all("open discrepancies", func(token string) ([]*projectorv1.Discrepancy, string, error) {
		page, err := l.State.ListDiscrepancies(ctx, &projectorv1.ListDiscrepanciesRequest{
			AccountId: account, IsOpen: &open, PageSize: pageSize, PageToken: token, MinPosition: position,
		})
		return page.GetDiscrepancies(), page.GetNextPageToken(), err
	})
}

// EventsAfter lists an account's events of some types after a position, newest first, and the position up to which there
// are no others.
func (l *Ledger) EventsAfter(ctx context.Context, account string, position int64, types ...string) (events []*eventv1.Event, asOf int64, err error) {
	err = pages("events", func(token string) ([]*eventv1.Event, string, error) {
		page, err := l.Reader.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{
			Filter:    &eventlogv1.EventFilter{AccountId: account, EventTypes: types},
			Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: pageSize, PageToken: token,
		})
		if token == "" {
			asOf = page.GetAsOf() // what comes later is on no page
		}
		return page.GetEvents(), page.GetNextPageToken(), err
	}, func(e *eventv1.Event) bool {
		if e.GetPosition() <= position {
			return false
		}
		events = append(events, e)
		return true
	})
	return events, asOf, err
}

// Reached is where an account's log is now: what comes later has a later position.
func (l *Ledger) Reached(ctx context.Context, account string) (int64, error) {
	page, err := l.Reader.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{
		Filter: &eventlogv1.EventFilter{AccountId: account}, Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: 1,
	})
	if err != nil {
		return 0, fmt.Errorf("end of the log of account %s: %w", account, err)
	}
	return page.GetAsOf(), nil
}

// EventsOf lists the events of a workflow, oldest first; of all types if none is named.
func (l *Ledger) EventsOf(ctx context.Context, workflow string, types ...string) ([]*eventv1.Event, error) {
	return all("events of a workflow", func(token string) ([]*eventv1.Event, string, error) {
		page, err := l.Reader.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{
			Filter:    &eventlogv1.EventFilter{WorkflowId: workflow, EventTypes: types},
			Direction: eventlogv1.Direction_DIRECTION_FORWARDS, PageSize: pageSize, PageToken: token,
		})
		return page.GetEvents(), page.GetNextPageToken(), err
	})
}

// Checkpoint gives what was saved under a name; 0 if nothing was.
func (l *Ledger) Checkpoint(ctx context.Context, name string) (int64, error) {
	response, err := l.Workers.GetCheckpoint(ctx, &eventlogv1.GetCheckpointRequest{Name: name})
	if err != nil {
		return 0, fmt.Errorf("read checkpoint %s: %w", name, err)
	}
	return response.GetValue(), nil
}

// MoveCheckpoint saves a value under a name, if it is greater than what is there.
func (l *Ledger) MoveCheckpoint(ctx context.Context, name string, value int64) error {
	if _, err := l.Workers.SaveCheckpoint(ctx, &eventlogv1.SaveCheckpointRequest{Name: name, Value: value}); err != nil {
		return fmt.Errorf("save checkpoint %s: %w", name, err)
	}
	return nil
}
