package server

import (
	"context"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// caller is who calls, for whom, and under which ids.
type caller struct {
	subject   string
	tenantID  string
	commandID uuid.UUID
	traceID   string
	// cause is the event that a step follows from; zero for a call, whose metadata says so.
	cause lifecycle.Cause
}

// callerFrom reads what the interceptors have verified and made.
func callerFrom(ctx context.Context) (caller, error) {
	who, ok := identity.From(ctx)
	if !ok {
		return caller{}, fault.New(fault.Unauthenticated, "NO_IDENTITY", "the call has no verified identity")
	}
	ids := correlation.From(ctx)
	if ids.Command == uuid.Nil {
		return caller{}, fault.InvalidField("metadata "+correlation.HeaderCommand, "must be a UUID other than zero")
	}
	return caller{
		subject: who.Name(), tenantID: identity.Tenant(ctx).String(), commandID: ids.Command, traceID: ids.Trace.String(),
	}, nil
}

// derive makes an id that follows from the command, so that a decision taken anew names the same things.
func (c caller) derive(name string) uuid.UUID { return uuid.NewSHA1(c.commandID, []byte(name)) }
