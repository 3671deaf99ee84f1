package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/eventlog/internal/audit"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
)

// small makes several stretches of a short log, and several parts of its streams.
var small = store.VerifyLimits{StretchMax: 7, StreamsMax: 5}

// evidence is a tenant's log over some months in a database of its own, beside another tenant's.
type evidence struct {
	*bench
	log, other *storetest.Log
}

func newEvidence(t *testing.T, limits store.VerifyLimits) *evidence {
	t.Helper()
	e := &evidence{bench: setup(t, store.Config{Verify: limits})}
	e.log, e.other = e.newLog(t), e.newLog(t)
	require.Greater(t, e.log.Now, e.log.Records[0].IngestedAt.AddDate(0, 1, 15), "the history must go over several months")
	return e
}

// newLog writes another tenant's log.
func (e *evidence) newLog(t *testing.T) *storetest.Log {
	t.Helper()
	log := storetest.NewLog(e.super, uuid.New(), time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC))
	require.NoError(t, log.Write(t.Context(), history()[:60], rand.New(rand.NewPCG(7, 9))))
	return log
}

// history is what happens in every log of these tests.
var history = sync.OnceValue(func() []projection.Event { return storetest.Random(4, 300) })

// verify proves a log.
func (e *evidence) verify(t *testing.T, tenant uuid.UUID, p store.VerifyParams) store.Verdict {
	t.Helper()
	verdict, err := e.Verify(t.Context(), tenant, p)
	require.NoError(t, err)
	return verdict
}

// requireOtherWhole: what was done to one log is nothing to the other.
func (e *evidence) requireOtherWhole(t *testing.T) {
	t.Helper()
	verdict := e.verify(t, e.other.Tenant, store.VerifyParams{})
	require.Nil(t, verdict.Breach)
	require.EqualValues(t, len(e.other.Records), verdict.Events)
}

// tamper does what only a superuser can, and only once the triggers are off.
func (e *evidence) tamper(t *testing.T, statements ...string) {
	t.Helper()
	triggers := func(tx pgx.Tx, state string) {
		_, err := tx.Exec(t.Context(), `
do $$ declare relation regclass; begin
    for relation in select 'event_log'::regclass union all select inhrelid from pg_inherits where inhparent = 'event_log'::regclass loop
        execute format('alter table %s `+state+` trigger event_log_append_only', relation);
    end loop;
end $$`)
		require.NoError(t, err)
	}
	require.NoError(t, pgx.BeginFunc(t.Context(), e.super, func(tx pgx.Tx) error {
		triggers(tx, "disable")
		for _, sql := range statements {
			tag, err := tx.Exec(t.Context(), "set local robson.test_tenant = '"+e.log.Tenant.String()+"'; "+sql)
			require.NoError(t, err, sql)
			require.NotZero(t, tag.RowsAffected(), sql)
		}
		triggers(tx, "enable always")
		return nil
	}))
}

const ofTenant = " tenant_id = current_setting('robson.test_tenant')::uuid"

func update(table, set, where string) string {
	return "update " + table + " set " + set + " where" + ofTenant + " and " + where
}

func remove(table, where string) string {
	return "delete from " + table + " where" + ofTenant + " and " + where
}

func TestStore_Verify_of_a_whole_log(t *testing.T) {
	t.Parallel()
	for _, limits := range []store.VerifyLimits{{}, small, {Workers: 1, StretchMax: 1}, {Workers: 4, StretchMax: 3, StreamsMax: 1}} {
		t.Run(fmt.Sprintf("%+v", limits), func(t *testing.T) {
			t.Parallel()
			e := newEvidence(t, limits)
			var done, total int64
			verdict := e.verify(t, e.log.Tenant, store.VerifyParams{Progress: func(d, of int64) {
				require.GreaterOrEqual(t, d, done)
				done, total = d, of
			}})
			require.Nil(t, verdict.Breach)
			streams := map[string]bool{}
			for _, r := range e.log.Records {
				streams[r.StreamKey] = true
			}
			last := e.log.Records[len(e.log.Records)-1]
			require.EqualValues(t, len(e.log.Records), verdict.Events)
			require.EqualValues(t, len(streams), verdict.Streams)
			require.EqualValues(t, len(e.log.Receipts), verdict.Receipts)
			require.Equal(t, last.Position, verdict.Head.Position)
			require.Equal(t, last.Hash, verdict.Head.Hash)
			require.Equal(t, total, done)
			require.Equal(t, last.Position, total)
		})
	}
}

