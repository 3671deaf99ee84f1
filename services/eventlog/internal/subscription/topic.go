package subscription

import (
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
)

// topic is a tenant who is listened to.
type topic struct {
	tenant uuid.UUID
	// subscribers are those who listen to it alone; the hub's lock guards it.
	subscribers int
	// held counts the bytes of all rings.
	held *atomic.Int64

	mu sync.Mutex
	// head is the last position that was heard of; 0 at first. The ring never goes further.
	head    int64
	ring    ring
	cursors map[*cursor]struct{}
}

// cursor is one reading of a log.
type cursor struct {
	topic  *topic
	filter Filter
	// wake tells, with the topic's lock held, that there may be more. It does not block.
	wake func()
	// look: there is reason to look into the database whatever the head is said to be. The topic's lock guards it.
	look bool
}

// source is where the next events are.
type source int

const (
	// nowhere: the cursor is woken when there may be some.
	nowhere source = iota
	inRing
	inDatabase
)

// next gives the stretch after a position from the ring, or tells where else it is.
func (c *cursor) next(after int64, size int) (Stretch, source) {
	t := c.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case c.look:
		c.look = false
		return Stretch{}, inDatabase
	case after >= t.head, t.ring.based && after >= t.ring.last: // The ring is about to be filled.
		return Stretch{Looked: after, Head: max(t.head, after)}, nowhere
	case !t.ring.covers(after):
		return Stretch{}, inDatabase
	}
	events, looked := t.ring.after(after, &c.filter, size)
	return Stretch{Events: events, Looked: looked, Head: t.head}, inRing
}

// hear notes how far the log goes, and says whether the ring lacks events of it. Where the ring is not based there is nobody at the
// end of the log whom it could serve, and all look for themselves.
func (t *topic) hear(head int64) (lacks bool) {
	if head > t.head {
		t.head = head
		if !t.ring.based {
			t.wakeAll(false)
		}
	}
	return t.lacks()
}

// lacks says whether there are events for the ring to be filled with.
func (t *topic) lacks() bool { return t.ring.based && t.ring.last < t.head }

// read notes what a cursor has read in the database, and says whether the ring lacks events.
func (t *topic) read(s *Stretch) (lacks bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hear(s.Head)
	if !t.ring.based && s.Looked >= s.Head {
		t.ring.base(s.Head)
	}
	return t.lacks()
}

// know tells a cursor how far the log went after it had joined, so that it need not look for itself, and says whether the ring lacks
// events.
func (c *cursor) know(head int64) (lacks bool) {
	t := c.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	c.look = false
	t.hear(head)
	if !t.ring.based {
		t.ring.base(t.head)
	}
	return t.lacks()
}

// add takes the next events into the ring and wakes all. It says no if they do not follow.
func (t *topic) add(events []*Event, limits ringLimits) bool {
	before, last := t.ring.bytes, t.ring.last
	added := t.ring.add(events)
	t.ring.trim(limits.events, limits.bytes)
	t.held.Add(int64(t.ring.bytes - before))
	t.head = max(t.head, t.ring.last)
	if t.ring.last > last {
		t.wakeAll(false)
	}
	return added
}

// trim holds the ring to its limits.
func (t *topic) trim(limits ringLimits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.ring.bytes
	t.ring.trim(limits.events, limits.bytes)
	t.held.Add(int64(t.ring.bytes - before))
}

// doubt drops the ring and has everybody look into the database.
func (t *topic) doubt(head int64) {
	t.drop()
	t.head = head
	t.wakeAll(true)
}

// drop empties the ring.
func (t *topic) drop() {
	t.held.Add(int64(-t.ring.bytes))
	t.ring = ring{}
}

// wakeAll wakes those who listen.
func (t *topic) wakeAll(look bool) {
	for c := range t.cursors {
		c.look = c.look || look
		c.wake()
	}
}
