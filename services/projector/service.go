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
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/server"
	"github.com/robson/robson/services/projector/internal/store"
)

// Name is the service's, in tokens, metrics and pg_stat_activity.
const Name = "projector"

// databaseConnsMax bounds the connections where the configuration does not.
const databaseConnsMax = 16

// StoreConfig holds the limits of reads; its zero value works.
type StoreConfig = store.Config

// Config is what the service needs to run. Every field but the first three works as zero.
type Config struct {
	// Listener takes the calls. Run closes it.
	Listener net.Listener
	// TokenFile says whom tokens stand for; it is read again when it changes.
	TokenFile string
	// Database holds the projections. Its Role defaults to robson_projector, its Application to robson-projector, its
	// ConnsMax to 16.
	Database postgres.Config
	// Server holds deadlines and sizes of calls.
	Server rpc.ServerConfig
	// Store holds the limits of reads.
	Store StoreConfig
}

// Run serves until the context ends, then lets running calls finish. It needs no other service: state is read from
// PostgreSQL.
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
	state, err := server.NewState(reads)
	if err != nil {
		return err
	}
	rpcs, err := rpc.NewServer(logger, clk, tokens, cfg.Server)
	if err != nil {
		return err
	}
	projectorv1.RegisterStateServiceServer(rpcs, state)
	projectorv1.RegisterAuditServiceServer(rpcs, server.NewAudit(reads))
	logger.InfoContext(ctx, "projector serves", "address", cfg.Listener.Addr().String())
	return rpcs.Serve(ctx, cfg.Listener)
}
