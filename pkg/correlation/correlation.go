// Package correlation carries the ids that tie events, calls and spans of one action together: trace, causation, command
// and workflow. Interceptors of pkg/rpc set and forward them; handlers only read them.
package correlation

import (
	"context"

	"github.com/google/uuid"
)

// Metadata names, as they travel with gRPC calls.
const (
	HeaderTrace     = "x-robson-trace-id"
	HeaderCausation = "x-robson-causation-id"
	HeaderCommand   = "x-robson-command-id"
	HeaderWorkflow  = "x-robson-workflow-id"
)

// IDs tie what belongs together.
type IDs struct {
	// Trace is the OpenTelemetry trace id, 16 bytes, written as a UUID.
	Trace uuid.UUID
	// Causation is the event that caused this call (ULID); empty for a root.
	Causation string
	// Command names the command, for ever.
	Command uuid.UUID
	// CommandGiven says that the caller named the command; otherwise it was made here and a retry cannot repeat it.
	CommandGiven bool
	// Workflow is the run this belongs to; Nil for none.
	Workflow uuid.UUID
}

type key struct{}

// From gives the ids of a context; all absent if there are none.
func From(ctx context.Context) IDs {
	ids, _ := ctx.Value(key{}).(IDs)
	return ids
}

// With gives a context these ids.
func With(ctx context.Context, ids IDs) context.Context {
	return context.WithValue(ctx, key{}, ids)
}
