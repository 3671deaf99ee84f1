// Package fault is the one closed set of error kinds. Only failures on which somebody branches have a kind; what has none
// is unknown and is shown to no caller. pkg/rpc alone turns kinds into gRPC codes, and codes back into kinds.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Kind says what sort of failure an error is.
type Kind int

// The kinds, and the gRPC code each becomes.
const (
	// Unknown is everything that nobody branches on: INTERNAL, without its text.
	Unknown Kind = iota
	// Invalid is a request that cannot be meant: INVALID_ARGUMENT, with the fields.
	Invalid
	// NotFound names what is not there: NOT_FOUND.
	NotFound
	// Conflict is an expectation that does not hold: ABORTED, with expected and found.
	Conflict
	// Duplicate is a command id that stands for another request: ALREADY_EXISTS.
	Duplicate
	// Stale is an answer that does not come up to the position asked for in time: DEADLINE_EXCEEDED.
	Stale
	// Refused is a rule that says no; nothing was written: FAILED_PRECONDITION.
	Refused
	// Denied is a right that the caller has not: PERMISSION_DENIED.
	Denied
	// Unauthenticated is a caller that nobody knows: UNAUTHENTICATED.
	Unauthenticated
	// Unavailable is a fault that passes: UNAVAILABLE, retry.
	Unavailable
	// Exhausted is a limit that is reached: RESOURCE_EXHAUSTED, with a delay.
	Exhausted
	// Corrupt is stored data that does not hold: DATA_LOSS. Somebody must look.
	Corrupt
)

var kindNames = map[Kind]string{
	Unknown: "unknown", Invalid: "invalid", NotFound: "not found", Conflict: "conflict", Duplicate: "duplicate", Stale: "stale",
	Refused: "refused", Denied: "denied", Unauthenticated: "unauthenticated", Unavailable: "unavailable", Exhausted: "exhausted", Corrupt: "corrupt",
}

// String is the kind's name.
func (k Kind) String() string { return kindNames[k] }

// Field is one field of a request that is wrong.
type Field struct {
	// Path leads to the field: streams[0].events[1].payload.order_submitted.quantity.
	Path string
	// Description says what it must be.
	Description string
}

// Error is a failure with a kind. Build it with New or Wrap.
type Error struct {
	Kind Kind
	// Reason is the machine's word for it, UPPER_SNAKE, the same for the same failure: STREAM_VERSION.
	Reason string
	// Message is for people: what was being done and what is wrong.
	Message string
	// Fields are the wrong fields, for Invalid.
	Fields []Field
	// Metadata is what a program needs to go on: expected, found, row.
	Metadata map[string]string
	// RetryAfter is how long to wait, for Unavailable and Exhausted; 0: the caller's own judgement.
	RetryAfter time.Duration

	cause error
}

// New makes an error of a kind.
func New(kind Kind, reason, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a kind. The cause stays reachable by errors.Is and errors.As; its text follows the message.
func Wrap(cause error, kind Kind, reason, format string, args ...any) *Error {
	e := New(kind, reason, format, args...)
	e.cause = cause
	return e
}

// InvalidField is the commonest Invalid: one field, and what it must be.
func InvalidField(path, format string, args ...any) *Error {
	description := fmt.Sprintf(format, args...)
	e := New(Invalid, "INVALID_FIELD", "%s: %s", path, description)
	e.Fields = []Field{{Path: path, Description: description}}
	return e
}

// With adds a metadata pair and returns the error.
func (e *Error) With(key, value string) *Error {
	e.Metadata = maps.Clone(e.Metadata)
	if e.Metadata == nil {
		e.Metadata = map[string]string{}
	}
	e.Metadata[key] = value
	return e
}

// WithField adds a wrong field and returns the error.
func (e *Error) WithField(path, description string) *Error {
	e.Fields = append(e.Fields[:len(e.Fields):len(e.Fields)], Field{Path: path, Description: description})
	return e
}

// WithRetryAfter sets the delay and returns the error.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// Error is the message, and the cause's text after it.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// As finds the outermost Error in a chain; nil if there is none.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// KindOf is the kind of the outermost Error in a chain; Unknown if there is none.
func KindOf(err error) Kind {
	if e := As(err); e != nil {
		return e.Kind
	}
	return Unknown
}

// Is says whether an error is of a kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// ReasonOf is the reason of the outermost Error in a chain; empty if there is none.
func ReasonOf(err error) string {
	if e := As(err); e != nil {
		return e.Reason
	}
	return ""
}
