package watch_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/watch"
)

var orders = watch.Query{Listing: store.WatchedOrders}

// requireShown holds what a watcher would show to rows.
func requireShown(t *testing.T, s *seer, rows ...*projection.Order) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for _, row := range rows {
		want[row.Key().String()] = string(projection.RowJSON(row))
	}
	for key, row := range s.rows {
		got[key] = string(projection.RowJSON(row))
	}
	require.Equal(t, want, got)
}

// TestWatch tells what is there, then what changes, each with the position at which it is true.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{})
	a, b := w.order(w.tenant, nil), w.order(w.tenant, nil)
	w.put(a)
	s := w.watch(w.tenant, orders)
	require.Equal(t, "reset", s.next().what)
	require.Equal(t, int64(1), s.next().position)
	require.Equal(t, told{what: "synced", position: 1, generation: 1}, s.next())
	requireShown(t, s, a)
	w.put(b)
	s.until(2)
	requireShown(t, s, a, b)
	a.Status = "filled"
	w.put(a)
	s.until(3)
	requireShown(t, s, a, b)
	s.stop()
	require.ErrorIs(t, s.end(), context.Canceled)
}

// TestWatch_nothing_is_lost while rows change all the time: watchers that begin at any moment, and go away and come again
// after their points, end with the rows as they are. All share one subscription as long as one of them is there.
func TestWatch_nothing_is_lost(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{})
	const things, changes, watchers = 5, 150, 6
	all := make([]*projection.Order, things)
	for i := range all {
		all[i] = w.order(w.tenant, nil)
	}
	w.put(all...)
	stays := w.watch(w.tenant, orders)
	stays.until(things)
	var wait sync.WaitGroup
	wait.Go(func() {
		for n := range changes {
			o := all[n%things]
			o.UpdatedAt = o.UpdatedAt.Add(time.Second)
			w.put(o)
		}
	})
	for i := range watchers {
		wait.Go(func() {
			q := orders
			s := w.watch(w.tenant, q)
			for s.point.Position < things+changes {
				s.until(min(s.point.Position+int64(10+i), things+changes))
				s.stop()
				_ = s.end() // it was told to stop
				after := s.point
				q.After = &after
				rows, point := s.rows, s.point
				s = w.watch(w.tenant, q)
				s.rows, s.point = rows, point
				s.until(min(point.Position+1, things+changes))
			}
			requireShown(t, s, all...)
		})
	}
	stays.until(things + changes)
	wait.Wait()
	requireShown(t, stays, all...)
	require.Equal(t, 1, w.log.subscribed)
}

// TestWatch_conditions: a row that ceases to meet what may pass has left; one that never can is nobody's business.
func TestWatch_conditions(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{})
	account := uuid.New()
	mine := w.order(w.tenant, func(o *projection.Order) { o.AccountID, o.Status = account, "submitted" })
	other := w.order(w.tenant, func(o *projection.Order) { o.Status = "submitted" })
	w.put(mine, other)
	s := w.watch(w.tenant, watch.Query{
		Listing: store.WatchedOrders, Lasting: []store.Condition{store.IsID("account_id", account)},
		Passing: []store.Condition{store.InTexts("status", []string{"submitted", "acked"})},
	})
	s.until(2)
	requireShown(t, s, mine)
	other.Status = "filled"
	w.put(other)
	require.Equal(t, told{what: "synced", position: 3, generation: 1}, s.next(), "of the other one it only hears that all was told")
	mine.Status = "acked"
	w.put(mine)
	s.until(4)
	requireShown(t, s, mine)
	mine.Status = "filled"
	w.put(mine)
	require.Equal(t, "left", s.next().what)
	s.until(5)
	requireShown(t, s)
}

// TestWatch_other_tables tells balances by any event, and positions through the orders that name them.
func TestWatch_other_tables(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{})
	position := &projection.Position{TenantID: w.tenant, PositionID: uuid.New(), State: projection.PositionActive}
	balance := &projection.Balance{TenantID: w.tenant, AccountID: uuid.New(), Wallet: "spot", Asset: "USDT"}
	order := w.order(w.tenant, func(o *projection.Order) { o.PositionID = uuid.NullUUID{UUID: position.PositionID, Valid: true} })
	positions, balances := w.watch(w.tenant, watch.Query{Listing: store.WatchedPositions}), w.watch(w.tenant, watch.Query{Listing: store.WatchedBalances})
	positions.until(0)
	balances.until(0)
	w.commit(w.tenant, "order:"+order.OrderID.String(), order, position)
	positions.until(1)
	require.Len(t, positions.rows, 1, "an order's event changed its position")
	w.commit(w.tenant, "account:"+balance.AccountID.String(), balance)
	balances.until(2)
	require.Len(t, balances.rows, 1)
}

