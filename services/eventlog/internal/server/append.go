package server

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// Appender takes appends in, each alone, and gives a result for each in their order.
type Appender interface {
	Append(ctx context.Context, requests []*intake.Request) []store.Result
	// Submit does the same without waiting: answer is told each result with the index of its append, and must not block.
	// An error means that none was taken.
	Submit(ctx context.Context, requests []*intake.Request, answer func(index int, result store.Result)) error
}

// Append implements eventlogv1.AppendServiceServer.
type Append struct {
	eventlogv1.UnimplementedAppendServiceServer
	logger *slog.Logger
	clock  clock.Clock
	log    Appender
	limits intake.Limits
	// stopping ends streams.
	stopping <-chan struct{}
}

// NewAppend makes the write side of the log. Streams end when stopping is closed.
func NewAppend(logger *slog.Logger, clk clock.Clock, log Appender, limits intake.Limits, stopping <-chan struct{}) *Append {
	return &Append{logger: logger, clock: clk, log: log, limits: limits, stopping: stopping}
}

// Append implements eventlogv1.AppendServiceServer.
func (a *Append) Append(ctx context.Context, in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	request, err := a.request(ctx, in)
	if err != nil {
		return nil, err
	}
	result := a.log.Append(ctx, []*intake.Request{request})[0]
	if result.Err != nil {
		return nil, result.Err
	}
	return response(result.Answer), nil
}

// AppendBatch implements eventlogv1.AppendServiceServer.
func (a *Append) AppendBatch(ctx context.Context, in *eventlogv1.AppendBatchRequest) (*eventlogv1.AppendBatchResponse, error) {
	out := &eventlogv1.AppendBatchResponse{Results: make([]*eventlogv1.AppendResult, len(in.GetAppends()))}
	var requests []*intake.Request
	var places []int
	for i, append1 := range in.GetAppends() {
		request, err := a.ownRequest(ctx, append1)
		if err != nil {
			out.Results[i] = a.failed(ctx, err)
			continue
		}
		requests, places = append(requests, request), append(places, i)
	}
	if len(requests) == 0 {
		return out, nil
	}
	for i, result := range a.log.Append(ctx, requests) {
		if result.Err != nil {
			out.Results[places[i]] = a.failed(ctx, result.Err)
			continue
		}
		out.Results[places[i]] = taken(result.Answer)
	}
	return out, nil
}

// ownRequest reads an append of a batch, which must name its own command: that of the call stands for none of them.
func (a *Append) ownRequest(ctx context.Context, in *eventlogv1.AppendRequest) (*intake.Request, error) {
	if in.GetCommandId() == "" {
		return nil, fault.InvalidField("command_id", "must be given: each append of a batch or stream is a command of its own")
	}
	return a.request(ctx, in)
}

// request reads an append: what it leaves out comes from the call's metadata, who acts from the verified identity.
func (a *Append) request(ctx context.Context, in *eventlogv1.AppendRequest) (*intake.Request, error) {
	caller, known := identity.From(ctx)
	if !known {
		return nil, fault.New(fault.Unauthenticated, "NO_IDENTITY", "the call has no verified identity")
	}
	ids := correlation.From(ctx)
	draft := &intake.Draft{
		Tenant: identity.Tenant(ctx), DecidedAt: in.GetDecidedAt(), Digest: [32]byte(in.GetRequestDigest()),
		Caller: intake.Caller{Service: caller.Service, User: caller.OnBehalfOf},
	}
	p := parser{}
	draft.Command, draft.Trace = p.id("command_id", in.GetCommandId(), ids.Command), p.id("trace_id", in.GetTraceId(), ids.Trace)
	draft.Workflow = p.id("workflow_id", in.GetWorkflowId(), ids.Workflow)
	draft.Causation = p.ulid("causation_id", in.GetCausationId(), ids.Causation)
	for i, read := range in.GetReads() {
		draft.Reads = append(draft.Reads, intake.Read{
			Kind: projection.ReadKind(read.GetRow()), ID: p.id(fmt.Sprintf("reads[%d].id", i), read.GetId(), uuid.Nil),
		})
	}
	for i, stream := range in.GetStreams() {
		draft.Streams = append(draft.Streams, p.stream(fmt.Sprintf("streams[%d]", i), stream))
	}
	if p.err != nil {
		return nil, p.err
	}
	return intake.New(draft, a.limits) //nolint:wrapcheck // it names the field.
}

