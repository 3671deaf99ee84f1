package monitor

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/rows"
)

// feed follows one market. Ticks are handled one after the other, each for every watched position, whatever it takes:
// the stream waits, and the venue's service keeps what was not taken.
type feed struct {
	*Monitor
	market market
	name   string
	// from is where the market stood when the feed was wanted.
	from int64
	last atomic.Pointer[tick]
	// resumed is the sequence that the first stream began after.
	resumed atomic.Int64

	// handling serialises ticks and looks; it is held while they are written.
	handling sync.Mutex
	watched  map[string]*watched
	kept     []tick // oldest first
}

func newFeed(m *Monitor, key market, from int64) *feed {
	return &feed{
		Monitor: m, market: key, name: "prices/" + key.accountID + "/" + key.symbol, from: from, watched: map[string]*watched{},
	}
}

// run streams prices until the context ends; a broken stream is taken up where it ended.
func (f *feed) run(ctx context.Context) {
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		f.saveCheckpoints(ctx)
	}()
	defer func() { <-saved }()
	for failures := 0; ctx.Err() == nil; failures++ {
		before := f.last.Load()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if f.last.Load() != before {
			failures = 0
		}
		if failures > 0 {
			f.report(ctx, f.market.tenant, f.name, "stream prices", err)
		}
		if f.pause(ctx, failures) != nil {
			return
		}
	}
}

// pause waits before another try, longer after more failures.
func (f *feed) pause(ctx context.Context, failures int) error {
	delay := f.config.RetryDelay
	for range min(failures, 20) {
		delay = min(delay*2, f.config.RetryDelayMax)
	}
	return clock.Sleep(ctx, f.clock, delay)
}

// follow streams from the last tick that was handled until the stream ends.
func (f *feed) follow(ctx context.Context) error {
	after, err := f.resume(ctx)
	if err != nil {
		return err
	}
	return f.stream(ctx, after, func(at tick) (bool, error) {
		f.deps.Alerts.Clear(f.market.tenant, f.name)
		return true, f.handle(ctx, at)
	})
}

