package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// Appender writes to the log: all of a request or nothing.
type Appender interface {
	Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error)
}

// CommandReader finds what a command has written.
type CommandReader interface {
	// GetCommand answers fault.NotFound for a command that is not in the log.
	GetCommand(ctx context.Context, in *eventlogv1.GetCommandRequest, opts ...grpc.CallOption) (*eventlogv1.GetCommandResponse, error)
	ReadLog(ctx context.Context, in *eventlogv1.ReadLogRequest, opts ...grpc.CallOption) (*eventlogv1.ReadLogResponse, error)
	ReadStream(ctx context.Context, in *eventlogv1.ReadStreamRequest, opts ...grpc.CallOption) (*eventlogv1.ReadStreamResponse, error)
}

// request is one call, as the idempotency rule sees it.
type request struct {
	method string // full name of the RPC
	body   proto.Message
	dryRun bool
}

// digest covers the RPC's name and all it was asked for.
func (r request) digest() ([]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.body)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "REQUEST_ENCODING", "encode request of %s", r.method)
	}
	sum := sha256.Sum256(append([]byte(r.method+"\n"), body...))
	return sum[:], nil
}

// recorded is an event of a command with its place in the log; for a dry run it has none.
type recorded struct {
	payload *eventv1.Payload
	receipt *eventlogv1.EventReceipt
}

// result is what a command has led to.
type result struct {
	caller    caller
	dryRun    bool
	duplicate bool
	conflicts int
	events    []recorded
	// position is the last of the events', or the one that was decided at.
	position int64
}

// decider takes a decision on the state as it now is. It is called anew after each conflict.
type decider func(ctx context.Context, who caller) (*plan, error)

// committer runs commands: once each, on the state they were decided on.
type committer struct {
	clock    clock.Clock
	appender Appender
	commands CommandReader
	metrics  metrics
	// retriesMax is how often a decision is taken anew after a conflict.
	retriesMax int
	// retryDelay is the first delay between tries; it doubles, and each is a random part of it.
	retryDelay time.Duration
}

// commit answers the first outcome of a command that is in the log already, and otherwise decides and appends, anew
// after each conflict, until the log takes it or the tries are used up.
func (c *committer) commit(ctx context.Context, req request, decide decider) (*result, error) {
	who, err := callerFrom(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := req.digest()
	if err != nil {
		return nil, err
	}
	if req.dryRun {
		planned, err := decide(ctx, who)
		if err != nil {
			return nil, err
		}
		return dryResult(who, planned), nil
	}
	if before, err := c.before(ctx, who, digest); before != nil || err != nil {
		return before, err
	}
	return c.decideAnew(ctx, who, attempt{method: req.method, digest: digest}, decide)
}

// attempt names what is being decided: for the log by its digest, for people by its method.
type attempt struct {
	method string
	digest []byte
}

// decideAnew decides and appends, anew after each conflict, until the log takes it or the tries are used up.
func (c *committer) decideAnew(ctx context.Context, who caller, what attempt, decide decider) (*result, error) {
	for conflicts := 0; ; conflicts++ {
		planned, err := decide(ctx, who)
		if err != nil {
			return nil, err
		}
		if len(planned.streams) == 0 {
			return standingResult(who, planned, conflicts), nil
		}
		res, err := c.append(ctx, who, what.digest, planned)
		if err == nil {
			res.conflicts = conflicts
			return res, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
		anew := conflicts < c.retriesMax
		if c.metrics.conflict(ctx, what.method, anew); !anew {
			return nil, err
		}
		if err := clock.Sleep(ctx, c.clock, jittered(c.retryDelay<<conflicts)); err != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "DECIDING_CUT_SHORT", "decide %s anew after a conflict", what.method)
		}
	}
}

// before is the outcome of a command that is in the log; nil if it is not.
func (c *committer) before(ctx context.Context, who caller, digest []byte) (*result, error) {
	answer, err := c.commands.GetCommand(ctx, &eventlogv1.GetCommandRequest{CommandId: who.commandID.String()})
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil //nolint:nilnil // no such command is the usual answer
	case err != nil:
		return nil, fmt.Errorf("look for command %s in the log: %w", who.commandID, err)
	case !bytes.Equal(answer.GetRequestDigest(), digest):
		return nil, fault.New(fault.Duplicate, "COMMAND_ID_REUSED",
			"command %s stands for another request", who.commandID).
			With("command_id", who.commandID.String()).
			With("stored_digest", hex.EncodeToString(answer.GetRequestDigest())).
			With("request_digest", hex.EncodeToString(digest))
	}
	return c.rebuild(ctx, who, answer.GetReceipt())
}

