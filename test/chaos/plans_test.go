package chaos_test

import (
	"context"
	"errors"
	"sync"
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
	d := newDesk(t)
	for from, all := 0, seeds(); from < len(all); from += plansAtOnce {
		d.live(t, all[from:min(from+plansAtOnce, len(all))])
	}
}

// live lives the plans of some seeds, side by side.
func (d *desk) live(t *testing.T, seeds []uint64) {
	t.Helper()
	ctx := t.Context()
	lives := make([]*life, len(seeds))
	for n, seed := range seeds {
		lives[n] = &life{faultPlan: planOf(seed), desk: d}
	}
	require.NoError(t, d.exchange.Price(ctx, btc, "95000"))
	began := now()
	each(t, lives, "begin", func(l *life) error { return l.begin(ctx) })
	begun := now()
	each(t, lives, "enter", func(l *life) error { return l.enter(ctx) })
	entered := now()
	require.NoError(t, d.exchange.Price(ctx, btc, "95300"))
	require.NoError(t, d.disturb(ctx, lives))
	each(t, lives, "leave", func(l *life) error { return l.leave(ctx) })
	for _, price := range []string{"94600", "94450", "94400"} {
		require.NoError(t, d.exchange.Price(ctx, btc, price))
	}
	each(t, lives, "linger", func(l *life) error { return l.linger(ctx) })
	require.NoError(t, d.exchange.Heal(ctx))
	require.NoError(t, d.exchange.Skew(ctx, 0))
	left := now()
	each(t, lives, "settle", func(l *life) error { return l.settle(ctx) })
	settled := now()
	each(t, lives, "prove", func(l *life) error { return l.proven(ctx) })
	t.Logf("seeds %d to %d: begun in %s, entered in %s, left in %s, equal in %s, proven in %s", seeds[0], seeds[len(seeds)-1],
		begun.Sub(began).Round(time.Millisecond), entered.Sub(begun).Round(time.Millisecond), left.Sub(entered).Round(time.Millisecond),
		settled.Sub(left).Round(time.Millisecond), now().Sub(settled).Round(time.Millisecond))
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
	if err := await(patience, "the position closes", lingerMax, func() error {
		return l.whereNot(patience, projectorv1.PositionState_POSITION_STATE_ACTIVE, projectorv1.PositionState_POSITION_STATE_EXITING)
	}); err != nil && patience.Err() == nil {
		return err
	}
	return ctx.Err()
}

// settle waits until the books are equal. What nothing tells of is found by reconciliation.
func (l *life) settle(ctx context.Context) error {
	due := now().Add(reconcileEvery)
	return await(ctx, "our book is the exchange's", knownMax, func() error {
		err := l.equal(ctx)
		if err != nil && now().After(due) {
			due = now().Add(reconcileEvery)
			_, failed := insist(ctx, connectorv1.NewReconciliationServiceClient(l.desk.connector.conn).Reconcile, &connectorv1.ReconcileRequest{AccountId: l.account})
			err = errors.Join(err, failed)
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
