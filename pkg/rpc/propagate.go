package rpc

import (
	"context"
	"crypto/rand"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/robson/robson/pkg/correlation"
)

// Propagator reads W3C trace context and x-robson-trace-id, so that the id a caller names *is* the OpenTelemetry trace id.
// Where both are given and differ, x-robson-trace-id wins: it is what stands on the events.
func Propagator() propagation.TextMapPropagator { return propagator{} }

type propagator struct{ w3c propagation.TraceContext }

// Inject writes W3C trace context; x-robson-trace-id is written by the client interceptor.
func (p propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	p.w3c.Inject(ctx, carrier)
}

// Extract reads both.
func (p propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	ctx = p.w3c.Extract(ctx, carrier)
	named, err := uuid.Parse(carrier.Get(correlation.HeaderTrace))
	if err != nil || named == uuid.Nil {
		return ctx
	}
	if trace.SpanContextFromContext(ctx).TraceID() == trace.TraceID(named) {
		return ctx
	}
	var parent trace.SpanID
	if _, err := rand.Read(parent[:]); err != nil {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(named), SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

// Fields are the keys that are read.
func (p propagator) Fields() []string { return append(p.w3c.Fields(), correlation.HeaderTrace) }
