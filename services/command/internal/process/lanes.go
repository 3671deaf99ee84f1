package process

import (
	"context"
	"sync"
	"time"

	"github.com/robson/robson/pkg/clock"
)

// item is one thing for a lane to look at.
type item struct {
	// position is that of the event that brought it; 0 for the sweep.
	position int64
	// demand is set when somebody demands an exit, apart from what the state says.
	demand *demand
	// failures counts, for a signal, how often in a row it could not be answered.
	failures int
}

// work handles the items of a lane. It keeps those that are not done and tells when to look again; 0 with nothing kept
// ends the lane.
type work func(ctx context.Context, key string, items []item) (keep []item, again time.Duration)

// lanes runs work, serially for each key and beside each other for different keys.
type lanes struct {
	clock   clock.Clock
	work    work
	running chan struct{} // bounds how many lanes work at a time

	mu    sync.Mutex
	lanes map[string]*lane
	// open counts the items that are not done, by position.
	open map[int64]int
	seen int64
	wait sync.WaitGroup
}

type lane struct {
	items []item
	wake  chan struct{}
}

func newLanes(c clock.Clock, parallelMax int, work work) *lanes {
	return &lanes{
		clock: c, work: work, running: make(chan struct{}, parallelMax), lanes: map[string]*lane{}, open: map[int64]int{},
	}
}

// add gives an item to the lane of a key. It never blocks; the number of lanes is bounded by that of open positions.
func (l *lanes) add(ctx context.Context, key string, it item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[it.position]++
	if known, ok := l.lanes[key]; ok {
		known.items = append(known.items, it)
		select {
		case known.wake <- struct{}{}:
		default:
		}
		return
	}
	made := &lane{items: []item{it}, wake: make(chan struct{}, 1)}
	l.lanes[key] = made
	l.wait.Add(1)
	go l.run(ctx, key, made)
}

// see notes that every event up to a position has been given to its lane.
func (l *lanes) see(position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = max(l.seen, position)
}

// seenUpTo is the last position up to which every event has been given to its lane.
func (l *lanes) seenUpTo() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// reacted is the last position up to which every event has been reacted to.
func (l *lanes) reacted() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	reacted := l.seen
	for position := range l.open {
		if position > 0 {
			reacted = min(reacted, position-1)
		}
	}
	return reacted
}

// busy is how many lanes have something to do or wait for another try.
func (l *lanes) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lanes)
}

// drain waits until every lane has ended; their context must have.
func (l *lanes) drain() { l.wait.Wait() }

func (l *lanes) run(ctx context.Context, key string, self *lane) {
	defer l.wait.Done()
	for {
		items := l.take(self)
		keep, again := l.workOn(ctx, key, items)
		if ctx.Err() != nil {
			return // what is not done stays open: the checkpoint does not pass it
		}
		if l.finish(key, self, items, keep, again) {
			return
		}
		if again > 0 {
			l.sleep(ctx, self, again)
		}
	}
}

func (l *lanes) workOn(ctx context.Context, key string, items []item) ([]item, time.Duration) {
	select {
	case l.running <- struct{}{}:
	case <-ctx.Done():
		return items, 0
	}
	defer func() { <-l.running }()
	return l.work(ctx, key, items)
}

func (l *lanes) take(self *lane) []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	items := self.items
	self.items = nil
	return items
}

// finish closes what is done and says whether the lane has nothing left to do.
func (l *lanes) finish(key string, self *lane, items, keep []item, again time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range keep {
		l.open[it.position]++
	}
	for _, it := range items {
		if l.open[it.position]--; l.open[it.position] <= 0 {
			delete(l.open, it.position)
		}
	}
	self.items = append(keep, self.items...)
	if len(self.items) > 0 || again > 0 {
		return false
	}
	delete(l.lanes, key)
	return true
}

// sleep waits for the time to look again, or for news.
func (l *lanes) sleep(ctx context.Context, self *lane, again time.Duration) {
	timer := l.clock.NewTimer(again)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-self.wake:
	case <-ctx.Done():
	}
}
