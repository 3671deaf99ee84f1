package server

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// windowMax is how many appends of one stream may be under way; past that nothing more is read from it, and the sender is
// held back by flow control. The contract names it.
const windowMax = 1024

// stoppingRetryAfter is the delay that is advised where this process stops: another replica takes over at once.
const stoppingRetryAfter = 20 * time.Millisecond

// appendStream is the stream as the service sees it.
type appendStream = grpc.BidiStreamingServer[eventlogv1.AppendStreamRequest, eventlogv1.AppendStreamResponse]

// AppendStream implements eventlogv1.AppendServiceServer.
func (a *Append) AppendStream(stream appendStream) error {
	ctx := stream.Context()
	w := &window{places: make(chan struct{}, windowMax), results: make(chan tagged, windowMax), read: make(chan error, 1)}
	go func() { w.read <- a.readAll(ctx, stream, w) }()
	stopping := a.stopping
	var end error
	for open := true; open || len(w.places) > 0; {
		select {
		case r := <-w.results:
			if err := stream.Send(a.answer(ctx, r)); err != nil {
				return fault.Wrap(err, fault.Unavailable, "CONNECTION_LOST", "answer an append of a stream")
			}
			<-w.places
		case err := <-w.read:
			if open {
				open, end = false, err
			}
		case <-stopping:
			stopping = nil
			if open {
				// What is under way is answered; the rest finds another replica.
				open, end = false, takesNoMore()
			}
		case <-ctx.Done():
			return context.Cause(ctx) //nolint:wrapcheck // the sender has gone.
		}
	}
	return end
}

// takesNoMore ends a stream whose sender has not ended it: without an error it would take what it sent last for read.
func takesNoMore() error {
	return fault.New(fault.Unavailable, "STOPPING", "this replica takes no more appends").WithRetryAfter(stoppingRetryAfter)
}

// window is what is under way of one stream.
type window struct {
	// places has one taken for each append that is under way.
	places chan struct{}
	// results has room for all of them, so that telling one never blocks.
	results chan tagged
	// read tells the end of reading.
	read chan error
}

// tagged is a result with the tag of its append.
type tagged struct {
	tag    uint64
	result store.Result
}

// readAll takes appends from the stream until the sender closes its side, or this process stops: what it then sends has no
// answer, and is sent again to another.
func (a *Append) readAll(ctx context.Context, stream appendStream, w *window) error {
	for {
		in := &eventlogv1.AppendStreamRequest{}
		err := stream.RecvMsg(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			return err //nolint:wrapcheck // the interceptor says what it is.
		}
		select {
		case <-a.stopping:
			return takesNoMore()
		default:
		}
		select {
		case w.places <- struct{}{}:
		case <-a.stopping:
			return takesNoMore()
		case <-ctx.Done():
			return nil
		}
		if err == nil {
			err = a.submit(ctx, in, w)
		}
		if err == nil {
			continue
		}
		w.results <- tagged{in.GetTag(), store.Result{Err: err}} // this one alone
		if !a.holdBack(ctx, err) {
			return nil
		}
	}
}

// holdBack waits, after an append for which there was no room, for as long as its sender is advised to. Nothing is read from the
// stream meanwhile: a sender that sends on at once is held back by flow control. To read and turn away what it sends would
// cost all the others the processor. False: the sender has gone, or the stream has ended.
func (a *Append) holdBack(ctx context.Context, err error) (goOn bool) {
	if !fault.Is(err, fault.Exhausted) {
		return true
	}
	return clock.Sleep(ctx, a.clock, fault.As(err).RetryAfter) == nil
}

// submit hands one append over.
func (a *Append) submit(ctx context.Context, in *eventlogv1.AppendStreamRequest, w *window) error {
	request, err := a.ownRequest(ctx, in.GetAppend())
	if err != nil {
		return err
	}
	return a.log.Submit(ctx, []*intake.Request{request}, func(_ int, result store.Result) { w.results <- tagged{in.GetTag(), result} }) //nolint:wrapcheck // it says what it is.
}

// answer tells what became of an append.
func (a *Append) answer(ctx context.Context, r tagged) *eventlogv1.AppendStreamResponse {
	out := &eventlogv1.AppendStreamResponse{Tag: r.tag}
	if r.result.Err != nil {
		out.Result = a.failed(ctx, r.result.Err)
	} else {
		out.Result = taken(r.result.Answer)
	}
	return out
}
