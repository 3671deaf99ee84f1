package event

import (
	"encoding/base32"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/fault"
)

// NextID makes an event id that is above the last one of its tenant. It carries the time at millisecond precision, unless
// the last id's time is not behind it: then it is the last id plus one, so ids never go backwards though a clock may.
func NextID(last ulid.ULID, at time.Time, entropy io.Reader) (ulid.ULID, error) {
	ms := ulid.Timestamp(at)
	if ms <= last.Time() {
		return successor(last)
	}
	id, err := ulid.New(ms, entropy)
	if err != nil {
		return ulid.ULID{}, fmt.Errorf("make event id: %w", err)
	}
	return id, nil
}

// successor is the id plus one.
func successor(id ulid.ULID) (ulid.ULID, error) {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			return id, nil
		}
	}
	return ulid.ULID{}, fault.New(fault.Corrupt, "EVENT_ID_OVERFLOW", "the last event id is the greatest there is")
}

// namespaceFact is the UUIDv5 namespace of facts' command ids.
var namespaceFact = uuid.MustParse("8f8e1f3c-6d0b-5f0e-9a52-3f1f6a1d7c01")

// clientOrderPrefix marks our orders at a venue.
const clientOrderPrefix = "rb-"

// base32Lower writes 16 bytes in 26 characters that venues take.
var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// OrderID is the order of an intent's attempt, counted from 1: UUIDv5(intent_id, attempt).
func OrderID(intentID uuid.UUID, attempt int32) uuid.UUID {
	return uuid.NewSHA1(intentID, strconv.AppendInt(nil, int64(attempt), 10))
}

// ClientOrderID is what the venue knows our order by: "rb-" and 26 characters.
func ClientOrderID(orderID uuid.UUID) string {
	return clientOrderPrefix + base32Lower.EncodeToString(orderID[:])
}

// ParseClientOrderID gives our order's id back; ok is false for an order that is not ours.
func ParseClientOrderID(s string) (orderID uuid.UUID, ok bool) {
	encoded, ours := strings.CutPrefix(s, clientOrderPrefix)
	if !ours {
		return uuid.Nil, false
	}
	raw, err := base32Lower.DecodeString(encoded)
	if err != nil || len(raw) != len(orderID) {
		return uuid.Nil, false
	}
	orderID = uuid.UUID(raw)
	return orderID, ClientOrderID(orderID) == s
}

// StepCommandID names the command of a step that follows from an event: UUIDv5(causing event id, step). Whoever does the
// step, and however often, names it alike.
func StepCommandID(cause ulid.ULID, step string) uuid.UUID {
	return uuid.NewSHA1(uuid.UUID(cause), []byte(step))
}

// FactCommandID names the command of a fact: UUIDv5 of its identity.
func FactCommandID(identity string) uuid.UUID {
	return uuid.NewSHA1(namespaceFact, []byte(identity))
}

// FillID names a fill by its identity.
func FillID(identity string) uuid.UUID {
	return uuid.NewSHA1(namespaceFact, []byte("fill_id:"+identity))
}

// DiscrepancyCommandID names the command under which a differing report of a fact is recorded: one for each difference.
func DiscrepancyCommandID(factCommandID uuid.UUID, digest [32]byte) uuid.UUID {
	return uuid.NewSHA1(factCommandID, digest[:])
}

// DiscrepancyID names a discrepancy that the fold of an event raised: UUIDv5(event id, kind).
func DiscrepancyID(eventID ulid.ULID, kind string) uuid.UUID {
	return uuid.NewSHA1(uuid.UUID(eventID), []byte(kind))
}
