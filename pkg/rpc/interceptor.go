package rpc

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
)

// chain is what every call goes through; see the package's doc.
type chain struct {
	cfg       ServerConfig
	logger    *slog.Logger
	clock     clock.Clock
	auth      Authenticator
	validator protovalidate.Validator
	access    accessTable
}

// unary is the chain for calls with one request and one answer.
func (c *chain) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	started := c.clock.Now()
	defer func() {
		if p := recover(); p != nil {
			response, err = nil, c.panicked(ctx, info.FullMethod, p)
		}
		err = c.finish(ctx, info.FullMethod, started, err)
	}()
	ctx, err = c.enter(ctx, info.FullMethod, func(md metadata.MD) error { return grpc.SetHeader(ctx, md) })
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := c.deadline(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := validate(c.validator, request); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// admittedFor is how long a stream goes on before its caller is admitted anew: a token that is taken out ends the streams that
// began with it.
const admittedFor = 2 * time.Second

// stream is the chain for streams. Each message is validated; a stream has no deadline but its caller's.
func (c *chain) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	ctx := stream.Context()
	started := c.clock.Now()
	defer func() {
		if p := recover(); p != nil {
			err = c.panicked(ctx, info.FullMethod, p)
		}
		err = c.finish(ctx, info.FullMethod, started, err)
	}()
	ctx, err = c.enter(ctx, info.FullMethod, stream.SetHeader)
	if err != nil {
		return err
	}
	s := &validStream{ServerStream: stream, ctx: ctx, chain: c, info: info}
	s.admitted.Store(started.UnixNano())
	return handler(server, s)
}

// enter reads the ids, tells them in the reply's header, and admits the caller.
func (c *chain) enter(ctx context.Context, method string, tell func(metadata.MD) error) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	ids, err := correlation.Read(md)
	if err != nil {
		return ctx, err
	}
	if ids.Trace == uuid.Nil {
		ids.Trace = traceOf(ctx)
	}
	if ids.Command == uuid.Nil {
		ids.Command = uuid.New()
	}
	if err := tell(metadata.Pairs(ids.Pairs()...)); err != nil {
		return ctx, fault.Wrap(err, fault.Unavailable, "CONNECTION_LOST", "answer the call")
	}
	return c.access.admit(correlation.With(ctx, ids), md, method, c.auth)
}

// traceOf is the trace id of the call's span, or a new one.
func traceOf(ctx context.Context) uuid.UUID {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return uuid.UUID(span.TraceID())
	}
	return uuid.New()
}

// deadline gives a call that has none the default, and refuses one that could not be answered in time.
func (c *chain) deadline(ctx context.Context) (context.Context, context.CancelFunc, error) {
	until, has := ctx.Deadline()
	if !has {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.DeadlineDefault)
		return ctx, cancel, nil
	}
	if left := until.Sub(c.clock.Now()); left < c.cfg.DeadlineMin {
		return ctx, func() {}, fault.New(fault.Stale, "DEADLINE_TOO_SHORT", "%s are left of the deadline, at least %s are needed", left, c.cfg.DeadlineMin)
	}
	return ctx, func() {}, nil
}

// panicked logs a panic and makes an error without a kind of it.
func (c *chain) panicked(ctx context.Context, method string, p any) error {
	c.logger.ErrorContext(ctx, "panic", "method", method, "panic", p, "stack", string(debug.Stack()))
	return fault.New(fault.Unknown, "PANIC", "panic in %s", method)
}

// finish logs a failure once, whole, and turns it into a status.
func (c *chain) finish(ctx context.Context, method string, started time.Time, err error) error {
	if err == nil {
		return nil
	}
	level := slog.LevelDebug
	switch fault.KindOf(err) {
	case fault.Unknown:
		level = slog.LevelError
		if ctx.Err() != nil {
			level = slog.LevelDebug
		}
	case fault.Corrupt:
		level = slog.LevelError
	case fault.Unavailable, fault.Exhausted:
		level = slog.LevelWarn
	default: // the caller's to mend
	}
	status := Status(err)
	c.logger.Log(ctx, level, "call failed", "method", method, "code", status.Code().String(), "duration", c.clock.Now().Sub(started), "error", err.Error())
	return status.Err()
}

// validStream validates what comes in and carries the admitted context.
type validStream struct {
	grpc.ServerStream
	ctx   context.Context //nolint:containedctx // this is how gRPC hands a stream its context
	chain *chain
	info  *grpc.StreamServerInfo
	// admitted is when the caller was last admitted, in nanoseconds since 1970.
	admitted atomic.Int64
}

// Context is the admitted context.
func (s *validStream) Context() context.Context { return s.ctx }

// RecvMsg reads and validates the next message.
func (s *validStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := s.stillAdmitted(); err != nil {
		return err
	}
	return validate(s.chain.validator, m)
}

// SendMsg sends a message. Where the caller sends too, what it sends is where it is admitted anew: answers to what was taken
// still go out.
func (s *validStream) SendMsg(m any) error {
	if !s.info.IsClientStream {
		if err := s.stillAdmitted(); err != nil {
			return err
		}
	}
	return s.ServerStream.SendMsg(m)
}

// stillAdmitted admits the caller anew, from time to time.
func (s *validStream) stillAdmitted() error {
	now, last := s.chain.clock.Now().UnixNano(), s.admitted.Load()
	if now-last < int64(admittedFor) || !s.admitted.CompareAndSwap(last, now) {
		return nil
	}
	ctx := s.ServerStream.Context()
	md, _ := metadata.FromIncomingContext(ctx)
	_, err := s.chain.access.admit(ctx, md, s.info.FullMethod, s.chain.auth)
	return err
}
