package store

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
)

// answerReserve is the slice of a caller's deadline that waiting leaves for the read itself and for telling that the
// position did not come.
const answerReserve = 100 * time.Millisecond

// await returns when the tenant's head has reached least. Where that does not happen in time the error is Stale and
// says how far the head is.
func (s *Store) await(ctx context.Context, tenant uuid.UUID, least, found int64) error {
	select {
	case s.waiters <- struct{}{}:
		defer func() { <-s.waiters }()
	default:
		return fault.New(fault.Exhausted, "TOO_MANY_WAITERS", "%d reads wait for positions already", s.cfg.WaitersMax).
			WithRetryAfter(s.cfg.WaitPoll)
	}
	begun := s.clock.Now()
	// Queries run under the caller's context: the end of the wait falls between them and costs no connection.
	wait, cancel := s.waitContext(ctx)
	defer cancel()
	for {
		timer := s.clock.NewTimer(s.cfg.WaitPoll)
		select {
		case <-wait.Done():
			timer.Stop()
			s.metrics.waited(ctx, s.clock.Now().Sub(begun), false)
			return s.notReached(tenant, least, found)
		case <-timer.C():
		}
		head, err := s.snapshot(ctx, tenant, nil)
		if err != nil {
			return err
		}
		if head.Position >= least {
			s.metrics.waited(ctx, s.clock.Now().Sub(begun), true)
			return nil
		}
		found = head.Position
	}
}

// waitContext ends at the caller's deadline less the reserve, or after WaitMax, whichever is sooner.
func (s *Store) waitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.WaitMax)
	deadline, ok := ctx.Deadline()
	if !ok {
		return limited, cancel
	}
	sooner, cancelSooner := context.WithDeadline(limited, deadline.Add(-answerReserve))
	return sooner, func() { cancelSooner(); cancel() }
}

func (s *Store) notReached(tenant uuid.UUID, least, found int64) error {
	return fault.New(fault.Stale, "POSITION_NOT_REACHED", "tenant %s is at position %d, not yet at %d", tenant, found, least).
		With("min_position", strconv.FormatInt(least, 10)).
		With("position", strconv.FormatInt(found, 10))
}
