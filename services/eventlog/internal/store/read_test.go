package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
)

// start is when the logs of these tests begin.
var start = time.Date(2026, 3, 30, 22, 0, 0, 0, time.UTC)

// readBundle is a store, and a database that its owner writes logs into.
type readBundle struct {
	*Store

	owner *pgxpool.Pool
	rng   *rand.Rand
}

func setupReads(t *testing.T, limits ReadLimits) *readBundle {
	t.Helper()
	db := testkit.Database(t)
	s, err := New(clock.System(), db.Pool(t, storetest.Role), Config{Reads: limits})
	require.NoError(t, err)
	return &readBundle{Store: s, owner: db.Pool(t, ""), rng: rand.New(rand.NewPCG(7, 11))}
}

// history writes a random log of a new tenant.
func (b *readBundle) history(t *testing.T, seed int) *storetest.Log {
	t.Helper()
	log := storetest.NewLog(b.owner, uuid.New(), start)
	require.NoError(t, log.Write(t.Context(), storetest.Random(seed, 300), b.rng))
	return log
}

func (b *readBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.owner.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// archive takes the month of the log's first event away.
func (b *readBundle) archive(t *testing.T, log *storetest.Log) (gone int) {
	t.Helper()
	month := log.Records[0].IngestedAt.Format("2006_01")
	b.exec(t, "alter table event_log detach partition event_log_"+month)
	for i := range log.Records {
		if log.Records[i].IngestedAt.Format("2006_01") == month {
			gone++
		}
	}
	require.Less(t, gone, len(log.Records), "the history is to go on after its first month")
	return gone
}

// twoMonths is a log of a few events in each of two months.
func (b *readBundle) twoMonths(t *testing.T) *storetest.Log {
	t.Helper()
	log := storetest.NewLog(b.owner, uuid.New(), start)
	history := storetest.Random(3, 200)
	require.NoError(t, log.Write(t.Context(), history[:6], rand.New(rand.NewPCG(1, 1))))
	log.Now = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, log.Write(t.Context(), history[6:], b.rng))
	return log
}

func TestStore_Head(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	log := b.history(t, 1)
	last := log.Records[len(log.Records)-1]
	head, err := b.Head(t.Context(), log.Tenant)
	require.NoError(t, err)
	require.Equal(t, Head{Position: last.Position, EventID: last.EventID, IngestedAt: head.IngestedAt, Hash: last.Hash, exists: true}, head)
	require.True(t, last.IngestedAt.Equal(head.IngestedAt))

	_, err = b.Head(t.Context(), uuid.New())
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	require.Equal(t, "TENANT_NOT_FOUND", fault.ReasonOf(err))
}

func TestStore_Event(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})

	t.Run("finds each event by its id, and no other", func(t *testing.T) {
		t.Parallel()
		log, other := b.history(t, 1), b.history(t, 2)
		for i := range log.Records {
			want := log.Records[i]
			got, err := b.Event(t.Context(), log.Tenant, want.EventID)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(&want, got))
			require.Equal(t, want.Hash, event.HashOf(got), "what is read is what was hashed")
			for _, near := range []ulid.ULID{neighbour(want.EventID, 1), neighbour(want.EventID, -1)} {
				if !slices.ContainsFunc(log.Records, func(r event.Record) bool { return r.EventID == near }) {
					_, err := b.Event(t.Context(), log.Tenant, near)
					require.True(t, fault.Is(err, fault.NotFound), "%v", err)
				}
			}
		}
		for _, tenant := range []uuid.UUID{other.Tenant, uuid.New()} {
			_, err := b.Event(t.Context(), tenant, log.Records[3].EventID)
			require.True(t, fault.Is(err, fault.NotFound), "%v", err)
		}
	})

	t.Run("says so when the event may be in a month that is not here", func(t *testing.T) {
		t.Parallel()
		b := setupReads(t, ReadLimits{})
		log := b.twoMonths(t)
		gone := b.archive(t, log)
		for i := range log.Records {
			got, err := b.Event(t.Context(), log.Tenant, log.Records[i].EventID)
			if i < gone {
				require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
				require.Equal(t, fmt.Sprint(gone), fault.As(err).Metadata["position"])
				continue
			}
			require.NoError(t, err)
			require.Equal(t, log.Records[i].Position, got.Position)
		}
		_, err := b.Event(t.Context(), log.Tenant, neighbour(log.Records[len(log.Records)-1].EventID, 1))
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	})
}

// neighbour is the id next to an id.
func neighbour(id ulid.ULID, by int) ulid.ULID {
	id[15] += byte(by)
	return id
}

func TestStore_Command(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	log := b.history(t, 1)
	for _, want := range log.Receipts {
		got, err := b.Command(t.Context(), log.Tenant, want.Command)
		require.NoError(t, err)
		got.IngestedAt = got.IngestedAt.UTC()
		require.Empty(t, cmp.Diff(want, got))
	}
	for _, tenant := range []uuid.UUID{log.Tenant, uuid.New()} {
		command := log.Receipts[0].Command
		if tenant == log.Tenant {
			command = uuid.New()
		}
		_, err := b.Command(t.Context(), tenant, command)
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	}

	damaged := log.Receipts[1].Command
	b.exec(t, "update commands set receipt = '\\x07' where command_id = $1", damaged)
	_, err := b.Command(t.Context(), log.Tenant, damaged)
	require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
}

// readAll follows the pages of a read to their end, with page sizes drawn by chance.
func readAll(t *testing.T, rng *rand.Rand, backwards bool, from int64, read func(PageParams) (Page, error)) []event.Record {
	t.Helper()
	all := []event.Record{}
	for {
		p := PageParams{From: from, Backwards: backwards, Size: 1 + rng.IntN(7)}
		page, err := read(p)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Events), p.Size)
		all = append(all, page.Events...)
		if page.Next == 0 {
			return all
		}
		require.NotEmpty(t, page.Events)
		from = page.Next
	}
}

