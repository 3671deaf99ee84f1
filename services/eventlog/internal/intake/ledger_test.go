package intake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// refuses appends what must be refused, and holds that nothing has changed: no number, no id, no row.
func (d *desk) refuses(t *testing.T, kind fault.Kind, reason string, r *intake.Request) *fault.Error {
	t.Helper()
	ledger := d.book.open(t, r)
	before := ledger.Outcome()
	_, err := d.book.try(t, ledger, r)
	require.Equal(t, reason, fault.ReasonOf(err), "%v", err)
	require.True(t, fault.Is(err, kind), "%v", err)
	require.Equal(t, before, ledger.Outcome())
	require.Empty(t, before.Records)
	return fault.As(err)
}

func positionStream(p projectiontest.Plan) string {
	return event.StreamKey{Kind: event.KindPosition, ID: p.PositionID()}.String()
}

func TestLedger_receipts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	plan := projectiontest.Long("a")
	first := draft(d.Log, "open", d.Armed(plan), d.Detected(plan))
	first.Causation, first.Workflow = ulid.MustNew(1, entropy()), projectiontest.ID("workflow")
	first.Streams[0].Events[1].CausedBy = 0
	answer := d.book.one(t, request(t, first))
	require.False(t, answer.Duplicate)
	require.Equal(t, uuid.Nil, answer.Discrepancy)
	require.Equal(t, first.Command, answer.Command)
	require.Equal(t, first.Digest, answer.Digest)
	require.Equal(t, int64(6), answer.FirstPosition)
	require.Equal(t, start.Add(5*time.Second), answer.IngestedAt)
	require.Len(t, answer.Requested(), 2)
	require.Empty(t, answer.RaisedEntries())
	records := d.book.records[5:]
	for i, entry := range answer.Requested() {
		require.Equal(t, records[i].EventID, entry.EventID)
		require.Equal(t, positionStream(plan), entry.Stream.String())
		require.Equal(t, int64(i+1), entry.Seq)
		require.Equal(t, records[i].Type, entry.Type)
		require.True(t, entry.Skewed) // The log's business time is the day before.
		require.Equal(t, first.Trace, records[i].TraceID)
		require.Equal(t, first.Workflow, records[i].WorkflowID)
		require.Equal(t, first.Command, records[i].CommandID)
		require.Equal(t, eventv1.ActorType_ACTOR_TYPE_CLI, records[i].ActorType)
		require.Equal(t, "ana", records[i].ActorID)
		require.Equal(t, plan.PositionID(), records[i].Subjects.PositionID)
		require.Equal(t, projectiontest.Start.Add(5*time.Second), records[i].OccurredAt)
	}
	require.Equal(t, first.Causation, records[0].CausationID)
	require.Equal(t, records[0].EventID, records[1].CausationID)
	d.book.requireSound(t)
}

// Law 4: duplicates are recognised before versions and reads are checked, across transactions and within one.
func TestLedger_duplicates_come_first(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	plan := projectiontest.Long("a")
	arm := draft(d.Log, "arm", d.Armed(plan))
	arm.Streams[0].Expected = intake.Expected{Mode: intake.NoStream}
	arm.Reads, arm.DecidedAt = []intake.Read{{Kind: projection.ReadPosition, ID: plan.PositionID()}}, 5
	r := request(t, arm)
	results := d.book.append(t, r, r, r)
	require.NoError(t, results[0].err)
	require.False(t, results[0].Duplicate)
	for _, again := range append(results[1:], d.book.append(t, r)...) {
		require.NoError(t, again.err)
		require.True(t, again.Duplicate)
		require.Equal(t, results[0].Receipt, again.Receipt)
	}
	// A retry may have decided anew: what it then sends does not count, its digest does.
	other := draft(d.Log, "arm", d.Armed(projectiontest.Long("b")))
	answer := d.book.one(t, request(t, other))
	require.True(t, answer.Duplicate)
	require.Equal(t, results[0].Receipt, answer.Receipt)
	require.Len(t, d.book.records, 6)

	t.Run("even where nothing can be appended now", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		again := request(t, draft(d.Log, "step 4", d.StrategyEnabled()))
		d.book.head.RulesVersion++
		d.book.head.IngestedAt = d.book.clock.Add(time.Hour)
		got := d.book.append(t, again)[0]
		require.NoError(t, got.err)
		require.True(t, got.Duplicate)
	})
}

