package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/demo"
	"github.com/robson/robson/cmd/robson/internal/stack"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres/migrate"
	"github.com/robson/robson/pkg/postgres/private"
	"github.com/robson/robson/pkg/telemetry"
)

// healthMax is how long `robson health` asks.
const healthMax = 3 * time.Second

// runCommands run services, and look after what they need.
func runCommands(app *App) []*cobra.Command {
	return []*cobra.Command{upCommand(app), downCommand(app), demoCommand(app), serveCommand(app), migrateCommand(app), healthCommand(app)}
}

// signaled ends with Ctrl-C or SIGTERM, so that everything stops in order.
func signaled(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// setUpTelemetry sets up logs, traces and metrics; stop sends what is left.
func setUpTelemetry(ctx context.Context, app *App, name string) (*telemetry.Telemetry, func(), error) {
	tel, err := telemetry.Setup(ctx, telemetry.Config{Service: name, LogWriter: app.err, LogJSON: app.logJSON, LogLevel: app.logLevel})
	if err != nil {
		return nil, nil, err
	}
	stop := func() {
		if err := tel.Shutdown(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintf(app.err, "telemetry: %s\n", err)
		}
	}
	return tel, stop, nil
}

// stackFlags are the flags of running a whole stack.
type stackFlags struct {
	databaseURL string
	listen      map[string]*string
}

func (f *stackFlags) register(cmd *cobra.Command) {
	f.listen = map[string]*string{}
	cmd.Flags().StringVar(&f.databaseURL, "database-url", "", "use this PostgreSQL instead of a private one")
	for _, name := range []string{client.Command, client.Eventlog, client.Projector, client.Connector} {
		f.listen[name] = cmd.Flags().String(name+"-listen", client.DefaultAddresses[name], "where "+name+" listens; port 0: a free one")
	}
}

func (f *stackFlags) addresses() map[string]string {
	addresses := map[string]string{}
	for name, address := range f.listen {
		addresses[name] = *address
	}
	return addresses
}

// upCommand runs all services until it is told to stop.
func upCommand(app *App) *cobra.Command {
	var flags stackFlags
	cmd := &cobra.Command{
		Use: "up", Short: "Run all services, with a private PostgreSQL that keeps its data", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stopSignals := signaled(cmd.Context())
			defer stopSignals()
			tel, stop, err := setUpTelemetry(ctx, app, "robson")
			if err != nil {
				return err
			}
			defer stop()
			fmt.Fprintf(app.out, "starting, data in %s\n", app.dataDir)
			s, err := stack.Up(ctx, stack.Config{DataDir: app.dataDir, DatabaseURL: flags.databaseURL, Addresses: flags.addresses(), Out: app.out, Logger: tel.Logger, Clock: clock.System()})
			if err != nil {
				return err
			}
			profile, err := client.LoadProfile(app.dataDir)
			if err != nil {
				return errors.Join(err, s.Stop(ctx))
			}
			fmt.Fprintf(app.out, "ready. Tenant %s; the token is in %s\n", profile.TenantID, client.ProfilePath(app.dataDir))
			fmt.Fprintf(app.out, "in another terminal:  robson --data-dir %s demo --attach\nCtrl-C stops; the data stays.\n", app.dataDir)
			waited := s.Wait(ctx)
			fmt.Fprintln(app.out, "stopping")
			return errors.Join(waited, s.Stop(context.WithoutCancel(ctx)))
		},
	}
	flags.register(cmd)
	return cmd
}

// downCommand stops the database that a killed `up` left behind.
func downCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Stop the PostgreSQL that a killed `robson up` left behind; the data stays", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stopped, err := private.StopLeftBehind(cmd.Context(), private.Config{Dir: filepath.Join(app.dataDir, "postgres")})
			if err != nil {
				return err
			}
			if stopped {
				fmt.Fprintln(app.out, "stopped")
			} else {
				fmt.Fprintf(app.out, "nothing is running in %s\n", app.dataDir)
			}
			return nil
		},
	}
}

