package demo

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
)

// How long the demo goes on asking a stack that does not answer, and how often.
const (
	outageMax    = 90 * time.Second
	retryPause   = 250 * time.Millisecond
	settleMax    = 30 * time.Second
	settlePause  = 4 * time.Millisecond
	callDeadline = 15 * time.Second
)

// step gives a context that carries the step's command and trace, so that sending it again is the same command.
func (d *Demo) step(ctx context.Context, name string) context.Context {
	ids := correlation.From(ctx)
	ids.Command = d.id("command/" + name)
	ids.Trace = d.traceOf(name)
	return correlation.With(ctx, ids)
}

// retry calls until the stack answers: it may be down for a while, since it may be killed and started under the demo. One that
// never answered is not there.
func retry[T any](ctx context.Context, d *Demo, what string, call func(context.Context) (T, error)) (T, error) {
	started := d.clock.Now()
	told := false
	for {
		attempt, cancel := context.WithTimeout(ctx, callDeadline)
		result, err := call(attempt)
		cancel()
		if err == nil || !passing(err) || !d.answered.Load() || ctx.Err() != nil {
			if err != nil {
				return result, fmt.Errorf("%s: %w", what, err)
			}
			d.answered.Store(true)
			return result, nil
		}
		if d.clock.Now().Sub(started) > outageMax {
			return result, fmt.Errorf("%s: no answer for %s: %w", what, outageMax, err)
		}
		if !told {
			d.say("no answer (%s); asking again with the same command id", status.Code(err))
			told = true
		}
		d.counts.retries.Add(1)
		if err := clock.Sleep(ctx, d.clock, retryPause); err != nil {
			return result, err
		}
	}
}

// passing says whether a failure may pass by itself.
func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Canceled:
		return true
	default:
		return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Exhausted) || fault.Is(err, fault.Stale)
	}
}
