package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/robson/robson/pkg/postgres/migrate"
)

// migrateCommand changes the schema of a database.
func migrateCommand(app *App) *cobra.Command {
	var url string
	parent := parentCommand("migrate", "Bring a database's schema up or down")
	parent.PersistentFlags().StringVar(&url, "database-url", "", "which PostgreSQL; required")
	step := func(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, args []string) error) {
		parent.AddCommand(&cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
			if url == "" {
				return usagef("say which PostgreSQL: --database-url or ROBSON_DATABASE_URL")
			}
			if err := run(cmd.Context(), args); err != nil {
				return err
			}
			return app.showSchema(cmd.Context(), url)
		}})
	}
	step("up", "Bring the schema to the newest version", noArgs, func(ctx context.Context, _ []string) error { return migrate.Up(ctx, url) })
	step("down", "Take back the newest migration", noArgs, func(ctx context.Context, _ []string) error { return migrate.Down(ctx, url, 1) })
	step("version", "Say which version the schema has", noArgs, func(context.Context, []string) error { return nil })
	step("force N", "Say that the schema is at version N, after mending by hand what a failed migration left", oneArg("N"), func(ctx context.Context, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 {
			return usagef("N: %q is no version: a whole number from 0", args[0])
		}
		return migrate.Force(ctx, url, n)
	})
	return parent
}

// showSchema says which version a database's schema has.
func (a *App) showSchema(ctx context.Context, url string) error {
	version, err := migrate.Current(ctx, url)
	if err != nil {
		return err
	}
	if a.json() {
		return a.writeJSON(map[string]any{"version": version.Number, "dirty": version.Dirty})
	}
	dirty := ""
	if version.Dirty {
		dirty = ", and dirty: that migration failed or was cut short"
	}
	fmt.Fprintf(a.out, "the schema is at version %d%s\n", version.Number, dirty)
	return nil
}
