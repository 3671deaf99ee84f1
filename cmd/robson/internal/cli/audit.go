package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// brokenError is a log that is not whole: an outcome, told on standard output already.
type brokenError struct {
	position int64
	what     string
}

func (e brokenError) Error() string {
	return fmt.Sprintf("the log is broken at position %d: %s", e.position, e.what)
}

// auditCommands prove the log, and keep what proves it elsewhere.
func auditCommands(app *App) []*cobra.Command {
	return []*cobra.Command{verifyCommand(app), validateCommand(app), parentCommand("head", "The end of the log, to be kept elsewhere", headExportCommand(app))}
}

// verification is what a line of `robson verify` asks for.
type verification struct {
	heads []string
	from  string
	to    int64
}

// verifyCommand proves the log.
func verifyCommand(app *App) *cobra.Command {
	var v verification
	cmd := &cobra.Command{
		Use: "verify", Short: "Prove that nothing of the log was altered, removed, inserted or swapped", Args: noArgs,
		Long: "Reads the whole log of the tenant and proves it: hashes, chain, order, the columns for search, heads of streams, receipts\n" +
			"of commands, the head. If it is broken, the first bad position is named and the exit status is 6.\n\n" +
			"Whoever may do everything in the database can write a whole log anew, or take its end away with all that tells of it. That\n" +
			"is found against heads that were kept elsewhere: export them by `robson head export`, and name them by --head.\n\n" +
			"Nothing is changed; Ctrl-C may end it at any time.",
		Example: indent("robson verify\nrobson verify --head heads/2026-10.json --head heads/2026-11.json\nrobson verify --from heads/2026-10.json      # only what came after"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("to") && v.to < 1 {
				return usagef("--to: must be at least 1, found %d", v.to)
			}
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			return app.verify(ctx, &v)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringArrayVar(&v.heads, "head", nil, "a `file` of robson head export: the log must reach it and have its hash there (may be given several times)")
	cmd.Flags().StringVar(&v.from, "from", "", "a `file` of robson head export: trust the log up to it, and begin there (default: the first event)")
	cmd.Flags().Int64Var(&v.to, "to", 0, "the last `position` to look at (default: the whole log, its heads included)")
	return cmd
}

// verifyRequest reads the files of kept heads.
func (a *App) verifyRequest(v *verification) (*eventlogv1.VerifyChainRequest, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	request := &eventlogv1.VerifyChainRequest{ToPosition: v.to}
	a.typed["to_position"], a.typed["known_heads"], a.typed["after.position"] = "--to", "--head", "--from"
	if v.from != "" {
		head, err := readHead(v.from, c.Tenant())
		if err != nil {
			return nil, usagef("--from: %s", err)
		}
		request.After = head.known()
	}
	for _, path := range v.heads {
		head, err := readHead(path, c.Tenant())
		if err != nil {
			return nil, usagef("--head: %s", err)
		}
		request.KnownHeads = append(request.KnownHeads, head.known())
	}
	return request, nil
}

// verify proves the log and prints the verdict.
func (a *App) verify(ctx context.Context, v *verification) error {
	request, err := a.verifyRequest(v)
	if err != nil {
		return err
	}
	conn, err := a.service(client.Eventlog)
	if err != nil {
		return err
	}
	progress := a.progress("events")
	verdict, err := follow(ctx, eventlogv1.NewAuditServiceClient(conn), request, progress)
	progress.End()
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("the verification was broken off; nothing was changed")
	case err != nil:
		return err
	case verdict == nil:
		return errors.New("the event log ended the verification without a verdict")
	}
	return a.printVerdict(verdict)
}

// follow waits for the verdict, and shows how far it is.
func follow(ctx context.Context, log eventlogv1.AuditServiceClient, request *eventlogv1.VerifyChainRequest, progress *screen.Progress) (*eventlogv1.VerifyVerdict, error) {
	stream, err := log.VerifyChain(ctx, request)
	if err != nil {
		return nil, err
	}
	var verdict *eventlogv1.VerifyVerdict
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return verdict, nil
		}
		if err != nil {
			return nil, err
		}
		if p := message.GetProgress(); p.GetEventsTotal() > 0 {
			progress.Told(p.GetEventsDone(), p.GetEventsTotal(), p.GetEventsPerSecond())
		}
		if message.GetVerdict() != nil {
			verdict = message.GetVerdict()
		}
	}
}

// printVerdict prints the verdict; a broken log is an error.
func (a *App) printVerdict(v *eventlogv1.VerifyVerdict) error {
	switch {
	case a.json():
		if err := screen.JSON(a.out, v); err != nil {
			return err
		}
	case v.GetWhole():
		fmt.Fprintf(a.out, "whole: %s, %s, %s\n", counted(int(v.GetEventsVerified()), "events"), counted(int(v.GetStreamsVerified()), "streams"), counted(int(v.GetReceiptsVerified()), "receipts"))
		if v.GetHead() != nil {
			fmt.Fprintf(a.out, "head   position %d, %s, hash %s\n", v.GetHead().GetPosition(), v.GetHeadIngestedAt().AsTime().Format(time.RFC3339), v.GetHead().GetHash())
		}
	default:
		fmt.Fprintf(a.out, "BROKEN at position %d: %s\n%s\n", v.GetFirstBadPosition(), screen.EnumText(v.GetBreach().Descriptor(), protoreflect.EnumNumber(v.GetBreach())), v.GetDescription())
		fmt.Fprintf(a.out, "%s before it are as they were written\n", counted(int(v.GetEventsVerified()), "events"))
	}
	if v.GetWhole() {
		return nil
	}
	return brokenError{position: v.GetFirstBadPosition(), what: v.GetDescription()}
}
