package worldtest

import (
	"context"
	"io"
	"time"

	"github.com/shopspring/decimal"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
)

// FailPrices makes the next price streams answer errors, one each.
func (w *World) FailPrices(errs ...error) {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	w.venue.streaming = append(w.venue.streaming, errs...)
}

// BreakPrices cuts every price stream that runs.
func (w *World) BreakPrices() {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	w.venue.broken++
	w.venue.signal()
}

// ForgetPrices makes the venue tell no tick up to a sequence any more.
func (w *World) ForgetPrices(sequence int64) {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	w.venue.forgotten = sequence
}

// ReloadPrices puts another market in the place of this one: it goes on counting, at a time and price of its own.
func (w *World) ReloadPrices(value string, at time.Time) int64 {
	v := &w.venue
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forgotten = v.last().sequence
	next := price{sequence: v.last().sequence + 1, value: decimal.RequireFromString(value), at: at}
	v.ticks = append(v.ticks, next)
	v.signal()
	return next.sequence
}

// signal wakes who waits for something to happen at the venue.
func (v *venue) signal() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// prices streams ticks to one subscriber.
type prices struct {
	grpc.ClientStream
	ctx    context.Context //nolint:containedctx // a stream lives in its context
	venue  *venue
	after  int64
	broken int
}

// StreamPrices implements the connector.
func (w *World) StreamPrices(ctx context.Context, in *connectorv1.StreamPricesRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[connectorv1.StreamPricesResponse], error) {
	v := &w.venue
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.streaming) > 0 {
		err := v.streaming[0]
		v.streaming = v.streaming[1:]
		return nil, err
	}
	return &prices{ctx: ctx, venue: v, after: in.GetAfterSequence(), broken: v.broken}, nil
}

// Recv implements the stream.
func (p *prices) Recv() (*connectorv1.StreamPricesResponse, error) {
	for {
		next, gap, changed, err := p.next()
		if err != nil {
			return nil, err
		}
		if next != nil {
			return &connectorv1.StreamPricesResponse{
				Sequence: next.sequence, Price: next.value.String(), MarketTime: timestamppb.New(next.at), Gap: gap,
			}, nil
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			return nil, io.ErrUnexpectedEOF
		}
	}
}

func (p *prices) next() (next *price, gap bool, changed <-chan struct{}, err error) {
	p.venue.mu.Lock()
	defer p.venue.mu.Unlock()
	if p.broken != p.venue.broken {
		return nil, false, nil, fault.New(fault.Unavailable, "CONNECTION_LOST", "the stream was cut")
	}
	if p.after < p.venue.forgotten {
		p.after, gap = p.venue.forgotten, true
	}
	if int(p.after) >= len(p.venue.ticks) {
		return nil, false, p.venue.changed, nil
	}
	tick := p.venue.ticks[p.after]
	p.after = tick.sequence
	return &tick, gap, nil, nil
}
