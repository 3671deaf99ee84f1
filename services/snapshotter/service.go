// Package snapshotter checkpoints the state of accounts, strategies and positions, and proves each snapshot before anybody uses it.
package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/logclient"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/snapshot"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/server"
	"github.com/robson/robson/services/snapshotter/internal/store"
	"github.com/robson/robson/services/snapshotter/internal/teller"
	"github.com/robson/robson/services/snapshotter/internal/worker"
)

// Name is the service's, in tokens, metrics and pg_stat_activity.
const Name = "snapshotter"

// databaseConnsMax bounds the connections where the configuration does not.
const databaseConnsMax = 8

// StoreConfig holds the limits of the store, WorkerConfig those of making what is due; their zero values work.
type (
	StoreConfig  = store.Config
	WorkerConfig = worker.Config
)

// Config is what the service needs to run. Every field but the first five works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// ServiceToken is what the service presents to eventlog.
	ServiceToken string
	// EventlogAddress is where the log is told of snapshots: host:port or any gRPC target.
	EventlogAddress string
	// Database holds the state, the log and the snapshots. Its Role defaults to robson_snapshotter, its Application to
	// robson-snapshotter, its ConnsMax to 8.
	Database postgres.Config
	// Server holds deadlines and sizes of calls.
	Server rpc.ServerConfig
	// Store holds the limits of the store.
	Store StoreConfig
	// Worker holds the pace of making what is due.
	Worker WorkerConfig
	// Snapshot holds the limits of a snapshot's text.
	Snapshot snapshot.Config
}

// Run serves until the context ends, then lets running calls finish and stops making what is due. While eventlog is away snapshots
// are made all the same, and told when it is back.
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (err error) {
	if cfg.Listener == nil {
		return errors.New("snapshotter config: Listener is nil")
	}
	defer func() { _ = cfg.Listener.Close() }() // again, where the server has closed it
	defer func() {
		if err != nil {
			err = fmt.Errorf("snapshotter: %w", err)
		}
	}()
	if cfg.ServiceToken == "" {
		return errors.New("config: ServiceToken is empty")
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
	shelf, err := store.New(pool, cfg.Store)
	if err != nil {
		return err
	}
	log, hangUp, err := dial(ctx, clk, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	maker, err := checkpoint.NewMaker(shelf, shelf, teller.New(log), cfg.Snapshot)
	if err != nil {
		return err
	}
	watch, err := worker.NewWatch(logger)
	if err != nil {
		return err
	}
	checker := checkpoint.NewChecker(shelf, watch)
	work, err := worker.New(logger, clk, shelf, maker, cfg.Worker)
	if err != nil {
		return err
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return err
	}
	servers := server.New(server.Deps{
		Clock: clk, Store: shelf, Maker: maker, Checker: checker,
		Verifier: checkpoint.NewVerifier(shelf, checker), Pruner: checkpoint.NewPruner(shelf, checker), Stopping: ctx.Done(),
	})
	snapshotterv1.RegisterReadServiceServer(rpcs, servers.Read)
	snapshotterv1.RegisterStateServiceServer(rpcs, servers.State)
	snapshotterv1.RegisterOperateServiceServer(rpcs, servers.Operate)
	if err := work.Start(ctx); err != nil {
		return err
	}
	defer work.Stop()
	logger.InfoContext(ctx, "snapshotter serves", "address", cfg.Listener.Addr().String())
	return rpcs.Serve(ctx, cfg.Listener)
}

// dial connects to eventlog; it makes no call yet.
func dial(ctx context.Context, clk clock.Clock, cfg Config) (log *logclient.Client, hangUp func() error, err error) {
	conn, err := rpc.Dial(rpc.ClientConfig{Address: cfg.EventlogAddress, Token: cfg.ServiceToken, ByTenant: true})
	if err != nil {
		return nil, nil, err
	}
	log, err = logclient.New(ctx, clk, conn, logclient.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return log, func() error {
		log.Close()
		return conn.Close()
	}, nil
}