func TestLedger_a_command_id_stands_for_one_request(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := draft(d.Log, "step 4", d.StrategyEnabled())
	reused := *first
	reused.Digest[0] ^= 0xff
	e := d.refuses(t, fault.Duplicate, "COMMAND_ID_REUSED", request(t, &reused))
	require.Equal(t, map[string]string{
		"command_id": first.Command.String(), "stored_digest": hexOf(first.Digest), "request_digest": hexOf(reused.Digest),
	}, e.Metadata)
}

func TestLedger_expectations(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	plan := projectiontest.Long("a")
	d.add(t, d.Armed(plan), d.Detected(plan)) // Seq 2 of the position's stream.
	next, other := d.Proposed(plan), projectiontest.Long("b")
	other.Symbol = "ETHUSDT"
	tests := []struct {
		name     string
		fresh    bool
		expected intake.Expected
		wanted   string
	}{
		{"any", false, intake.Expected{}, ""},
		{"any of none", true, intake.Expected{}, ""},
		{"none", true, intake.Expected{Mode: intake.NoStream}, ""},
		{"none where there is one", false, intake.Expected{Mode: intake.NoStream}, "0"},
		{"one", false, intake.Expected{Mode: intake.Exists}, ""},
		{"one where there is none", true, intake.Expected{Mode: intake.Exists}, "at least 1"},
		{"exactly", false, intake.Expected{Mode: intake.Exact, Seq: 2}, ""},
		{"exactly, too low", false, intake.Expected{Mode: intake.Exact, Seq: 1}, "1"},
		{"exactly, too high", false, intake.Expected{Mode: intake.Exact, Seq: 3}, "3"},
		{"exactly 0 is none", true, intake.Expected{Mode: intake.Exact}, ""},
		{"exactly 0 where there is one", false, intake.Expected{Mode: intake.Exact}, "0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dr, found := draft(d.Log, test.name, next), "2"
			if test.fresh {
				dr, found = draft(d.Log, test.name, d.Armed(other)), "0"
			}
			dr.Streams[0].Expected = test.expected
			r := request(t, dr)
			if test.wanted == "" {
				_, err := d.book.try(t, d.book.open(t, r), r)
				require.NoError(t, err)
				return
			}
			e := d.refuses(t, fault.Conflict, "STREAM_VERSION", r)
			require.Equal(t, map[string]string{"stream_key": dr.Streams[0].Key, "expected": test.wanted, "found": found}, e.Metadata)
		})
	}
}

