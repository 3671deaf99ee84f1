package engine

import (
	"context"
	"time"
)

// idleMax is how long the pacer sleeps when no market runs by itself; a change of pace wakes it before.
const idleMax = time.Minute

// RunMarkets moves the markets that run by themselves, until ctx ends or the engine breaks.
// A market that could not keep its pace goes on from now instead of catching up in a burst.
func (e *Engine) RunMarkets(ctx context.Context) error {
	due := map[string]time.Time{}
	for {
		paces, changed, err := e.paces()
		if err != nil {
			return err
		}
		now, next := e.clock.Now(), idleMax
		for symbol := range due {
			if _, running := paces[symbol]; !running {
				delete(due, symbol)
			}
		}
		for _, symbol := range sortedKeys(paces) {
			at, known := due[symbol]
			if !known || at.After(now.Add(paces[symbol])) {
				at = now.Add(paces[symbol])
			}
			if !at.After(now) {
				if err := e.step(symbol); err != nil {
					return err
				}
				at = at.Add(paces[symbol])
				if at.Before(now) {
					at = now
				}
			}
			due[symbol] = at
			next = min(next, at.Sub(now))
		}
		if err := e.pause(ctx, next, changed); err != nil {
			return nil //nolint:nilerr // the end was asked for
		}
	}
}

// step does one tick of a market.
func (e *Engine) step(symbol string) error {
	return e.update(func(c *change) error {
		e.tick(c, c.s.Symbols[symbol])
		return nil
	})
}

// paces lists the markets that run and have not reached their end.
func (e *Engine) paces() (map[string]time.Duration, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil {
		return nil, nil, e.broken
	}
	paces := map[string]time.Duration{}
	for symbol, y := range e.s.Symbols {
		if m := y.market(); y.Pace > 0 && m.Left != 0 {
			paces[symbol] = y.Pace
		}
	}
	return paces, e.changed, nil
}

func (e *Engine) pause(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	timer := e.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
