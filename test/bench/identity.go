package main

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// How facts and orders are named, written here a second time because this module imports nothing but the contracts. The
// service refuses an append whose ids do not follow these rules, so they cannot drift unnoticed.

// factNamespace is the UUIDv5 namespace of facts' command ids.
var factNamespace = uuid.MustParse("8f8e1f3c-6d0b-5f0e-9a52-3f1f6a1d7c01")

// factCommand names the command of a fact by its identity: the event type, the venue, the account, the symbol if there is
// one, and the other identity fields with their names.
func factCommand(eventType string, identity ...string) uuid.UUID {
	text := strings.Join(append([]string{eventType, "binance"}, identity...), "/")
	return uuid.NewSHA1(factNamespace, []byte(text))
}

// value is a VALUE field of a fact, in a form that needs no escapes.
type value struct{ name, text string }

// factDigest is what a fact says: the SHA-256 of its VALUE fields, ordered by their names, as canonical JSON.
func factDigest(eventType string, values ...value) []byte {
	fields := make([]string, len(values))
	for i, v := range values {
		fields[i] = `"` + v.name + `":"` + v.text + `"`
	}
	sum := sha256.Sum256([]byte(`{"event_type":"` + eventType + `","payload":{` + strings.Join(fields, ",") + `}}`))
	return sum[:]
}

// orderID is the order of an intent's attempt.
func orderID(intent uuid.UUID, attempt int) uuid.UUID {
	return uuid.NewSHA1(intent, []byte(strconv.Itoa(attempt)))
}

// clientOrderID is what the venue knows an order by.
func clientOrderID(order uuid.UUID) string {
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	return "rb-" + encoding.EncodeToString(order[:])
}