// Expectations and reads hold for the log as it is, earlier appends of the same batch included, before the append's own
// first event.
func TestLedger_reads(t *testing.T) {
	t.Parallel()
	a, b := projectiontest.Long("a"), projectiontest.Long("b")
	b.Symbol = "ETHUSDT"
	opening := func(d *desk, p projectiontest.Plan, decidedAt int64) *intake.Request {
		dr := draft(d.Log, "open "+p.Name, d.Entry(p))
		dr.Reads, dr.DecidedAt = []intake.Read{{Kind: projection.ReadAccountRisk, ID: projectiontest.Spot}}, decidedAt
		return request(t, dr)
	}
	prepare := func(t *testing.T) (*desk, int64) {
		t.Helper()
		d := newDesk(t)
		for _, p := range []projectiontest.Plan{a, b} {
			d.add(t, d.Armed(p), d.Detected(p), d.Proposed(p), d.Passed(p))
		}
		return d, d.book.head.Position
	}
	t.Run("two openings race for the same risk: one passes", func(t *testing.T) {
		t.Parallel()
		d, at := prepare(t)
		results := d.book.append(t, opening(d, a, at), opening(d, b, at))
		require.NoError(t, results[0].err)
		e := fault.As(results[1].err)
		require.Equal(t, fault.Conflict, e.Kind)
		require.Equal(t, "READ_CHANGED", e.Reason)
		require.Equal(t, map[string]string{
			"row": "risk_state_current", "id": projection.RiskKey(projectiontest.Spot, uuid.Nil).ID(), "expected": "13", "found": "14",
		}, e.Metadata)
		require.Len(t, d.book.records, 14)
		require.NoError(t, d.book.append(t, opening(d, b, at+1))[0].err) // Decided anew on what is now.
	})
	t.Run("a sample in between disturbs nobody", func(t *testing.T) {
		t.Parallel()
		d, at := prepare(t)
		sample := asRequest(t, d.Log, "", d.Sample("1", "USDT", "1"))
		for _, got := range d.book.append(t, sample, opening(d, a, at)) {
			require.NoError(t, got.err)
		}
	})
	t.Run("an absent row counts as changed at 0", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		arm := draft(d.Log, "arm", d.Armed(a))
		arm.Reads = []intake.Read{{Kind: projection.ReadPosition, ID: a.PositionID()}, {Kind: projection.ReadStrategy, ID: uuid.New()}}
		again := *arm
		again.Command = projectiontest.ID("another")
		results := d.book.append(t, request(t, arm), request(t, &again))
		require.NoError(t, results[0].err)
		require.Equal(t, "READ_CHANGED", fault.ReasonOf(results[1].err))
	})
	t.Run("decided on a log that there is not", func(t *testing.T) {
		t.Parallel()
		d, at := prepare(t)
		e := d.refuses(t, fault.Invalid, "INVALID_FIELD", opening(d, a, at+1))
		require.Equal(t, "decided_at", e.Fields[0].Path)
	})
	t.Run("an append does not disturb its own reads", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		arm := draft(d.Log, "arm", d.Armed(a), d.Detected(a), d.Proposed(a))
		arm.Reads, arm.DecidedAt = []intake.Read{{Kind: projection.ReadPosition, ID: a.PositionID()}}, 5
		d.book.one(t, request(t, arm))
	})
}

// One bad append harms only its sender: it burns no position, seq or id, and what is refused names its field or its event.
func TestLedger_a_refused_append_leaves_nothing(t *testing.T) {
	t.Parallel()
	plan := projectiontest.Long("a")
	d := newDesk(t)
	good := request(t, draft(d.Log, "good", d.Armed(plan)))
	bad := draft(d.Log, "bad", d.Armed(projectiontest.Long("x")), d.StrategyEnabled())
	last := asRequest(t, d.Log, "", d.Sample("1", "USDT", "1"))
	with, without := newDesk(t), newDesk(t)
	got := with.book.append(t, good, request(t, bad), last)
	want := without.book.append(t, good, last)
	require.Equal(t, "DUPLICATE_POSITION", fault.ReasonOf(got[1].err))
	require.Equal(t, []result{want[0], want[1]}, []result{got[0], got[2]})
	require.Equal(t, without.book.records, with.book.records)
	with.book.requireSound(t)

	second := d.refuses(t, fault.Refused, "STRATEGY_ENABLED", request(t, bad))
	require.Equal(t, "STRATEGY_ENABLED", second.Metadata["event_type"])
	require.Equal(t, "1", second.Metadata["event_index"])
}

