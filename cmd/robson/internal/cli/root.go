package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/fault"
)

// environmentPrefix starts the variable of every flag: --data-dir is ROBSON_DATA_DIR.
const environmentPrefix = "ROBSON_"

// Run runs one command line and gives the exit code.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	app := newApp(out, errOut)
	defer app.close()
	root := rootCommand(app)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil {
		printError(errOut, err)
	}
	return exitCode(err)
}

// rootCommand is the whole tree of commands.
func rootCommand(app *App) *cobra.Command {
	root := &cobra.Command{
		Use:   "robson",
		Short: "The book of record for automated crypto trading",
		Long: "Robson keeps every decision, intent, order, fill and balance as an event in an append-only log,\n" +
			"and positions, orders, balances and risk as the fold of that log.\n\n" +
			"Start a stack with `robson up`; see the whole life of an order with `robson demo`.\n" +
			"Every flag can be set by its variable: --data-dir is ROBSON_DATA_DIR.",
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return app.prepare(cmd) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err.Error()} })
	flags := root.PersistentFlags()
	flags.StringVarP(&app.output, "output", "o", formatTable, "table for people, json for programs")
	flags.StringVar(&app.dataDir, "data-dir", client.DefaultDataDir(), "where `robson up` keeps its data")
	flags.StringVar(&app.options.Token, "token", "", "who calls (default: the profile that `robson up` leaves)")
	flags.StringVar(&app.options.TenantID, "tenant-id", "", "for which tenant, if the token holds several")
	flags.BoolVar(&app.logJSON, "log-json", false, "write logs as JSON")
	flags.TextVar(&app.logLevel, "log-level", slog.LevelInfo, "least level of logs: debug, info, warn, error")
	app.options.Addresses = map[string]string{}
	for _, group := range [][]*cobra.Command{runCommands(app), setupCommands(app), tradingCommands(app), {eventsCommand(app)}} {
		root.AddCommand(group...)
	}
	for _, r := range resources() {
		root.AddCommand(r.command(app))
	}
	return root
}

// prepare takes unset flags from the environment and checks what all commands share.
func (a *App) prepare(cmd *cobra.Command) error {
	if err := fromEnvironment(cmd.Flags()); err != nil {
		return err
	}
	if a.output != formatTable && a.output != formatJSON {
		return usagef("--output must be table or json, found %q", a.output)
	}
	a.options.DataDir = a.dataDir
	return nil
}

// variableOf is the variable that stands for a flag.
func variableOf(flag string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment gives each flag that was not set its variable's value.
func fromEnvironment(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		value, set := lookupEnv(variableOf(f.Name))
		if f.Changed || !set || value == "" {
			return
		}
		if err := f.Value.Set(value); err != nil {
			errs = append(errs, usagef("%s: %s", variableOf(f.Name), err))
		}
	})
	return errors.Join(errs...)
}

// printError says what went wrong, which fields are wrong, and what found what.
func printError(w io.Writer, err error) {
	fmt.Fprintf(w, "error: %s\n", err)
	e := fault.As(err)
	if e == nil {
		return
	}
	if len(e.Fields) > 1 {
		for _, f := range e.Fields {
			fmt.Fprintf(w, "  %s: %s\n", f.Path, f.Description)
		}
	}
	if e.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", e.Reason)
	}
	for _, key := range sortedKeys(e.Metadata) {
		fmt.Fprintf(w, "  %s: %s\n", key, e.Metadata[key])
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(w, "try again in %s\n", e.RetryAfter)
	}
}
