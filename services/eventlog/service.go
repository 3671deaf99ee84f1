// Package eventlog is the only writer of the log: it owns the append-and-project transaction, and serves reads, questions
// and subscriptions.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/commit"
	"github.com/robson/robson/services/eventlog/internal/server"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// Name is the service's, in tokens, metrics and pg_stat_activity.
const Name = "eventlog"

const (
	// databaseConnsMax bounds the connections where the configuration does not.
	databaseConnsMax = 32
	// databaseReadsShare of them are for reads: three eighths.
	databaseReadsShare, databaseShares = 3, 8
)

// The named choices of the service's parts; the zero value of each works.
type (
	// StoreConfig holds the limits of appends and reads, and how far ahead months are made.
	StoreConfig = store.Config
	// CommitConfig bounds the group commit.
	CommitConfig = commit.Config
	// SubscriptionConfig bounds subscriptions.
	SubscriptionConfig = subscription.Config
)

// Config is what the service needs to run. Every field but the first three works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// Database holds the log. Its Role defaults to robson_eventlog, its Application to robson-eventlog, its ConnsMax to 32.
	Database postgres.Config
	// Server holds deadlines and sizes of calls.
	Server        rpc.ServerConfig
	Store         StoreConfig
	Commit        CommitConfig
	Subscriptions SubscriptionConfig
}

// Run serves until the context ends: then subscriptions end, running calls finish, and what was taken in is committed. It
// needs no other service.
func Run(ctx context.Context, logger *slog.Logger, clk clock.Clock, cfg Config) (err error) {
	if cfg.Listener == nil {
		return errors.New("eventlog config: Listener is nil")
	}
	defer func() { _ = cfg.Listener.Close() }() // again, where the server has closed it
	defer func() {
		if err != nil {
			err = fmt.Errorf("eventlog: %w", err)
		}
	}()
	tokens, err := identity.Open(cfg.TokenFile, clk, logger)
	if err != nil {
		return err
	}
	pool, reads, err := pools(ctx, cfg.Database)
	if err != nil {
		return err
	}
	defer reads.Close()
	defer pool.Close()
	cfg.Store.ReadPool = reads
	var hub *subscription.Hub
	cfg.Store.OnCommit = func(c store.Committed) { hub.Committed(c.Tenant, c.Records) }
	log, err := store.New(clk, pool, cfg.Store)
	if err != nil {
		return err
	}
	hub, err = subscription.NewHub(clk, log, cfg.Subscriptions)
	if err != nil {
		return err
	}
	committer, err := commit.New(clk, log, cfg.Commit)
	if err != nil {
		return err
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return err
	}
	eventlogv1.RegisterAppendServiceServer(rpcs, server.NewAppend(logger, clk, committer, log.Limits(), ctx.Done()))
	eventlogv1.RegisterReadServiceServer(rpcs, server.NewRead(log, hub))
	eventlogv1.RegisterWorkerServiceServer(rpcs, server.NewWorker(log, hub))
	eventlogv1.RegisterAuditServiceServer(rpcs, server.NewAudit(clk, log, ctx.Done()))

	working, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer func() { stop(); background.Wait() }()
	background.Go(func() { hub.Run(working) })
	background.Go(func() { log.KeepPartitions(working, logger) })
	committer.Start(ctx)
	defer committer.Stop()
	logger.InfoContext(ctx, "eventlog serves", "address", cfg.Listener.Addr().String())
	return rpcs.Serve(ctx, cfg.Listener)
}

// pools opens the connections of appends, whose statements have one good plan each, and those of reads, whose questions are
// planned for what is asked.
func pools(ctx context.Context, database postgres.Config) (appends, reads *pgxpool.Pool, err error) {
	database = database.ForService(Name, databaseConnsMax)
	database.ByIndex = true
	reading := database
	reading.ConnsMax = max(database.ConnsMax*databaseReadsShare/databaseShares, 1)
	database.ConnsMax, database.PlanOnce = max(database.ConnsMax-reading.ConnsMax, 1), true
	if appends, err = postgres.New(ctx, database); err != nil {
		return nil, nil, err
	}
	if reads, err = postgres.New(ctx, reading); err != nil {
		appends.Close()
		return nil, nil, err
	}
	return appends, reads, nil
}
