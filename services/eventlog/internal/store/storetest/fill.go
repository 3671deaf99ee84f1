package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/postgres"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// fillBatch is how many events are written at a time.
const fillBatch = 20_000

// Fill appends count events of the life of orders, five to a stream and one to a command, each after the one before it, by
// COPY, and keeps none of them here: for measuring on long logs. The log can not be appended to by other ways afterwards.
func (l *Log) Fill(ctx context.Context, count int, each time.Duration) error {
	last := event.Record{}
	account := uuid.New()
	var order uuid.UUID
	for done := 0; done < count; {
		batch := fillRows{}
		for len(batch.events) < min(fillBatch, count) && done < count {
			if done%5 == 0 {
				order = uuid.New()
			}
			record, subjects, err := l.fillRecord(&last, account, order, int64(done%5)+1)
			if err != nil {
				return err
			}
			if err := l.ensureMonth(ctx, record.IngestedAt); err != nil {
				return err
			}
			batch.add(&record, subjects, done%5 == 4 || done == count-1)
			last = record
			done++
			l.Now = l.Now.Add(each)
		}
		if err := l.copyRows(ctx, &batch, &last); err != nil {
			return err
		}
	}
	return nil
}

// fillRecord is the next event: a claim, an acknowledgement and three trades of an order.
func (l *Log) fillRecord(last *event.Record, account, order uuid.UUID, seq int64) (event.Record, event.Subjects, error) {
	at := l.Now.UTC().Truncate(time.Microsecond)
	client, position := event.ClientOrderID(order), uuid.NewSHA1(order, []byte("position"))
	var m proto.Message
	switch seq {
	case 1:
		m = &eventv1.OrderSubmitted{
			OrderId: order.String(), AccountId: account.String(), PositionId: position.String(), IntentId: uuid.NewSHA1(order, []byte("intent")).String(),
			ClientOrderId: client, Symbol: "BTCUSDT", Side: eventv1.Side_SIDE_BUY, OrderType: eventv1.OrderType_ORDER_TYPE_LIMIT, Quantity: "0.05", Price: "97123.45", Attempt: 1,
		}
	case 2:
		m = &eventv1.OrderAcked{OrderId: order.String(), AccountId: account.String(), Symbol: "BTCUSDT", ClientOrderId: client, ExchangeOrderId: fmt.Sprint(last.Position), TransactTime: timestamppb.New(at)}
	default:
		m = &eventv1.FillReceived{
			FillId: uuid.NewSHA1(order, []byte{byte(seq)}).String(), AccountId: account.String(), OrderId: order.String(), PositionId: position.String(), ClientOrderId: client,
			ExchangeOrderId: fmt.Sprint(last.Position), ExchangeTradeId: fmt.Sprint(last.Position), Symbol: "BTCUSDT", Side: eventv1.Side_SIDE_BUY,
			FillPrice: "97123.45", FillQuantity: "0.01", QuoteQuantity: "971.2345", Fee: "0.9712345", FeeAsset: "USDT", FeeQuote: "0.9712345", FilledAt: timestamppb.New(at),
		}
	}
	stream := event.StreamKey{Kind: event.KindOrder, ID: order}
	descriptor, err := event.OfMessage(m)
	if err != nil {
		return event.Record{}, event.Subjects{}, err
	}
	payload, err := event.Canonical(m)
	if err != nil {
		return event.Record{}, event.Subjects{}, err
	}
	id, err := event.NextID(last.EventID, at, rand.Reader)
	if err != nil {
		return event.Record{}, event.Subjects{}, err
	}
	command := uuid.New()
	r := event.Record{
		TenantID: l.Tenant, Position: last.Position + 1, EventID: id, StreamKey: stream.String(), Seq: seq, Type: descriptor.Type, Payload: payload,
		SchemaVersion: descriptor.Version, OccurredAt: at, IngestedAt: at, IdempotencyKey: event.IdempotencyKey(l.Tenant, stream.String(), command, payload),
		TraceID: order, CommandID: command, WorkflowID: position, ActorType: eventv1.ActorType_ACTOR_TYPE_EXCHANGE, ActorID: "connector", PrevHash: last.Hash,
	}
	if seq > 1 {
		r.CausationID = last.EventID
	}
	r.Hash = event.HashOf(&r)
	return r, event.SubjectsOf(stream, m), nil
}

// fillRows are rows to be copied.
type fillRows struct{ events, commands, streams [][]any }

func (b *fillRows) add(r *event.Record, s event.Subjects, lastOfStream bool) {
	b.events = append(b.events, eventRow(r, s))
	stream, _ := event.ParseStreamKey(r.StreamKey)
	entry := intake.Entry{EventID: r.EventID, Stream: stream, Seq: r.Seq, Type: r.Type}
	b.commands = append(b.commands, []any{r.TenantID, r.CommandID, r.Position, r.IngestedAt, int32(1), int32(0), r.Hash[:], intake.EncodeEntries([]intake.Entry{entry})})
	if lastOfStream {
		b.streams = append(b.streams, []any{r.TenantID, r.Seq, r.Position, r.StreamKey})
	}
}

// copyRows writes rows and the head that goes with them.
func (l *Log) copyRows(ctx context.Context, b *fillRows, last *event.Record) error {
	return postgres.InTx(ctx, l.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		for _, table := range []struct {
			name    string
			columns []string
			rows    [][]any
		}{
			{"event_log", eventColumns, b.events},
			{"commands", []string{"tenant_id", "command_id", "first_position", "ingested_at", "event_count", "raised_count", "request_digest", "receipt"}, b.commands},
			{"stream_state", []string{"tenant_id", "last_seq", "last_position", "stream_key"}, b.streams},
		} {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, pgx.CopyFromRows(table.rows)); err != nil {
				return fmt.Errorf("copy into %s: %w", table.name, err)
			}
		}
		return l.head(ctx, tx, last)
	})
}
