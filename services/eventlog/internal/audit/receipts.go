package audit

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/google/uuid"

	"github.com/robson/robson/services/eventlog/internal/intake"
)

// Tally is a sum over entries of receipts, in whatever order they come: two sums are equal if, and but for a chance of one
// in 2^64 only if, the entries are the same. It is keyed by a secret of the process, so that nobody can make other entries
// with the same sum.
type Tally struct {
	seed   maphash.Seed
	sum    uint64
	count  int64
	buffer []byte
}

// NewTally begins at zero. Sums are comparable if they have the same seed.
func NewTally(seed maphash.Seed) *Tally { return &Tally{seed: seed} }

// Add takes in another sum.
func (t *Tally) Add(other *Tally) {
	t.sum += other.sum
	t.count += other.count
}

// Equal says whether two sums are over the same entries.
func (t *Tally) Equal(other *Tally) bool { return t.sum == other.sum && t.count == other.count }

// event adds what the receipt of an event's command must say of it.
func (t *Tally) event(r *Row, stream streamID) {
	t.begin(r.CommandID, r.Position, r.IngestedAt)
	t.buffer = append(t.buffer, r.EventID...)
	t.end(stream, r.Seq)
	t.buffer = append(t.buffer, r.Type...)
	t.add()
}

// Receipt adds what a receipt says of the events between two positions, the latter included.
func (t *Tally) Receipt(r *intake.Receipt, after, to int64) {
	at := r.IngestedAt.UnixMicro()
	for i := range r.Entries {
		position := r.FirstPosition + int64(i)
		if position <= after || position > to {
			continue
		}
		e := &r.Entries[i]
		t.begin(r.Command[:], position, at)
		t.buffer = append(t.buffer, e.EventID[:]...)
		t.end(streamOf(e), e.Seq)
		t.buffer = append(t.buffer, e.Type...)
		t.add()
	}
}

func (t *Tally) begin(command []byte, position, ingestedAt int64) {
	t.buffer = append(t.buffer[:0], command...)
	t.buffer = binary.BigEndian.AppendUint64(t.buffer, uint64(position))
	t.buffer = binary.BigEndian.AppendUint64(t.buffer, uint64(ingestedAt))
}

func (t *Tally) end(stream streamID, seq int64) {
	t.buffer = append(t.buffer, stream.kind)
	t.buffer = append(t.buffer, stream.id[:]...)
	t.buffer = binary.BigEndian.AppendUint64(t.buffer, uint64(seq))
}

func (t *Tally) add() {
	t.sum += maphash.Bytes(t.seed, t.buffer)
	t.count++
}

// streamOf is an entry's stream in few bytes.
func streamOf(e *intake.Entry) streamID {
	s := streamID{id: e.Stream.ID}
	for i, kind := range streamKinds {
		if kind == e.Stream.Kind {
			s.kind = byte(i)
		}
	}
	return s
}

// Receipted is an event beside the receipt of its command, where there is one.
type Receipted struct {
	Position   int64
	Command    uuid.UUID
	IngestedAt int64
	Entry      intake.Entry
	// Receipt is nil where the command has none, Unreadable says why it cannot be read.
	Receipt    *intake.Receipt
	Unreadable error
}

// Receipts finds the first event that its command's receipt does not fit, once the sums say that there is something.
type Receipts struct {
	last Receipted
}

// Next takes the next event, by position.
func (r *Receipts) Next(e Receipted) *Breach {
	if wrong := r.End(e.Command); wrong != nil {
		return wrong
	}
	r.last = e
	return e.fits()
}

// End is called with the command of the next event, or Nil: a receipt must not name more events than there are.
func (r *Receipts) End(next uuid.UUID) *Breach {
	last := r.last.Receipt
	if last == nil || r.last.Command == next {
		return nil
	}
	if end := last.FirstPosition + int64(len(last.Entries)) - 1; r.last.Position != end {
		return breach(ReceiptMismatch, r.last.Position+1, "the receipt of command %s names events up to position %d, and the last one is at %d", r.last.Command, end, r.last.Position)
	}
	return nil
}

// fits holds an event against its entry.
func (e *Receipted) fits() *Breach {
	wrong := func(what string) *Breach {
		return breach(ReceiptMismatch, e.Position, "the receipt of command %s %s", e.Command, what)
	}
	switch {
	case e.Unreadable != nil:
		return wrong("cannot be read: " + e.Unreadable.Error())
	case e.Receipt == nil:
		return wrong("is missing")
	}
	at := e.Position - e.Receipt.FirstPosition
	if at < 0 || at >= int64(len(e.Receipt.Entries)) {
		return wrong("does not name the event")
	}
	entry := &e.Receipt.Entries[at]
	switch {
	case entry.EventID != e.Entry.EventID:
		return wrong("names another event there: " + entry.EventID.String())
	case entry.Stream != e.Entry.Stream || entry.Seq != e.Entry.Seq:
		return wrong("has the event in another stream, or with another seq")
	case entry.Type != e.Entry.Type:
		return wrong("has the event with another type")
	case e.Receipt.IngestedAt.UnixMicro() != e.IngestedAt:
		return wrong("has another time")
	}
	return nil
}

// NoEvents is a receipt without events.
func NoEvents(command uuid.UUID, position int64) *Breach {
	return breach(ReceiptMismatch, position, "there is a receipt of command %s, which has no event in the log", command)
}
