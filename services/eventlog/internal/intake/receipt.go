package intake

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
)

// Receipt is what became of a command; the same for every sender.
type Receipt struct {
	Command uuid.UUID
	// Digest is of the request that caused it.
	Digest        [32]byte
	FirstPosition int64
	IngestedAt    time.Time
	// Entries are the requested events, then those that the fold raised.
	Entries []Entry
	// Raised is how many of Entries the fold raised.
	Raised int
}

// Entry is one event of a receipt. Its position is FirstPosition and its index.
type Entry struct {
	EventID ulid.ULID
	Stream  event.StreamKey
	Seq     int64
	Type    event.Type
	// Skewed: its business time is far from the time it was taken in.
	Skewed bool
}

// Answer is what one sender is told.
type Answer struct {
	*Receipt
	// Duplicate: the command was in the log already.
	Duplicate bool
	// Discrepancy is what was recorded because this report of a fact contradicts the first one; Nil: it does not.
	Discrepancy uuid.UUID
}

// Requested are the entries that were asked for.
func (r *Receipt) Requested() []Entry { return r.Entries[:len(r.Entries)-r.Raised] }

// RaisedEntries are those that the fold raised.
func (r *Receipt) RaisedEntries() []Entry { return r.Entries[len(r.Entries)-r.Raised:] }

// receiptVersion is the first byte of a stored receipt.
const receiptVersion = 1

// flagSkewed marks a skewed entry.
const flagSkewed = 1

// streamKinds numbers the kinds of streams in stored receipts; numbers are never reused.
var streamKinds = []event.Kind{event.KindTenant, event.KindAccount, event.KindStrategy, event.KindPosition, event.KindOrder}

// EncodeEntries writes entries as they are stored in commands.receipt: a version, then for each the id, the stream's kind
// and id, flags, the seq and the type with its length. Some 60 bytes an event.
func EncodeEntries(entries []Entry) []byte {
	out := make([]byte, 1, 1+64*len(entries))
	out[0] = receiptVersion
	for i := range entries {
		e := &entries[i]
		out = append(out, e.EventID[:]...)
		out = append(out, kindNumber(e.Stream.Kind))
		out = append(out, e.Stream.ID[:]...)
		flags := byte(0)
		if e.Skewed {
			flags |= flagSkewed
		}
		out = append(out, flags)
		out = binary.AppendUvarint(out, uint64(e.Seq))
		out = append(out, byte(len(e.Type)))
		out = append(out, e.Type...)
	}
	return out
}

func kindNumber(kind event.Kind) byte {
	for i, k := range streamKinds {
		if k == kind {
			return byte(i)
		}
	}
	return byte(len(streamKinds))
}

// DecodeEntries reads what EncodeEntries wrote. What it does not understand is Corrupt.
func DecodeEntries(data []byte, count int) ([]Entry, error) {
	const fixed = 16 + 1 + 16 + 1
	if len(data) == 0 || data[0] != receiptVersion {
		return nil, unreadable("its version is not known")
	}
	data = data[1:]
	entries := make([]Entry, 0, len(data)/(fixed+3))
	for len(data) > 0 {
		var e Entry
		if len(data) < fixed {
			return nil, unreadable("it is cut short")
		}
		copy(e.EventID[:], data[:16])
		if int(data[16]) >= len(streamKinds) {
			return nil, unreadable("a stream's kind is not known")
		}
		e.Stream.Kind = streamKinds[data[16]]
		copy(e.Stream.ID[:], data[17:33])
		if data[33]&^flagSkewed != 0 {
			return nil, unreadable("a flag is not known")
		}
		e.Skewed = data[33]&flagSkewed != 0
		seq, n := binary.Uvarint(data[fixed:])
		if n <= 0 || len(data) <= fixed+n || len(data) < fixed+n+1+int(data[fixed+n]) {
			return nil, unreadable("it is cut short")
		}
		if seq == 0 || seq > math.MaxInt64 || data[fixed+n] == 0 {
			return nil, unreadable("a seq or a type is none")
		}
		e.Seq = int64(seq)
		data = data[fixed+n:]
		e.Type = event.Type(data[1 : 1+int(data[0])])
		data = data[1+int(data[0]):]
		entries = append(entries, e)
	}
	if len(entries) != count {
		return nil, unreadable(fmt.Sprintf("it has %d events and should have %d", len(entries), count))
	}
	return entries, nil
}

func unreadable(what string) error {
	return fault.New(fault.Corrupt, "RECEIPT_UNREADABLE", "a stored receipt cannot be read: %s", what)
}
