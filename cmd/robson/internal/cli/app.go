// Package cli is what a person types: it turns command lines into RPCs and answers into tables or JSON.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
)

// Output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// App is one run of the command line: where it prints, how, and the connections it opened.
type App struct {
	out, err *screen.Terminal
	output   string
	noColor  bool
	dataDir  string
	logJSON  bool
	logLevel slog.Level
	options  client.Options
	client   *client.Client
	// typed says how the running command's line names a field of its request: account_id is --account-id.
	typed map[string]string
}

// newApp prints to the given writers.
func newApp(out, err io.Writer) *App {
	return &App{out: screen.Look(out, false), err: screen.Look(err, false), output: formatTable, typed: map[string]string{}}
}

// progress tells on standard error how far a long run is; for programs, which read the outcome, it is silent.
func (a *App) progress(things string) *screen.Progress {
	return screen.NewProgress(a.err, clock.System(), screen.ProgressOptions{Things: things, Silent: a.json()})
}

// json says whether programs read the output.
func (a *App) json() bool { return a.output == formatJSON }

// connect finds addresses and token once.
func (a *App) connect() (*client.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	c, err := client.Open(a.options)
	if err != nil {
		return nil, err
	}
	a.client = c
	return c, nil
}

// service opens the connection to one service.
func (a *App) service(name string) (grpc.ClientConnInterface, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	return c.Service(name)
}

// withCommand names the command that a call carries.
func withCommand(ctx context.Context, commandID string) (context.Context, error) {
	id, err := uuid.Parse(commandID)
	if err != nil || id == uuid.Nil {
		return nil, usagef("--command-id: %q is no UUID", commandID)
	}
	ids := correlation.From(ctx)
	ids.Command = id
	return correlation.With(ctx, ids), nil
}

// close gives the connections back.
func (a *App) close() {
	if a.client == nil {
		return
	}
	if err := a.client.Close(); err != nil {
		fmt.Fprintf(a.err, "close connections: %s\n", err)
	}
}
