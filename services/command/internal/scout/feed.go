package scout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/detector"
	"github.com/robson/robson/services/command/internal/rows"
)

// watched is a position that waits for a signal.
type watched struct {
	positionID string
	side       eventv1.PositionSide
	settings   detector.Config
	armedAt    time.Time // by the venue
	// shown says that the candles from before it turned up were looked at for it.
	shown bool
}

// feed follows one market, for all positions that are armed in it, as long as there are any: streams of prices are few, and
// the stop monitor needs them more.
type feed struct {
	*Scout
	market market
	name   string
	// progress is the last tick that was handled.
	progress atomic.Pointer[commandv1.PriceProgress]

	mu      sync.Mutex
	watched map[string]*watched
	// intervals are the series that are wanted; a new one has the stream begin again, so that its candles are there.
	intervals map[time.Duration]bool
	again     chan struct{}
	// arrived tells that positions are watched for to which the candles were not shown yet.
	arrived chan struct{}

	// handling serialises ticks and arrivals; it is held while what they show is written, and guards what follows.
	handling sync.Mutex
	series   map[time.Duration]*detector.Series
	last     int64           // sequence of the last tick that was handled; 0 for none
	tick     decimal.Decimal // the symbol's step of prices
	now      time.Time       // by the venue, at least
}

func newFeed(s *Scout, key market) *feed {
	made := &feed{
		Scout: s, market: key, name: "detector prices/" + key.accountID + "/" + key.symbol, watched: map[string]*watched{},
		intervals: map[time.Duration]bool{}, again: make(chan struct{}, 1), arrived: make(chan struct{}, 1),
	}
	made.progress.Store(&commandv1.PriceProgress{AccountId: key.accountID, Symbol: key.symbol})
	return made
}

// add has a position watched for.
func (f *feed) add(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watched[w.positionID] = w
	tell := f.arrived
	if !f.intervals[w.settings.Interval] {
		f.intervals[w.settings.Interval] = true
		tell = f.again
	}
	select {
	case tell <- struct{}{}:
	default:
	}
}

// forget ends watching for a position. A feed that watches for none any more ends its stream.
func (f *feed) forget(positionID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watched, positionID)
	if len(f.watched) > 0 {
		return
	}
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// retire ends a feed that watches for no position: the next one begins another feed.
func (f *feed) retire() bool {
	f.Scout.mu.Lock()
	defer f.Scout.mu.Unlock()
	if f.watching() {
		return false
	}
	delete(f.feeds, f.market)
	f.deps.Alerts.Clear(f.market.tenant, f.name)
	return true
}

// watching says whether there is a position to watch for.
func (f *feed) watching() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watched) > 0
}

// errAgain ends a stream that is to begin again, farther back, or that nobody needs any more.
var errAgain = errors.New("other intervals are wanted")

// run streams prices while there is a position to watch for, until the context ends; a broken stream is taken up where it
// ended.
func (f *feed) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil && !f.retire(); {
		before := f.last
		err := f.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errAgain):
			f.last = 0
			continue
		case f.last != before:
			failures = 0
		}
		if failures++; failures > 1 {
			f.report(ctx, f.market.tenant, f.name, "follow the market", err)
		}
		if f.pause(ctx, failures) != nil {
			return
		}
	}
}

// follow streams from the last tick that was handled, or from as far back as is wanted, until the stream ends.
func (f *feed) follow(ctx context.Context) error {
	if f.last == 0 {
		select {
		case <-f.again: // It begins from far back anyway, for every interval that is wanted by now.
		default:
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			select {
			case <-f.again:
				cancel(errAgain)
			case <-f.arrived:
				_ = f.catchUp(ctx) // its only error is the context's
			case <-ctx.Done():
			}
		}
	}()
	err := f.stream(ctx)
	if errors.Is(context.Cause(ctx), errAgain) {
		err = errAgain
	}
	cancel(nil)
	<-ended
	return err
}