func TestLedger_refusals_name_the_field(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	plan := projectiontest.Long("a")
	short := d.Armed(plan)
	short.Side = eventv1.PositionSide_POSITION_SIDE_SHORT
	elsewhere := draft(d.Log, "elsewhere", d.Armed(plan))
	elsewhere.Streams[0].Key = "position:" + projectiontest.ID("another").String()
	account := draft(d.Log, "kind", d.Armed(plan))
	account.Streams[0].Key = "account:" + projectiontest.Spot.String()
	sample := factDraft(t, d.Log, d.Sample("1", "USDT", "1"))
	sample.Streams[0].Key = "account:" + projectiontest.Margin.String()
	strange := draft(d.Log, "strange", &eventv1.TenantCreated{TenantId: uuid.NewString(), Name: "x"})
	tests := []struct {
		name  string
		draft *intake.Draft
		field string
	}{
		{"a stream of another thing", elsewhere, "streams[0].events[0].payload.position_armed.position_id"},
		{"a stream of another kind", account, "streams[0].stream_key"},
		{"a fact of another account", sample, "streams[0].events[0].payload.balance_sampled.account_id"},
		{"another tenant", strange, "streams[0].events[0].payload.tenant_created.tenant_id"},
		{"a short on spot", draft(d.Log, "short", short), "streams[0].events[0].payload.position_armed.side"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := d.refuses(t, fault.Invalid, "INVALID_FIELD", request(t, test.draft))
			require.Equal(t, test.field, e.Fields[0].Path)
		})
	}
}

// Law 3: ids and times never go back, whatever the clock does.
func TestLedger_times_and_ids(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	sample := func(id string) *intake.Request { return asRequest(t, d.Log, "", d.Sample(id, "USDT", "1")) }
	for i, clock := range []time.Duration{0, 0, -time.Second, -time.Minute, -90 * time.Second, time.Second, time.Second + time.Microsecond} {
		last := *d.book.head
		d.book.clock = start.Add(time.Minute + clock)
		answer := d.book.one(t, sample(time.Duration(i).String()))
		require.Positive(t, answer.Entries[0].EventID.Compare(last.EventID))
		require.False(t, answer.IngestedAt.Before(last.IngestedAt))
		require.False(t, answer.IngestedAt.Before(start.Add(time.Minute+clock)))
	}
	d.book.requireSound(t)

	// A head further ahead than the limit is an alert, not a silent future.
	d.book.clock = d.book.head.IngestedAt.Add(-2*time.Minute - time.Microsecond)
	e := d.refuses(t, fault.Unavailable, "LOG_AHEAD_OF_CLOCK", sample("x"))
	require.Positive(t, e.RetryAfter)
	d.book.clock = d.book.head.IngestedAt.Add(-2 * time.Minute)
	require.Equal(t, d.book.head.IngestedAt, d.book.one(t, sample("x")).IngestedAt)

	// The time is cut to what the database keeps.
	d.book.clock = d.book.head.IngestedAt.Add(1999 * time.Nanosecond)
	require.Equal(t, d.book.head.IngestedAt.Add(time.Microsecond), d.book.one(t, sample("y")).IngestedAt)
}

func TestLedger_skewed_business_time_is_told(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for skew, told := range map[time.Duration]bool{
		0: false, 5 * time.Minute: false, -5 * time.Minute: false, 5*time.Minute + time.Microsecond: true, -5*time.Minute - time.Microsecond: true,
	} {
		dr := factDraft(t, d.Log, d.Sample(skew.String(), "USDT", "1"))
		dr.Streams[0].Events[0].OccurredAt = d.book.clock.Add(skew)
		require.Equal(t, told, d.book.one(t, request(t, dr)).Entries[0].Skewed, skew)
	}
}

func TestLedger_rules_of_another_version(t *testing.T) {
	t.Parallel()
	for _, version := range []int32{projection.RulesVersion - 1, projection.RulesVersion + 1} {
		d := newDesk(t)
		d.book.head.RulesVersion = version
		e := d.refuses(t, fault.Unavailable, "RULES_VERSION", asRequest(t, d.Log, "", d.Sample("1", "USDT", "1")))
		require.Positive(t, e.RetryAfter)
	}
}

