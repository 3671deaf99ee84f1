package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/robson/robson/pkg/clock"
)

// ServerConfig are a server's settings; the zero value works.
type ServerConfig struct {
	// DeadlineDefault is what a call without a deadline gets; default 15 s.
	DeadlineDefault time.Duration
	// DeadlineMin is the least that must be left of a deadline; default 2 ms.
	DeadlineMin time.Duration
	// MessageBytesMax is the largest message that is taken; default 8 MiB.
	MessageBytesMax int
	// WorkersMin is how many goroutines are kept for calls, so that most find a stack that is large enough already; more
	// calls at a time get goroutines of their own. Default 64.
	WorkersMin uint32
	// StopGrace is how long running calls may take once the server is told to stop; default 10 s.
	StopGrace time.Duration
	// KeepaliveMin is how often, at most, clients may ping; default 10 s.
	KeepaliveMin time.Duration
	// TLS are the server's credentials; nil: plain text, for a loopback or a mesh.
	TLS credentials.TransportCredentials
}

func (c ServerConfig) withDefaults() ServerConfig {
	setDefault(&c.DeadlineDefault, 15*time.Second)
	setDefault(&c.DeadlineMin, 2*time.Millisecond)
	setDefault(&c.MessageBytesMax, 8<<20)
	setDefault(&c.WorkersMin, 64)
	setDefault(&c.StopGrace, 10*time.Second)
	setDefault(&c.KeepaliveMin, 10*time.Second)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is a gRPC server with Robson's chain, health and reflection.
type Server struct {
	cfg    ServerConfig
	logger *slog.Logger
	grpc   *grpc.Server
	health *health.Server
	chain  *chain
}

// NewServer makes a server; register services on it, then Serve.
func NewServer(logger *slog.Logger, c clock.Clock, auth Authenticator, cfg ServerConfig) (*Server, error) {
	cfg = cfg.withDefaults()
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make validator: %w", err)
	}
	s := &Server{cfg: cfg, logger: logger, health: health.NewServer(), chain: &chain{cfg: cfg, logger: logger, clock: c, auth: auth, validator: validator}}
	options := []grpc.ServerOption{
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithPropagators(Propagator()))),
		grpc.ChainUnaryInterceptor(s.chain.unary),
		grpc.ChainStreamInterceptor(s.chain.stream),
		grpc.MaxRecvMsgSize(cfg.MessageBytesMax),
		grpc.NumStreamWorkers(cfg.WorkersMin),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.KeepaliveMin, PermitWithoutStream: true}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(cfg.TLS))
	}
	s.grpc = grpc.NewServer(options...)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	return s, nil
}

// RegisterService adds a service; it makes Server a grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, implementation any) {
	s.grpc.RegisterService(desc, implementation)
}

// SetServing tells the health service whether calls are welcome.
func (s *Server) SetServing(serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
}

// Serve answers calls until the context ends, then lets running calls finish for the grace time. A service whose
// contract declares no access for one of its methods is not served at all.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	access, err := declaredAccess(s.grpc.GetServiceInfo())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.chain.access = access
	s.SetServing(true)
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.health.Shutdown()
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	grace := s.chain.clock.NewTimer(s.cfg.StopGrace)
	defer grace.Stop()
	select {
	case <-stopped:
	case <-grace.C():
		s.logger.WarnContext(ctx, "running calls did not finish in time and are cut off", "grace", s.cfg.StopGrace)
		s.grpc.Stop()
		<-stopped
	}
	return <-served
}
