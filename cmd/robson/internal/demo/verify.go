package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

const (
	readPageSize   = 500
	differencesMax = 10
)

// proof is what an independent read of log and tables shows.
type proof struct {
	events      []*eventv1.Event
	rows        int
	differences []string
	chainHash   string
	position    int64
}

// prove reads the raw tables in one snapshot, reads the log up to that snapshot's position, follows the hash chain, folds
// the log here in memory, and compares every row.
func (d *Demo) prove(ctx context.Context) (*proof, error) {
	tables, header, err := d.exportTables(ctx)
	if err != nil {
		return nil, err
	}
	p := &proof{position: header.GetPosition(), rows: len(tables)}
	p.events, err = d.readLog(ctx, p.position)
	if err != nil {
		return nil, err
	}
	var memory projection.Memory
	chain := &event.Chain{}
	for _, e := range p.events {
		record, payload, err := event.FromProto(e)
		if err != nil {
			return nil, fmt.Errorf("position %d: %w", e.GetPosition(), err)
		}
		if err := chain.Next(record); err != nil {
			return nil, err
		}
		if _, err := projection.Fold(&memory, projection.EventOf(record, payload)); err != nil {
			return nil, fmt.Errorf("fold position %d: %w", e.GetPosition(), err)
		}
	}
	p.chainHash = fmt.Sprintf("%x", chain.Hash())
	if chain.Position() != p.position || p.chainHash != header.GetHash() {
		return nil, fmt.Errorf("the log ends at position %d with hash %s; the head says %d, %s", chain.Position(), p.chainHash, p.position, header.GetHash())
	}
	p.differences = compare(tables, memory.Render())
	return p, nil
}

// exportTables reads the raw rows, by table and key.
func (d *Demo) exportTables(ctx context.Context) (map[string]string, *projectorv1.ExportHeader, error) {
	ctx, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	stream, err := d.audit.ExportState(ctx, &projectorv1.ExportStateRequest{})
	if err != nil {
		return nil, nil, fmt.Errorf("export the tables: %w", err)
	}
	rows := map[string]string{}
	var header *projectorv1.ExportHeader
	for {
		message, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			if header == nil {
				return nil, nil, errors.New("the export of the tables has no header")
			}
			return rows, header, nil
		case err != nil:
			return nil, nil, fmt.Errorf("export the tables: %w", err)
		case message.GetHeader() != nil:
			header = message.GetHeader()
		default:
			rows[message.GetRow().GetTable()+"/"+message.GetRow().GetKey()] = string(message.GetRow().GetJson())
		}
	}
}

// readLog reads the log from its first event up to a position.
func (d *Demo) readLog(ctx context.Context, upTo int64) ([]*eventv1.Event, error) {
	var events []*eventv1.Event
	for from := int64(1); from <= upTo; {
		page, err := retry(ctx, d, "read the log", func(ctx context.Context) (*eventlogv1.ReadLogResponse, error) {
			return d.log.ReadLog(ctx, &eventlogv1.ReadLogRequest{FromPosition: from, PageSize: readPageSize, Direction: eventlogv1.Direction_DIRECTION_FORWARDS})
		})
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetEvents() {
			if e.GetPosition() <= upTo {
				events = append(events, e)
			}
		}
		if page.GetNextPosition() == 0 {
			break
		}
		from = page.GetNextPosition()
	}
	return events, nil
}

// compare names every row that differs, at most differencesMax of them.
func compare(tables map[string]string, folded map[projection.Key]string) []string {
	fold := make(map[string]string, len(folded))
	for key, row := range folded {
		fold[key.String()] = row
	}
	names := map[string]bool{}
	for name := range tables {
		names[name] = true
	}
	for name := range fold {
		names[name] = true
	}
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if tables[name] == fold[name] || len(differences) == differencesMax {
			continue
		}
		differences = append(differences, fmt.Sprintf("%s\n     table: %s\n     fold:  %s", name, tables[name], fold[name]))
	}
	return differences
}