func TestLedger_a_tenant_begins_with_its_creation(t *testing.T) {
	t.Parallel()
	log := projectiontest.NewLog()
	created := &eventv1.TenantCreated{TenantId: log.TenantID.String(), Name: "tenant"}
	empty := &desk{Log: log, book: newBook()}
	e := empty.refuses(t, fault.NotFound, "TENANT_NOT_FOUND", asRequest(t, log, "", log.Sample("1", "USDT", "1")))
	require.Equal(t, log.TenantID.String(), e.Metadata["tenant_id"])
	_ = empty.refuses(t, fault.NotFound, "TENANT_NOT_FOUND", request(t, draft(log, "x", log.StrategyRegistered())))

	// In another tenant's stream it creates nothing.
	strange := draft(log, "strange", created)
	strange.Streams[0].Key = "tenant:" + uuid.NewString()
	_ = empty.refuses(t, fault.NotFound, "TENANT_NOT_FOUND", request(t, strange))

	create := request(t, draft(log, "create", created, log.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT)))
	ledger := empty.book.open(t, create)
	_, err := empty.book.try(t, ledger, create)
	require.NoError(t, err)
	o := empty.book.commit(t, ledger)
	require.True(t, o.Created)
	require.Equal(t, int64(2), o.Head.Position)
	require.Equal(t, int64(1), o.Head.Generation)
	require.EqualValues(t, projection.RulesVersion, o.Head.RulesVersion)
	require.Equal(t, [32]byte{}, o.Records[0].PrevHash)
	_ = empty.refuses(t, fault.Refused, "TENANT_EXISTS", request(t, draft(log, "again", created)))
	empty.book.requireSound(t)

	// Creating and using a tenant may be one batch.
	whole := newBook()
	results := whole.append(t, request(t, draft(log, "create", created)), request(t, draft(log, "account", log.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT))))
	require.NoError(t, errors.Join(results[0].err, results[1].err))
}

// Law 9: what one tenant's log holds says nothing about another's; equal ids and streams meet nowhere.
func TestLedger_tenants_never_meet(t *testing.T) {
	t.Parallel()
	one := newDesk(t)
	fresh := &desk{Log: projectiontest.NewLog(), book: newBook()}
	fresh.TenantID = projectiontest.ID("another tenant")
	fresh.book.tenant = fresh.TenantID
	fresh.add(t, &eventv1.TenantCreated{TenantId: fresh.TenantID.String(), Name: "tenant"}, fresh.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT))
	require.Equal(t, one.book.records[0].EventID, fresh.book.records[0].EventID) // The same clock and entropy; all else is apart.
	require.NotEqual(t, one.book.records[1].Hash, fresh.book.records[1].Hash)
	require.NotEqual(t, one.book.records[1].IdempotencyKey, fresh.book.records[1].IdempotencyKey)
	require.Equal(t, int64(1), fresh.book.records[1].Seq)
	for _, row := range fresh.book.rows.Rows() {
		require.Equal(t, fresh.TenantID, row.Tenant())
	}
}

// A head that was not read is never taken for that of an empty stream.
func TestLedger_asks_for_a_stream_that_was_not_read(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := asRequest(t, d.Log, "", d.Sample("1", "USDT", "1"))
	ledger := intake.NewLedger(d.book.tenant, intake.Opening{Head: d.book.head, Clock: start}, limits(t), entropy())
	wanted, wants := intake.WantedBy(ledger.Probe(r))
	require.True(t, wants)
	require.Equal(t, intake.Wanted{Stream: "account:" + projectiontest.Spot.String()}, wanted)
	_, wants = intake.WantedBy(errors.New("broken"))
	require.False(t, wants)
}

// Without entropy no id can be made: nothing is appended.
func TestLedger_without_entropy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := asRequest(t, d.Log, "", d.Sample("1", "USDT", "1"))
	ledger := intake.NewLedger(d.book.tenant, intake.Opening{
		Head: d.book.head, Clock: start.Add(time.Hour), Streams: map[string]intake.StreamHead{r.StreamKeys()[0]: d.book.streams[r.StreamKeys()[0]]},
	}, limits(t), errReader{})
	_, err := ledger.Append(r)
	require.ErrorContains(t, err, "name event at position 6")
	require.Empty(t, ledger.Outcome().Records)
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("no entropy") }
