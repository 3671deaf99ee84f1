package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// streamWindow is how many appends of one stream the bench lets be under way.
const streamWindow = 100

// flow is one stream of appends: a worker's own, for one tenant.
type flow struct {
	open func(ctx context.Context) (eventlogv1.AppendService_AppendStreamClient, error)
	next func() *eventlogv1.AppendRequest
}

// streamedLoop keeps a window of appends under way on each stream. Latency is from handing an append to the stream, its
// waiting in the window of the connection included, to its receipt.
func streamedLoop(ctx context.Context, d time.Duration, flows []flow) (*tally, error) {
	start := now()
	end := start.Add(d)
	tallies, errs := make([]tally, len(flows)), make([]error, len(flows))
	var group sync.WaitGroup
	for i := range flows {
		group.Go(func() { errs[i] = flows[i].run(ctx, end, &tallies[i]) })
	}
	group.Wait()
	total := &tally{elapsed: now().Sub(start)}
	for i := range tallies {
		total.merge(&tallies[i])
	}
	return total, errors.Join(ended(ctx, total), errors.Join(errs...))
}

// run sends until the end and takes in the answers that are out.
func (f *flow) run(ctx context.Context, end time.Time, t *tally) error {
	stream, err := f.open(ctx)
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	places := make(chan struct{}, streamWindow)
	var mu sync.Mutex
	sent := map[uint64]time.Time{}
	received := make(chan error, 1)
	go func() {
		received <- receiveAll(stream, func(tag uint64) time.Time {
			mu.Lock()
			defer mu.Unlock()
			at := sent[tag]
			delete(sent, tag)
			<-places
			return at
		}, t)
	}()
	for tag := uint64(1); now().Before(end) && ctx.Err() == nil; tag++ {
		select {
		case places <- struct{}{}:
		case err := <-received:
			return fmt.Errorf("stream ended early: %w", errors.Join(err, ctx.Err()))
		}
		mu.Lock()
		sent[tag] = now()
		mu.Unlock()
		if err := stream.Send(&eventlogv1.AppendStreamRequest{Tag: tag, Append: f.next()}); err != nil {
			return fmt.Errorf("send: %w", errors.Join(err, <-received))
		}
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("close stream: %w", err)
	}
	return <-received
}

// receiveAll takes answers until the stream ends.
func receiveAll(stream eventlogv1.AppendService_AppendStreamClient, sentAt func(tag uint64) time.Time, t *tally) error {
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		result := out.GetResult()
		t.note(now().Sub(sentAt(out.GetTag())), len(result.GetReceipt().GetEvents()), resultError(result))
	}
}
