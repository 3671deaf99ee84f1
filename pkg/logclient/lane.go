package logclient

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// lane is one tenant's stream of appends, made anew whenever it breaks.
type lane struct {
	*Client
	tenant uuid.UUID
	// places has one taken for each append that is under way.
	places chan struct{}
	// wake tells the sender that there is something to send.
	wake chan struct{}

	mu sync.Mutex
	// pending are the appends that have no answer yet, by tag; tags count up in the order of sending.
	pending map[uint64]*waiting
	last    uint64
	// sent is the last tag that went out on the stream as it is now.
	sent uint64
	// ended: the lane has been idle and is given up; another is made when it is wanted.
	ended bool
}

// waiting is an append with its sender.
type waiting struct {
	request *eventlogv1.AppendRequest
	result  *eventlogv1.AppendResult
	err     error
	done    chan struct{}
}

func newLane(c *Client, tenant uuid.UUID) *lane {
	return &lane{
		Client: c, tenant: tenant, places: make(chan struct{}, c.cfg.InFlightMax), wake: make(chan struct{}, 1), pending: map[uint64]*waiting{},
	}
}

// begin puts an append into the lane; the answer is to be waited for.
func (l *lane) begin(ctx context.Context, in *eventlogv1.AppendRequest) answer {
	failed := func(err error) answer { return func() (*eventlogv1.AppendResponse, error) { return nil, err } }
	select {
	case l.places <- struct{}{}:
	case <-ctx.Done():
		return failed(context.Cause(ctx))
	}
	w := &waiting{request: in, done: make(chan struct{})}
	tag, taken := l.put(w)
	if !taken {
		<-l.places
		return failed(errLaneEnded)
	}
	return func() (*eventlogv1.AppendResponse, error) {
		defer func() { <-l.places }()
		select {
		case <-w.done:
			return w.answer()
		case <-ctx.Done():
			// It may be under way; if it has not been sent yet it never will be.
			l.take(tag)
			return nil, context.Cause(ctx)
		}
	}
}

// answer is what the log says of an append.
func (w *waiting) answer() (*eventlogv1.AppendResponse, error) {
	if w.err != nil {
		return nil, w.err
	}
	if failed := w.result.GetError(); failed != nil {
		return nil, rpc.FaultOf(status.FromProto(&spb.Status{Code: failed.GetCode(), Message: failed.GetMessage(), Details: failed.GetDetails()}))
	}
	return w.result.GetReceipt(), nil
}

// errLaneEnded says that the lane was given up between being found and being used.
var errLaneEnded = fault.New(fault.Unavailable, "LANE_ENDED", "the stream was closed for having been idle")

// put adds an append to those that are to be sent; false if the lane has ended.
func (l *lane) put(w *waiting) (tag uint64, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, false
	}
	l.last++
	l.pending[l.last] = w
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return l.last, true
}

// take removes an append from those that wait for an answer; nil if it is not among them.
func (l *lane) take(tag uint64) *waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.pending[tag]
	delete(l.pending, tag)
	return w
}

// run keeps a stream for as long as there is something to append, through every failure, until the context ends or
// nothing was wanted for a while.
func (l *lane) run(ctx context.Context) {
	defer l.end()
	delay := l.cfg.RetryDelay
	for ctx.Err() == nil {
		answered, err := l.serve(ctx)
		if err == nil {
			if l.giveUp() {
				return
			}
			continue // somebody came just then
		}
		if answered {
			delay = l.cfg.RetryDelay
		}
		if isHopeless(err) {
			l.fail(err) // it would be refused again: the senders must know
		}
		if clock.Sleep(ctx, l.clock, l.wait(err, delay)) != nil {
			return
		}
		delay = min(2*delay, l.cfg.RetryDelayMax)
	}
}

// isHopeless says whether a stream would be refused again.
func isHopeless(err error) bool {
	return fault.Is(err, fault.Denied) || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Invalid) ||
		status.Code(err) == codes.Unimplemented
}

// serve opens a stream, sends what has no answer yet and what comes, and takes answers in, until the stream breaks or
// nothing was wanted for a while. It tells whether anything was answered.
func (l *lane) serve(ctx context.Context) (answered bool, err error) {
	if err := l.awaitWork(ctx); err != nil || l.idle() {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.log.AppendStream(ctx)
	if err != nil {
		return false, err
	}
	l.rewind()
	received := make(chan error, 1)
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				received <- err
				return
			}
			answered = true
			l.settle(answer)
		}
	}()
	if l.sendAll(ctx, stream, received) == nil {
		// Nothing is under way. The other side ends when it has seen that this one is closed.
		if err := stream.CloseSend(); err == nil {
			if err := <-received; errors.Is(err, io.EOF) {
				return answered, nil
			}
		}
		return answered, errBroken
	}
	err = <-received // what the other side says tells more than that sending failed
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return answered, err
}

// errBroken says that a stream ended without a word.
var errBroken = fault.New(fault.Unavailable, "STREAM_BROKEN", "the stream of appends broke")

// sendAll sends until the stream breaks, whose error the receiver then has, or nothing was wanted for a while.
func (l *lane) sendAll(ctx context.Context, stream eventlogv1.AppendService_AppendStreamClient, received chan error) error {
	idle := l.clock.NewTimer(l.cfg.IdleMax)
	defer func() { idle.Stop() }()
	for {
		for tag, w := l.next(); w != nil; tag, w = l.next() {
			if err := stream.Send(&eventlogv1.AppendStreamRequest{Tag: tag, Append: w.request}); err != nil {
				return err
			}
		}
		select {
		case <-l.wake:
		case err := <-received:
			received <- err
			return err
		case <-idle.C():
			if l.idle() {
				return nil
			}
			idle = l.clock.NewTimer(l.cfg.IdleMax)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitWork returns when there is something to send, or nothing was wanted for a while.
func (l *lane) awaitWork(ctx context.Context) error {
	if !l.idle() {
		return nil
	}
	timer := l.clock.NewTimer(l.cfg.IdleMax)
	defer timer.Stop()
	select {
	case <-l.wake:
	case <-timer.C():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// rewind has everything that has no answer sent again.
func (l *lane) rewind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = 0
}

// next is the first append that was not sent on this stream; nil if there is none.
func (l *lane) next() (uint64, *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == 0 && len(l.pending) > 0 {
		l.sent = slices.Min(slices.Collect(maps.Keys(l.pending))) - 1
	}
	for l.sent < l.last {
		l.sent++
		if w := l.pending[l.sent]; w != nil {
			return l.sent, w
		}
	}
	return 0, nil
}

// settle gives an answer to its sender, who may have gone.
func (l *lane) settle(answer *eventlogv1.AppendStreamResponse) {
	if w := l.take(answer.GetTag()); w != nil {
		w.result = answer.GetResult()
		close(w.done)
	}
}

// fail tells everybody in the lane that it cannot be.
func (l *lane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for tag, w := range l.pending {
		delete(l.pending, tag)
		w.err = err
		close(w.done)
	}
}

// idle says whether nobody waits for an answer.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) == 0
}

// giveUp ends the lane unless somebody has come.
func (l *lane) giveUp() bool {
	l.Client.mu.Lock()
	defer l.Client.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 {
		return false
	}
	l.ended = true
	delete(l.lanes, l.tenant)
	return true
}

// end tells who is still in the lane that the client was closed.
func (l *lane) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.fail(errClosed)
}