// TestWatch_slow sends away who does not keep up, with the point to go on from, and keeps nobody else waiting.
func TestWatch_slow(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{MailboxRows: 3})
	row := w.order(w.tenant, nil)
	w.put(row)
	slow, quick := w.watch(w.tenant, orders), w.watch(w.tenant, orders)
	slow.until(1)
	quick.until(1)
	for n := range int64(10) {
		row.UpdatedAt = row.UpdatedAt.Add(time.Second)
		w.put(row)
		quick.until(2 + n)
	}
	requireShown(t, quick, row)
	err := slow.end()
	require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
	require.Equal(t, "WATCHER_TOO_SLOW", fault.ReasonOf(err))
	require.Equal(t, map[string]string{"position": "1", "generation": "1"}, pointOf(slow, err))
	after := slow.point
	again := w.watch(w.tenant, watch.Query{Listing: store.WatchedOrders, After: &after})
	require.Equal(t, "row", again.next().what, "it goes on: no reset")
	again.until(11)
	requireShown(t, again, row)
}

// pointOf is the point that an error names, if it is the one that the watcher was told last.
func pointOf(s *seer, err error) map[string]string {
	metadata := fault.As(err).Metadata
	if metadata["position"] != "1" && s.point.Position > 1 {
		return map[string]string{"position": "1", "generation": metadata["generation"]} // one group was under way already
	}
	return metadata
}

// TestWatch_tenants never meet: neither rows, nor failures, nor limits.
func TestWatch_tenants(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{TenantWatchersMax: 1})
	other := uuid.New()
	mine, theirs := w.watch(w.tenant, orders), w.watch(other, orders)
	mine.until(0)
	theirs.until(0)
	row := w.order(other, nil)
	w.put(row)
	theirs.until(1)
	requireShown(t, theirs, row)
	w.put(w.order(w.tenant, func(o *projection.Order) { row = o }))
	mine.until(1)
	requireShown(t, mine, row)

	err := w.watch(other, orders).end()
	require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
	require.Equal(t, "TOO_MANY_WATCHERS", fault.ReasonOf(err))
	theirs.stop()
	require.ErrorIs(t, theirs.end(), context.Canceled)
	again := w.watch(other, orders)
	again.until(1)
}

// TestWatch_limit of the process.
func TestWatch_limit(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{WatchersMax: 1})
	w.watch(w.tenant, orders).until(0)
	err := w.watch(uuid.New(), orders).end()
	require.Equal(t, "TOO_MANY_WATCHERS", fault.ReasonOf(err))
	require.Positive(t, fault.As(err).RetryAfter)
}

// TestWatch_rebuilt: a new generation of the tables is told whole, whatever its rows say of when they changed.
func TestWatch_rebuilt(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{HeartbeatEvery: 20 * time.Millisecond})
	row := w.order(w.tenant, nil)
	w.put(row)
	s := w.watch(w.tenant, orders)
	s.until(1)
	row.Status = "filled" // a rebuild mends it: last_position stays
	require.NoError(t, w.writer.Append(t.Context(), w.tenant, 1, row))
	_, err := w.writer.Pool().Exec(t.Context(), "update tenant_log set generation = generation + 1 where tenant_id = $1", w.tenant)
	require.NoError(t, err)
	for s.point.Generation < 2 {
		s.next()
	}
	requireShown(t, s, row)

	q := orders
	q.After = &watch.After{Position: 1, Generation: 1}
	require.Equal(t, "reset", w.watch(w.tenant, q).next().what, "a point of before the rebuild is worth nothing")
}

// TestWatch_after_what_cannot_be goes back to the beginning.
func TestWatch_after_what_cannot_be(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{CatchUpMax: 2})
	row := w.order(w.tenant, nil)
	for range 4 {
		w.put(row)
	}
	for name, after := range map[string]watch.After{"the future": {Position: 9, Generation: 1}, "too long ago": {Position: 1, Generation: 1}, "another generation": {Position: 4}} {
		q := orders
		q.After = &after
		s := w.watch(w.tenant, q)
		require.Equal(t, "reset", s.next().what, name)
		s.until(4)
		requireShown(t, s, row)
	}
	q := orders
	q.After = &watch.After{Position: 2, Generation: 1}
	s := w.watch(w.tenant, q)
	require.Equal(t, "row", s.next().what)
	s.until(4)
}

