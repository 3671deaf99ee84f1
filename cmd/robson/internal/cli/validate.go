package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/clock"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
)

// validateCommand compares the state with the log.
func validateCommand(app *App) *cobra.Command {
	var scope partFlags
	var watch, last bool
	var every time.Duration
	request := &replayerv1.ValidateRequest{}
	cmd := &cobra.Command{
		Use: "validate", Short: "Prove that the state is what the log folds to", Args: noArgs,
		Long: "Folds the whole log and compares every row of the tables with it, field by field. Differences are named, and the exit status\n" +
			"is then 6. Nothing is changed: `robson replay` makes right what differs. Ctrl-C may end it at any time.\n\n" +
			"The replayer validates all tenants by itself, one after the other; --last shows what it found.",
		Example: indent("robson validate\nrobson validate --account-id 6f0c1c1e-...\nrobson validate --last\nrobson validate --watch --every 10m"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if request.Scope, err = scope.scope(app, false); err != nil {
				return err
			}
			if watch && last {
				return usagef("give one of --watch and --last")
			}
			if every < time.Second {
				return usagef("--every: must be at least 1s, found %s", every)
			}
			app.typed["differences_max"] = "--differences"
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			switch {
			case last:
				return app.lastValidation(ctx)
			case watch:
				return app.watchValidation(ctx, request, every)
			}
			return app.validate(ctx, request)
		},
	}
	cmd.Flags().SortFlags = false
	scope.register(cmd, "tell of")
	cmd.Flags().BoolVar(&last, "last", false, "show what the last validation found, and begin none")
	cmd.Flags().BoolVar(&watch, "watch", false, "validate again and again, until the first difference")
	cmd.Flags().DurationVar(&every, "every", time.Minute, "with --watch: how long to wait in between")
	cmd.Flags().Int32Var(&request.DifferencesMax, "differences", 0, "show at most so many differences (default 100)")
	return cmd
}

// validate validates once.
func (a *App) validate(ctx context.Context, request *replayerv1.ValidateRequest) error {
	conn, err := a.service(client.Replayer)
	if err != nil {
		return err
	}
	var f *followed
	stream, err := replayerv1.NewValidationServiceClient(conn).Validate(ctx, request)
	if err == nil {
		f, err = a.receive(func() (runMessage, error) { return received(stream.Recv()) })
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("the validation was broken off; nothing was changed")
	case err != nil:
		return err
	}
	return a.printFollowed(f)
}

// watchValidation validates again and again.
func (a *App) watchValidation(ctx context.Context, request *replayerv1.ValidateRequest, every time.Duration) error {
	for {
		if err := a.validate(ctx, request); err != nil {
			return err
		}
		if clock.Sleep(ctx, clock.System(), every) != nil {
			return nil //nolint:nilerr // Who watched has seen enough.
		}
	}
}

// lastValidation shows what the last validation found.
func (a *App) lastValidation(ctx context.Context) error {
	conn, err := a.service(client.Replayer)
	if err != nil {
		return err
	}
	response, err := replayerv1.NewValidationServiceClient(conn).GetLastValidation(ctx, &replayerv1.GetLastValidationRequest{})
	if err != nil {
		return err
	}
	result := response.GetRun().GetResult()
	if a.json() {
		if err := screen.JSON(a.out, response.GetRun()); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "validated %s\n", response.GetRun().GetFinishedAt().AsTime().Format(time.RFC3339))
		a.printResult(result)
	}
	if result.GetOutcome() == replayerv1.Outcome_OUTCOME_DIFFERS {
		return differsError{result.GetRowsDifferent(), result.GetAtLeast()}
	}
	return nil
}