func (c *committer) append(ctx context.Context, who caller, digest []byte, planned *plan) (*result, error) {
	receipt, err := c.appender.Append(ctx, &eventlogv1.AppendRequest{
		CommandId: who.commandID.String(), RequestDigest: digest,
		Streams: planned.streams, Reads: planned.reads, DecidedAt: planned.decidedAt,
		TraceId: who.cause.TraceID, CausationId: who.cause.EventID, WorkflowId: who.cause.WorkflowID,
	})
	if err != nil {
		return nil, fmt.Errorf("append what was decided: %w", err)
	}
	if receipt.GetDuplicate() {
		return c.rebuild(ctx, who, receipt)
	}
	res := &result{caller: who}
	payloads := planned.payloads()
	if len(payloads) != len(receipt.GetEvents()) {
		return nil, fault.New(fault.Corrupt, "RECEIPT_SHAPE", "receipt of command %s has %d events for %d", who.commandID,
			len(receipt.GetEvents()), len(payloads))
	}
	for i, event := range receipt.GetEvents() {
		res.add(payloads[i], event)
	}
	return res, nil
}

// rebuild reads back the events of a command that is in the log, so that every sender gets the first one's answer.
func (c *committer) rebuild(ctx context.Context, who caller, receipt *eventlogv1.AppendResponse) (*result, error) {
	receipts := receipt.GetEvents()
	if len(receipts) == 0 {
		return nil, fault.New(fault.Corrupt, "RECEIPT_SHAPE", "receipt of command %s has no events", who.commandID)
	}
	page, err := c.commands.ReadLog(ctx, &eventlogv1.ReadLogRequest{
		FromPosition: receipts[0].GetPosition(), Direction: eventlogv1.Direction_DIRECTION_FORWARDS, PageSize: int32(len(receipts)), // bounded by the contract
	})
	if err != nil {
		return nil, fmt.Errorf("read the events of command %s: %w", who.commandID, err)
	}
	res := &result{caller: who, duplicate: true}
	for i, event := range page.GetEvents() {
		if i >= len(receipts) || event.GetEventId() != receipts[i].GetEventId() {
			break
		}
		res.caller.traceID = event.GetTraceId()
		res.add(event.GetPayload(), receipts[i])
	}
	if len(res.events) != len(receipts) {
		return nil, fault.New(fault.Corrupt, "RECEIPT_SHAPE", "events of command %s are not where its receipt says", who.commandID)
	}
	return res, nil
}

func (r *result) add(payload *eventv1.Payload, receipt *eventlogv1.EventReceipt) {
	r.events = append(r.events, recorded{payload: payload, receipt: receipt})
	r.position = receipt.GetPosition()
}

// standingResult answers a command that has nothing to write: what stands in the log already is its outcome.
func standingResult(who caller, planned *plan, conflicts int) *result {
	res := &result{caller: who, conflicts: conflicts, position: planned.decidedAt}
	for _, event := range planned.standing {
		res.caller.traceID = event.GetTraceId()
		res.add(event.GetPayload(), &eventlogv1.EventReceipt{
			EventId: event.GetEventId(), Position: event.GetPosition(), StreamKey: event.GetStreamKey(),
			Seq: event.GetSeq(), EventType: event.GetEventType(),
		})
	}
	return res
}

func dryResult(who caller, planned *plan) *result {
	res := &result{caller: who, dryRun: true, position: planned.decidedAt}
	for _, payload := range planned.payloads() {
		res.events = append(res.events, recorded{payload: payload})
	}
	return res
}

// payloads lists the planned events in the order of their positions.
func (p *plan) payloads() []*eventv1.Payload {
	var list []*eventv1.Payload
	for _, stream := range p.streams {
		for _, event := range stream.GetEvents() {
			list = append(list, event.GetPayload())
		}
	}
	return list
}

// jittered is a random part of a delay, at least one nanosecond, so that losers of one race do not meet again.
func jittered(delay time.Duration) time.Duration {
	return 1 + rand.N(max(delay, 1)) //nolint:gosec // no secret depends on it
}
