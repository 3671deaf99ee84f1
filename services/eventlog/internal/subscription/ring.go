package subscription

// ring holds the newest events of a log: consecutive, each chained to the one before it. What is behind it is in the
// database. It is empty and not based until it is known where the log ends.
type ring struct {
	events []*Event
	bytes  int
	// last is the position that it goes up to, whether the event there is held or not.
	last  int64
	based bool
	// hash is that of the event at last, if known.
	hash  [32]byte
	known bool
}

// base makes an empty ring that goes on after a position.
func (r *ring) base(position int64) { *r = ring{last: position, based: true} }

// add takes in what comes next of events that are consecutive; those that it has had are left out. It takes nothing that
// leaves a gap, or that is not chained to its last event, and then says no.
func (r *ring) add(events []*Event) bool {
	if len(events) > 0 && !r.based {
		r.base(events[0].Position - 1)
	}
	for _, e := range events {
		if e.Position <= r.last {
			continue
		}
		if e.Position != r.last+1 || r.known && e.PrevHash != r.hash {
			return false
		}
		r.events = append(r.events, e)
		r.bytes += e.size()
		r.last, r.hash, r.known = e.Position, e.Hash, true
	}
	return true
}

// trim drops the oldest events until the limits hold.
func (r *ring) trim(eventsMax, bytesMax int) {
	for len(r.events) > eventsMax || r.bytes > bytesMax {
		r.bytes -= r.events[0].size()
		r.events[0] = nil // The array behind lives on.
		r.events = r.events[1:]
	}
}

// covers says whether the events after a position are here, if there are any.
func (r *ring) covers(after int64) bool { return r.based && after+1 >= r.first() }

// first is the position of the oldest event; the next one's, if there is none.
func (r *ring) first() int64 { return r.last - int64(len(r.events)) + 1 }

// after gives the events after a position that the filter lets through, at most size, and how far it has looked. The ring
// covers the position.
func (r *ring) after(position int64, f *Filter, size int) ([]*Event, int64) {
	at := int(position + 1 - r.first())
	found := make([]*Event, 0, min(size, len(r.events)-at))
	for ; at < len(r.events) && len(found) < size; at++ {
		position = r.events[at].Position
		if f.passes(r.events[at]) {
			found = append(found, r.events[at])
		}
	}
	return found, position
}
