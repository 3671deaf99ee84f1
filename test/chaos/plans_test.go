package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

const (
	// plansShort and plansLong are how many seeds are lived, plansAtOnce how many at a time.
	plansShort, plansLong, plansAtOnce = 50, 1000, 50
	// lingerMax is how long what is wrong may keep a position from its end.
	lingerMax = 6 * time.Second
	// deathsLeast and deathsMost are between what there is from one death of a service to the next.
	deathsLeast, deathsMost = 500 * time.Millisecond, 4 * time.Second
	// reconcileEvery is how long an account is left to itself before it is reconciled again, as it would be every hour.
	reconcileEvery = 5 * time.Second
)

// seeds are those of the plans to live: -chaos.seed=N lives that one alone.
func seeds() []uint64 {
	if *seed != 0 {
		return []uint64{*seed}
	}
	count := plansShort
	if *long {
		count = plansLong
	}
	out := make([]uint64, count)
	for n := range out {
		out[n] = uint64(n) + 1
	}
	return out
}

// TestFaultPlans lives order lives in which the exchange behaves as on its bad days. However it does, in the end our book is the exchange's.
func TestFaultPlans(t *testing.T) {
	t.Parallel()
	liveAll(t, false)
}

// TestFaultPlansAmongDeaths is the same while the connector and the command service are killed at random moments.
func TestFaultPlansAmongDeaths(t *testing.T) {
	t.Parallel()
	liveAll(t, true)
}

// liveAll lives all plans, so many at a time on a desk of their own.
func liveAll(t *testing.T, deaths bool) {
	t.Helper()
	all := seeds()
	for from := 0; from < len(all); from += plansAtOnce {
		some := all[from:min(from+plansAtOnce, len(all))]
		t.Run(fmt.Sprintf("from %d", some[0]), func(t *testing.T) { newDesk(t).live(t, some, deaths) })
	}
}

// live lives the plans of some seeds, side by side.
func (d *desk) live(t *testing.T, seeds []uint64, deaths bool) {
	t.Helper()
	ctx := t.Context()
	lives := make([]*life, len(seeds))
	for n, seed := range seeds {
		lives[n] = &life{faultPlan: planOf(seed, deaths), desk: d}
	}
	require.NoError(t, d.exchange.Price(ctx, btc, "95000"))
	began := now()
	each(t, lives, "begin", func(l *life) error { return l.begin(ctx) })
	begun := now()
	endDeaths := func() int { return 0 }
	if deaths {
		endDeaths = d.kill(t, seeds[0])
	}
	each(t, lives, "enter", func(l *life) error { return l.enter(ctx) })
	entered := now()
	require.NoError(t, d.exchange.Price(ctx, btc, "95300"))
	require.NoError(t, d.disturb(ctx, lives))
	each(t, lives, "leave", func(l *life) error { return l.leave(ctx) })
	for _, price := range []string{"94600", "94450", "94400"} {
		require.NoError(t, d.exchange.Price(ctx, btc, price))
	}
	each(t, lives, "linger", func(l *life) error { return l.linger(ctx) })
	died := endDeaths()
	require.NoError(t, d.exchange.Heal(ctx))
	require.NoError(t, d.exchange.Skew(ctx, 0))
	// A market goes on. Prices of a clock that had been set back may lie before the moment from which a stop counts.
	require.NoError(t, d.exchange.Price(ctx, btc, "94390"))
	left := now()
	each(t, lives, "settle", func(l *life) error { return l.settle(ctx) })
	settled := now()
	each(t, lives, "prove", func(l *life) error { return l.proven(ctx) })
	t.Logf("seeds %d to %d, %d deaths: begun in %s, entered in %s, left in %s, equal in %s, proven in %s; an order was unknown for at most %s",
		seeds[0], seeds[len(seeds)-1], died, begun.Sub(began).Round(time.Millisecond), entered.Sub(begun).Round(time.Millisecond), left.Sub(entered).Round(time.Millisecond),
		settled.Sub(left).Round(time.Millisecond), now().Sub(settled).Round(time.Millisecond), d.uncertainty(t, lives).Round(time.Millisecond))
}