// TestStore_Verify_of_what_appends_wrote: what goes through the front door is whole, discrepancies that were raised included.
func TestStore_Verify_of_what_appends_wrote(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{Verify: small})
	log := begun(t, b.Store)
	verdict, err := b.Verify(t.Context(), log.TenantID, store.VerifyParams{})
	require.NoError(t, err)
	require.Nil(t, verdict.Breach)
	require.EqualValues(t, len(log.Events), verdict.Events)
}

// forge changes an event and gives it, and as many as wanted after it, new hashes that fit.
func (e *evidence) forge(t *testing.T, position int64, change func(*event.Record), upTo int64) []string {
	t.Helper()
	var statements []string
	prev := e.log.Records[position-1].PrevHash
	for at := position; at <= upTo; at++ {
		r := e.log.Records[at-1]
		if at == position {
			change(&r)
		}
		r.PrevHash = prev
		prev = event.HashOf(&r)
		statements = append(statements, update("event_log", fmt.Sprintf("seq = %d, actor_id = '%s', event_id = '%s', prev_hash = '\\x%x', hash = '\\x%x'",
			r.Seq, r.ActorID, uuid.UUID(r.EventID), r.PrevHash, prev), fmt.Sprintf("position = %d", at)))
	}
	return statements
}

// TestStore_Verify_finds_what_was_done_behind_our_back holds law 10: each way to falsify a log is found, with the first bad
// position, however the log is cut into stretches.
func TestStore_Verify_finds_what_was_done_behind_our_back(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	const swap = "update event_log set payload = case position when 20 then (select payload from event_log where" + ofTenant + " and position = 21) else (select payload from event_log where" + ofTenant + " and position = 20) end where" + ofTenant + " and position in (20, 21)"
	for name, test := range map[string]struct {
		do   []string
		kind audit.Kind
		at   int64
		says string
	}{
		"event_id":             {[]string{update("event_log", "event_id = gen_random_uuid()", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"seq":                  {[]string{update("event_log", "seq = seq + 1", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"occurred_at":          {[]string{update("event_log", "occurred_at = occurred_at + interval '1 microsecond'", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"occurred_at for ever": {[]string{update("event_log", "occurred_at = 'infinity'", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"ingested_at":          {[]string{update("event_log", "ingested_at = ingested_at + interval '1 microsecond'", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"trace_id":             {[]string{update("event_log", "trace_id = gen_random_uuid()", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"command_id":           {[]string{update("event_log", "command_id = gen_random_uuid()", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"causation_id":         {[]string{update("event_log", "causation_id = gen_random_uuid()", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"workflow_id":          {[]string{update("event_log", "workflow_id = gen_random_uuid()", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"schema version":       {[]string{update("event_log", "payload_schema_version = 7", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"stream_key":           {[]string{update("event_log", "stream_key = 'tenant:' || tenant_id", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"event_type":           {[]string{update("event_log", "event_type = 'TENANT_CREATED'", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"actor_type":           {[]string{update("event_log", "actor_type = 'cli'", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"actor_id":             {[]string{update("event_log", "actor_id = 'mallory'", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"idempotency_key":      {[]string{update("event_log", "idempotency_key = sha256('x')", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"prev_hash":            {[]string{update("event_log", "prev_hash = sha256('x')", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"hash":                 {[]string{update("event_log", "hash = sha256('x')", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"payload":              {[]string{update("event_log", "payload = json_build_object('a', 1)", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"payload, by a blank":  {[]string{update("event_log", "payload = (payload::text || ' ')::json", "position = 20")}, audit.Altered, 20, "not what was hashed"},
		"first event":          {[]string{update("event_log", "actor_id = 'mallory'", "position = 1")}, audit.Altered, 1, "not what was hashed"},
		"last event":           {[]string{update("event_log", "actor_id = 'mallory'", "position = 60")}, audit.Altered, 60, "not what was hashed"},
		"two events":           {[]string{update("event_log", "actor_id = 'mallory'", "position in (33, 22)")}, audit.Altered, 22, "not what was hashed"},
		"cause of zeros":       {[]string{update("event_log", "causation_id = '00000000-0000-0000-0000-000000000000'", "position = (select min(position) from event_log where"+ofTenant+" and causation_id is null)")}, audit.Altered, 1, "of zeros"},

		"removed":                {[]string{remove("event_log", "position = 20")}, audit.Missing, 20, "next one has position 21"},
		"first removed":          {[]string{remove("event_log", "position = 1")}, audit.Missing, 1, "next one has position 2"},
		"last removed":           {[]string{remove("event_log", "position = 60")}, audit.Missing, 60, "missing"},
		"many removed":           {[]string{remove("event_log", "position between 13 and 44")}, audit.Missing, 13, "missing"},
		"all removed":            {[]string{remove("event_log", "true")}, audit.Missing, 1, "missing"},
		"removed and renumbered": {[]string{remove("event_log", "position = 20"), update("event_log", "position = position + 1000", "position > 20"), update("event_log", "position = position - 1001", "position > 1000")}, audit.Altered, 20, "not what was hashed"},
		"swapped":                {[]string{swap}, audit.Altered, 20, "not what was hashed"},
		"swapped places": {[]string{
			update("event_log", "position = position + 1000", "position in (20, 21)"), update("event_log", "position = 1041 - position", "position > 1000"),
		}, audit.Altered, 20, "not what was hashed"},
		"inserted": {[]string{copied("20", "20", "ingested_at + interval '1 us'")}, audit.Inserted, 20, "more than one"},
		"inserted and made room for": {[]string{
			update("event_log", "position = position + 1000", "position > 20"), update("event_log", "position = position - 999", "position > 1000"), copied("20", "21", "ingested_at"),
		}, audit.Altered, 21, "not what was hashed"},
		"inserted behind the head": {[]string{copied("60", "61", "ingested_at")}, audit.Inserted, 61, "behind the head"},

		"account_id":         {[]string{update("event_log", "account_id = gen_random_uuid()", "position = 20")}, audit.SearchAltered, 20, "column account_id"},
		"strategy_id":        {[]string{update("event_log", "strategy_id = gen_random_uuid()", "position = 20")}, audit.SearchAltered, 20, "column strategy_id"},
		"position_id":        {[]string{update("event_log", "position_id = gen_random_uuid()", "position = 20")}, audit.SearchAltered, 20, "column position_id"},
		"order_id":           {[]string{update("event_log", "order_id = gen_random_uuid()", "position = 20")}, audit.SearchAltered, 20, "column order_id"},
		"account_id emptied": {[]string{update("event_log", "account_id = null", "position = (select min(position) from event_log where"+ofTenant+" and account_id is not null)")}, audit.SearchAltered, 2, "is none"},

		"head's position": {[]string{update("tenant_log", "last_position = 59", "true")}, audit.HeadMismatch, 59, "the head has hash"},
		"head's hash":     {[]string{update("tenant_log", "last_hash = sha256('x')", "true")}, audit.HeadMismatch, 60, "hash"},
		"head's event":    {[]string{update("tenant_log", "last_event_id = gen_random_uuid()", "true")}, audit.HeadMismatch, 60, "names event"},
		"head's time":     {[]string{update("tenant_log", "last_ingested_at = now()", "true")}, audit.HeadMismatch, 60, "another time"},
		"head ahead":      {[]string{update("tenant_log", "last_position = 61", "true")}, audit.Missing, 61, "missing"},
		"head removed":    {[]string{remove("tenant_log", "true")}, audit.HeadMismatch, 1, "no head"},

		"receipt removed":           {[]string{remove("commands", "first_position = (select max(first_position) from commands where first_position <= 20 and"+ofTenant+")")}, audit.ReceiptMismatch, 0, "is missing"},
		"receipt's position":        {[]string{update("commands", "first_position = first_position + 1", "first_position = 1")}, audit.ReceiptMismatch, 1, "does not name the event"},
		"receipt's count":           {[]string{update("commands", "event_count = event_count + 1", "first_position = 1")}, audit.ReceiptMismatch, 1, "cannot be read"},
		"receipt's time":            {[]string{update("commands", "ingested_at = ingested_at + interval '1 s'", "first_position = 1")}, audit.ReceiptMismatch, 1, "another time"},
		"receipt's entries":         {[]string{update("commands", "receipt = set_byte(receipt, 5, 255 - get_byte(receipt, 5))", "first_position = 1")}, audit.ReceiptMismatch, 1, "names another event"},
		"receipt unreadable":        {[]string{update("commands", "receipt = '\\x07'", "first_position = 1")}, audit.ReceiptMismatch, 1, "cannot be read"},
		"receipt of another":        {[]string{update("commands", "command_id = gen_random_uuid()", "first_position = 1")}, audit.ReceiptMismatch, 1, "no event"},
		"receipt of nothing":        {[]string{"insert into commands select tenant_id, gen_random_uuid(), 30, ingested_at, event_count, raised_count, request_digest, receipt from commands where" + ofTenant + " and first_position = 1"}, audit.ReceiptMismatch, 30, "no event"},
		"stream's seq":              {[]string{update("stream_state", "last_seq = last_seq + 1", "last_position = 60")}, audit.StreamMismatch, 60, "says seq"},
		"stream's position":         {[]string{update("stream_state", "last_position = 59", "last_position = 60")}, audit.StreamMismatch, 59, "at position 59"},
		"stream without a head":     {[]string{remove("stream_state", "last_position = 60")}, audit.StreamMismatch, 60, "is missing"},
		"all streams without heads": {[]string{remove("stream_state", "true")}, audit.StreamMismatch, 0, "is missing"},
		"stream without events":     {[]string{"insert into stream_state select tenant_id, 1, 30, 'order:' || gen_random_uuid() from tenant_log where" + ofTenant}, audit.StreamMismatch, 30, "no event"},
		"stream that is none":       {[]string{"insert into stream_state select tenant_id, 1, 30, 'mallory' from tenant_log where" + ofTenant}, audit.StreamMismatch, 30, "no stream"},
	} {
		t.Run(name, func(t *testing.T) {
			e.log = e.newLog(t)
			e.tamper(t, test.do...)
			verdict := e.verify(t, e.log.Tenant, store.VerifyParams{})
			require.NotNil(t, verdict.Breach, "it was not found")
			require.Equal(t, test.kind, verdict.Breach.Kind, verdict.Breach.What)
			require.Contains(t, verdict.Breach.What, test.says)
			if test.at > 0 {
				require.Equal(t, test.at, verdict.Breach.Position, verdict.Breach.What)
				require.LessOrEqual(t, verdict.Events, test.at-1)
			}
			e.requireOtherWhole(t)
		})
	}
}

// copied inserts an event once more, at another position or time.
func copied(from, position, ingestedAt string) string {
	return `insert into event_log (tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, causation_id, workflow_id,
    account_id, strategy_id, position_id, order_id, payload_schema_version, stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload)
select tenant_id, event_id, ` + position + `, seq, occurred_at, ` + ingestedAt + `, trace_id, command_id, causation_id, workflow_id,
    account_id, strategy_id, position_id, order_id, payload_schema_version, stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload
from event_log where` + ofTenant + ` and position = ` + from
}

// TestStore_Verify_of_hashes_made_anew: whoever changes an event and its hash breaks the chain at the next one; whoever goes
// on to the end makes another head; whoever changes the head as well is found by what the log is in itself, or against a head
// that was kept elsewhere.
func TestStore_Verify_of_hashes_made_anew(t *testing.T) {
	t.Parallel()
	mallory := func(r *event.Record) { r.ActorID = "mallory" }
	t.Run("of one event", func(t *testing.T) {
		t.Parallel()
		e := newEvidence(t, small)
		e.tamper(t, e.forge(t, 20, mallory, 20)...)
		verdict := e.verify(t, e.log.Tenant, store.VerifyParams{})
		require.NotNil(t, verdict.Breach)
		require.Equal(t, audit.Broken, verdict.Breach.Kind)
		require.EqualValues(t, 21, verdict.Breach.Position)
	})
	t.Run("of all events after it", func(t *testing.T) {
		t.Parallel()
		e := newEvidence(t, small)
		e.tamper(t, e.forge(t, 20, mallory, 60)...)
		verdict := e.verify(t, e.log.Tenant, store.VerifyParams{})
		require.NotNil(t, verdict.Breach)
		require.Equal(t, audit.HeadMismatch, verdict.Breach.Kind)
	})
	t.Run("and the head's", func(t *testing.T) {
		t.Parallel()
		e := newEvidence(t, small)
		kept := knownOf(e.log.Records[59])
		middle := knownOf(e.log.Records[29])
		before := knownOf(e.log.Records[9])
		e.tamper(t, append(e.forge(t, 20, mallory, 60), update("tenant_log", "last_hash = (select hash from event_log where"+ofTenant+" and position = 60)", "true"))...)
		require.Nil(t, e.verify(t, e.log.Tenant, store.VerifyParams{}).Breach, "a log that was rewritten whole fits itself: nothing inside the database can tell")
		verdict := e.verify(t, e.log.Tenant, store.VerifyParams{Known: []audit.Known{kept}})
		require.NotNil(t, verdict.Breach)
		require.Equal(t, audit.KnownMismatch, verdict.Breach.Kind)
		require.EqualValues(t, 60, verdict.Breach.Position)
		verdict = e.verify(t, e.log.Tenant, store.VerifyParams{Known: []audit.Known{kept, middle, before}})
		require.EqualValues(t, 30, verdict.Breach.Position, "the first of the known ones that is not there")
		verdict = e.verify(t, e.log.Tenant, store.VerifyParams{After: middle})
		require.Equal(t, audit.KnownMismatch, verdict.Breach.Kind)
		require.EqualValues(t, 30, verdict.Breach.Position)
	})
	t.Run("with an order that cannot be", func(t *testing.T) {
		t.Parallel()
		e := newEvidence(t, small)
		for name, test := range map[string]struct {
			change func(*event.Record)
			kind   audit.Kind
			at     int64
		}{
			"an id that goes back": {func(r *event.Record) { r.EventID[0] = 0 }, audit.Disordered, 20},
			"a seq that is none":   {func(r *event.Record) { r.Seq = 77 }, audit.StreamMismatch, 20},
		} {
			e.log = e.newLog(t)
			e.tamper(t, append(e.forge(t, 20, test.change, 60), update("tenant_log", "last_hash = (select hash from event_log where"+ofTenant+" and position = 60)", "true"))...)
			verdict := e.verify(t, e.log.Tenant, store.VerifyParams{})
			require.NotNil(t, verdict.Breach, name)
			require.Equal(t, test.kind, verdict.Breach.Kind, name)
			require.Equal(t, test.at, verdict.Breach.Position, name)
		}
	})
}

func knownOf(r event.Record) audit.Known {
	return audit.Known{Position: r.Position, Hash: r.Hash, EventID: r.EventID}
}

// cutTail takes the last commands off a log with all that tells of them.
func (e *evidence) cutTail(t *testing.T) (left int64) {
	t.Helper()
	left = e.log.Receipts[len(e.log.Receipts)-3].FirstPosition - 1
	cut := fmt.Sprintf("position > %d", left)
	e.tamper(t, remove("event_log", cut), remove("commands", "first_"+cut), remove("stream_state", "true"),
		"insert into stream_state select tenant_id, max(seq), max(position), stream_key from event_log where"+ofTenant+" group by tenant_id, stream_key",
		"update tenant_log as h set last_position = e.position, last_event_id = e.event_id, last_ingested_at = e.ingested_at, last_hash = e.hash from event_log as e where h.tenant_id = e.tenant_id and h."+
			ofTenant[1:]+fmt.Sprintf(" and e.position = %d", left))
	return left
}

// TestStore_Verify_finds_a_lost_tail_against_a_kept_head_only: a log that ends earlier, with all that tells of it, is as good
// as one that never went further.
func TestStore_Verify_finds_a_lost_tail_against_a_kept_head_only(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	kept := e.verify(t, e.log.Tenant, store.VerifyParams{}).Head
	left := e.cutTail(t)
	require.Nil(t, e.verify(t, e.log.Tenant, store.VerifyParams{}).Breach, "nothing inside the database can tell")
	verdict := e.verify(t, e.log.Tenant, store.VerifyParams{Known: []audit.Known{{Position: kept.Position, Hash: kept.Hash}}})
	require.NotNil(t, verdict.Breach)
	require.Equal(t, audit.KnownMismatch, verdict.Breach.Kind)
	require.Equal(t, left+1, verdict.Breach.Position)
	require.Contains(t, verdict.Breach.What, "the end was removed")
	verdict = e.verify(t, e.log.Tenant, store.VerifyParams{After: audit.Known{Position: kept.Position, Hash: kept.Hash}})
	require.Equal(t, left+1, verdict.Breach.Position)
}

// TestStore_Verify_of_a_month_that_is_gone: events that are not here are missing, whoever took them away.
func TestStore_Verify_of_a_month_that_is_gone(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	first := e.log.Records[0].IngestedAt
	next := int64(0)
	for _, r := range e.log.Records {
		if r.IngestedAt.Month() != first.Month() {
			next = r.Position
			break
		}
	}
	require.Greater(t, next, int64(1))
	second := e.log.Records[next-1].IngestedAt.Format("2006_01")
	_, err := e.super.Exec(t.Context(), "alter table event_log detach partition event_log_"+second)
	require.NoError(t, err)
	verdict := e.verify(t, e.log.Tenant, store.VerifyParams{})
	require.NotNil(t, verdict.Breach)
	require.Equal(t, audit.Missing, verdict.Breach.Kind)
	require.Equal(t, next, verdict.Breach.Position)
	require.Equal(t, next-1, verdict.Events)

	_, err = e.super.Exec(t.Context(), "alter table event_log detach partition event_log_"+first.Format("2006_01"))
	require.NoError(t, err)
	require.EqualValues(t, 1, e.verify(t, e.log.Tenant, store.VerifyParams{}).Breach.Position)
	trusted := knownOf(e.log.Records[next-1])
	require.Equal(t, audit.Missing, e.verify(t, e.log.Tenant, store.VerifyParams{After: trusted}).Breach.Kind, "an event that is not here cannot be begun at")
}

// TestStore_Verify_of_a_part: from a trusted event on, and up to a position.
func TestStore_Verify_of_a_part(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	for after := int64(0); after <= 60; after += 3 {
		p := store.VerifyParams{}
		if after > 0 {
			p.After = knownOf(e.log.Records[after-1])
		}
		verdict := e.verify(t, e.log.Tenant, p)
		require.Nil(t, verdict.Breach, "after %d", after)
		require.Equal(t, 60-after, verdict.Events)
		for to := after + 1; to <= 60; to += 11 {
			p.To = to
			verdict := e.verify(t, e.log.Tenant, p)
			require.Nil(t, verdict.Breach, "after %d, to %d", after, to)
			require.Equal(t, to-after, verdict.Events)
		}
	}
	e.tamper(t, update("event_log", "actor_id = 'mallory'", "position = 40"))
	require.Nil(t, e.verify(t, e.log.Tenant, store.VerifyParams{To: 39}).Breach)
	require.EqualValues(t, 40, e.verify(t, e.log.Tenant, store.VerifyParams{To: 40}).Breach.Position)
	require.EqualValues(t, 40, e.verify(t, e.log.Tenant, store.VerifyParams{After: knownOf(e.log.Records[38])}).Breach.Position)
	require.EqualValues(t, 40, e.verify(t, e.log.Tenant, store.VerifyParams{After: knownOf(e.log.Records[39])}).Breach.Position, "the event that is trusted is proved, too")
	require.Nil(t, e.verify(t, e.log.Tenant, store.VerifyParams{After: knownOf(e.log.Records[40])}).Breach)
}

func TestStore_Verify_refuses(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	for name, test := range map[string]struct {
		p    store.VerifyParams
		says string
	}{
		"past the head":        {store.VerifyParams{To: 61}, "the log ends at 60"},
		"backwards":            {store.VerifyParams{To: 10, After: knownOf(e.log.Records[20])}, "after to_position"},
		"known, not looked at": {store.VerifyParams{To: 10, Known: []audit.Known{knownOf(e.log.Records[20])}}, "is not among"},
		"known, trusted":       {store.VerifyParams{After: knownOf(e.log.Records[20]), Known: []audit.Known{knownOf(e.log.Records[20])}}, "is not among"},
	} {
		_, err := e.Verify(t.Context(), e.log.Tenant, test.p)
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", name, err)
		require.ErrorContains(t, err, test.says, name)
	}
	_, err := e.Verify(t.Context(), uuid.New(), store.VerifyParams{})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	for _, limits := range []store.VerifyLimits{{RunsMax: -1}, {Workers: -1}, {StretchMax: -1}, {StreamsMax: -1}, {Timeout: 1}} {
		_, err := store.New(nil, nil, store.Config{Verify: limits})
		require.ErrorContains(t, err, "verification")
	}
}

// TestStore_Verify_is_bounded: one of a tenant at a time, so many in all, and it ends with its caller.
func TestStore_Verify_is_bounded(t *testing.T) {
	t.Parallel()
	limits := small
	limits.RunsMax = 1
	e := newEvidence(t, limits)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := e.Verify(ctx, e.log.Tenant, store.VerifyParams{Progress: func(int64, int64) {
		_, err := e.Verify(t.Context(), e.log.Tenant, store.VerifyParams{})
		require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
		require.Equal(t, "VERIFYING_ALREADY", fault.ReasonOf(err))
		_, err = e.Verify(t.Context(), e.other.Tenant, store.VerifyParams{})
		require.Equal(t, "VERIFICATIONS_TOO_MANY", fault.ReasonOf(err))
		require.NotZero(t, fault.As(err).RetryAfter)
		cancel()
	}})
	require.ErrorIs(t, err, context.Canceled)
	e.requireOtherWhole(t)
	require.Nil(t, e.verify(t, e.log.Tenant, store.VerifyParams{}).Breach)
}

// TestStore_Verify_with_one_connection: the other workers are not waited for.
func TestStore_Verify_with_one_connection(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	cfg := e.db.Config(role)
	cfg.ConnsMax = 1
	pool, err := postgres.New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s, err := store.New(clock.System(), pool, store.Config{Verify: small})
	require.NoError(t, err)
	verdict, err := s.Verify(t.Context(), e.log.Tenant, store.VerifyParams{})
	require.NoError(t, err)
	require.Nil(t, verdict.Breach)
}

// TestStore_Verify_while_appends_go_on: it sees one state of the log.
func TestStore_Verify_while_appends_go_on(t *testing.T) {
	t.Parallel()
	e := newEvidence(t, small)
	rng := rand.New(rand.NewPCG(1, 1))
	more := storetest.Random(5, 100)
	verdict := e.verify(t, e.log.Tenant, store.VerifyParams{Progress: func(int64, int64) {
		require.NoError(t, e.log.Write(t.Context(), more[:1], rng))
	}})
	require.Nil(t, verdict.Breach)
	require.EqualValues(t, 60, verdict.Events)
	require.Greater(t, len(e.log.Records), 60)
	require.Nil(t, e.verify(t, e.log.Tenant, store.VerifyParams{}).Breach)
}
