package executor

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Result is where an order stands after a call.
type Result struct {
	Order *projectorv1.Order
	// Sent: this call sent the request.
	Sent bool
}

// Execute carries out an intent's attempt. It may be called any number of times.
func (e *Executor) Execute(ctx context.Context, intentID uuid.UUID, attempt int32) (Result, error) {
	intent, err := e.ledger.Intent(ctx, intentID.String())
	if err != nil {
		return Result{}, err
	}
	if intent.GetIntentType() == eventv1.IntentType_INTENT_TYPE_CANCEL {
		row, err := e.Cancel(ctx, intent.GetCancelsOrderId())
		return Result{Order: row}, err
	}
	id := event.OrderID(intentID, attempt)
	row, err := e.ledger.Order(ctx, id.String(), 0)
	if err == nil {
		return e.follow(ctx, row)
	}
	if !isMissing(err) {
		return Result{}, err
	}
	t, err := e.newTask(ctx, intent, id)
	if err != nil {
		return Result{}, err
	}
	return e.claim(ctx, t, intent, attempt)
}

// follow is for an order that is claimed or ended already: it is never sent again. While it is young its sender is left
// to tell; then it is asked about.
func (e *Executor) follow(ctx context.Context, row *projectorv1.Order) (Result, error) {
	row, inTime, err := e.awaitSender(ctx, row)
	if err != nil || !inTime || hasEnded(row) || !isUnresolved(row) {
		return Result{Order: row}, err
	}
	t, err := e.taskOf(ctx, row)
	if err != nil {
		return Result{}, err
	}
	if !e.isBusyWith(t.tenant, row.GetOrderId()) {
		e.flagCrash(ctx, t, row)
	}
	return e.await(ctx, t, Result{})
}

// awaitSender waits as long as a claimed order is young and nothing is known of it. It gives the order's newest row, and
// whether the caller has time left.
func (e *Executor) awaitSender(ctx context.Context, row *projectorv1.Order) (newest *projectorv1.Order, inTime bool, err error) {
	over, stop := e.almostOver(ctx)
	defer stop()
	isYoung := func() bool { return e.clock.Now().Sub(row.GetCreatedAt().AsTime()) < e.config.Young }
	for !hasEnded(row) && isUnresolved(row) && !row.GetNeedsResolution() && isYoung() {
		pause := e.clock.NewTimer(min(e.config.AskFirst, e.config.Young))
		select {
		case <-pause.C():
		case <-over:
			pause.Stop()
			return row, false, nil
		case <-ctx.Done():
			pause.Stop()
			return row, false, context.Cause(ctx)
		}
		row, err = e.ledger.Order(ctx, row.GetOrderId(), row.GetLastPosition())
		if err != nil {
			return nil, false, err
		}
	}
	return row, true, nil
}

func (e *Executor) newTask(ctx context.Context, intent *projectorv1.Intent, id uuid.UUID) (*task, error) {
	account, err := e.ledger.Account(ctx, intent.GetAccountId())
	if err != nil {
		return nil, err
	}
	lines, err := e.desk.For(identity.Tenant(ctx), account)
	if err != nil {
		return nil, err
	}
	origin, err := e.ledger.Follow(ctx, intent.GetLastEventId())
	if err != nil {
		return nil, err
	}
	order := fact.Order{
		ID: id, Symbol: intent.GetSymbol(), ClientOrderID: venue.ClientOrderID(event.ClientOrderID(id)), Origin: origin,
	}
	for _, field := range []struct {
		to   *uuid.UUID
		text string
	}{{&order.Intent, intent.GetIntentId()}, {&order.Account, intent.GetAccountId()}, {&order.Position, intent.GetPositionId()}} {
		if field.text == "" {
			continue
		}
		*field.to, err = uuid.Parse(field.text)
		if err != nil {
			return nil, fault.Wrap(err, fault.Corrupt, "INTENT_ID", "intent %s", intent.GetIntentId())
		}
	}
	return &task{tenant: identity.Tenant(ctx), order: order, lines: lines}, nil
}

// claim appends ORDER_SUBMITTED. Only who gets a receipt that is not a duplicate sends.
func (e *Executor) claim(ctx context.Context, t *task, intent *projectorv1.Intent, attempt int32) (Result, error) {
	request, err := e.claimRequest(ctx, t, intent, attempt)
	if err != nil {
		return Result{}, err
	}
	receipt, err := e.ledger.Appender.Append(ctx, request)
	switch {
	case fault.Is(err, fault.Refused):
		return e.claimRefused(ctx, t, err)
	case fault.Is(err, fault.Conflict):
		// Somebody claimed or ended it between our look and our claim.
		row, err := e.ledger.Order(ctx, t.order.ID.String(), 0)
		return Result{Order: row}, err
	case err != nil:
		// The commit is uncertain: it may be our claim that stands, and then nobody may send. The sweep finds out.
		return Result{}, err
	}
	position := receipt.GetEvents()[0].GetPosition()
	if receipt.GetDuplicate() {
		row, err := e.ledger.Order(ctx, t.order.ID.String(), position)
		if err != nil {
			return Result{}, err
		}
		return e.follow(ctx, row)
	}
	t.order.Origin.Cause = receipt.GetEvents()[0].GetEventId()
	t.claimedAt = receipt.GetIngestedAt().AsTime()
	return e.send(ctx, t, t.lines.NewOrder(intent, t.order.ClientOrderID, t.claimedAt), position)
}

func (e *Executor) claimRequest(ctx context.Context, t *task, intent *projectorv1.Intent, attempt int32) (*eventlogv1.AppendRequest, error) {
	at, err := t.lines.Market.MarketTime(ctx, intent.GetSymbol())
	if err != nil {
		return nil, line.Fault("time of the market", err)
	}
	claim := t.lines.Claim(intent, t.order, attempt)
	name := fmt.Sprintf("robson.connector.v1.ExecutionService/Execute/claim/%s/%d", intent.GetIntentId(), attempt)
	digest := sha256.Sum256([]byte(name))
	request := &eventlogv1.AppendRequest{
		CommandId: uuid.NewSHA1(t.order.ID, []byte(name)).String(), RequestDigest: digest[:], CausationId: t.order.Origin.Cause,
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: orderStream(t.order.ID), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_NoStream{NoStream: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(claim), OccurredAt: timestamppb.New(at)}},
		}},
	}
	if t.order.Origin.Trace != uuid.Nil {
		request.TraceId = t.order.Origin.Trace.String()
	}
	return request, nil
}

// lasting are the refusals of a claim that do not end its intent: the order exists, or another attempt is alive.
var lasting = map[string]bool{"ORDER_EXISTS": true, "INTENT_LIVE": true, "INTENT_ENDED": true, "INTENT_UNKNOWN": true, "ATTEMPT": true}

// claimRefused ends the intent of a refused claim: what may not be sent now may have become wrong to send at all.
func (e *Executor) claimRefused(ctx context.Context, t *task, refusal error) (Result, error) {
	reason := fault.ReasonOf(refusal)
	if lasting[reason] {
		row, err := e.ledger.Order(ctx, t.order.ID.String(), 0)
		if err != nil {
			return Result{}, refusal
		}
		return Result{Order: row}, nil
	}
	why := fact.ReasonClaimRefused + ": " + refusal.Error()
	if reason == "INTENT_EXPIRED" {
		why = fact.ReasonExpired
	}
	row, err := e.end(ctx, t, why)
	return Result{Order: row}, err
}
