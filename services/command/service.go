// Package command takes the decisions of users and bots, and turns what comes of them into the next decisions.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/rpc"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/monitor"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/server"
)

// Name is the service's, in tokens and metrics.
const Name = "command"

// The named choices of the service's parts; the zero value of each works.
type (
	// DecisionConfig says how decisions are taken anew and how long an entry may wait.
	DecisionConfig = server.Config
	// ProcessConfig holds the limits and delays of the process manager.
	ProcessConfig = process.Config
	// MonitorConfig holds the limits and delays of the stop monitor.
	MonitorConfig = monitor.Config
)

// Config is what the service needs to run. Every field but the first six works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// ServiceToken is what the service presents to the others.
	ServiceToken string
	// EventlogAddress, ProjectorAddress and ConnectorAddress are host:port or any gRPC target. Nobody need be there yet.
	EventlogAddress  string
	ProjectorAddress string
	ConnectorAddress string
	// Server holds deadlines and sizes of calls.
	Server    rpc.ServerConfig
	Decisions DecisionConfig
	Process   ProcessConfig
	Monitor   MonitorConfig
}

func (c Config) validate() error {
	for _, needed := range []struct{ name, value string }{
		{"ServiceToken", c.ServiceToken},
		{"EventlogAddress", c.EventlogAddress},
		{"ProjectorAddress", c.ProjectorAddress},
		{"ConnectorAddress", c.ConnectorAddress},
	} {
		if needed.value == "" {
			return fmt.Errorf("command config: %s is empty", needed.name)
		}
	}
	return nil
}

// Run serves until the context ends, then lets running calls finish, and after them the steps under way. The other
// services may come up later or go away meanwhile: calls that need them answer UNAVAILABLE, and what is to be done of
// its own accord is tried again until they are there.
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) error {
	if cfg.Listener == nil {
		return errors.New("command config: Listener is nil")
	}
	served, err := serve(ctx, logger, clk, cfg)
	if !served {
		return errors.Join(err, cfg.Listener.Close()) // The server closes it otherwise.
	}
	return err
}

func serve(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (served bool, err error) {
	if err := cfg.validate(); err != nil {
		return false, err
	}
	tokens, err := identity.Open(cfg.TokenFile, clk, logger)
	if err != nil {
		return false, fmt.Errorf("command: %w", err)
	}
	others, err := dial(cfg)
	if err != nil {
		return false, fmt.Errorf("command: %w", err)
	}
	defer func() { err = errors.Join(err, others.close()) }()
	alerts := &process.Alerts{}
	stops := monitor.New(logger, clk, monitor.Deps{
		Log: others.log, State: others.state, Prices: others.connector, Alerts: alerts,
	}, cfg.Monitor)
	manager := process.New(logger, clk, process.Deps{
		Log: others.log, State: others.state, Connector: others.connector, Watch: stops, Alerts: alerts,
	}, cfg.Process)
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return false, fmt.Errorf("command: %w", err)
	}
	server.New(clk, server.Deps{
		Appender: others.log, Commands: others.log, State: others.state, Market: others.connector,
	}, cfg.Decisions).Register(rpcs)
	server.NewMonitor(manager, stops, alerts).Register(rpcs)

	// What works of its own accord goes on while running calls finish. Both end together: a lane of the process manager
	// may wait for the monitor.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { stops.Run(working) })
	wait.Go(func() { manager.Run(working) })
	defer func() { stop(); wait.Wait() }()
	logger.InfoContext(ctx, "command serves", "address", cfg.Listener.Addr().String())
	if err := rpcs.Serve(ctx, cfg.Listener); err != nil {
		return true, fmt.Errorf("command: %w", err)
	}
	return true, nil
}

// services are the other services, as this one uses them.
type services struct {
	log struct {
		eventlogv1.AppendServiceClient
		eventlogv1.ReadServiceClient
		eventlogv1.WorkerServiceClient
	}
	state     projectorv1.StateServiceClient
	connector struct {
		connectorv1.ExecutionServiceClient
		connectorv1.MarketServiceClient
	}
	conns []*grpc.ClientConn
}

// dial makes the connections; they connect when first used, and again whenever they are lost.
func dial(cfg Config) (*services, error) {
	s := &services{}
	for _, address := range []string{cfg.EventlogAddress, cfg.ProjectorAddress, cfg.ConnectorAddress} {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: address, Token: cfg.ServiceToken})
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.conns = append(s.conns, conn)
	}
	eventlog, projector, connector := s.conns[0], s.conns[1], s.conns[2]
	s.log.AppendServiceClient = eventlogv1.NewAppendServiceClient(eventlog)
	s.log.ReadServiceClient = eventlogv1.NewReadServiceClient(eventlog)
	s.log.WorkerServiceClient = eventlogv1.NewWorkerServiceClient(eventlog)
	s.state = projectorv1.NewStateServiceClient(projector)
	s.connector.ExecutionServiceClient = connectorv1.NewExecutionServiceClient(connector)
	s.connector.MarketServiceClient = connectorv1.NewMarketServiceClient(connector)
	return s, nil
}

func (s *services) close() error {
	var all error
	for _, conn := range s.conns {
		all = errors.Join(all, conn.Close())
	}
	return all
}
