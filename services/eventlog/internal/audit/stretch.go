package audit

import (
	"bytes"
	"sort"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
)

// Stretch follows consecutive events of one log.
type Stretch struct {
	tenant uuid.UUID
	last   Place
	known  []Known
	spans  *Spans
	tally  *Tally
	buffer []byte
	breach *Breach
}

// NewStretch begins at the event before the first one, or, with the zero Place, before the log's first. known are sorted by
// position. The streams of the events go to spans, what their receipts must be to the tally.
func NewStretch(tenant uuid.UUID, before Place, known []Known, spans *Spans, tally *Tally) *Stretch {
	first := sort.Search(len(known), func(i int) bool { return known[i].Position > before.Position })
	return &Stretch{tenant: tenant, last: before, known: known[first:], spans: spans, tally: tally}
}

// Last is where the last good event stands.
func (s *Stretch) Last() Place { return s.last }

// Breach is what ended the stretch; nil while all is well.
func (s *Stretch) Breach() *Breach { return s.breach }

// Spans are the streams of the good events.
func (s *Stretch) Spans() *Spans { return s.spans }

// Tally is the sum of what the receipts of the good events must be.
func (s *Stretch) Tally() *Tally { return s.tally }

// End tells where the stretch must end. One that ends before lacks an event.
func (s *Stretch) End(position int64) {
	if s.breach == nil && s.last.Position < position {
		s.breach = breach(Missing, s.last.Position+1, "the event there is missing, and no other follows it up to position %d: its month is not here, or it was removed", position)
	}
}

// Next takes the next row. It is false from the first thing that is wrong on: the stretch then stays where it was.
func (s *Stretch) Next(r *Row) bool {
	if s.breach != nil {
		return false
	}
	stream, place, wrong := s.check(r)
	if wrong == nil {
		wrong = s.spans.Next(stream, r.Seq, r.Position)
	}
	if wrong != nil {
		s.breach = wrong
		return false
	}
	s.tally.event(r, stream)
	s.last = place
	return true
}

// check holds a row against the one before it and against itself.
func (s *Stretch) check(r *Row) (streamID, Place, *Breach) {
	place, at := Place{Position: r.Position, IngestedAt: r.IngestedAt}, s.last.Position+1
	switch {
	case r.Position > at:
		return streamID{}, place, breach(Missing, at, "the event there is missing, and the next one has position %d: its month is not here, or it was removed", r.Position)
	case r.Position < at:
		return streamID{}, place, breach(Inserted, r.Position, "more than one event stands there")
	case len(r.Hash) != len(place.Hash) || len(r.EventID) != len(place.EventID):
		return streamID{}, place, breach(Altered, at, "it has no hash or no id")
	case isZero(r.CausationID) || isZero(r.WorkflowID):
		// The hash does not tell zeros from nothing, and nothing is what Robson writes.
		return streamID{}, place, breach(Altered, at, "it has a cause or a workflow of zeros, which is never written")
	}
	r.TenantID = s.tenant[:]
	place.Hash, s.buffer = r.Fields.Hash(s.buffer)
	copy(place.EventID[:], r.EventID)
	switch {
	case !bytes.Equal(place.Hash[:], r.Hash):
		return streamID{}, place, breach(Altered, at, "its content is not what was hashed")
	case !bytes.Equal(s.last.Hash[:], r.PrevHash):
		return streamID{}, place, breach(Broken, at, "it does not carry the hash of the event before it: one of the two is not what was written")
	case place.EventID.Compare(s.last.EventID) <= 0:
		return streamID{}, place, breach(Disordered, at, "its event id does not follow the one before it")
	case place.IngestedAt < s.last.IngestedAt:
		return streamID{}, place, breach(Disordered, at, "it was taken in before the one before it")
	}
	if len(s.known) > 0 && s.known[0].Position == at {
		if wrong := place.Holds(s.known[0]); wrong != nil {
			return streamID{}, place, wrong
		}
		s.known = s.known[1:]
	}
	stream, wrong := subjects(r)
	return stream, place, wrong
}

// subjects holds the columns for search against what the event says.
func subjects(r *Row) (streamID, *Breach) {
	stream, known := parseStream(r.StreamKey)
	if !known {
		return stream, breach(StreamMismatch, r.Position, "%q is no stream", r.StreamKey)
	}
	found, canonical := event.StoredSubjects(stream.key(), r.Payload)
	if !canonical {
		return stream, breach(Altered, r.Position, "its payload is not in the form that is written")
	}
	for i, id := range [4]*uuid.UUID{&found.AccountID, &found.StrategyID, &found.PositionID, &found.OrderID} {
		column := r.Subjects[i]
		if bytes.Equal(column, id[:]) || len(column) == 0 && *id == uuid.Nil {
			continue
		}
		return stream, breach(SearchAltered, r.Position, "its column %s is %s, and it is about %s", subjectNames[i], idText(column), idText(id[:]))
	}
	return stream, nil
}

// isZero tells an id of zeros from none.
func isZero(id []byte) bool { return len(id) == len(uuid.Nil) && bytes.Equal(id, uuid.Nil[:]) }

func idText(id []byte) string {
	if parsed, err := uuid.FromBytes(id); err == nil && parsed != uuid.Nil {
		return parsed.String()
	}
	return "none"
}

// Trust is where a row stands that others are to follow, and what of it is not as it is known to have been.
func Trust(tenant uuid.UUID, r *Row, known Known) (Place, *Breach) {
	place := PlaceOf(r)
	r.TenantID = tenant[:]
	if hash, _ := r.Fields.Hash(nil); hash != place.Hash {
		return place, breach(Altered, place.Position, "its content is not what was hashed")
	}
	return place, place.Holds(known)
}

// PlaceOf is where a row stands, by what is stored.
func PlaceOf(r *Row) Place {
	p := Place{Position: r.Position, IngestedAt: r.IngestedAt}
	copy(p.EventID[:], r.EventID)
	copy(p.Hash[:], r.Hash)
	return p
}
