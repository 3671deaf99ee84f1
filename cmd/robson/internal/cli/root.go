package cli

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
)

// Groups of commands in the help text.
const (
	groupRun   = "run"
	groupTrade = "trade"
	groupLook  = "look"
	groupSetUp = "set-up"
)

// Run runs one command line and gives the exit code.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	app := newApp(out, errOut)
	defer app.close()
	root := rootCommand(app) //nolint:contextcheck // a command takes its context from cobra when it runs
	root.SetArgs(args)
	root.Annotations = map[string]string{lineAnnotation: strings.Join(args, "\x00")}
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
	case app.json() || asksJSON(args):
		app.printErrorJSON(err)
	default:
		app.printError(err)
	}
	return exitCode(err)
}

// rootCommand is the whole tree of commands.
func rootCommand(app *App) *cobra.Command {
	root := parentCommand("robson", "The book of record for automated crypto trading")
	root.Long = "Robson keeps every decision, intent, order, fill and balance as an event in an append-only log,\n" +
		"and positions, orders, balances and risk as the fold of that log.\n\n" +
		"Start a stack with `robson up`; see the whole life of an order with `robson demo`.\n" +
		"Where a stack is and how to run one can also be said by variables: --data-dir is ROBSON_DATA_DIR.\n\n" +
		"With --output json answers are documents on standard output, and an error is one on standard error: {\"error\": {\"kind\": ...}}.\n\n" +
		"Exit status: 0 done, 1 failed, 2 bad input, 3 refused by a rule, 4 conflict, 5 try again, 6 the log is broken, the state is not what it folds to, or the book is not the venue's."
	root.Version = version()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return app.prepare(cmd) }
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVarP(&app.output, "output", "o", formatTable, "`format`: table for people, json for programs")
	flags.BoolVar(&app.noColor, "no-color", false, "no colours on a terminal (also: the variable NO_COLOR)")
	flags.StringVar(&app.dataDir, "data-dir", client.DefaultDataDir(), "the `directory` in which robson up keeps its data")
	flags.StringVar(&app.options.Token, "token", "", "who calls (default: the owner, by the profile that robson up leaves)")
	flags.StringVar(&app.options.TenantID, "tenant-id", "", "for which tenant (`UUID`), if the token holds several")
	flags.BoolVar(&app.logJSON, "log-json", false, "write logs as JSON")
	flags.TextVar(&app.logLevel, "log-level", slog.LevelInfo, "least `level` of logs: debug, info, warn, error")
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Run:"}, &cobra.Group{ID: groupTrade, Title: "Trade:"},
		&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupSetUp, Title: "Set up:"})
	add(root, groupRun, runCommands(app))
	add(root, groupTrade, tradingCommands(app))
	add(root, groupLook, []*cobra.Command{explainCommand(app), eventsCommand(app), stateAtCommand(app)})
	add(root, groupLook, append(auditCommands(app), snapshotsCommand(app)))
	add(root, groupRun, []*cobra.Command{replayCommand(app), reconcileCommand(app)})
	add(root, groupLook, resourceCommands(app))
	add(root, groupSetUp, setUpCommands(app))
	return root
}

// add puts commands under the root, in a group of its help text.
func add(root *cobra.Command, group string, commands []*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// prepare takes unset settings from the environment and checks what all commands share.
func (a *App) prepare(cmd *cobra.Command) error {
	if err := fromEnvironment(cmd); err != nil {
		return err
	}
	if err := missingFlags(cmd); err != nil {
		return err
	}
	if a.output != formatTable && a.output != formatJSON {
		return usagef("--output must be table or json, found %q", a.output)
	}
	a.out, a.err = screen.Look(a.out.Writer, a.noColor), screen.Look(a.err.Writer, a.noColor)
	dir, err := filepath.Abs(a.dataDir)
	if err != nil {
		return usagef("--data-dir: %s", err)
	}
	a.dataDir, a.options.DataDir = dir, dir
	return nil
}
