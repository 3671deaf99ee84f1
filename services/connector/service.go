// Package connector is the only one that speaks to venues: it executes intents, at most once each, and brings what the
// venues report into the log.
package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/logclient"
	"github.com/robson/robson/pkg/rpc"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/executor"
	"github.com/robson/robson/services/connector/internal/follower"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/reconcile"
	"github.com/robson/robson/services/connector/internal/server"
)

// Name is the service's, in tokens and metrics.
const Name = "connector"

// Run serves until the context ends, then lets running calls finish, stops following and asking, and gives the paper
// venue back. While eventlog or projector are away it serves all the same: what needs them is answered UNAVAILABLE, and
// what the venue reports stays there until they are back.
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (err error) {
	if cfg.Listener == nil {
		return errors.New("connector config: Listener is nil")
	}
	defer func() { _ = cfg.Listener.Close() }() // again, where the server has closed it
	defer func() {
		if err != nil {
			err = fmt.Errorf("connector: %w", err)
		}
	}()
	if cfg.ServiceToken == "" {
		return errors.New("config: ServiceToken is empty")
	}
	tokens, err := identity.Open(cfg.TokenFile, clk, logger)
	if err != nil {
		return err
	}
	instruments, err := cfg.instruments()
	if err != nil {
		return err
	}
	cfg.Paper.Dir = cfg.DataDir
	node, err := paper.New(logger, clk, cfg.Paper)
	if err != nil {
		return err
	}
	books, hangUp, err := dial(ctx, clk, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	venue := paper.NewVenue(node)
	live, liveParts, err := cfg.Binance.live(logger, clk, books)
	if err != nil {
		return err
	}
	desk := line.NewDesk(venue, live...)
	exec, err := executor.New(logger, clk, books, desk, cfg.Executor)
	if err != nil {
		return err
	}
	reconciler, err := reconcile.New(logger, clk, books, desk, cfg.Reconcile)
	if err != nil {
		return err
	}
	follow, err := follows(logger, clk, cfg, books, desk, exec, reconciler)
	if err != nil {
		return err
	}
	rpcs, err := register(logger, clk, tokens, cfg, server.Deps{
		Ledger: books, Desk: desk, Executor: exec, Follower: follow, Paper: venue, Stopping: ctx.Done(),
	}, reconciler)
	if err != nil {
		return err
	}
	for _, part := range slices.Concat([]part{node}, liveParts, []part{exec, reconciler, follow}) {
		if err := part.Start(ctx); err != nil {
			return err
		}
		defer part.Stop() // the last one started first
	}
	if len(instruments) > 0 {
		if err := venue.SetInstruments(ctx, instruments); err != nil {
			return fmt.Errorf("list instruments: %w", err)
		}
	}
	logger.InfoContext(ctx, "connector serves", "address", cfg.Listener.Addr().String())
	return rpcs.Serve(ctx, cfg.Listener)
}

// follows makes what follows the accounts: after a gap it asks about every live order and has the account reconciled.
func follows(
	logger *slog.Logger, clk clock.Clock, cfg Config, books *ledger.Ledger, desk *line.Desk, exec *executor.Executor, reconciler *reconcile.Manager,
) (*follower.Manager, error) {
	follow, err := follower.New(logger, clk, books, desk, func(ctx context.Context, account string) error {
		if err := exec.CatchUp(ctx, account); err != nil {
			return err
		}
		return reconciler.Reconnected(ctx, account)
	}, cfg.Follower)
	if err != nil {
		return nil, err
	}
	books.OnFill(follow.Filled)
	return follow, nil
}

// dial connects to our own side. It makes no call yet.
func dial(ctx context.Context, clk clock.Clock, cfg Config) (books *ledger.Ledger, hangUp func() error, err error) {
	eventlog, err := rpc.Dial(rpc.ClientConfig{Address: cfg.EventlogAddress, Token: cfg.ServiceToken, ByTenant: true})
	if err != nil {
		return nil, nil, err
	}
	projector, err := rpc.Dial(rpc.ClientConfig{Address: cfg.ProjectorAddress, Token: cfg.ServiceToken})
	if err != nil {
		return nil, nil, errors.Join(err, eventlog.Close())
	}
	appends, err := logclient.New(ctx, clk, eventlog, logclient.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, eventlog.Close(), projector.Close())
	}
	hangUp = func() error {
		appends.Close()
		return errors.Join(eventlog.Close(), projector.Close())
	}
	books, err = ledger.New(clk, ledger.Deps{
		Appender: appends, Reader: eventlogv1.NewReadServiceClient(eventlog),
		Workers: eventlogv1.NewWorkerServiceClient(eventlog), State: projectorv1.NewStateServiceClient(projector),
	}, cfg.Ledger)
	if err != nil {
		return nil, nil, errors.Join(err, hangUp())
	}
	return books, hangUp, nil
}

// register makes the server with its services.
func register(logger *slog.Logger, clk clock.Clock, tokens rpc.Authenticator, cfg Config, deps server.Deps, reconciler server.Reconciler) (*rpc.Server, error) {
	market, err := server.NewMarket(deps, cfg.Calls)
	if err != nil {
		return nil, err
	}
	paperService, err := server.NewPaper(deps, cfg.Calls)
	if err != nil {
		return nil, err
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return nil, err
	}
	connectorv1.RegisterExecutionServiceServer(rpcs, server.NewExecution(deps))
	connectorv1.RegisterMarketServiceServer(rpcs, market)
	connectorv1.RegisterPaperServiceServer(rpcs, paperService)
	connectorv1.RegisterReconciliationServiceServer(rpcs, server.NewReconciliation(reconciler))
	return rpcs, nil
}
