package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
)

// How long to wait before a stream that broke is opened again: at first, and at most.
const (
	againFirst = 100 * time.Millisecond
	againMost  = 5 * time.Second
)

// stream is something that is followed: open begins it, or goes on where it was left, and serves it until it breaks. It says
// whether anything came.
type stream struct {
	open func(ctx context.Context) (came bool, err error)
	// place says where it goes on, for people.
	place func() string
	// broke, if set, hears that standard error will say something.
	broke func()
}

// follow serves a stream until the context ends, which is no error. One that breaks after something had come is opened again,
// for as long as it takes, and standard error says so once; what would be refused again is an error.
func (a *App) follow(ctx context.Context, s stream) error {
	delay, said := againFirst, false
	for begun := false; ; {
		came, err := s.open(ctx)
		if ended(ctx) {
			return nil
		}
		begun = begun || came
		if came {
			delay, said = againFirst, false
		}
		if !begun || !passes(err) {
			return err
		}
		if s.broke != nil {
			s.broke()
		}
		if !said {
			fmt.Fprintf(a.err, "the connection broke (%s); going on after %s\n", err, s.place())
		}
		said = true
		_ = clock.Sleep(ctx, clock.System(), delay) // its end is the context's, which ends the next try
		delay = min(2*delay, againMost)
	}
}

// passes says whether a stream that broke may be opened again: the service is away, or could not keep up with us, or we not
// with it.
func passes(err error) bool {
	return errors.Is(err, io.EOF) || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Exhausted)
}

// ended says whether somebody has ended it.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