// demoCommand plays the whole life of an order.
func demoCommand(app *App) *cobra.Command {
	var flags stackFlags
	var marketData string
	var attach bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Watch the whole life of an order, and prove it", Args: cobra.NoArgs,
		Long: "Starts a stack of its own in a fresh directory (or, with --attach, uses the one that is running), registers a tenant,\n" +
			"accounts and a strategy, replays market data through the paper venue, trades on it, and ends with a proof: the tables\n" +
			"against the fold of the log, the log against its hash chain, the P&L against the fills. The exit status says whether all held.\n\n" +
			"Entries are picked by looking ahead in the data: choreography, not a strategy.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stopSignals := signaled(cmd.Context())
			defer stopSignals()
			if attach {
				return app.playDemo(ctx, marketData)
			}
			return app.demoWithStack(ctx, &flags, marketData)
		},
	}
	cmd.Flags().StringVar(&marketData, "market-data", "auto", "a file of Binance klines; auto: the public endpoint, or a synthetic path")
	cmd.Flags().BoolVar(&attach, "attach", false, "use the stack that is running")
	cmd.Flags().StringVar(&flags.databaseURL, "database-url", "", "use this PostgreSQL instead of a private one")
	return cmd
}

// demoWithStack plays the demo on a stack of its own, in a directory that is made for it and taken away if all held.
func (a *App) demoWithStack(ctx context.Context, flags *stackFlags, marketData string) (err error) {
	if marketData != "" && marketData != "auto" {
		if _, err := os.Stat(marketData); err != nil {
			return usagef("--market-data: %s", err)
		}
	}
	dir, err := os.MkdirTemp("", "robson-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the database's own user must reach its part of it
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "services.log"))
	if err != nil {
		return fmt.Errorf("make the services' log: %w", err)
	}
	quiet := *a
	quiet.err = log
	tel, stop, err := setUpTelemetry(ctx, &quiet, "robson")
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(a.out, "── a stack of its own in %s\n", dir)
	free := map[string]string{}
	for name := range client.DefaultAddresses {
		free[name] = "127.0.0.1:0"
	}
	s, err := stack.Up(ctx, stack.Config{DataDir: dir, DatabaseURL: flags.databaseURL, Addresses: free, Out: a.out, Logger: tel.Logger, Clock: clock.System()})
	if err != nil {
		return err
	}
	a.options.DataDir = dir
	err = errors.Join(a.playDemo(ctx, marketData), s.Stop(context.WithoutCancel(ctx)), log.Close())
	if err != nil {
		fmt.Fprintf(a.out, "what the services said is in %s\n", log.Name())
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear up after the demo: %w", err)
	}
	return nil
}

// playDemo plays the demo on the stack that the options lead to.
func (a *App) playDemo(ctx context.Context, marketData string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	d, err := demo.New(c, demo.Config{MarketData: marketData, Out: a.out, Clock: clock.System()})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// serveCommand runs one service.
func serveCommand(app *App) *cobra.Command {
	var settings serveFlags
	cmd := &cobra.Command{
		Use: "serve SERVICE", Short: "Run one service: command, eventlog, projector or connector", Args: cobra.ExactArgs(1),
		ValidArgs: []string{client.Command, client.Eventlog, client.Projector, client.Connector},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stopSignals := signaled(cmd.Context())
			defer stopSignals()
			return settings.serve(ctx, app, args[0])
		},
	}
	settings.register(cmd)
	return cmd
}

// migrateCommand changes the schema of a database.
func migrateCommand(app *App) *cobra.Command {
	var url string
	parent := &cobra.Command{Use: "migrate", Short: "Bring a database's schema up or down"}
	parent.PersistentFlags().StringVar(&url, "database-url", "", "which PostgreSQL; required")
	step := func(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, args []string) error) {
		parent.AddCommand(&cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
			if url == "" {
				return usagef("say which PostgreSQL: --database-url or ROBSON_DATABASE_URL")
			}
			if err := run(cmd.Context(), args); err != nil {
				return err
			}
			version, err := migrate.Current(cmd.Context(), url)
			if err != nil {
				return err
			}
			fmt.Fprintf(app.out, "the schema is at version %v\n", version)
			return nil
		}})
	}
	step("up", "Bring the schema to the newest version", cobra.NoArgs, func(ctx context.Context, _ []string) error { return migrate.Up(ctx, url) })
	step("down", "Take back the newest migration", cobra.NoArgs, func(ctx context.Context, _ []string) error { return migrate.Down(ctx, url, 1) })
	step("version", "Say which version the schema has", cobra.NoArgs, func(context.Context, []string) error { return nil })
	step("force N", "Say that the schema is at version N, after mending by hand what a failed migration left", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return usagef("%q is no version", args[0])
		}
		return migrate.Force(ctx, url, n)
	})
	return parent
}

// healthCommand asks a service whether it serves; for health checks of containers.
func healthCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "health ADDRESS", Short: "Ask a service whether it serves", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthMax)
			defer cancel()
			if err := stack.Healthy(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintln(app.out, "serving")
			return nil
		},
	}
}
