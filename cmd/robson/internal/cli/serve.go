package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/stack"
	"github.com/robson/robson/pkg/clock"
)

// serveFlags are what a service that runs alone is told.
type serveFlags struct {
	listen, admin, databaseURL, tokenFile, serviceTokenFile string
	addresses                                               map[string]*string
}

func (f *serveFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "where to listen (default: the service's own port on 127.0.0.1)")
	flags.StringVar(&f.admin, "admin-listen", "", "where to answer /metrics and /healthz; empty: nowhere")
	flags.StringVar(&f.databaseURL, "database-url", "", "PostgreSQL, for services that have one")
	flags.StringVar(&f.tokenFile, "token-file", "", "who may call: the hashes of tokens; required")
	flags.StringVar(&f.serviceTokenFile, "service-token-file", "", "the token that this service presents to others; required")
	f.addresses = map[string]*string{}
	for _, name := range []string{client.Command, client.Eventlog, client.Projector, client.Connector} {
		f.addresses[name] = flags.String(name+"-address", client.DefaultAddresses[name], "where "+name+" is")
	}
}

// serve runs one service until the context ends.
func (f *serveFlags) serve(ctx context.Context, app *App, name string) error {
	settings, err := f.settings(ctx, app, name)
	if err != nil {
		return err
	}
	tel, stop, err := setUpTelemetry(ctx, app, "robson-"+name)
	if err != nil {
		return err
	}
	defer stop()
	settings.Logger = tel.Logger.With("service", name)
	group, ctx := errgroup.WithContext(ctx)
	if f.admin != "" {
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", f.admin)
		if err != nil {
			return fmt.Errorf("listen for metrics: %w", err)
		}
		group.Go(func() error { return tel.ServeAdmin(ctx, listener) })
	}
	settings.Logger.InfoContext(ctx, "serving", "address", settings.Listener.Addr().String())
	group.Go(func() error { return stack.Serve(ctx, name, *settings) })
	return group.Wait()
}

// settings reads what the service needs.
func (f *serveFlags) settings(ctx context.Context, app *App, name string) (*stack.Settings, error) {
	address, known := client.DefaultAddresses[name]
	if !known {
		return nil, usagef("there is no service %q: command, eventlog, projector or connector", name)
	}
	if f.tokenFile == "" || f.serviceTokenFile == "" {
		return nil, usagef("--token-file and --service-token-file must be given (or ROBSON_TOKEN_FILE, ROBSON_SERVICE_TOKEN_FILE)")
	}
	token, err := os.ReadFile(f.serviceTokenFile)
	if err != nil {
		return nil, fmt.Errorf("read the service's token: %w", err)
	}
	if f.listen != "" {
		address = f.listen
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	addresses := map[string]string{}
	for other, at := range f.addresses {
		addresses[other] = *at
	}
	return &stack.Settings{
		Listener: listener, DatabaseURL: f.databaseURL, TokenFile: f.tokenFile, ServiceToken: strings.TrimSpace(string(token)),
		Addresses: addresses, DataDir: app.dataDir, Clock: clock.System(),
	}, nil
}
