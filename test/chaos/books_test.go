package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/test/internal/simulated"
)

// equal is an error unless our book is the exchange's, nothing is unknown and nothing of ours is left to trade.
func (l *life) equal(ctx context.Context) error {
	at, err := l.desk.exchange.State(ctx, l.trader())
	if err != nil {
		return err
	}
	book, err := simulated.ReadBook(asUser(ctx), l.state(), l.account)
	if err != nil {
		return err
	}
	return errors.Join(l.over(ctx), book.Equal(at))
}

// over: the position has come to its end.
func (l *life) over(ctx context.Context) error {
	at, err := l.standing(ctx)
	if err == nil && at != projectorv1.PositionState_POSITION_STATE_CLOSED {
		err = fmt.Errorf("the position is %s", at)
	}
	return err
}

// proven has the account reconciled once more: there is nothing left to find but what was traded by hand, and each order was placed once.
func (l *life) proven(ctx context.Context) error {
	report, err := l.reconcile(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	differences := slices.DeleteFunc(slices.Clone(report.GetDifferences()), func(d *connectorv1.Difference) bool {
		return l.byHand && (d.GetKind() == eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER || d.GetKind() == eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_TRADE)
	})
	if len(differences) > 0 || report.GetOrdersSkipped() > 0 {
		wrong = append(wrong, fmt.Errorf("a reconciliation of equal books: %v", report))
	}
	if open := int(report.GetUnresolved()); (open > 0) != l.byHand {
		wrong = append(wrong, fmt.Errorf("%d discrepancies are open: %v", open, report.GetOpenBefore()))
	}
	placings, err := l.desk.exchange.Placings(ctx, l.name())
	for id, count := range placings {
		if count > 1 {
			wrong = append(wrong, fmt.Errorf("order %s was placed %d times", id, count))
		}
	}
	return errors.Join(append(wrong, err)...)
}

// answers are what tells that the exchange has an order; ends tell that it has it no more.
var (
	ends    = []string{"ORDER_CANCELED", "ORDER_EXPIRED", "ORDER_REJECTED"}
	answers = append([]string{"ORDER_ACKED", "FILL_RECEIVED"}, ends...)
)

// uncertainty is the longest time for which our log did not know what had become of an order of the account that is over.
func (l *life) uncertainty(ctx context.Context) (longest time.Duration, err error) {
	response, err := l.desk.replicas[0].read.QueryEvents(asUser(ctx), &eventlogv1.QueryEventsRequest{
		Filter:   &eventlogv1.EventFilter{AccountId: l.account, EventTypes: append([]string{"EXCHANGE_STATE_UNCERTAIN"}, answers...)},
		PageSize: pageSize,
	})
	if err != nil {
		return 0, err
	}
	if response.GetNextPageToken() != "" {
		return 0, fmt.Errorf("account %s has more than %d events of orders", l.account, pageSize)
	}
	placed, canceled, answered, last := map[string]time.Time{}, map[string]time.Time{}, map[string]bool{}, map[string]time.Time{}
	for _, e := range response.GetEvents() {
		at := e.GetIngestedAt().AsTime()
		if u := e.GetPayload().GetExchangeStateUncertain(); u != nil {
			since := canceled
			if u.GetRequest() == eventv1.VenueRequest_VENUE_REQUEST_PLACE {
				since = placed
			}
			if _, known := since[u.GetOrderId()]; !known {
				since[u.GetOrderId()] = at
			}
			continue
		}
		order := e.GetStreamKey()[len("order/"):]
		if since, uncertain := placed[order]; uncertain && !answered[order] {
			longest = max(longest, at.Sub(since))
		}
		answered[order], last[order] = true, at
	}
	for order, since := range canceled {
		longest = max(longest, last[order].Sub(since))
	}
	return longest, nil
}
