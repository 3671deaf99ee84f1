// Package projector serves the current state of tenants, and the view that a decision rests on.
package projector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/server"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/watch"
)

// Name is the service's, in tokens, metrics and pg_stat_activity.
const Name = "projector"

// databaseConnsMax bounds the connections where the configuration does not.
const databaseConnsMax = 16

// StoreConfig holds the limits of reads; its zero value works.
type StoreConfig = store.Config

// WatchConfig holds the limits of watching; its zero value works.
type WatchConfig = watch.Config

// Config is what the service needs to run. Every field but the first five works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// ServiceToken is what the service presents to eventlog, which is at EventlogAddress: host:port or any gRPC target. Nobody
	// need be there yet.
	ServiceToken    string
	EventlogAddress string
	// Database holds the projections. Its Role defaults to robson_projector, its Application to robson-projector, its
	// ConnsMax to 16.
	Database postgres.Config
	// Server holds deadlines and sizes of calls.
	Server rpc.ServerConfig
	// Store holds the limits of reads.
	Store StoreConfig
	// Watch holds the limits of watching.
	Watch WatchConfig
}

// Run serves until the context ends, then lets running calls finish; watchers are sent away at once. State is read from
// PostgreSQL and needs no other service; watching needs eventlog, and answers UNAVAILABLE while it is away.
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (err error) {
	if cfg.Listener == nil {
		return errors.New("projector config: Listener is nil")
	}
	defer func() { _ = cfg.Listener.Close() }() // again, where the server has closed it
	defer func() {
		if err != nil {
			err = fmt.Errorf("projector: %w", err)
		}
	}()
	if cfg.ServiceToken == "" || cfg.EventlogAddress == "" {
		return errors.New("config: ServiceToken and EventlogAddress must be set")
	}
	tokens, err := identity.Open(cfg.TokenFile, clk, logger)
	if err != nil {
		return err
	}
	database := cfg.Database.ForService(Name, databaseConnsMax)
	database.ByIndex = true
	pool, err := postgres.New(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	reads, err := store.New(clk, pool, cfg.Store)
	if err != nil {
		return err
	}
	log, err := rpc.Dial(rpc.ClientConfig{Address: cfg.EventlogAddress, Token: cfg.ServiceToken, ByTenant: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	hub, err := watch.New(ctx, clk, reads, eventlogv1.NewReadServiceClient(log), cfg.Watch)
	if err != nil {
		return err
	}
	defer hub.Close()
	// A watcher never finishes by itself.
	defer context.AfterFunc(ctx, hub.Close)()
	rpcs, err := register(logger, clk, tokens, cfg.Server, reads, hub)
	if err != nil {
		return err
	}
	logger.InfoContext(ctx, "projector serves", "address", cfg.Listener.Addr().String())
	return rpcs.Serve(ctx, cfg.Listener)
}

// register makes the server of all RPCs.
func register(logger *slog.Logger, clk clock.Clock, tokens *identity.Store, cfg rpc.ServerConfig, reads *store.Store, hub *watch.Hub) (*rpc.Server, error) {
	state, err := server.NewState(reads)
	if err != nil {
		return nil, err
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg)
	if err != nil {
		return nil, err
	}
	projectorv1.RegisterStateServiceServer(rpcs, state)
	projectorv1.RegisterAuditServiceServer(rpcs, server.NewAudit(reads))
	projectorv1.RegisterWatchServiceServer(rpcs, server.NewWatch(state, hub))
	return rpcs, nil
}
