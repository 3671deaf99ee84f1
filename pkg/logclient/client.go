package logclient

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// Client appends to the log. It is safe for concurrent use.
type Client struct {
	clock clock.Clock
	log   eventlogv1.AppendServiceClient
	cfg   Config

	// root is the life of the streams, ended by Close.
	root    context.Context //nolint:containedctx // streams outlive the calls that open them
	end     context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	lanes  map[uuid.UUID]*lane
	closed bool
}

// New makes a client on a connection to eventlog, best one that is ByTenant. The caller closes both, the client first.
func New(ctx context.Context, clk clock.Clock, conn grpc.ClientConnInterface, cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{clock: clk, log: eventlogv1.NewAppendServiceClient(conn), cfg: cfg, lanes: map[uuid.UUID]*lane{}}
	c.root, c.end = context.WithCancel(context.WithoutCancel(ctx))
	return c, nil
}

// Close ends the streams and waits for it. What was under way is UNAVAILABLE to its senders, and may be in the log.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.running.Wait()
}

// Append appends for the context's tenant, and what the request leaves out comes from the context's ids. An append that the
// log cannot take now is offered again; its answer is then that of the first one that was taken in. When the context ends
// first, the append may be in the log: sent again under its command id, it answers what became of it.
func (c *Client) Append(ctx context.Context, in *eventlogv1.AppendRequest, options ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	in = filled(ctx, in)
	return c.finish(ctx, in, c.begin(ctx, in, options...), options...)
}

// AppendBatch appends many, in their order as far as none has to be offered again, each with its own result.
func (c *Client) AppendBatch(ctx context.Context, in *eventlogv1.AppendBatchRequest, options ...grpc.CallOption) (*eventlogv1.AppendBatchResponse, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	out := &eventlogv1.AppendBatchResponse{Results: make([]*eventlogv1.AppendResult, len(in.GetAppends()))}
	var wait sync.WaitGroup
	for i, one := range in.GetAppends() {
		one = filled(ctx, one)
		begun := c.begin(ctx, one, options...)
		wait.Go(func() { out.Results[i] = ResultOf(c.finish(ctx, one, begun, options...)) })
	}
	wait.Wait()
	return out, nil
}

// bounded gives a context without a deadline the default one.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.DeadlineDefault)
}

// answer waits for what becomes of an append that is under way.
type answer func() (*eventlogv1.AppendResponse, error)

// begin offers an append: by its tenant's stream, or for a user by a call that says so.
func (c *Client) begin(ctx context.Context, in *eventlogv1.AppendRequest, options ...grpc.CallOption) answer {
	if _, inCall := identity.From(ctx); inCall {
		return func() (*eventlogv1.AppendResponse, error) { return c.log.Append(ctx, in, options...) }
	}
	l, err := c.lane(identity.Tenant(ctx)) //nolint:contextcheck // a stream outlives the call that opens it
	if err != nil {
		return func() (*eventlogv1.AppendResponse, error) { return nil, err }
	}
	return l.begin(ctx, in)
}

// finish waits for an append's answer, and offers it again where the log could not take it.
func (c *Client) finish(ctx context.Context, in *eventlogv1.AppendRequest, begun answer, options ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	delay := c.cfg.RetryDelay
	for try := 1; ; try++ {
		receipt, err := begun()
		if err == nil || try == c.cfg.TriesMax || !passes(err) {
			return receipt, err
		}
		if clock.Sleep(ctx, c.clock, c.wait(err, delay)) != nil {
			return nil, err
		}
		delay = min(2*delay, c.cfg.RetryDelayMax)
		begun = c.begin(ctx, in, options...)
	}
}

// ResultOf is the result, as a batch or stream tells it, of what a call gave.
func ResultOf(receipt *eventlogv1.AppendResponse, err error) *eventlogv1.AppendResult {
	if err == nil {
		return &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Receipt{Receipt: receipt}}
	}
	told := rpc.Status(err).Proto()
	return &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Error{Error: &eventlogv1.AppendError{
		Code: told.GetCode(), Message: told.GetMessage(), Details: told.GetDetails(),
	}}}
}

// filled takes from the context what a request leaves out, since a stream has no ids of its own.
func filled(ctx context.Context, in *eventlogv1.AppendRequest) *eventlogv1.AppendRequest {
	ids := correlation.From(ctx)
	out := &eventlogv1.AppendRequest{
		CommandId: in.GetCommandId(), RequestDigest: in.GetRequestDigest(), Streams: in.GetStreams(), Reads: in.GetReads(), DecidedAt: in.GetDecidedAt(),
		TraceId: in.GetTraceId(), CausationId: in.GetCausationId(), WorkflowId: in.GetWorkflowId(),
	}
	for _, field := range []struct {
		into *string
		id   uuid.UUID
	}{{&out.CommandId, ids.Command}, {&out.TraceId, ids.Trace}, {&out.WorkflowId, ids.Workflow}} {
		if *field.into == "" && field.id != uuid.Nil {
			*field.into = field.id.String()
		}
	}
	if out.GetTraceId() == "" {
		out.TraceId = uuid.NewString()
	}
	if out.GetCausationId() == "" {
		out.CausationId = ids.Causation
	}
	return out
}

// passes says whether an error is one that goes away by itself.
func passes(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Exhausted)
}

// wait is how long to wait before an append is offered again: what the log advises, or a random part of the delay.
func (c *Client) wait(err error, delay time.Duration) time.Duration {
	if advised := rpc.RetryAfter(err); advised > 0 {
		delay = max(delay, advised)
	}
	return 1 + rand.N(max(delay, 1)) //nolint:gosec // no secret depends on it
}

// lane finds a tenant's lane, or makes it.
func (c *Client) lane(tenant uuid.UUID) (*lane, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if known := c.lanes[tenant]; known != nil {
		return known, nil
	}
	made := newLane(c, tenant)
	c.lanes[tenant] = made
	c.running.Go(func() { made.run(identity.WithTenant(c.root, tenant)) })
	return made, nil
}

// Lanes is how many tenants have a stream, for those who watch.
func (c *Client) Lanes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lanes)
}

// errClosed says that the client was closed.
var errClosed = fault.New(fault.Unavailable, "LOG_CLIENT_CLOSED", "the log client is closed")
