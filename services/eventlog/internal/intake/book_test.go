package intake_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// roundsMax is how often one append of these tests may ask for more: less than half of what store.Config.RoundsMax allows.
// An event's rows name others (order, position, limits) twice at most, and what is raised for it may ask once more.
const roundsMax = 3

// start is the clock of the first transaction.
var start = time.Date(2026, time.November, 24, 12, 0, 0, 123456000, time.UTC)

// must is what tests and benchmarks of all sorts have in common.
type must interface {
	require.TestingT
	Helper()
}

// book stands for the database: what transactions on one tenant's log have written.
type book struct {
	tenant   uuid.UUID
	clock    time.Time
	head     *intake.Head
	streams  map[string]intake.StreamHead
	receipts map[uuid.UUID]*intake.Receipt
	records  []intake.Record
	rows     *projection.Memory
	// rounds is the most that any append has asked for more.
	rounds int
}

func newBook() *book {
	return &book{
		tenant: projectiontest.ID("tenant"), clock: start, streams: map[string]intake.StreamHead{},
		receipts: map[uuid.UUID]*intake.Receipt{}, rows: &projection.Memory{},
	}
}

// limits are the defaults.
func limits(t must) intake.Limits {
	t.Helper()
	l, err := intake.Limits{}.WithDefaults()
	require.NoError(t, err)
	return l
}

// entropy never repeats itself, and is the same in every run.
func entropy() io.Reader { return rand.NewChaCha8([32]byte{}) }

// open begins a transaction for some appends: it reads what a store reads before it tries them.
func (b *book) open(t must, requests ...*intake.Request) *intake.Ledger {
	t.Helper()
	o := intake.Opening{Clock: b.clock, Streams: map[string]intake.StreamHead{}, Receipts: map[uuid.UUID]*intake.Receipt{}}
	if b.head != nil {
		head := *b.head
		o.Head = &head
	}
	var keys []projection.Key
	for _, r := range requests {
		for _, key := range r.StreamKeys() {
			o.Streams[key] = b.streams[key]
		}
		for _, id := range r.CommandIDs() {
			if receipt := b.receipts[id]; receipt != nil {
				o.Receipts[id] = receipt
			}
		}
		keys = append(keys, r.Touches()...)
	}
	ledger := intake.NewLedger(b.tenant, o, limits(t), entropy())
	b.load(t, ledger, intake.Wanted{Rows: ledger.Rows.Missing(keys)})
	return ledger
}

// load gives a ledger what it wants.
func (b *book) load(t must, ledger *intake.Ledger, w intake.Wanted) {
	t.Helper()
	for _, key := range w.Rows {
		row, err := b.rows.Get(key)
		require.NoError(t, err)
		ledger.Rows.Load(key, row)
	}
	if w.Stream != "" {
		ledger.LoadStream(w.Stream, b.streams[w.Stream])
	}
	if w.Report != nil {
		record := &b.records[w.Report.Position-1]
		require.Equal(t, record.IngestedAt, w.Report.IngestedAt)
		ledger.LoadReport(w.Report.Position, &intake.FirstReport{EventID: record.EventID, TraceID: record.TraceID, Message: record.Message})
	}
}

// try tries one append until nothing is wanting.
func (b *book) try(t must, ledger *intake.Ledger, r *intake.Request) (intake.Answer, error) {
	t.Helper()
	for round := 0; ; round++ {
		answer, err := ledger.Append(r)
		wanted, wants := intake.WantedBy(err)
		if !wants {
			b.rounds = max(b.rounds, round)
			return answer, err
		}
		require.Less(t, round, roundsMax, "%v", err)
		b.load(t, ledger, wanted)
	}
}

// commit writes what a transaction has to write, as it would be read again.
func (b *book) commit(t must, ledger *intake.Ledger) intake.Outcome {
	t.Helper()
	o := ledger.Outcome()
	if len(o.Records) == 0 {
		require.Empty(t, o.Receipts)
		require.Empty(t, o.Rows)
		return o
	}
	require.Equal(t, b.head == nil, o.Created)
	head := o.Head
	b.head = &head
	b.records = append(b.records, o.Records...)
	maps.Copy(b.streams, o.Streams)
	for _, receipt := range o.Receipts {
		stored := *receipt
		entries, err := intake.DecodeEntries(intake.EncodeEntries(receipt.Entries), len(receipt.Entries))
		require.NoError(t, err)
		require.Equal(t, receipt.Entries, entries)
		stored.Entries = entries
		require.NotContains(t, b.receipts, receipt.Command)
		b.receipts[receipt.Command] = &stored
	}
	for _, row := range o.Rows {
		parsed, err := projection.ParseRow(row.Key().Table, projection.RowJSON(row))
		require.NoError(t, err)
		b.rows.Put(parsed)
	}
	return o
}

// result is what one append came to.
type result struct {
	intake.Answer
	err error
}

// append takes several appends in as one transaction.
func (b *book) append(t must, requests ...*intake.Request) []result {
	t.Helper()
	ledger := b.open(t, requests...)
	results := make([]result, len(requests))
	for i, r := range requests {
		results[i].Answer, results[i].err = b.try(t, ledger, r)
	}
	b.commit(t, ledger)
	b.clock = b.clock.Add(time.Second)
	return results
}

// one takes one append in, which must succeed.
func (b *book) one(t must, r *intake.Request) intake.Answer {
	t.Helper()
	got := b.append(t, r)[0]
	require.NoError(t, got.err)
	return got.Answer
}

