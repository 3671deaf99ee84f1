package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/services/eventlog/internal/audit"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// readReceipts sums up the receipts of all commands that have events among those that are looked at.
func (p *pass) readReceipts(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, verifyReceipts, p.tenant, p.before.Position, p.end); err != nil {
		return fmt.Errorf("read receipts: %w", err)
	}
	for more := true; more; {
		var r intake.Receipt
		var count int
		var entries []byte
		targets := []any{(*idColumn)(&r.Command), &r.FirstPosition, &r.IngestedAt, &count, &r.Raised, &entries}
		read, err := scanEach(ctx, tx, targets, func() { p.receipt(&r, entries, count) }, verifyReceiptsFetch)
		if err != nil {
			return fmt.Errorf("read receipts: %w", err)
		}
		select {
		case <-p.quit: // Whatever they say.
			more = false
		default:
			more = read > 0
		}
	}
	if _, err := tx.Exec(ctx, verifyReceiptsClose); err != nil {
		return fmt.Errorf("read receipts: %w", err)
	}
	return nil
}

// scanEach scans the rows of a query one after the other into the same targets, and says how many there were.
func scanEach(ctx context.Context, tx pgx.Tx, targets []any, each func(), query string, args ...any) (int64, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return 0, err //nolint:wrapcheck // The caller says what it was reading.
	}
	defer rows.Close()
	tag, err := pgx.ForEachRow(rows, targets, func() error {
		each()
		return nil
	})
	if err != nil {
		return 0, err //nolint:wrapcheck // The caller says what it was reading.
	}
	return tag.RowsAffected(), rows.Err()
}

// receipt adds one to the sum.
func (p *pass) receipt(r *intake.Receipt, entries []byte, count int) {
	var err error
	r.Entries, err = intake.DecodeEntries(entries, count)
	if err != nil || r.Raised < 0 || r.Raised > count {
		p.unreadable = audit.Earlier(p.unreadable, &audit.Breach{
			Kind: audit.ReceiptMismatch, Position: max(r.FirstPosition, p.before.Position+1),
			What: fmt.Sprintf("the receipt of command %s cannot be read", r.Command),
		})
		return
	}
	p.receipts++
	p.stored.Receipt(r, p.before.Position, p.end)
}

// compare holds the receipts, the heads of streams and the log's head against the events, which are whole.
func (p *pass) compare(ctx context.Context, tx pgx.Tx) (*audit.Breach, error) {
	wrong, err := p.compareStreams(ctx, tx)
	if err != nil || !p.full {
		return wrong, err
	}
	if p.params.To == 0 {
		wrong = audit.Earlier(wrong, p.last.Ends(p.head.place()))
		position, err := p.beyond(ctx, tx)
		if err != nil {
			return wrong, err
		}
		if position > 0 {
			wrong = audit.Earlier(wrong, &audit.Breach{Kind: audit.Inserted, Position: position, What: fmt.Sprintf("it stands behind the head, which is at position %d", p.head.Position)})
		}
	}
	if p.tally.Equal(p.stored) && p.unreadable == nil {
		return wrong, nil
	}
	receipts, err := p.compareReceipts(ctx, tx)
	return audit.Earlier(wrong, receipts), err
}

// compareStreams holds the heads of the part's streams against their events.
func (p *pass) compareStreams(ctx context.Context, tx pgx.Tx) (*audit.Breach, error) {
	var wrong *audit.Breach
	var key pgtype.DriverBytes // Good until the next row.
	var seq, position int64
	_, err := scanEach(ctx, tx, []any{&key, &seq, &position}, func() {
		wrong = audit.Earlier(wrong, p.streams.Head(key, seq, position))
	}, verifyStreams, p.tenant)
	if err != nil {
		return nil, fmt.Errorf("read heads of streams: %w", err)
	}
	return audit.Earlier(wrong, p.streams.Headless()), nil
}

// compareReceipts finds what the sums say is there: the first event whose receipt does not fit it, or a receipt of nothing.
func (p *pass) compareReceipts(ctx context.Context, tx pgx.Tx) (*audit.Breach, error) {
	wrong := p.unreadable
	var command uuid.UUID
	var first int64
	err := optionalRow(tx.QueryRow(ctx, verifyNoEvents, p.tenant, p.before.Position, p.end).Scan(&command, &first))
	if err != nil {
		return nil, fmt.Errorf("look for receipts without events: %w", err)
	}
	if first > 0 {
		wrong = audit.Earlier(wrong, audit.NoEvents(command, first))
	}
	var receipts audit.Receipts
	size := int64(p.limits.StretchMax)
	for from := p.before.Position + 1; from <= p.end; from += size {
		found, err := p.compareStretch(ctx, tx, &receipts, from, min(from+size-1, p.end))
		if err != nil || found != nil {
			return audit.Earlier(wrong, found), err
		}
	}
	if p.params.To == 0 {
		wrong = audit.Earlier(wrong, receipts.End(uuid.Nil))
	}
	return wrong, nil
}

// compareStretch holds events one by one against their receipts.
func (p *pass) compareStretch(ctx context.Context, tx pgx.Tx, receipts *audit.Receipts, from, to int64) (*audit.Breach, error) {
	var wrong *audit.Breach
	var row receiptedRow
	_, err := scanEach(ctx, tx, row.targets(), func() {
		if wrong == nil {
			wrong = receipts.Next(row.receipted())
		}
	}, verifyReceipted, p.tenant, from, to)
	if err != nil {
		return nil, fmt.Errorf("read receipts from position %d: %w", from, err)
	}
	return wrong, nil
}

// receiptedRow is a row of verifyReceipted.
type receiptedRow struct {
	position, seq     int64
	command, id       uuid.UUID
	at                time.Time
	stream, eventType string

	first         *int64
	receiptAt     *time.Time
	count, raised *int32
	entries       []byte
}

func (r *receiptedRow) targets() []any {
	return []any{&r.position, &r.command, &r.id, &r.at, &r.stream, &r.seq, &r.eventType, &r.first, &r.receiptAt, &r.count, &r.raised, &r.entries}
}

// receipted is the event beside its receipt.
func (r *receiptedRow) receipted() audit.Receipted {
	stream, err := event.ParseStreamKey(r.stream)
	out := audit.Receipted{
		Position: r.position, Command: r.command, IngestedAt: r.at.UnixMicro(), Unreadable: err,
		Entry: intake.Entry{EventID: ulid.ULID(r.id), Stream: stream, Seq: r.seq, Type: event.Type(r.eventType)},
	}
	if r.first == nil {
		return out
	}
	out.Receipt = &intake.Receipt{Command: r.command, FirstPosition: *r.first, IngestedAt: *r.receiptAt, Raised: int(*r.raised)}
	out.Receipt.Entries, out.Unreadable = intake.DecodeEntries(r.entries, int(*r.count))
	return out
}
