// Package replayer folds logs again: it proves the tables, mends and rebuilds them while appends go on, and tells what was.
package replayer

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
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer/internal/keeper"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/server"
	"github.com/robson/robson/services/replayer/internal/store"
	"github.com/robson/robson/services/replayer/internal/teller"
)

// Name is the service's, in tokens, metrics and pg_stat_activity.
const Name = "replayer"

// databaseConnsMax bounds the connections where the configuration does not: a run takes up to twelve, a question one.
const databaseConnsMax = 32

// The named choices of the service's parts; the zero value of each works.
type (
	// StoreConfig holds the limits of the store.
	StoreConfig = store.Config
	// RebuildConfig bounds runs.
	RebuildConfig = replay.Config
	// HistoryConfig bounds questions about the past.
	HistoryConfig = replay.HistorianConfig
	// KeeperConfig is the pace of validations.
	KeeperConfig = keeper.Config
)

// Config is what the service needs to run. Every field but the first five works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// ServiceToken is what the service presents to eventlog.
	ServiceToken string
	// EventlogAddress is where the log is told of rebuilds: host:port or any gRPC target. Nobody need be there yet.
	EventlogAddress string
	// Database holds the logs, the state and the snapshots. Its Role defaults to robson_replayer, its Application to
	// robson-replayer, its ConnsMax to 32.
	Database postgres.Config
	// Server holds deadlines and sizes of calls.
	Server  rpc.ServerConfig
	Store   StoreConfig
	Rebuild RebuildConfig
	History HistoryConfig
	Keeper  KeeperConfig
}

// Run serves until the context ends, then interrupts the runs under way, which can be resumed, and lets other calls finish. While
// eventlog is away rebuilds go on all the same; the log is told of them when it is back.
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (err error) {
	if cfg.Listener == nil {
		return errors.New("replayer config: Listener is nil")
	}
	defer func() { _ = cfg.Listener.Close() }() // again, where the server has closed it
	defer func() {
		if err != nil {
			err = fmt.Errorf("replayer: %w", err)
		}
	}()
	for name, value := range map[string]string{"ServiceToken": cfg.ServiceToken, "EventlogAddress": cfg.EventlogAddress} {
		if value == "" {
			return fmt.Errorf("config: %s is empty", name)
		}
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
	if cfg.Store.Unfit, err = watch(logger); err != nil {
		return err
	}
	tables, err := store.New(clk, pool, cfg.Store)
	if err != nil {
		return err
	}
	log, hangUp, err := dial(ctx, clk, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	parts, err := assemble(ctx, logger, clk, cfg, tables, teller.New(log))
	if err != nil {
		return err
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return err
	}
	replayerv1.RegisterRebuildServiceServer(rpcs, parts.rebuild)
	replayerv1.RegisterValidationServiceServer(rpcs, parts.validation)
	replayerv1.RegisterHistoryServiceServer(rpcs, parts.history)
	parts.keeper.Start(ctx)
	defer parts.keeper.Stop()
	logger.InfoContext(ctx, "replayer serves", "address", cfg.Listener.Addr().String())
	return rpcs.Serve(ctx, cfg.Listener)
}

// parts are what the service consists of.
type parts struct {
	rebuild    *server.Rebuild
	validation *server.Validation
	history    *server.History
	keeper     *keeper.Keeper
}

func assemble(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config, tables *store.Store, log *teller.Teller) (*parts, error) {
	rebuilder, err := replay.NewRebuilder(clk, tables, log, cfg.Rebuild)
	if err != nil {
		return nil, err
	}
	runner, err := keeper.NewMetered(clk, rebuilder)
	if err != nil {
		return nil, err
	}
	keep, err := keeper.New(logger, clk, runner, rebuilder, tables, cfg.Keeper)
	if err != nil {
		return nil, err
	}
	history, err := server.NewHistory(replay.NewHistorian(tables, cfg.History), ctx.Done())
	if err != nil {
		return nil, err
	}
	return &parts{
		rebuild:    server.NewRebuild(clk, runner, tables, ctx.Done()),
		validation: server.NewValidation(clk, runner, tables, ctx.Done()),
		history:    history, keeper: keep,
	}, nil
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
