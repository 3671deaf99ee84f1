package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// keptHead is the end of a log at a time, as a file holds it.
type keptHead struct {
	TenantID uuid.UUID `json:"tenant_id"`
	Position int64     `json:"position"`
	EventID  string    `json:"event_id"`
	// Hash is the event's, 64 hex digits.
	Hash       string    `json:"hash"`
	IngestedAt time.Time `json:"ingested_at"`
}

// headBytesMax is more than any file of a head has.
const headBytesMax = 4096

func (h *keptHead) known() *eventlogv1.KnownHead {
	return &eventlogv1.KnownHead{Position: h.Position, EventId: h.EventID, Hash: h.Hash}
}

// readHead reads a file of headExport. One of another tenant's log proves nothing; tenant is Nil where it is not known.
func readHead(path string, tenant uuid.UUID) (*keptHead, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) > headBytesMax {
		return nil, fmt.Errorf("%s is no head of a log", path)
	}
	var head keptHead
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&head); err != nil || head.Position < 1 || head.TenantID == uuid.Nil {
		return nil, fmt.Errorf("%s is no head of a log: %w", path, errors.Join(err, errIncomplete))
	}
	if tenant != uuid.Nil && head.TenantID != tenant {
		return nil, fmt.Errorf("%s is the head of tenant %s, and you ask about %s", path, head.TenantID, tenant)
	}
	return &head, nil
}

var errIncomplete = errors.New("it must be what `robson head export` wrote")

// headExportCommand gives the end of the log, to be kept where the database's masters cannot reach.
func headExportCommand(app *App) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the log's last position and hash, to be kept elsewhere", Args: noArgs,
		Long: "Writes a few lines of JSON: tenant, position, event id, hash, time. Keep them where whoever may write the database cannot: with\n" +
			"the auditor, in a bucket with object lock, on paper. `robson verify --head` then finds a log that lost its end, or that was\n" +
			"written anew. Export one a day, and one when something is agreed upon.\n\n" +
			"A head is worth keeping if `robson verify` finds the log whole. A file that exists is never overwritten.",
		Example: indent("robson head export\nrobson head export --file heads/$(date +%F).json"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("file") && path == "" {
				return usagef("--file: is empty")
			}
			return app.exportHead(cmd.Context(), path)
		},
	}
	cmd.Flags().StringVar(&path, "file", "", "the `file` to write; it must not exist yet (default: standard output)")
	return cmd
}

// exportHead writes the head to a new file, or prints it.
func (a *App) exportHead(ctx context.Context, path string) error {
	head, err := a.head(ctx)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if path == "" {
		_, err = a.out.Write(data)
		return err
	}
	if err := writeNew(path, data); err != nil {
		return err
	}
	if a.json() {
		_, err = a.out.Write(data)
		return err
	}
	fmt.Fprintf(a.out, "the head of tenant %s at position %d is in %s\n", head.TenantID, head.Position, path)
	return nil
}

// head reads the log's last event, whose tenant the caller may not have named.
func (a *App) head(ctx context.Context) (*keptHead, error) {
	conn, err := a.service(client.Eventlog)
	if err != nil {
		return nil, err
	}
	log := eventlogv1.NewReadServiceClient(conn)
	head, err := log.GetHead(ctx, &eventlogv1.GetHeadRequest{})
	if err != nil {
		return nil, err
	}
	if head.GetPosition() == 0 {
		return nil, errors.New("the log has no event yet")
	}
	last, err := log.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: head.GetEventId()})
	if err != nil {
		return nil, err
	}
	if last.GetEvent().GetHash() != head.GetHash() || last.GetEvent().GetPosition() != head.GetPosition() {
		return nil, brokenError{position: head.GetPosition(), what: "the head is not that of the last event; see robson verify"}
	}
	tenant, err := uuid.Parse(last.GetEvent().GetTenantId())
	if err != nil {
		return nil, fmt.Errorf("the last event's tenant: %w", err)
	}
	return &keptHead{
		TenantID: tenant, Position: head.GetPosition(), EventID: head.GetEventId(), Hash: head.GetHash(), IngestedAt: head.GetIngestedAt().AsTime(),
	}, nil
}

// writeNew writes a file that must not exist: a head that was kept is never lost to a later one, which may be that of a log
// that has become shorter. What cannot be written whole leaves nothing.
func writeNew(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usagef("--file: %s exists, and a head that was kept is never overwritten: name another", path)
	}
	if err != nil {
		return usagef("--file: %s", err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}