// uncertainty is the longest time for which an order was unknown. The long form holds it against what the plan allows, where no process died.
func (d *desk) uncertainty(t *testing.T, lives []*life) time.Duration {
	t.Helper()
	var longest atomic.Int64
	each(t, lives, "account for what was unknown", func(l *life) error {
		unknown, err := l.uncertainty(t.Context())
		for {
			known := longest.Load()
			if int64(unknown) <= known || longest.CompareAndSwap(known, int64(unknown)) {
				break
			}
		}
		if allowed := l.uncertaintyMax(); err == nil && *long && !l.deaths && unknown > allowed {
			err = fmt.Errorf("an order was unknown for %s, of %s", unknown, allowed)
		}
		return err
	})
	return time.Duration(longest.Load())
}

// kill kills the connector and the command service at random moments, one at a time, and starts it again, until end is called; that says
// how many died.
func (d *desk) kill(t *testing.T, seed uint64) (end func() int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	died := make(chan int, 1)
	r := rand.New(rand.NewPCG(seed, 6))
	go func() {
		count := 0
		defer func() { died <- count }()
		for {
			select {
			case <-time.After(some(r, deathsLeast, deathsMost)):
			case <-ctx.Done():
				return
			}
			s := pick(r, d.connector, d.command)
			s.process.kill()
			count++
			if err := s.start(); err != nil {
				t.Errorf("start %s again: %v", s.name, err)
				return
			}
			if err := s.ready(t.Context()); err != nil {
				t.Errorf("%s after its death: %v", s.name, err)
				return
			}
		}
	}()
	end = sync.OnceValue(func() int {
		stop()
		return <-died
	})
	t.Cleanup(func() { end() })
	return end
}

// disturb does what a plan does to the whole exchange.
func (d *desk) disturb(ctx context.Context, lives []*life) error {
	for _, l := range lives {
		if l.restart {
			if err := d.exchange.Restart(ctx); err != nil {
				return err
			}
		}
		if l.skew != 0 {
			if err := d.exchange.Skew(ctx, l.skew); err != nil {
				return err
			}
		}
	}
	return nil
}

// linger gives the position's end time to go wrong before all that is wrong ends.
func (l *life) linger(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, lingerMax)
	defer cancel()
	// Whether it has closed is for settle to tell.
	_ = await(patience, "the position closes", lingerMax, func() error {
		return l.whereNot(patience, projectorv1.PositionState_POSITION_STATE_ACTIVE, projectorv1.PositionState_POSITION_STATE_EXITING)
	})
	return ctx.Err()
}

// settle waits until the books are equal.
func (l *life) settle(ctx context.Context) error {
	return l.sooner(ctx, "our book is the exchange's", func() error { return l.equal(ctx) })
}

// sooner waits for what must come by itself, or else by reconciliation: what nothing tells of is found by that. A reconciliation whose
// connector dies is not insisted on, since meanwhile nobody would look: the next comes in its time.
func (l *life) sooner(ctx context.Context, what string, look func() error) error {
	due := now().Add(reconcileEvery)
	return await(ctx, what, knownMax, func() error {
		err := look()
		if err != nil && now().After(due) {
			patience, cancel := context.WithTimeout(asUser(ctx), patientMax)
			_, failed := l.reconciliation().Reconcile(patience, &connectorv1.ReconcileRequest{AccountId: l.account})
			cancel()
			due, err = now().Add(reconcileEvery), errors.Join(err, failed)
		}
		return err
	})
}

// each has all lives do something, side by side, and tells the plans of those that fail.
func each(t *testing.T, lives []*life, what string, do func(*life) error) {
	t.Helper()
	failed := make([]error, len(lives))
	var doing sync.WaitGroup
	for n, l := range lives {
		doing.Go(func() { failed[n] = do(l) })
	}
	doing.Wait()
	count := 0
	for n, err := range failed {
		if err != nil {
			count++
			t.Errorf("%s, account %s: %v\n%s\nlive it alone: -chaos.seed=%d", what, lives[n].account, err, lives[n].faultPlan, lives[n].seed)
		}
	}
	require.Zero(t, count, "of %d plans failed to %s", len(lives), what)
}
