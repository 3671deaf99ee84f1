// Package command takes the decisions of users and bots, and turns what comes of them into the next decisions.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/services/command/internal/monitor"
	"github.com/robson/robson/services/command/internal/peer"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/scout"
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
	// DetectorConfig holds the limits and delays of the built-in detector.
	DetectorConfig = scout.Config
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
	Detector  DetectorConfig
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
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (err error) {
	if cfg.Listener == nil {
		return errors.New("command config: Listener is nil")
	}
	defer func() { _ = cfg.Listener.Close() }() // again, where the server has closed it
	if err := cfg.validate(); err != nil {
		return err
	}
	tokens, err := identity.Open(cfg.TokenFile, clk, logger)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	others, err := peer.Dial(ctx, clk, peer.Addresses{
		Eventlog: cfg.EventlogAddress, Projector: cfg.ProjectorAddress, Connector: cfg.ConnectorAddress,
	}, cfg.ServiceToken)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	defer func() { err = errors.Join(err, others.Close()) }()
	parts, err := assemble(logger, clk, cfg, others)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	parts.decisions.Register(rpcs)
	parts.progress.Register(rpcs)

	// What works of its own accord goes on while running calls finish. Both end together: a lane of the process manager
	// may wait for the monitor.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { parts.stops.Run(working) })
	wait.Go(func() { parts.detector.Run(working) })
	wait.Go(func() { parts.manager.Run(working) })
	defer func() { stop(); wait.Wait() }()
	logger.InfoContext(ctx, "command serves", "address", cfg.Listener.Addr().String())
	if err := rpcs.Serve(ctx, cfg.Listener); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	return nil
}

// parts are what the service consists of.
type parts struct {
	decisions *server.Server
	progress  *server.Monitor
	manager   *process.Manager
	stops     *monitor.Monitor
	detector  *scout.Scout
}

func assemble(logger *slog.Logger, clk clock.Clock, cfg Config, others *peer.Peers) (*parts, error) {
	alerts, err := process.NewAlerts()
	if err != nil {
		return nil, err
	}
	stops, err := monitor.New(logger, clk, monitor.Deps{
		Log: others.Log, State: others.State, Prices: others.Connector, Alerts: alerts,
	}, cfg.Monitor)
	if err != nil {
		return nil, err
	}
	watching, err := scout.New(logger, clk, scout.Deps{
		Log: others.Log, State: others.State, Market: others.Connector, Alerts: alerts,
	}, cfg.Detector)
	if err != nil {
		return nil, err
	}
	decisions, err := server.New(clk, server.Deps{
		Appender: others.Log, Commands: others.Log, State: others.State, Market: others.Connector,
	}, cfg.Decisions)
	if err != nil {
		return nil, err
	}
	manager, err := process.New(logger, clk, process.Deps{
		Log: others.Log, State: others.State, Connector: others.Connector, Watch: process.Watchers{stops, watching},
		Signals: decisions, Alerts: alerts,
	}, cfg.Process)
	if err != nil {
		return nil, err
	}
	return &parts{
		decisions: decisions, progress: server.NewMonitor(manager, stops, watching, alerts), manager: manager, stops: stops, detector: watching,
	}, nil
}
