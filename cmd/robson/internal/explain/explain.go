package explain

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// LinesDefault is how many lines of the tree an answer has where nobody says.
const LinesDefault = 100

// Order explains an order: known or not, ours by a decision or somebody's by hand.
func Order(ctx context.Context, r Reader, id string, linesMax int) (*Explanation, error) {
	id, err := canonicalID("order_id", id)
	if err != nil {
		return nil, err
	}
	b := newBook()
	found, err := b.query(ctx, r, "order "+id, &eventlogv1.EventFilter{OrderId: id})
	if err != nil {
		return nil, err
	}
	if found == 0 {
		return nil, notFound("order", id)
	}
	seeds := b.ordered()
	about := aboutOrder(seeds, id)
	if err := about.gather(ctx, r, b); err != nil {
		return nil, err
	}
	x := &Explanation{Subject: Subject{Kind: KindOrder, ID: id}, About: about}
	return x, finish(ctx, r, b, x, seeds, linesMax)
}

// Position explains a position, from its arming to what it is now.
func Position(ctx context.Context, r Reader, id string, linesMax int) (*Explanation, error) {
	id, err := canonicalID("position_id", id)
	if err != nil {
		return nil, err
	}
	b := newBook()
	if err := gatherPosition(ctx, r, b, id); err != nil {
		return nil, err
	}
	if len(b.byID) == 0 {
		return nil, notFound("position", id)
	}
	x := &Explanation{Subject: Subject{Kind: KindPosition, ID: id}, About: aboutPosition(b.ordered(), id)}
	return x, finish(ctx, r, b, x, b.ordered(), linesMax)
}

// Trade explains a fill: the order it is of, and what followed.
func Trade(ctx context.Context, r Reader, id string, linesMax int) (*Explanation, error) {
	id, err := canonicalID("fill_id", id)
	if err != nil {
		return nil, err
	}
	row, err := r.Fill(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound("fill", id)
	}
	if err != nil {
		return nil, fmt.Errorf("find fill %s: %w", id, err)
	}
	b := newBook()
	if _, err := b.query(ctx, r, "order "+row.GetOrderId(), &eventlogv1.EventFilter{OrderId: row.GetOrderId()}); err != nil {
		return nil, err
	}
	about := aboutOrder(b.ordered(), row.GetOrderId())
	var seeds Events
	for _, e := range b.ordered() {
		if e.GetPayload().GetFillReceived().GetFillId() == id {
			seeds = append(seeds, e)
		}
	}
	if len(seeds) == 0 {
		return nil, fault.New(fault.Corrupt, "FILL_WITHOUT_EVENT", "fill %s is a row, and order %s has no such event: compare the tables with the log (robson validate)", id, row.GetOrderId())
	}
	if err := about.gather(ctx, r, b); err != nil {
		return nil, err
	}
	x := &Explanation{Subject: Subject{Kind: KindFill, ID: id}, About: about}
	return x, finish(ctx, r, b, x, seeds, linesMax)
}

// gather finds the events of the position that an order is of, if it is of one.
func (a *About) gather(ctx context.Context, r Reader, b *book) error {
	if a.PositionID == "" {
		return nil
	}
	if err := gatherPosition(ctx, r, b, a.PositionID); err != nil {
		return err
	}
	a.StrategyID = aboutPosition(b.ordered(), a.PositionID).StrategyID
	return nil
}

// canonicalID is an id as the log writes it.
func canonicalID(name, text string) (string, error) {
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil {
		return "", fault.InvalidField(name, "%q is no UUID", text)
	}
	return id.String(), nil
}

func notFound(what, id string) error {
	return fault.New(fault.NotFound, "NOT_FOUND", "there is no %s %s: no event of this tenant's log names it", what, id).With(what+"_id", id)
}

// gatherPosition finds what a position is about. Acks, cancels and their like name their order only, so the orders are
// asked for as well.
func gatherPosition(ctx context.Context, r Reader, b *book, id string) error {
	of := newBook()
	if _, err := of.query(ctx, r, "position "+id, &eventlogv1.EventFilter{PositionId: id}); err != nil {
		return err
	}
	orders := ordersOf(of.ordered())
	if len(orders) > ordersMax {
		of.note("position %s has %d orders: only the first %d were looked into", id, len(orders), ordersMax)
		orders = orders[:ordersMax]
	}
	for _, order := range orders {
		if _, err := of.query(ctx, r, "order "+order, &eventlogv1.EventFilter{OrderId: order}); err != nil {
			return err
		}
	}
	b.add(of.ordered()...)
	b.asOf = max(b.asOf, of.asOf)
	for _, note := range of.notes {
		b.note("%s", note)
	}
	return nil
}

