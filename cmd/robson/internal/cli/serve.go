package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
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
	connector                                               connectorFlags
}

// serveCommand runs one service.
func serveCommand(app *App) *cobra.Command {
	var settings serveFlags
	services := strings.Join(servedServices, ", ")
	cmd := &cobra.Command{
		Use: "serve SERVICE", Short: "Run one service: " + services, Args: oneArg("SERVICE, one of " + services),
		ValidArgs: servedServices,
		Example: indent("robson serve eventlog --listen 0.0.0.0:7402 --database-url postgres://robson@db:5432/robson \\\n" +
			"  --token-file tokens.json --service-token-file eventlog.token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := settings.connector.prepare(); err != nil {
				return err
			}
			ctx, stopSignals := app.signaled(cmd.Context())
			defer stopSignals()
			return settings.serve(ctx, app, args[0])
		},
	}
	settings.register(cmd)
	return cmd
}

func (f *serveFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", "", "where to listen (default: the service's own port on 127.0.0.1)")
	flags.StringVar(&f.admin, "admin-listen", "", "where to answer /metrics and /healthz (default: nowhere)")
	flags.StringVar(&f.databaseURL, "database-url", "", "PostgreSQL; required for eventlog, projector, snapshotter and replayer, whose roles its login must be able to take")
	flags.StringVar(&f.tokenFile, "token-file", "", "who may call: the hashes of tokens; required")
	flags.StringVar(&f.serviceTokenFile, "service-token-file", "", "the token that this service presents to others; required for all but eventlog")
	f.connector.register(cmd)
	f.addresses = map[string]*string{}
	for _, name := range servedServices {
		f.addresses[name] = flags.String(name+"-address", client.DefaultAddresses[name], "where "+name+" is")
	}
}

// serve runs one service until the context ends.
func (f *serveFlags) serve(ctx context.Context, app *App, name string) error {
	settings, err := f.settings(app, name)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	settings.Listener, err = config.Listen(ctx, "tcp", f.address(name))
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	tuneCollector(name)
	tel, stop, err := setUpTelemetry(ctx, app, "robson-"+name)
	if err != nil {
		return errors.Join(err, settings.Listener.Close())
	}
	defer stop()
	settings.Logger = tel.Logger.With("service", name)
	group, ctx := errgroup.WithContext(ctx)
	if f.admin != "" {
		listener, err := config.Listen(ctx, "tcp", f.admin)
		if err != nil {
			return errors.Join(fmt.Errorf("--admin-listen: %w", err), settings.Listener.Close())
		}
		group.Go(func() error { return tel.ServeAdmin(ctx, listener) })
	}
	group.Go(func() error { return stack.Serve(ctx, name, *settings) })
	return group.Wait()
}

// Of the replayer's process: what a fold leaves behind is short-lived and much, what it holds is little.
const (
	replayerGCPercent   = 300
	replayerMemoryLimit = 400 << 20
)

// tuneCollector lets the replayer collect seldom as long as it is far below its bound, unless GOGC or GOMEMLIMIT say otherwise.
func tuneCollector(name string) {
	if name != client.Replayer {
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(replayerGCPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(replayerMemoryLimit)
	}
}

// address is where a service listens.
func (f *serveFlags) address(name string) string {
	if f.listen != "" {
		return f.listen
	}
	return client.DefaultAddresses[name]
}

// settings reads what the service needs, and says all that is missing by the flag's name.
func (f *serveFlags) settings(app *App, name string) (*stack.Settings, error) {
	stores, calls := stack.HasDatabase(name), stack.CallsOthers(name)
	if !stores && !calls {
		return nil, usagef("there is no service %q: one of %s", name, strings.Join(servedServices, ", "))
	}
	var missing []string
	for _, needed := range []struct {
		flag, value string
		by          bool
	}{{"--token-file", f.tokenFile, true}, {"--service-token-file", f.serviceTokenFile, calls}, {"--database-url", f.databaseURL, stores}} {
		if needed.by && needed.value == "" {
			missing = append(missing, fmt.Sprintf("%s (or %s)", needed.flag, variableOf(strings.TrimPrefix(needed.flag, "--"))))
		}
	}
	if len(missing) > 0 {
		return nil, usagef("serve %s needs %s", name, strings.Join(missing, ", "))
	}
	settings := &stack.Settings{DatabaseURL: f.databaseURL, TokenFile: f.tokenFile, Addresses: map[string]string{}, DataDir: app.dataDir, Connector: f.connector.settings, Clock: clock.System()}
	for other, at := range f.addresses {
		settings.Addresses[other] = *at
	}
	if calls {
		token, err := os.ReadFile(f.serviceTokenFile)
		if err != nil {
			return nil, usagef("--service-token-file: %s", err)
		}
		settings.ServiceToken = strings.TrimSpace(string(token))
		if settings.ServiceToken == "" {
			return nil, usagef("--service-token-file: %s is empty", f.serviceTokenFile)
		}
	}
	return settings, nil
}