// TestStore_pages: read in whatever direction, in pages of whatever size, a log and each of its streams are what was
// written.
func TestStore_pages(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	for seed := range 4 {
		log := b.history(t, seed)
		streams := map[string][]event.Record{}
		for _, r := range log.Records {
			streams[r.StreamKey] = append(streams[r.StreamKey], r)
		}
		for _, backwards := range []bool{false, true} {
			byPosition := func(p PageParams) (Page, error) { return b.ReadLog(t.Context(), log.Tenant, p) }
			require.Empty(t, cmp.Diff(ordered(log.Records, backwards), readAll(t, b.rng, backwards, 0, byPosition)))
			from := 1 + b.rng.Int64N(int64(len(log.Records)))
			want := ordered(log.Records[from-1:], false)
			if backwards {
				want = ordered(log.Records[:from], true)
			}
			require.Empty(t, cmp.Diff(want, readAll(t, b.rng, backwards, from, byPosition)))
			for key, records := range streams {
				stream, err := event.ParseStreamKey(key)
				require.NoError(t, err)
				bySeq := func(p PageParams) (Page, error) { return b.ReadStream(t.Context(), log.Tenant, stream, p) }
				require.Empty(t, cmp.Diff(ordered(records, backwards), readAll(t, b.rng, backwards, 0, bySeq)))
				page, err := bySeq(PageParams{Size: 1})
				require.NoError(t, err)
				require.Equal(t, int64(len(records)), page.Last)
			}
		}
	}
}

// ordered is a copy, turned round for reading backwards.
func ordered(records []event.Record, backwards bool) []event.Record {
	records = slices.Clone(records)
	if backwards {
		slices.Reverse(records)
	}
	return records
}

func TestStore_ReadLog(t *testing.T) {
	t.Parallel()

	t.Run("beyond the end there is nothing, and the end backwards", func(t *testing.T) {
		t.Parallel()
		b := setupReads(t, ReadLimits{})
		log := b.history(t, 1)
		last := int64(len(log.Records))
		page, err := b.ReadLog(t.Context(), log.Tenant, PageParams{From: last + 1})
		require.NoError(t, err)
		require.Equal(t, Page{Last: last}, page)
		page, err = b.ReadLog(t.Context(), log.Tenant, PageParams{From: last + 100, Backwards: true, Size: 1})
		require.NoError(t, err)
		require.Equal(t, last, page.Events[0].Position)
		require.Equal(t, last-1, page.Next)
	})

	t.Run("a tenant without a log has no events", func(t *testing.T) {
		t.Parallel()
		b := setupReads(t, ReadLimits{})
		for _, backwards := range []bool{false, true} {
			page, err := b.ReadLog(t.Context(), uuid.New(), PageParams{Backwards: backwards})
			require.NoError(t, err)
			require.Equal(t, Page{}, page)
			page, err = b.ReadStream(t.Context(), uuid.New(), event.StreamKey{Kind: event.KindOrder, ID: uuid.New()}, PageParams{Backwards: backwards})
			require.NoError(t, err)
			require.Equal(t, Page{}, page)
		}
	})

	t.Run("a page has 100 events, where nothing else is said, and at most 1000", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 100, pageSize(0))
		require.Equal(t, 1000, pageSize(1001))
	})

	t.Run("a page is cut where its bytes are too many, and goes on there", func(t *testing.T) {
		t.Parallel()
		b := setupReads(t, ReadLimits{PageBytesMax: 3000})
		log := b.history(t, 1)
		from, all := int64(0), []event.Record{}
		for {
			page, err := b.ReadLog(t.Context(), log.Tenant, PageParams{From: from})
			require.NoError(t, err)
			bytes := 0
			for i := range page.Events {
				bytes += len(page.Events[i].Payload) + envelopeBytes
			}
			require.True(t, bytes <= 3000 || len(page.Events) == 1, "%d bytes", bytes)
			all = append(all, page.Events...)
			if page.Next == 0 {
				break
			}
			require.Equal(t, page.Events[len(page.Events)-1].Position+1, page.Next)
			from = page.Next
		}
		require.Empty(t, cmp.Diff(log.Records, all))
	})

	t.Run("gives no less than asked where a month is not here", func(t *testing.T) {
		t.Parallel()
		b := setupReads(t, ReadLimits{})
		log := b.twoMonths(t)
		gone := int64(b.archive(t, log))
		_, err := b.ReadLog(t.Context(), log.Tenant, PageParams{})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
		require.Equal(t, "1", fault.As(err).Metadata["position"])
		_, err = b.ReadLog(t.Context(), log.Tenant, PageParams{Backwards: true, Size: 1000})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
		require.Equal(t, fmt.Sprint(gone), fault.As(err).Metadata["position"])
		page, err := b.ReadLog(t.Context(), log.Tenant, PageParams{From: gone + 1, Size: 1000})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(log.Records[gone:], page.Events))
		stream, err := event.ParseStreamKey(log.Records[0].StreamKey)
		require.NoError(t, err)
		_, err = b.ReadStream(t.Context(), log.Tenant, stream, PageParams{})
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
		require.Equal(t, "1", fault.As(err).Metadata["seq"])
	})
}

func TestConfig_reads(t *testing.T) {
	t.Parallel()
	_, err := New(clock.System(), nil, Config{Reads: ReadLimits{PageBytesMax: -1}})
	require.ErrorContains(t, err, "PageBytesMax -1")
}