// finish fills in all that follows from the events: those that the seeds come from, and those that come from them.
func finish(ctx context.Context, r Reader, b *book, x *Explanation, seeds Events, linesMax int) error {
	if err := b.causes(ctx, r); err != nil {
		return err
	}
	t := grow(b.ordered())
	kept := t.around(seeds)
	x.Chain = t.lines(kept, seeds, x.Subject.Kind != KindPosition, linesMax)
	for _, e := range b.ordered() {
		// Of a trade, what else the venue said of its order stands beside the tree.
		beside := x.Subject.Kind == KindFill && field(e, "order_id") == x.About.OrderID
		if kept[e.GetEventId()] || beside {
			x.Events = append(x.Events, e)
		}
	}
	x.Outcome = outcome(x, b.ordered())
	x.Venue = x.venueReports()
	x.Money = moneyOf(x, b.ordered())
	if err := x.decide(ctx, r, b); err != nil {
		return err
	}
	if err := x.begin(ctx, r, t, kept, seeds); err != nil {
		return err
	}
	x.close(b)
	return nil
}

// close puts the events in order, and says what is missing.
func (x *Explanation) close(b *book) {
	slices.SortFunc(x.Events, func(a, b *eventv1.Event) int { return cmp.Compare(a.GetPosition(), b.GetPosition()) })
	x.AsOf, x.Notes = b.asOf, append([]string{}, b.notes...)
}

// begin names the command that it all began with, then the others that had a part.
func (x *Explanation) begin(ctx context.Context, r Reader, t *tree, kept map[string]bool, seeds Events) error {
	first := t.root(seeds[0])
	roots := Events{first}
	for _, e := range x.Events {
		if kept[e.GetEventId()] && t.parent(e) == nil && e != first {
			roots = append(roots, e)
		}
	}
	for _, root := range roots {
		command := commandOf(root)
		digest, err := r.Digest(ctx, command.CommandID)
		switch {
		case err == nil:
			command.RequestDigest = hex.EncodeToString(digest)
		case !fault.Is(err, fault.NotFound):
			return fmt.Errorf("find command %s: %w", command.CommandID, err)
		}
		x.Commands = append(x.Commands, command)
	}
	return nil
}

// commandOf is the command of an event.
func commandOf(e *eventv1.Event) Command {
	return Command{
		CommandID: e.GetCommandId(), Position: e.GetPosition(), EventType: e.GetEventType(),
		ActorType: strings.ToLower(strings.TrimPrefix(e.GetActorType().String(), "ACTOR_TYPE_")), ActorID: e.GetActorId(),
		OccurredAt: e.GetOccurredAt().AsTime(), IngestedAt: e.GetIngestedAt().AsTime(), TraceID: e.GetTraceId(), WorkflowID: e.GetWorkflowId(),
	}
}

// venueTypes are what the venue reported, and what of it did not fit.
var venueTypes = map[string]bool{
	"ORDER_ACKED": true, "FILL_RECEIVED": true, "ORDER_REJECTED": true, "ORDER_CANCELED": true, "ORDER_EXPIRED": true,
	"EXCHANGE_STATE_UNCERTAIN": true, "EXCHANGE_REQUEST_FAILED": true, "DISCREPANCY_DETECTED": true,
	"MARGIN_TRANSFERRED": true, "MARGIN_BORROWED": true, "MARGIN_REPAID": true,
}

// venueReports are the positions of what the venue reported: of a position all, else what names the order.
func (x *Explanation) venueReports() []int64 {
	out := []int64{}
	for _, e := range x.Events {
		elsewhere := x.Subject.Kind != KindPosition && field(e, "order_id") != x.About.OrderID
		if venueTypes[e.GetEventType()] && !elsewhere {
			out = append(out, e.GetPosition())
		}
	}
	return out
}