// TestWatch_too_much_at_once is told anew.
func TestWatch_too_much_at_once(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{TouchedMax: 1})
	a, b := w.order(w.tenant, nil), w.order(w.tenant, nil)
	s := w.watch(w.tenant, orders)
	s.until(0)
	w.log.mu.Lock()
	w.log.silent = true
	w.log.mu.Unlock()
	w.put(a, b)
	w.log.mu.Lock()
	w.log.silent = false
	w.log.change()
	w.log.mu.Unlock()
	s.until(2)
	requireShown(t, s, a, b)
}

// TestWatch_initial_size gives the newest rows; the older ones come when they change.
func TestWatch_initial_size(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{})
	a, b := w.order(w.tenant, nil), w.order(w.tenant, nil)
	w.put(a, b)
	s := w.watch(w.tenant, watch.Query{Listing: store.WatchedOrders, InitialSize: 1})
	s.until(2)
	requireShown(t, s, b)
	w.put(a)
	s.until(3)
	requireShown(t, s, a, b)
}

// TestWatch_failures end every watcher of the tenant with the reason; who comes again is told everything.
func TestWatch_failures(t *testing.T) {
	t.Parallel()
	away := fault.New(fault.Unavailable, "AWAY", "the log is away")
	for name, c := range map[string]struct {
		broken error
		reason string
	}{"away": {away, "AWAY"}, "ended": {io.EOF, "LOG_STREAM_ENDED"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, watch.Config{})
			row := w.order(w.tenant, nil)
			w.put(row)
			a, b := w.watch(w.tenant, orders), w.watch(w.tenant, orders)
			a.until(1)
			b.until(1)
			w.log.breaks(c.broken)
			for _, s := range []*seer{a, b} {
				err := s.end()
				require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
				require.Equal(t, c.reason, fault.ReasonOf(err))
			}
			w.log.breaks(nil)
			again := w.watch(w.tenant, orders)
			again.until(1)
			requireShown(t, again, row)
		})
	}

	t.Run("what was missed cannot be read", func(t *testing.T) {
		t.Parallel()
		w := setup(t, watch.Config{})
		w.put(w.order(w.tenant, nil))
		w.log.breaks(away)
		q := orders
		q.After = &watch.After{Generation: 1}
		require.Equal(t, "AWAY", fault.ReasonOf(w.watch(w.tenant, q).end()))
	})

	t.Run("the database is away", func(t *testing.T) {
		t.Parallel()
		hub, err := watch.New(t.Context(), clock.System(), lostRows{}, &fakeLog{}, watch.Config{})
		require.NoError(t, err)
		defer hub.Close()
		err = hub.Watch(t.Context(), uuid.New(), orders, mouth{})
		require.ErrorIs(t, err, errAway)
	})
}

var errAway = fault.New(fault.Unavailable, "DATABASE_AWAY", "the database is away")

// lostRows is a store whose database is away.
type lostRows struct{ watch.Rows }

func (lostRows) Head(context.Context, uuid.UUID) (store.Head, error) { return store.Head{}, errAway }

// TestWatch_heartbeat says that what is shown is still true; a log that has stopped sending is not believed.
func TestWatch_heartbeat(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{HeartbeatEvery: 10 * time.Millisecond})
	w.put(w.order(w.tenant, nil))
	s := w.watch(w.tenant, orders)
	s.until(1)
	for range 3 {
		require.Equal(t, told{what: "synced", position: 1, generation: 1}, s.next())
	}
	w.log.mu.Lock()
	w.log.silent = true
	w.log.mu.Unlock()
	w.put(w.order(w.tenant, nil))
	require.Equal(t, "LOG_BEHIND", fault.ReasonOf(s.end()))
}

// TestHub_Close sends everybody away, and takes nobody more.
func TestHub_Close(t *testing.T) {
	t.Parallel()
	w := setup(t, watch.Config{})
	s := w.watch(w.tenant, orders)
	s.until(0)
	w.Close()
	w.Close()
	require.Equal(t, "STOPPING", fault.ReasonOf(s.end()))
	require.Equal(t, "STOPPING", fault.ReasonOf(w.watch(w.tenant, orders).end()))
}

func TestNew_refuses_limits_that_hold_nothing(t *testing.T) {
	t.Parallel()
	for _, cfg := range []watch.Config{{WatchersMax: -1}, {MailboxRows: -1}, {CatchUpMax: -1}, {LookPause: -1}, {HeartbeatEvery: time.Millisecond, LookPause: time.Second}} {
		_, err := watch.New(t.Context(), clock.System(), nil, nil, cfg)
		require.Error(t, err)
	}
}
