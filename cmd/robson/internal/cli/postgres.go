package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/stack"
	"github.com/robson/robson/pkg/postgres/migrate"
	"github.com/robson/robson/pkg/postgres/private"
)

const (
	// databaseName is the database of the private PostgreSQL that the services use.
	databaseName = "robson"
	// databaseURLFile is where its URL is written, in the data directory.
	databaseURLFile = "database.url"
)

// postgresFlags are the settings of a PostgreSQL that runs alone.
type postgresFlags struct {
	sharedBuffersMB int
}

func postgresCommand(app *App) *cobra.Command {
	var flags postgresFlags
	cmd := &cobra.Command{
		Use: "postgres", Short: "Run only the private PostgreSQL, for services that are served one by one", Args: noArgs,
		Long: "Runs the private PostgreSQL of the data directory with the newest schema, and nothing else.\n\n" +
			"Its URL holds the superuser's password, so it is not printed: it stands in the file " + databaseURLFile + " of the data\n" +
			"directory, which its owner alone can read.",
		Example: indent("robson postgres --data-dir ./data\nrobson serve eventlog --database-url \"$(cat ./data/" + databaseURLFile + ")\" --token-file ./data/tokens.json"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stopSignals := app.signaled(cmd.Context())
			defer stopSignals()
			return app.postgres(ctx, flags)
		},
	}
	cmd.Flags().IntVar(&flags.sharedBuffersMB, "shared-buffers-mb", 0, "PostgreSQL's own cache, in `MB` (default 128)")
	return cmd
}

// postgres serves until the context ends or the server does.
func (a *App) postgres(ctx context.Context, flags postgresFlags) error {
	if flags.sharedBuffersMB < 0 {
		return usagef("--shared-buffers-mb: %d is below zero", flags.sharedBuffersMB)
	}
	if err := os.MkdirAll(a.dataDir, 0o755); err != nil { //nolint:gosec // the database's own user must reach its part of it; secrets are 0600
		return fmt.Errorf("make data directory: %w", err)
	}
	server, err := private.Start(ctx, private.Config{Dir: filepath.Join(a.dataDir, stack.DatabaseDir), SharedBuffersMB: flags.sharedBuffersMB})
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	err = a.awaitEnd(ctx, server)
	return errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
}

// awaitEnd makes the server ready for services, says so, and waits.
func (a *App) awaitEnd(ctx context.Context, server *private.Server) error {
	if err := server.EnsureDatabase(ctx, databaseName); err != nil {
		return err
	}
	url := server.URL(databaseName)
	if err := migrate.Up(ctx, url); err != nil {
		return fmt.Errorf("bring the schema up: %w", err)
	}
	path := filepath.Join(a.dataDir, databaseURLFile)
	if err := os.WriteFile(path, []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the database's URL: %w", err)
	}
	fmt.Fprintf(a.out, "ready. The database's URL is in %s\nCtrl-C stops; the data stays.\n", path)
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.out, "stopping")
		return nil
	case <-server.Ended():
		return fmt.Errorf("PostgreSQL has ended; its log is %s", server.LogFile())
	}
}
