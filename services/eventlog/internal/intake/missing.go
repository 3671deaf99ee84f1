package intake

import (
	"errors"
	"time"

	"github.com/robson/robson/pkg/projection"
)

// MissingReport asks for the first report of a fact, which is needed to tell in what a later one contradicts it.
type MissingReport struct {
	// Position is where it stands in the log, IngestedAt when it was taken in.
	Position   int64
	IngestedAt time.Time
}

// Error implements error.
func (m *MissingReport) Error() string { return "the first report of a fact is not loaded" }

// MissingStream asks for the head of a stream that no append named: that of an account on which a discrepancy is raised.
type MissingStream struct {
	// Key is the stream's.
	Key string
	// Rows are wanted with it, if any.
	Rows []projection.Key
}

// Error implements error.
func (m *MissingStream) Error() string { return "the head of stream " + m.Key + " is not loaded" }

// Wanted is what must be loaded before an append can be tried again.
type Wanted struct {
	Rows []projection.Key
	// Stream is empty for none.
	Stream string
	// Report is a fact's first report; nil for none.
	Report *MissingReport
}

// WantedBy says what an error of Append or Probe asks for; ok is false for an error that is a failure.
func WantedBy(err error) (w Wanted, ok bool) {
	var rows *projection.Missing
	var stream *MissingStream
	var report *MissingReport
	switch {
	case errors.As(err, &rows):
		return Wanted{Rows: rows.Keys}, true
	case errors.As(err, &stream):
		return Wanted{Rows: stream.Rows, Stream: stream.Key}, true
	case errors.As(err, &report):
		return Wanted{Report: report}, true
	default:
		return Wanted{}, false
	}
}
