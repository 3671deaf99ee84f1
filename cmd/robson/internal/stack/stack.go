// Package stack runs Robson's services: one by one, or all of them with a private PostgreSQL for a laptop.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres/migrate"
	"github.com/robson/robson/pkg/postgres/private"
)

// Limits of starting and stopping a stack.
const (
	readyMax = 60 * time.Second
	stopMax  = 45 * time.Second
	database = "robson"
)

// DatabaseDir is the private PostgreSQL's place in a data directory.
const DatabaseDir = "postgres"

// startOrder is the order in which the services start, so that each finds those it talks to; they stop the other way.
var startOrder = []string{client.Eventlog, client.Projector, client.Snapshotter, client.Replayer, client.Connector, client.Command}

// Config says what to run and where.
type Config struct {
	// DataDir keeps database, tokens, profile and the paper venue's journal; it survives restarts.
	DataDir string
	// DatabaseURL is a PostgreSQL to use instead of a private one.
	DatabaseURL string
	// Addresses to listen on, by service; a service without one gets its default; port 0 a free one.
	Addresses map[string]string
	// Connector is what the connector alone is told.
	Connector ConnectorSettings
	// Out is where the stack says what it does; nil: nowhere.
	Out    io.Writer
	Logger *slog.Logger
	Clock  clock.Clock
}

// Stack is a running stack.
type Stack struct {
	cfg      Config
	server   *private.Server
	database string
	// listeners are those that no service has taken over yet.
	listeners map[string]net.Listener
	group     *errgroup.Group
	cancel    []context.CancelFunc
	done      []chan struct{}
	failed    context.Context //nolint:containedctx // ends when a service fails: the group's own
	told      bool            // the group's failure has been returned: it is not to be told twice
}

// Up starts everything and returns once every service answers. The caller stops it with Stop.
func Up(ctx context.Context, cfg Config) (*Stack, error) {
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil { //nolint:gosec // the database's own user must reach its part of it; secrets are 0600
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	s := &Stack{cfg: cfg}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// start brings everything up in order.
func (s *Stack) start(ctx context.Context) error {
	addresses, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if err := s.startDatabase(ctx); err != nil {
		return err
	}
	if err := migrate.Up(ctx, s.database); err != nil {
		return fmt.Errorf("bring the schema up: %w", err)
	}
	secrets, err := loadOrMint(s.cfg.DataDir)
	if err != nil {
		return err
	}
	s.group, s.failed = errgroup.WithContext(context.WithoutCancel(ctx))
	for _, name := range startOrder {
		settings := Settings{
			Listener: s.listeners[name], DatabaseURL: s.database, TokenFile: secrets.tokenFile, ServiceToken: secrets.services[name],
			Addresses: addresses, DataDir: s.cfg.DataDir, Connector: s.cfg.Connector, Logger: s.cfg.Logger.With("service", name), Clock: s.cfg.Clock,
		}
		delete(s.listeners, name)
		s.run(s.failed, name, settings) //nolint:contextcheck // a service outlives the start: it ends with the stack
		if err := s.awaitReady(ctx, name, addresses[name]); err != nil {
			return err
		}
		fmt.Fprintf(s.cfg.Out, "  %-11s %s\n", name, addresses[name])
	}
	return client.Profile{Addresses: addresses, Token: secrets.owner, TenantID: secrets.tenantID}.Save(s.cfg.DataDir)
}

// run starts one service, so that it can be stopped alone.
func (s *Stack) run(ctx context.Context, name string, settings Settings) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	s.cancel, s.done = append(s.cancel, cancel), append(s.done, done)
	s.group.Go(func() error {
		defer close(done)
		if err := Serve(ctx, name, settings); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// awaitReady waits until a service's health says that it serves.
func (s *Stack) awaitReady(ctx context.Context, name, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyMax)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- Healthy(ctx, address) }()
	select {
	case err := <-ready:
		if err != nil {
			return fmt.Errorf("%s does not become ready: %w", name, err)
		}
		return nil
	case <-s.failed.Done():
		return s.failure()
	}
}

// startDatabase starts the private PostgreSQL, or takes the one that is named.
func (s *Stack) startDatabase(ctx context.Context) error {
	if s.cfg.DatabaseURL != "" {
		s.database = s.cfg.DatabaseURL
		return nil
	}
	var err error
	s.server, err = private.Start(ctx, private.Config{Dir: filepath.Join(s.cfg.DataDir, DatabaseDir), Logger: s.cfg.Logger})
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := s.server.EnsureDatabase(ctx, database); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	s.database = s.server.URL(database)
	how := "started"
	if s.server.Adopted() {
		how = "taken over from a run that was killed"
	}
	fmt.Fprintf(s.cfg.Out, "  %-11s %s, in %s\n", "postgresql", how, filepath.Join(s.cfg.DataDir, DatabaseDir))
	return nil
}

// listen opens every service's address first, so that one that is taken is told before anything starts.
func (s *Stack) listen(ctx context.Context) (map[string]string, error) {
	s.listeners = map[string]net.Listener{}
	addresses := map[string]string{}
	var config net.ListenConfig
	for _, name := range startOrder {
		address := s.cfg.Addresses[name]
		if address == "" {
			address = client.DefaultAddresses[name]
		}
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen for %s: %w (is another `robson up` running? --%s-listen takes another address)", name, err, name)
		}
		s.listeners[name], addresses[name] = listener, listener.Addr().String()
	}
	return addresses, nil
}

// failure waits for the services to end and gives their first failure, once.
func (s *Stack) failure() error {
	err := s.group.Wait()
	if s.told {
		return nil
	}
	s.told = err != nil
	return err
}

// Wait returns when a service or the database fails, or when the context ends.
func (s *Stack) Wait(ctx context.Context) error {
	var ended <-chan struct{}
	if s.server != nil {
		ended = s.server.Ended()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.failed.Done():
		return s.failure()
	case <-ended:
		return fmt.Errorf("PostgreSQL has ended; its log is %s", s.server.LogFile())
	}
}

// Stop stops the services, the last started first, each with time to finish its calls, and then the database.
func (s *Stack) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopMax)
	defer cancel()
	var errs []error
	for _, listener := range s.listeners {
		errs = append(errs, listener.Close())
	}
	for i := len(s.cancel) - 1; i >= 0; i-- {
		s.cancel[i]()
		select {
		case <-s.done[i]:
		case <-ctx.Done():
		}
	}
	switch {
	case ctx.Err() != nil:
		errs = append(errs, fmt.Errorf("the services did not stop within %s", stopMax))
	case s.group != nil:
		errs = append(errs, s.failure())
	}
	if s.server != nil {
		// The database is stopped in any case: what is committed is committed.
		errs = append(errs, s.server.Stop(context.WithoutCancel(ctx)))
	}
	return errors.Join(errs...)
}