// requireSound holds the whole book to laws 2 and 3: no gap, times and ids that never go back, a chain that holds, stored
// bytes that decode and fold to the rows.
func (b *book) requireSound(t must) {
	t.Helper()
	var chain event.Chain
	seqs := map[string]int64{}
	state := &projection.Memory{}
	for i := range b.records {
		record := &b.records[i]
		require.Equal(t, int64(i+1), record.Position)
		seqs[record.StreamKey]++
		require.Equal(t, seqs[record.StreamKey], record.Seq)
		require.NoError(t, chain.Next(&record.Record))
		message, err := record.Record.Message()
		require.NoError(t, err)
		_, err = projection.Fold(state, projection.EventOf(&record.Record, message))
		require.NoError(t, err)
	}
	if b.head != nil {
		require.Equal(t, b.head.Position, chain.Position())
		require.Equal(t, b.head.Hash, chain.Hash())
	}
	require.Equal(t, state.Render(), b.rows.Render())
	require.Len(t, b.streams, len(seqs))
	for key, head := range b.streams {
		require.Equal(t, seqs[key], head.Seq)
	}
}

// The callers of these tests.
var (
	connector = intake.Caller{Service: "connector"}
	command   = intake.Caller{Service: "command"}
	ana       = intake.Caller{Service: "command", User: "ana"}
)

// factDraft is the append of one fact as the connector makes it.
func factDraft(t must, log *projectiontest.Log, payload proto.Message) *intake.Draft {
	t.Helper()
	identity, err := event.Identity(payload)
	require.NoError(t, err)
	digest, err := event.Digest(payload)
	require.NoError(t, err)
	return &intake.Draft{
		Tenant: log.TenantID, Command: event.FactCommandID(identity), Digest: digest, Trace: projectiontest.ID("trace"), Caller: connector,
		Streams: []intake.DraftStream{streamOf(log, payload)},
	}
}

// streamOf is the stream that usually holds payloads of one kind, with them.
func streamOf(log *projectiontest.Log, payloads ...proto.Message) intake.DraftStream {
	s := intake.DraftStream{Key: log.Next(payloads[0]).StreamKey}
	for _, payload := range payloads {
		s.Events = append(s.Events, intake.DraftEvent{Payload: event.Wrap(payload), OccurredAt: log.Now, CausedBy: -1})
	}
	return s
}

// draft is the append of some payloads under a named command.
func draft(log *projectiontest.Log, name string, payloads ...proto.Message) *intake.Draft {
	d := &intake.Draft{
		Tenant: log.TenantID, Command: projectiontest.ID("command " + name), Digest: sha256.Sum256([]byte(name)),
		Trace: projectiontest.ID("trace"), Caller: callerOf(payloads[0]),
	}
	for _, payload := range payloads {
		s := streamOf(log, payload)
		if last := len(d.Streams) - 1; last >= 0 && d.Streams[last].Key == s.Key {
			d.Streams[last].Events = append(d.Streams[last].Events, s.Events...)
			continue
		}
		d.Streams = append(d.Streams, s)
	}
	return d
}

// callerOf is who appends a payload.
func callerOf(payload proto.Message) intake.Caller {
	switch descriptor, _ := event.OfMessage(payload); {
	case descriptor.IsDecision() && descriptor.Type != "ORDER_SUBMITTED":
		return ana
	case descriptor.Type == "SNAPSHOT_CREATED":
		return intake.Caller{Service: "snapshotter"}
	case descriptor.Type == "PROJECTION_REBUILT":
		return intake.Caller{Service: "replayer"}
	default:
		return connector
	}
}

// request is a draft that must be well-formed.
func request(t must, d *intake.Draft) *intake.Request {
	t.Helper()
	r, err := intake.New(d, limits(t))
	require.NoError(t, err)
	return r
}

// asRequest is the append of one payload as its producer makes it: a fact by its identity, anything else by name.
func asRequest(t must, log *projectiontest.Log, name string, payload proto.Message) *intake.Request {
	t.Helper()
	if descriptor, err := event.OfMessage(payload); err == nil && descriptor.IsFact() {
		return request(t, factDraft(t, log, payload))
	}
	return request(t, draft(log, name, payload))
}

// desk is a log to make payloads with, and the book in which they are appended too.
type desk struct {
	*projectiontest.Log
	book *book
}

// newDesk is a registered tenant with its accounts and strategy.
func newDesk(t must) *desk {
	t.Helper()
	d := &desk{Log: projectiontest.NewLog(), book: newBook()}
	d.add(t,
		&eventv1.TenantCreated{TenantId: d.TenantID.String(), Name: "tenant"},
		d.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT),
		d.AccountRegistered(projectiontest.Margin, eventv1.Product_PRODUCT_ISOLATED_MARGIN), d.StrategyRegistered())
	d.add(t, d.StrategyEnabled())
	return d
}

// add appends payloads one by one, to the log and to the book.
func (d *desk) add(t must, payloads ...proto.Message) []intake.Answer {
	t.Helper()
	answers := make([]intake.Answer, len(payloads))
	for i, payload := range payloads {
		r := asRequest(t, d.Log, fmt.Sprint("step ", len(d.Events)), payload)
		answers[i] = d.book.one(t, r)
		_, err := d.Append(payload)
		require.NoError(t, err)
	}
	return answers
}
