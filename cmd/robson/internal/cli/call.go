package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/fault"
)

// call is an RPC that changes something, as a command line: a positional argument for its main id, flags for the rest.
type call struct {
	use, short, example string
	method              string
	request             func() proto.Message
	response            func() proto.Message
	// argument is the request's field that the positional argument sets; empty: none.
	argument string
	// fields are the request's fields that become flags; required ones end in "!".
	fields []string
	// service is who answers; empty: the command service.
	service string
	// complete fills in what the line may leave out; nil: nothing.
	complete func(request proto.Message)
	// show prints the answer for a person; nil: as the outcome of a command.
	show func(app *App, response proto.Message) error
}

// message makes a constructor of a message for a table of commands.
func message[T any, P interface {
	*T
	proto.Message
}]() func() proto.Message {
	return func() proto.Message { return P(new(T)) }
}

// callCommands makes a command of each call.
func callCommands(app *App, calls ...call) []*cobra.Command {
	out := make([]*cobra.Command, len(calls))
	for i, c := range calls {
		out[i] = c.command(app)
	}
	return out
}

// isCommand says whether the call is one of the command service's: idempotent by its id, with a dry run.
func (c call) isCommand() bool { return c.service == "" }

// command makes the cobra command of a call.
func (c call) command(app *App) *cobra.Command {
	names, required := make([]string, len(c.fields)), []string{}
	for i, f := range c.fields {
		names[i] = strings.TrimSuffix(f, "!")
	}
	flags := newFieldFlags(c.request().ProtoReflect().Descriptor(), names)
	for i, f := range c.fields {
		if strings.HasSuffix(f, "!") {
			required = append(required, flagName(flags.fields[i].FieldDescriptor))
		}
	}
	var dryRun bool
	var commandID string
	use, args := c.use, noArgs
	if c.argument != "" {
		use, args = c.use+" "+strings.ToUpper(c.argument), oneArg(strings.ToUpper(c.argument))
	}
	cmd := &cobra.Command{
		Use: use, Short: c.short, Example: indent(c.example), Args: args,
		RunE: func(cmd *cobra.Command, arguments []string) error {
			request := c.request()
			if err := flags.apply(cmd.Flags(), request, app.typed); err != nil {
				return err
			}
			if c.argument != "" {
				setText(request, c.argument, arguments[0])
				app.typed[c.argument] = strings.ToUpper(c.argument)
			}
			if c.complete != nil {
				c.complete(request)
			}
			if !c.isCommand() {
				return c.run(cmd.Context(), app, request)
			}
			setBool(request, "dry_run", dryRun)
			return c.runCommand(cmd.Context(), app, request, commandID)
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd.Flags())
	requireFlags(cmd, required...)
	if c.isCommand() {
		cmd.Flags().BoolVar(&dryRun, "dry-run", false, "decide and answer, write nothing")
		cmd.Flags().StringVar(&commandID, "command-id", "", "UUID of this command: the same id again gives the first outcome again (default: a new one)")
	}
	return cmd
}

// indent shifts examples as cobra's help text wants them.
func indent(example string) string {
	if example == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(example, "\n", "\n  ")
}

// runCommand sends a command under an id and prints its outcome. A command whose outcome the answer leaves open can be
// sent again under the same id, so the error says it.
func (c call) runCommand(ctx context.Context, app *App, request proto.Message, commandID string) error {
	if commandID == "" {
		commandID = uuid.NewString()
	}
	ctx, err := withCommand(ctx, commandID)
	if err != nil {
		return err
	}
	err = c.run(ctx, app, request)
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Exhausted) || fault.Is(err, fault.Stale) {
		return fmt.Errorf("%w; repeat it safely with --command-id %s", err, commandID)
	}
	return err
}

// run sends the request and prints the answer.
func (c call) run(ctx context.Context, app *App, request proto.Message) error {
	conn, err := c.connect(app)
	if err != nil {
		return err
	}
	response := c.response()
	if err := conn.Invoke(ctx, c.method, request, response); err != nil {
		return err
	}
	switch {
	case app.json():
		err = screen.JSON(app.out, response)
	case c.show != nil:
		err = c.show(app, response)
	default:
		err = writeOutcome(app.out, response)
	}
	if err != nil {
		return err
	}
	return refusal(response)
}

// connect opens the connection to the service that answers.
func (c call) connect(app *App) (grpc.ClientConnInterface, error) {
	if c.isCommand() {
		return app.service(client.Command)
	}
	return app.service(c.service)
}
