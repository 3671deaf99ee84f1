package audit

import (
	"encoding/binary"
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
)

// streamKinds are the kinds by number.
var streamKinds = []event.Kind{event.KindTenant, event.KindAccount, event.KindStrategy, event.KindPosition, event.KindOrder}

// streamID is a stream in few bytes.
type streamID struct {
	kind byte
	id   uuid.UUID
}

func (s streamID) key() event.StreamKey { return event.StreamKey{Kind: streamKinds[s.kind], ID: s.id} }

// parseStream reads a stream's key as event.ParseStreamKey does, without allocating.
func parseStream(text []byte) (s streamID, ok bool) {
	const idLength = 36
	at := len(text) - idLength - 1
	if at < 0 || text[at] != ':' {
		return s, false
	}
	for i, kind := range streamKinds {
		if string(text[:at]) == string(kind) {
			s.kind, ok = byte(i), true
		}
	}
	id := text[at+1:]
	if !ok || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return s, false
	}
	for i, from := range [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		high, low := hexValue[id[from]], hexValue[id[from+1]]
		if high|low > 0xf {
			return s, false
		}
		s.id[i] = high<<4 | low
	}
	return s, true
}

// hexValue is what a lower-case hexadecimal digit stands for; 255 for what is none.
var hexValue = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
		if digit := strings.IndexByte("0123456789abcdef", byte(i)); digit >= 0 {
			values[i] = byte(digit)
		}
	}
	return values
}()

// Part chooses one part of Of of all streams, so that a log of very many is looked at in several passes. The zero value is
// all of them.
type Part struct{ Number, Of uint64 }

func (p Part) holds(s streamID) bool {
	return p.Of <= 1 || binary.BigEndian.Uint64(s.id[8:])%p.Of == p.Number
}

// span is what a stretch has of a stream: seqs without a gap.
type span struct {
	stream          streamID
	first, last     int64
	firstAt, lastAt int64
}

// Spans are the streams of a stretch.
type Spans struct {
	part  Part
	index map[streamID]int32
	// list is in the order of the first events.
	list []span
}

// NewSpans begins with none. The streams of other parts are let by.
func NewSpans(part Part) *Spans { return &Spans{part: part, index: map[streamID]int32{}} }

// NextOf takes the next event of a stream by its key.
func (s *Spans) NextOf(key []byte, seq, position int64) *Breach {
	stream, known := parseStream(key)
	if !known {
		return breach(StreamMismatch, position, "%q is no stream", key)
	}
	return s.Next(stream, seq, position)
}

// Next takes the next event of a stream.
func (s *Spans) Next(stream streamID, seq, position int64) *Breach {
	if !s.part.holds(stream) {
		return nil
	}
	at, seen := s.index[stream]
	if !seen {
		s.index[stream] = int32(len(s.list))
		s.list = append(s.list, span{stream: stream, first: seq, last: seq, firstAt: position, lastAt: position})
		return nil
	}
	of := &s.list[at]
	if seq != of.last+1 {
		return breach(StreamMismatch, position, "it has seq %d in stream %s, whose event before it has %d", seq, stream.key(), of.last)
	}
	of.last, of.lastAt = seq, position
	return nil
}

// Streams puts the spans of all stretches together.
type Streams struct {
	part  Part
	max   int
	after int64
	to    int64
	heads map[streamID]streamHead
	over  bool
}

// streamHead is the last event of a stream.
type streamHead struct{ seq, position int64 }

// StreamsParams say which streams are put together, and up to how many.
type StreamsParams struct {
	Part Part
	// Max is how many there may be: see Over.
	Max int
	// After is the position after which events are looked at, To the last one; To is 0 where it is the log's last.
	After, To int64
}

// NewStreams begins with none.
func NewStreams(p StreamsParams) *Streams {
	return &Streams{part: p.Part, max: p.Max, after: p.After, to: p.To, heads: map[streamID]streamHead{}}
}

// Over says that there were more streams than Max, so that nothing is known of them: they are to be looked at in more parts.
func (s *Streams) Over() bool { return s.over }

// Count is how many streams there are.
func (s *Streams) Count() int64 { return int64(len(s.heads)) }

// Add takes the spans of the next stretch.
func (s *Streams) Add(spans *Spans) *Breach {
	for i := range spans.list {
		if s.over {
			return nil
		}
		next := &spans.list[i]
		head, seen := s.heads[next.stream]
		// Of a stream that began before the first event that is looked at, the first seq that is found is believed.
		if next.first != head.seq+1 && (seen || s.after == 0) {
			return breach(StreamMismatch, next.firstAt, "it has seq %d in stream %s, whose event before it has %d", next.first, next.stream.key(), head.seq)
		}
		s.heads[next.stream] = streamHead{next.last, next.lastAt}
		if len(s.heads) > s.max {
			s.over, s.heads = true, nil
		}
	}
	return nil
}

// Head holds a stored head of a stream against the stream's events, and takes the stream off the list.
func (s *Streams) Head(key []byte, seq, position int64) *Breach {
	stream, known := parseStream(key)
	if !known {
		return breach(StreamMismatch, position, "there is a head of %q, which is no stream", key)
	}
	if !s.part.holds(stream) {
		return nil
	}
	head, seen := s.heads[stream]
	delete(s.heads, stream)
	switch {
	case seen && seq == head.seq && position == head.position:
		return nil
	case s.to > 0 && position > s.to && seq > head.seq: // Its last event is past what was looked at.
		return nil
	case seen:
		return breach(StreamMismatch, min(position, head.position), "the head of stream %s says seq %d at position %d; its last event has seq %d at position %d",
			stream.key(), seq, position, head.seq, head.position)
	case position <= s.after:
		return nil
	default:
		return breach(StreamMismatch, position, "the head of stream %s says seq %d at position %d, and the stream has no event", stream.key(), seq, position)
	}
}

// Headless is the first stream, by its last event, that no stored head was found of.
func (s *Streams) Headless() *Breach {
	var first *Breach
	for stream, head := range s.heads {
		if first == nil || head.position < first.Position {
			first = breach(StreamMismatch, head.position, "the head of stream %s is missing; its last event has seq %d at position %d", stream.key(), head.seq, head.position)
		}
	}
	return first
}