// stream gives each tick after a sequence, in order, until the taker has enough or something fails.
func (f *feed) stream(ctx context.Context, after int64, take func(tick) (more bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := f.deps.Prices.StreamPrices(ctx, &connectorv1.StreamPricesRequest{
		AccountId: f.market.accountID, Symbol: f.market.symbol, AfterSequence: after,
	})
	if err != nil {
		return err
	}
	for more := true; more; {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		at, err := f.tickOf(ctx, message)
		if err != nil {
			return err
		}
		if more, err = take(at); err != nil {
			return err
		}
	}
	return nil
}

// resume is the sequence to stream after. A feed that has handled a tick goes on there. A new one begins with the ticks
// that positions may have missed: since its checkpoint or since it was wanted, whichever is earlier, and some before,
// which change nothing where they were handled already.
func (f *feed) resume(ctx context.Context) (int64, error) {
	if last := f.last.Load(); last != nil {
		return last.sequence, nil
	}
	stored, err := f.deps.Log.GetCheckpoint(ctx, &eventlogv1.GetCheckpointRequest{Name: f.name})
	if err != nil {
		return 0, err
	}
	from := f.from
	if checkpoint := stored.GetValue(); checkpoint > 0 && checkpoint < from {
		from = checkpoint
	}
	after := max(from-int64(f.config.TicksKept), 1)
	f.resumed.Store(after)
	return after, nil
}

// tickOf reads a streamed price, and warns where prices are missing before it.
func (f *feed) tickOf(ctx context.Context, message *connectorv1.StreamPricesResponse) (tick, error) {
	r := &rows.Reader{}
	at := tick{
		Tick:     engine.Tick{Price: r.Amount(message.GetPrice()), At: message.GetMarketTime().AsTime()},
		sequence: message.GetSequence(),
	}
	if message.GetGap() {
		f.logger.WarnContext(ctx, "prices are missing before a tick", "account_id", f.market.accountID,
			"symbol", f.market.symbol, "sequence", at.sequence)
	}
	return at, r.Err
}

// handle puts a tick to every watched position, in the order of their ids.
func (f *feed) handle(ctx context.Context, at tick) error {
	f.handling.Lock()
	defer f.handling.Unlock()
	last := f.last.Load()
	if last != nil && at.sequence <= last.sequence {
		return nil
	}
	if last != nil && at.At.Before(last.At) {
		f.kept = nil // A market's clock goes back only where another one took its place: what it told is none of this one's.
	}
	for _, id := range slices.Sorted(maps.Keys(f.watched)) {
		if err := f.put(ctx, id, at); err != nil {
			return err
		}
	}
	if len(f.kept) >= f.config.TicksKept {
		f.kept = slices.Clone(f.kept[len(f.kept)/2:])
	}
	f.kept = append(f.kept, at)
	f.last.Store(&at)
	return nil
}

// look takes in how a position stands, unless that is older than what is known, and shows it the ticks since its stop
// was set.
func (f *feed) look(ctx context.Context, id string, seen *watched) {
	f.handling.Lock()
	defer f.handling.Unlock()
	known := f.watched[id]
	if known != nil {
		if known.changedAt > seen.changedAt {
			return
		}
		seen.from = known.from
	}
	if !seen.guards && !seen.expected {
		delete(f.watched, id)
		return
	}
	f.watched[id] = seen
	if !seen.guards {
		return
	}
	missed := f.kept
	if known != nil && known.expected {
		missed = append(f.forgotten(ctx, seen), f.kept...)
	}
	for _, at := range missed {
		if at.At.Before(f.since(id)) {
			continue
		}
		if f.put(ctx, id, at) != nil {
			return // the context has ended
		}
	}
}

// Bounds of fetching ticks again for a position that was opened late: how many, in TicksKept, and for how long.
const (
	forgottenMax     = 16
	forgottenTimeout = 10 * time.Second
)

// forgotten fetches the ticks that a position has missed between its first fill and now, and that are not kept any more.
func (f *feed) forgotten(ctx context.Context, seen *watched) []tick {
	if len(f.kept) == 0 || !f.kept[0].At.After(seen.stop.Since) {
		return nil
	}
	oldest := f.kept[0].sequence
	after := max(seen.from, oldest-forgottenMax*int64(f.config.TicksKept), 1)
	if after+1 >= oldest {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, forgottenTimeout)
	defer cancel()
	var ticks []tick
	err := f.stream(ctx, after, func(at tick) (bool, error) {
		if at.sequence < oldest {
			ticks = append(ticks, at)
		}
		return at.sequence+1 < oldest, nil
	})
	if err != nil {
		f.logger.WarnContext(ctx, "ticks since a position's first fill cannot be had", "position_id", seen.id, "error", err)
	}
	return ticks
}

// since is when a watched position's stop was set.
func (f *feed) since(id string) time.Time {
	if known := f.watched[id]; known != nil {
		return known.stop.Since
	}
	return time.Time{}
}

// put puts a tick to one position and writes what it leads to. It tries until that is in the log or nothing is left to
// do; its only error is the context's.
func (f *feed) put(ctx context.Context, id string, at tick) error {
	name := "position " + id + " stop"
	for failures := 0; ; failures++ {
		known := f.watched[id]
		request, trailed := known.append(f.market.symbol, at)
		if request == nil {
			if failures > 0 {
				f.deps.Alerts.Clear(f.market.tenant, name) // What it hindered is not wanted any more.
			}
			return nil
		}
		receipt, err := f.deps.Log.Append(ctx, request)
		if err == nil {
			known.took(trailed, at, receipt)
			f.deps.Alerts.Clear(f.market.tenant, name)
			if !known.guards {
				delete(f.watched, id)
			}
			return nil
		}
		if outdated(err) && failures == 0 {
			err = f.renew(ctx, id)
			if err == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.report(ctx, f.market.tenant, name, "write what a tick leads to", err)
		if err := f.pause(ctx, failures); err != nil {
			return err
		}
		if err := f.renew(ctx, id); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// renew reads a position anew after the log has said that it is not as it was known.
func (f *feed) renew(ctx context.Context, id string) error {
	fresh, err := f.reload(ctx, id)
	if fault.Is(err, fault.NotFound) {
		delete(f.watched, id)
		return nil
	}
	if err != nil {
		return err
	}
	if !fresh.guards {
		delete(f.watched, id)
		return nil
	}
	f.watched[id] = fresh
	return nil
}

// saveCheckpoints saves the progress now and then when it has moved.
func (f *feed) saveCheckpoints(ctx context.Context) {
	ticker := f.clock.NewTicker(f.config.CheckpointEvery)
	defer ticker.Stop()
	var saved int64
	for {
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
		last := f.last.Load()
		if last == nil || last.sequence <= saved {
			continue
		}
		_, err := f.deps.Log.SaveCheckpoint(ctx, &eventlogv1.SaveCheckpointRequest{Name: f.name, Value: last.sequence})
		if err != nil {
			if ctx.Err() == nil {
				f.report(ctx, f.market.tenant, f.name+" checkpoint", "save progress", err)
			}
			continue
		}
		saved = last.sequence
		f.deps.Alerts.Clear(f.market.tenant, f.name+" checkpoint")
	}
}
