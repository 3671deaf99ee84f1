// Package cli is what a person types: it turns command lines into RPCs and answers into tables or JSON.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/correlation"
)

// Output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// App is one run of the command line: where it prints, how, and the connections it opened.
type App struct {
	out, err io.Writer
	output   string
	dataDir  string
	logJSON  bool
	logLevel slog.Level
	options  client.Options
	client   *client.Client
}

// newApp prints to the given writers.
func newApp(out, err io.Writer) *App {
	return &App{out: out, err: err, output: formatTable}
}

// json says whether programs read the output.
func (a *App) json() bool { return a.output == formatJSON }

// connect finds addresses and token once.
func (a *App) connect(ctx context.Context) (*client.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	c, err := client.Open(ctx, a.options)
	if err != nil {
		return nil, err
	}
	a.client = c
	return c, nil
}

// service opens the connection to one service.
func (a *App) service(ctx context.Context, name string) (grpc.ClientConnInterface, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	return c.Service(name)
}

func (a *App) eventlog(ctx context.Context) (grpc.ClientConnInterface, error) {
	return a.service(ctx, client.Eventlog)
}

func (a *App) projector(ctx context.Context) (grpc.ClientConnInterface, error) {
	return a.service(ctx, client.Projector)
}

func (a *App) commandService(ctx context.Context) (grpc.ClientConnInterface, error) {
	return a.service(ctx, client.Command)
}

// withCommand names the command that a call carries.
func (a *App) withCommand(ctx context.Context, commandID string) (context.Context, error) {
	id, err := uuid.Parse(commandID)
	if err != nil {
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
		fmt.Fprintf(os.Stderr, "close connections: %s\n", err)
	}
}
