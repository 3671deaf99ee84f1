package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

func snapshotVerifyCommand(app *App) *cobra.Command {
	var flags scopeFlags
	var deep bool
	cmd := &cobra.Command{
		Use: "verify [SNAPSHOT_ID]", Short: "Prove that snapshots are what they were, and of this log", Args: oneArgAtMost("SNAPSHOT_ID"),
		Long: "Looks at hash, rules, and the log's hash at the snapshot's position; with --deep also folds the log and compares. One that is\n" +
			"not fit is marked, not used, and made anew; the exit status is then 1.",
		Example: indent("robson snapshots verify\nrobson snapshots verify 6f0c1c1e-... --deep\nrobson snapshots verify --account-id 0f8fad5b-..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			scope := flags.scope(app)
			request := &snapshotterv1.VerifySnapshotsRequest{Kind: scope.GetKind(), ScopeId: scope.GetId(), Deep: deep}
			if len(args) > 0 {
				request.SnapshotId, app.typed["snapshot_id"] = args[0], "SNAPSHOT_ID"
			}
			return app.verifySnapshots(ctx, request)
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd)
	cmd.Flags().BoolVar(&deep, "deep", false, "also compare with what the log folds to")
	return cmd
}

// verifySnapshots verifies and tells of each; one that is not fit is an error at the end.
func (a *App) verifySnapshots(ctx context.Context, request *snapshotterv1.VerifySnapshotsRequest) error {
	conn, err := a.service(client.Snapshotter)
	if err != nil {
		return err
	}
	progress := a.progress("events")
	var sum *snapshotterv1.VerifySummary
	stream, err := snapshotterv1.NewStateServiceClient(conn).VerifySnapshots(ctx, request)
	if err == nil {
		err = receive(stream.Recv, a.verified(progress, &sum))
	}
	progress.End()
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("the verification was broken off; what it had found is noted")
	case err != nil:
		return err
	case sum == nil:
		return errors.New("the snapshotter ended the verification without a sum")
	case sum.GetUnfit() > 0:
		return fmt.Errorf("%d of %s are not fit for use and are made anew", sum.GetUnfit(), counted(int(sum.GetVerified()), "snapshots"))
	}
	return nil
}

// verified shows what comes, and keeps the sum.
func (a *App) verified(progress *screen.Progress, sum **snapshotterv1.VerifySummary) func(*snapshotterv1.VerifySnapshotsResponse) error {
	return func(m *snapshotterv1.VerifySnapshotsResponse) error {
		if p := m.GetProgress(); p != nil {
			progress.Told(p.GetEventsDone(), p.GetEventsTotal(), p.GetEventsPerSecond())
			return nil
		}
		if m.GetSummary() != nil {
			*sum = m.GetSummary()
		}
		if a.json() {
			return screen.JSON(a.out, m)
		}
		a.showVerified(m)
		return nil
	}
}

func (a *App) showVerified(m *snapshotterv1.VerifySnapshotsResponse) {
	if v := m.GetVerified(); v != nil {
		s, verdict := v.GetSnapshot(), "fit"
		if s.GetUnfit() != snapshotterv1.Unfit_UNFIT_UNSPECIFIED {
			verdict = "NOT FIT (" + screen.EnumText(s.GetUnfit().Descriptor(), s.GetUnfit().Number()) + "): " + v.GetDescription()
		}
		fmt.Fprintf(a.out, "%s  %s at position %d: %s\n", s.GetSnapshotId(), scopeText(s.GetScope()), s.GetAsOfPosition(), verdict)
	}
	if sum := m.GetSummary(); sum != nil {
		fmt.Fprintf(a.out, "%s verified, %d not fit\n", counted(int(sum.GetVerified()), "snapshots"), sum.GetUnfit())
	}
}

func snapshotRestoreCommand(app *App) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "restore SNAPSHOT_ID", Short: "Write out the state that a snapshot holds, verified", Args: oneArg("SNAPSHOT_ID"),
		Long: "Verifies the snapshot and writes its rows, one JSON object a line: table, key, whether the row is the scope's or only what\n" +
			"folding it on needs, and the row. The current state is not touched: `robson replay --from-snapshot` puts it right from the newest\n" +
			"snapshot that is fit. A file that exists is never overwritten.",
		Example: indent("robson snapshots restore 6f0c1c1e-... --file state.jsonl\nrobson snapshots restore 6f0c1c1e-... | jq 'select(.table==\"orders_current\").row'"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			app.typed["snapshot_id"] = "SNAPSHOT_ID"
			return app.restore(ctx, args[0], path)
		},
	}
	cmd.Flags().StringVar(&path, "file", "", "the `file` to write (default: standard output)")
	return cmd
}

// restore writes a snapshot's rows.
func (a *App) restore(ctx context.Context, id, path string) (err error) {
	conn, err := a.service(client.Snapshotter)
	if err != nil {
		return err
	}
	stream, err := snapshotterv1.NewStateServiceClient(conn).RestoreSnapshot(ctx, &snapshotterv1.RestoreSnapshotRequest{SnapshotId: id})
	if err != nil {
		return err
	}
	first, err := stream.Recv() // Nothing is written where nothing comes.
	if err != nil {
		return err
	}
	var out io.Writer = a.out
	if path != "" {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return usagef("--file: %s", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	rows, err := writeRows(out, stream.Recv)
	if err != nil {
		return fmt.Errorf("after %s: %w", counted(rows, "rows"), err)
	}
	s := first.GetSnapshot()
	fmt.Fprintf(a.err, "%s of %s as of position %d\n", counted(rows, "rows"), scopeText(s.GetScope()), s.GetAsOfPosition())
	return nil
}

// restoredRow is a line of what restore writes.
type restoredRow struct {
	Table   string          `json:"table"`
	Key     string          `json:"key"`
	Context bool            `json:"context,omitempty"`
	Row     json.RawMessage `json:"row"`
}

func writeRows(out io.Writer, recv func() (*snapshotterv1.RestoreSnapshotResponse, error)) (rows int, err error) {
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	err = receive(recv, func(m *snapshotterv1.RestoreSnapshotResponse) error {
		row := m.GetRow()
		rows++
		return encoder.Encode(restoredRow{Table: row.GetTable(), Key: row.GetKey(), Context: row.GetContext(), Row: row.GetJson()})
	})
	return rows, errors.Join(err, buffered.Flush())
}
