package intake

import (
	"fmt"
	"time"
)

// Limits bound an append. The zero value of each field gets its default.
type Limits struct {
	// EventsMax is the most events of one append; default 1000.
	EventsMax int
	// StreamsMax is the most streams of one append; default 100.
	StreamsMax int
	// PayloadBytesMax is the largest stored payload; default 64 KiB.
	PayloadBytesMax int
	// TextBytesMax is the longest text of a fact or record; what is beyond it is cut off and flagged. Default 2 KiB, which is
	// 512 characters of 4 bytes: nothing that the contract allows is cut.
	TextBytesMax int
	// AppendBytesMax is the most bytes of all stored payloads of one append; default 1 MiB.
	AppendBytesMax int
	// ClockAheadMax is how far a log's last event may be ahead of the database's clock before appends wait for the clock;
	// default 2 min.
	ClockAheadMax time.Duration
	// ClockSkewMax is how far business time may be from the time of taking in before the receipt says so; default 5 min.
	ClockSkewMax time.Duration
}

// WithDefaults fills in what is not set, and refuses what is no limit.
func (l Limits) WithDefaults() (Limits, error) {
	for _, field := range []struct {
		name  string
		value *int
		def   int
	}{
		{"EventsMax", &l.EventsMax, 1000},
		{"StreamsMax", &l.StreamsMax, 100},
		{"PayloadBytesMax", &l.PayloadBytesMax, 64 << 10},
		{"TextBytesMax", &l.TextBytesMax, 2 << 10},
		{"AppendBytesMax", &l.AppendBytesMax, 1 << 20},
	} {
		if *field.value == 0 {
			*field.value = field.def
		}
		if *field.value < 0 {
			return l, fmt.Errorf("append limits: %s %d is below zero", field.name, *field.value)
		}
	}
	if l.ClockAheadMax == 0 {
		l.ClockAheadMax = 2 * time.Minute
	}
	if l.ClockSkewMax == 0 {
		l.ClockSkewMax = 5 * time.Minute
	}
	if l.ClockAheadMax < 0 || l.ClockSkewMax < 0 {
		return l, fmt.Errorf("append limits: ClockAheadMax %s and ClockSkewMax %s must not be below zero", l.ClockAheadMax, l.ClockSkewMax)
	}
	return l, nil
}
