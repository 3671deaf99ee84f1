package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/stack"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres/private"
	"github.com/robson/robson/pkg/telemetry"
)

// healthMax is how long `robson health` asks: less than what a container's check is given.
const healthMax = 2 * time.Second

// servedServices are those that this binary serves.
var servedServices = []string{client.Command, client.Eventlog, client.Projector, client.Snapshotter, client.Replayer, client.Connector}

// runCommands run services, and look after what they need.
func runCommands(app *App) []*cobra.Command {
	return []*cobra.Command{
		withSettings(upCommand(app)), downCommand(app), withSettings(demoCommand(app)), withSettings(serveCommand(app)),
		withSettings(postgresCommand(app)), simexchangeCommand(app), migrateCommand(app), healthCommand(app), versionCommand(app),
	}
}

// signaled ends with Ctrl-C, SIGTERM, or when whoever reads has gone, a terminal or a pipe, so that everything stops in order
// and no server is left behind. A second signal ends the program at once.
func (a *App) signaled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	// By its default SIGPIPE ends the program in the middle of a write. To be told of it instead would be to be told of every
	// caller's connection that breaks.
	signal.Ignore(syscall.SIGPIPE)
	a.out = a.out.Through(func(to io.Writer) io.Writer { return &readOut{to: to, unread: stop} })
	return ctx, stop
}

// readOut is an output that tells when nobody reads it any more.
type readOut struct {
	to     io.Writer
	unread func()
}

// Write implements io.Writer.
func (r *readOut) Write(p []byte) (int, error) {
	n, err := r.to.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		r.unread()
	}
	return n, err
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
	connector   connectorFlags
}

func (f *stackFlags) register(cmd *cobra.Command) {
	f.listen = map[string]*string{}
	cmd.Flags().StringVar(&f.databaseURL, "database-url", "", "use this PostgreSQL instead of a private one")
	f.connector.register(cmd)
	for _, name := range servedServices {
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
		Use: "up", Short: "Run all services, with a private PostgreSQL that keeps its data", Args: noArgs,
		Long: "Runs all services in one process, with a private PostgreSQL in the data directory, or on the one of --database-url,\n" +
			"whose login must be a superuser or one that may make the roles of migrations/001_roles.up.sql and act by them.\n\n" +
			"The data directory keeps the database, the tokens, the paper venue and client.json, by which the command line finds\n" +
			"the stack. Everything in it survives restarts and kills.",
		Example: indent("robson up\nrobson up --data-dir ./data --command-listen 127.0.0.1:0\nROBSON_DATABASE_URL=postgres://robson@db:5432/robson robson up"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.connector.prepare(); err != nil {
				return err
			}
			ctx, stopSignals := app.signaled(cmd.Context())
			defer stopSignals()
			return app.up(ctx, &flags)
		},
	}
	flags.register(cmd)
	return cmd
}

// up runs the stack until the context ends or a part of it fails.
func (a *App) up(ctx context.Context, flags *stackFlags) error {
	tel, stop, err := setUpTelemetry(ctx, a, "robson")
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(a.out, "starting, data in %s\n", a.dataDir)
	s, err := stack.Up(ctx, stack.Config{DataDir: a.dataDir, DatabaseURL: flags.databaseURL, Addresses: flags.addresses(), Connector: flags.connector.settings, Out: a.out, Logger: tel.Logger, Clock: clock.System()})
	if err != nil {
		return err
	}
	profile, err := client.LoadProfile(a.dataDir)
	if err != nil {
		return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	where := ""
	if a.dataDir != client.DefaultDataDir() {
		where = " --data-dir " + a.dataDir
	}
	fmt.Fprintf(a.out, "ready. Tenant %s; the token is in %s\n", profile.TenantID, client.ProfilePath(a.dataDir))
	fmt.Fprintf(a.out, "in another terminal:  robson%s demo --attach\nCtrl-C stops; the data stays.\n", where)
	waited := s.Wait(ctx)
	fmt.Fprintln(a.out, "stopping")
	return errors.Join(waited, s.Stop(context.WithoutCancel(ctx)))
}

// downCommand stops the database that a killed `up` left behind.
func downCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Stop the PostgreSQL that a killed `robson up` left behind; the data stays", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stopped, err := private.StopLeftBehind(cmd.Context(), private.Config{Dir: filepath.Join(app.dataDir, stack.DatabaseDir)})
			if err != nil {
				return err
			}
			if app.json() {
				return app.writeJSON(map[string]bool{"stopped": stopped})
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

// healthCommand asks a service whether it serves; for health checks of containers.
func healthCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "health ADDRESS", Short: "Ask a service whether it serves", Args: oneArg("ADDRESS"), Example: indent("robson health 127.0.0.1:7402"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthMax)
			defer cancel()
			if err := stack.Healthy(ctx, args[0]); err != nil {
				return err
			}
			if app.json() {
				return app.writeJSON(map[string]string{"status": "serving"})
			}
			fmt.Fprintln(app.out, "serving")
			return nil
		},
	}
}
