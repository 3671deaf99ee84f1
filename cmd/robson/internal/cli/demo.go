package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/demo"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/cmd/robson/internal/stack"
	"github.com/robson/robson/pkg/clock"
)

// demoFlags are what a demo is told.
type demoFlags struct {
	marketData, databaseURL, venue string
	attach                         bool
}

// What a demo trades on.
const (
	venuePaper      = "paper"
	venueBinanceSim = "binance-sim"
)

// demoSendTimeout is how long the demo's connector waits for an answer that never comes: its exchange is in the same process.
const demoSendTimeout = time.Second

// demoCommand plays the whole life of an order.
func demoCommand(app *App) *cobra.Command {
	var flags demoFlags
	cmd := &cobra.Command{
		Use: "demo", Short: "Watch the whole life of an order, and prove it", Args: noArgs,
		Long: "Starts a stack of its own in a fresh directory (or, with --attach, uses the one that is running), registers a tenant,\n" +
			"accounts and a strategy, replays market data through the paper venue, trades on it, and ends with a proof: the tables\n" +
			"against the fold of the log, the log against its hash chain, the P&L against the fills. The exit status says whether all held.\n\n" +
			"Entries are picked by looking ahead in the data: choreography, not a strategy.",
		Example: indent("robson demo\nrobson demo --market-data btcusdt-1h.json\nrobson demo --attach"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stopSignals := app.signaled(cmd.Context())
			defer stopSignals()
			if flags.marketData == "" {
				return usagef("--market-data: is empty; give a file of klines, or auto")
			}
			switch {
			case flags.venue != venuePaper && flags.venue != venueBinanceSim:
				return usagef("--venue: must be %s or %s, found %q", venuePaper, venueBinanceSim, flags.venue)
			case flags.attach && flags.venue != venuePaper:
				return usagef("--venue: %s is a stack of its own; leave --attach out", flags.venue)
			case flags.attach:
				return app.playDemo(ctx, flags.marketData, nil)
			}
			return app.demoWithStack(ctx, flags)
		},
	}
	cmd.Flags().StringVar(&flags.marketData, "market-data", demo.Auto, "a `file` of Binance klines (JSON, or a dump as CSV or ZIP); auto: the public endpoint, or a synthetic path")
	cmd.Flags().StringVar(&flags.venue, "venue", venuePaper, "what to trade on: paper, or binance-sim, a simulated exchange that speaks Binance's protocol")
	cmd.Flags().BoolVar(&flags.attach, "attach", false, "use the stack that is running")
	cmd.Flags().StringVar(&flags.databaseURL, "database-url", "", "use this PostgreSQL instead of a private one")
	// Tests are told by ROBSON_MARKET_DATA in which directory the recorded files are.
	if err := cmd.Flags().SetAnnotation("market-data", notFromEnvironment, []string{"true"}); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

// demoWithStack plays the demo on a stack of its own, in a directory that is made for it and taken away if all held.
func (a *App) demoWithStack(ctx context.Context, flags demoFlags) error {
	if err := demo.CheckMarketData(ctx, flags.marketData); err != nil {
		return usagef("--market-data: %s", err)
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
	fmt.Fprintf(a.out, "── a stack of its own in %s\n", dir)
	err = errors.Join(a.demoIn(ctx, dir, log, flags), log.Close())
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted; the demo's stack is taken away"), os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintf(a.err, "what the services said is in %s\n", log.Name())
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear up after the demo: %w", err)
	}
	return nil
}

// demoIn runs a stack in a directory and plays the demo on it. The services speak into their log, not between the scenes.
func (a *App) demoIn(ctx context.Context, dir string, log io.Writer, flags demoFlags) error {
	quiet := *a
	quiet.err, quiet.logLevel = screen.Look(log, true), min(a.logLevel, slog.LevelInfo)
	tel, stop, err := setUpTelemetry(ctx, &quiet, "robson")
	if err != nil {
		return err
	}
	defer stop()
	free := map[string]string{}
	for _, name := range servedServices {
		free[name] = "127.0.0.1:0"
	}
	settings := stack.ConnectorSettings{}
	var exchange *demo.Exchange
	if flags.venue == venueBinanceSim {
		exchange, err = demo.OpenExchange(ctx, dir, flags.marketData)
		if err != nil {
			return err
		}
		defer exchange.Close()
		settings.Executor.SendTimeout = demoSendTimeout
		settings.Binance.Environment, settings.Binance.URL, settings.Binance.Keys.Dir = "sim", exchange.URL(), exchange.KeysDir()
	}
	s, err := stack.Up(ctx, stack.Config{DataDir: dir, Connector: settings, DatabaseURL: flags.databaseURL, Addresses: free, Out: a.out, Logger: tel.Logger, Clock: clock.System()})
	if err != nil {
		return err
	}
	a.options = client.Options{DataDir: dir, OnlyProfile: true}
	return errors.Join(a.playDemo(ctx, flags.marketData, exchange), s.Stop(context.WithoutCancel(ctx)))
}

// playDemo plays the demo on the stack that the options lead to.
func (a *App) playDemo(ctx context.Context, marketData string, exchange *demo.Exchange) error {
	if err := demo.CheckMarketData(ctx, marketData); err != nil {
		return usagef("--market-data: %s", err)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	d, err := demo.New(c, demo.Config{MarketData: marketData, Exchange: exchange, Out: a.out, Clock: clock.System()})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}