// parser reads the texts of a request; it keeps the first error.
type parser struct{ err error }

func (p *parser) fail(path, format string, args ...any) {
	if p.err == nil {
		p.err = fault.InvalidField(path, format, args...)
	}
}

// id reads an id, or gives another for an absent one.
func (p *parser) id(path, text string, other uuid.UUID) uuid.UUID {
	if text == "" {
		return other
	}
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil {
		p.fail(path, "must be a UUID other than zero, and is %q", text)
	}
	return id
}

// ulid reads an event id, or that of the metadata; zero if both are absent.
func (p *parser) ulid(path, text, other string) ulid.ULID {
	if text == "" {
		text = other
	}
	if text == "" {
		return ulid.ULID{}
	}
	id, err := ulid.ParseStrict(text)
	if err != nil {
		p.fail(path, "must be an event id, a ULID of 26 characters, and is %q", text)
	}
	return id
}

func (p *parser) stream(path string, in *eventlogv1.StreamAppend) intake.DraftStream {
	out := intake.DraftStream{Key: in.GetStreamKey()}
	switch expected := in.GetExpected().GetKind().(type) {
	case *eventlogv1.Expected_Any:
		out.Expected.Mode = intake.Any
	case *eventlogv1.Expected_NoStream:
		out.Expected.Mode = intake.NoStream
	case *eventlogv1.Expected_Exists:
		out.Expected.Mode = intake.Exists
	case *eventlogv1.Expected_Exact:
		out.Expected = intake.Expected{Mode: intake.Exact, Seq: expected.Exact}
	default:
		p.fail(path+".expected", "must be given")
	}
	for i, event := range in.GetEvents() {
		if err := event.GetOccurredAt().CheckValid(); err != nil {
			p.fail(path+".events["+strconv.Itoa(i)+"].occurred_at", "must be a time between the years 1 and 9999")
		}
		draft := intake.DraftEvent{Payload: event.GetPayload(), OccurredAt: event.GetOccurredAt().AsTime(), CausedBy: -1}
		if event.CausedBy != nil {
			draft.CausedBy = int(event.GetCausedBy())
		}
		out.Events = append(out.Events, draft)
	}
	return out
}

// response tells one sender what became of its append.
func response(a intake.Answer) *eventlogv1.AppendResponse {
	out := receiptOf(a.Receipt)
	out.Duplicate = a.Duplicate
	if a.Discrepancy != uuid.Nil {
		out.DiscrepancyId = a.Discrepancy.String()
	}
	return out
}

// taken tells that an append of a batch or stream is in the log.
func taken(a intake.Answer) *eventlogv1.AppendResult {
	return &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Receipt{Receipt: response(a)}}
}

// receiptOf is a receipt as the contract shows it.
func receiptOf(r *intake.Receipt) *eventlogv1.AppendResponse {
	out := &eventlogv1.AppendResponse{CommandId: r.Command.String(), IngestedAt: timestamp(r.IngestedAt)}
	requested := len(r.Requested())
	for i := range r.Entries {
		entry := &r.Entries[i]
		told := &eventlogv1.EventReceipt{
			EventId: entry.EventID.String(), Position: r.FirstPosition + int64(i), StreamKey: entry.Stream.String(), Seq: entry.Seq,
			EventType: string(entry.Type), ClockSkewed: entry.Skewed,
		}
		if i < requested {
			out.Events = append(out.Events, told)
		} else {
			out.Raised = append(out.Raised, told)
		}
	}
	return out
}

func timestamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// failed tells why an append of a batch or stream is not in the log, as the unary call would have. What the sender is not told is
// for the log: no interceptor sees it.
func (a *Append) failed(ctx context.Context, err error) *eventlogv1.AppendResult {
	if kind := fault.KindOf(err); kind == fault.Unknown || kind == fault.Corrupt {
		a.logger.ErrorContext(ctx, "append failed", "tenant_id", identity.Tenant(ctx), "error", err)
	}
	status := rpc.Status(err).Proto()
	return &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Error{Error: &eventlogv1.AppendError{
		Code: status.GetCode(), Message: status.GetMessage(), Details: status.GetDetails(),
	}}}
}