func (f *feed) stream(ctx context.Context) error {
	after, err := f.resume(ctx)
	if err != nil {
		return err
	}
	stream, err := f.deps.Market.StreamPrices(ctx, &connectorv1.StreamPricesRequest{
		AccountId: f.market.accountID, Symbol: f.market.symbol, AfterSequence: after,
	})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		f.deps.Alerts.Clear(f.market.tenant, f.name)
		if err := f.handle(ctx, message); err != nil {
			return err
		}
	}
}

// resume reads where the market stands, and gives the sequence to stream after.
func (f *feed) resume(ctx context.Context) (int64, error) {
	market, err := f.deps.Market.GetInstrument(ctx, &connectorv1.GetInstrumentRequest{AccountId: f.market.accountID, Symbol: f.market.symbol})
	if err != nil {
		return 0, err
	}
	f.handling.Lock()
	defer f.handling.Unlock()
	r := &rows.Reader{}
	f.tick = r.Amount(market.GetInstrument().GetTickSize())
	if r.Err != nil {
		return 0, r.Err
	}
	f.now = market.GetMarketTime().AsTime()
	if f.last > 0 {
		return f.last, nil
	}
	f.series = map[time.Duration]*detector.Series{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for interval := range f.intervals {
		f.series[interval] = detector.NewSeries(interval)
	}
	return max(market.GetSequence()-f.config.TicksBack, 1), nil
}

// handle gives a tick to every series, and what they then show to every position that is watched for.
func (f *feed) handle(ctx context.Context, message *connectorv1.StreamPricesResponse) error {
	r := &rows.Reader{}
	at := detector.Tick{Price: r.Amount(message.GetPrice()), At: message.GetMarketTime().AsTime(), Gap: message.GetGap()}
	if r.Err != nil {
		return r.Err
	}
	f.handling.Lock()
	defer f.handling.Unlock()
	if f.now.Before(at.At) {
		f.now = at.At
	}
	fresh := map[time.Duration]int{}
	for interval, series := range f.series {
		fresh[interval] = series.Add(at)
	}
	for _, w := range f.watchers() {
		if err := f.show(ctx, w, fresh[w.settings.Interval]); err != nil {
			return err
		}
		if err := f.giveUp(ctx, w, at.At); err != nil {
			return err
		}
	}
	f.last = message.GetSequence()
	f.progress.Store(&commandv1.PriceProgress{
		AccountId: f.market.accountID, Symbol: f.market.symbol, Sequence: f.last, Price: message.GetPrice(), MarketTime: message.GetMarketTime(),
	})
	return nil
}

// watchers are the positions that are watched for, in the order of their ids.
func (f *feed) watchers() []*watched {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]*watched, 0, len(f.watched))
	for _, id := range slices.Sorted(maps.Keys(f.watched)) {
		list = append(list, f.watched[id])
	}
	return list
}

// catchUp shows the candles there are to positions that turned up since the last tick: the one that crosses may have been
// closed between a position's arming and now.
func (f *feed) catchUp(ctx context.Context) error {
	f.handling.Lock()
	defer f.handling.Unlock()
	for _, w := range f.watchers() {
		if err := f.show(ctx, w, 0); err != nil {
			return err
		}
	}
	return nil
}

// show looks at each of the candles that were just closed, or at all when the position has just turned up. A cross from before the position was armed is
// none of its, and one that nobody could act on any more is not written.
func (f *feed) show(ctx context.Context, w *watched, fresh int) error {
	series := f.series[w.settings.Interval]
	if series == nil {
		return nil // The stream is about to begin again.
	}
	closed := series.Closed()
	if !w.shown {
		w.shown, fresh = true, len(closed)
	}
	for upTo := len(closed) - fresh + 1; upTo <= len(closed); upTo++ {
		found, ok := detector.Detect(w.settings, w.side, closed[:upTo], f.tick)
		if !ok || !found.Closed.After(w.armedAt) || f.now.After(found.Closed.Add(w.settings.SignalTTL)) {
			continue
		}
		if err := f.write(ctx, w, found); err != nil {
			return err
		}
	}
	return nil
}
