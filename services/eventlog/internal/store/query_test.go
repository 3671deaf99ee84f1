package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

func just(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }

// matches is the filter by brute force.
func matches(f Filter, log *storetest.Log, i int, follow map[ulid.ULID]bool) bool {
	r, s := &log.Records[i], log.Subjects[i]
	is := func(wanted uuid.NullUUID, found uuid.UUID) bool { return !wanted.Valid || wanted.UUID == found }
	commanded := is(f.CommandID, r.CommandID)
	if f.Descendants && f.CommandID.Valid {
		commanded = commanded || follow[r.CausationID]
		follow[r.EventID] = commanded
	}
	kind, _, _ := strings.Cut(r.StreamKey, ":")
	return commanded && (len(f.Types) == 0 || slices.Contains(f.Types, r.Type)) && (len(f.Kinds) == 0 || slices.Contains(f.Kinds, event.Kind(kind))) &&
		(f.Since.IsZero() || !r.IngestedAt.Before(f.Since)) && (f.Until.IsZero() || r.IngestedAt.Before(f.Until)) &&
		is(f.TraceID, r.TraceID) && is(f.WorkflowID, r.WorkflowID) && is(f.CausationID, uuid.UUID(r.CausationID)) &&
		is(f.AccountID, s.AccountID) && is(f.StrategyID, s.StrategyID) && is(f.PositionID, s.PositionID) && is(f.OrderID, s.OrderID)
}

func bruteForce(f Filter, log *storetest.Log, backwards bool) []event.Record {
	found := []event.Record{}
	follow := map[ulid.ULID]bool{}
	for i := range log.Records {
		if matches(f, log, i, follow) {
			found = append(found, log.Records[i])
		}
	}
	return ordered(found, backwards)
}

// queryAll follows the pages of an answer to their end.
func (b *readBundle) queryAll(t *testing.T, tenant uuid.UUID, f Filter, backwards bool) []event.Record {
	t.Helper()
	all, token := []event.Record{}, ""
	for {
		page, err := b.Query(t.Context(), tenant, f, QueryParams{Backwards: backwards, Size: 1 + b.rng.IntN(9), Token: token})
		require.NoError(t, err)
		all = append(all, page.Events...)
		if page.Next == "" {
			return all
		}
		token = page.Next
	}
}

// questions are filters by every field, each with values that events have, and combinations drawn by chance.
func questions(log *storetest.Log, rng *rand.Rand) map[string]Filter {
	all := map[string]Filter{}
	for n := range 4 {
		i := rng.IntN(len(log.Records))
		r, s := &log.Records[i], log.Subjects[i]
		fields := map[string]func(*Filter){
			"type":        func(f *Filter) { f.Types = []event.Type{r.Type} },
			"types":       func(f *Filter) { f.Types = []event.Type{r.Type, log.Records[0].Type, "NO_SUCH_TYPE"} },
			"kind":        func(f *Filter) { f.Kinds = []event.Kind{event.KindOrder} },
			"since":       func(f *Filter) { f.Since = r.IngestedAt },
			"since after": func(f *Filter) { f.Since = r.IngestedAt.Add(time.Nanosecond) },
			"until":       func(f *Filter) { f.Until = r.IngestedAt },
			"until after": func(f *Filter) { f.Until = r.IngestedAt.Add(time.Nanosecond) },
			"trace":       func(f *Filter) { f.TraceID = just(r.TraceID) },
			"command":     func(f *Filter) { f.CommandID = just(r.CommandID) },
			"descendants": func(f *Filter) { f.CommandID, f.Descendants = just(r.CommandID), true },
			"workflow":    func(f *Filter) { f.WorkflowID = just(r.WorkflowID) },
			"causation":   func(f *Filter) { f.CausationID = just(uuid.UUID(r.EventID)) },
			"account":     func(f *Filter) { f.AccountID = just(s.AccountID) },
			"strategy":    func(f *Filter) { f.StrategyID = just(s.StrategyID) },
			"position":    func(f *Filter) { f.PositionID = just(s.PositionID) },
			"order":       func(f *Filter) { f.OrderID = just(s.OrderID) },
		}
		for name, set := range fields {
			if name == "workflow" && r.WorkflowID == uuid.Nil || name == "account" && s.AccountID == uuid.Nil || name == "strategy" && s.StrategyID == uuid.Nil ||
				name == "position" && s.PositionID == uuid.Nil || name == "order" && s.OrderID == uuid.Nil {
				delete(fields, name)
				continue
			}
			var f Filter
			set(&f)
			all[fmt.Sprintf("%s %d", name, n)] = f
		}
		var both Filter
		for name, set := range fields {
			if rng.IntN(4) == 0 && !strings.HasPrefix(name, "until") {
				set(&both)
			}
		}
		all[fmt.Sprintf("several %d", n)] = both
	}
	all["nobody's order"] = Filter{OrderID: just(uuid.New())}
	all["nobody's command"] = Filter{CommandID: just(uuid.New())}
	all["nobody's command and what follows"] = Filter{CommandID: just(uuid.New()), Descendants: true}
	all["the nil trace"] = Filter{TraceID: just(uuid.Nil)}
	return all
}

// TestStore_Query: whatever is asked, the answer is what looking through the whole log gives.
func TestStore_Query(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	for _, seed := range []int{1, 2} {
		log := b.history(t, seed)
		for name, f := range questions(log, b.rng) {
			for _, backwards := range []bool{false, true} {
				require.Empty(t, cmp.Diff(bruteForce(f, log, backwards), b.queryAll(t, log.Tenant, f, backwards)), "%s, backwards %t", name, backwards)
			}
			require.Empty(t, b.queryAll(t, uuid.New(), f, false), "%s: another tenant sees nothing", name)
		}
		page, err := b.Query(t.Context(), log.Tenant, Filter{TraceID: just(uuid.New())}, QueryParams{})
		require.NoError(t, err)
		require.Equal(t, Found{AsOf: int64(len(log.Records))}, page)
	}
}

func TestStore_Query_refusals(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{DescendantsMax: 5})
	log := b.history(t, 1)
	types := Filter{Types: []event.Type{log.Records[0].Type, log.Records[1].Type}}
	first, err := b.Query(t.Context(), log.Tenant, types, QueryParams{Size: 1})
	require.NoError(t, err)
	require.NotEmpty(t, first.Next)
	swapped := Filter{Types: []event.Type{log.Records[1].Type, log.Records[0].Type}}
	_, err = b.Query(t.Context(), log.Tenant, swapped, QueryParams{Size: 1, Token: first.Next})
	require.NoError(t, err, "the order in which types are named does not matter")

	for name, ask := range map[string]func() error{
		"no token": func() error {
			_, err := b.Query(t.Context(), log.Tenant, types, QueryParams{Token: "x"})
			return err
		},
		"another direction": func() error {
			_, err := b.Query(t.Context(), log.Tenant, types, QueryParams{Token: first.Next, Backwards: true})
			return err
		},
		"another filter": func() error {
			_, err := b.Query(t.Context(), log.Tenant, Filter{Types: types.Types[:1]}, QueryParams{Token: first.Next})
			return err
		},
		"another tenant": func() error {
			_, err := b.Query(t.Context(), uuid.New(), types, QueryParams{Token: first.Next})
			return err
		},
		"a token of another call": func() error {
			_, err := b.Tenants(t.Context(), 1, first.Next)
			return err
		},
	} {
		err := ask()
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", name, err)
		require.Equal(t, "page_token", fault.As(err).Fields[0].Path, name)
	}

	t.Run("more descendants than the limit are told, never some of them", func(t *testing.T) {
		cause, command := ulid.ULID{}, uuid.New()
		chain := storetest.NewLog(b.owner, uuid.New(), start)
		for i, e := range storetest.Random(1, 20)[:7] {
			stream, err := event.ParseStreamKey(e.StreamKey)
			require.NoError(t, err)
			c := storetest.Command{Causation: cause, Events: []storetest.Event{{Stream: stream, Payload: e.Payload}}}
			if i == 0 {
				c.ID = command
			}
			_, err = chain.Append(t.Context(), c)
			require.NoError(t, err)
			cause = chain.Records[i].EventID
			found, err := b.Query(t.Context(), chain.Tenant, Filter{CommandID: just(command), Descendants: true}, QueryParams{})
			if i < 5 {
				require.NoError(t, err)
				require.Len(t, found.Events, i+1)
				continue
			}
			require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
			require.Equal(t, "5", fault.As(err).Metadata["limit"])
		}
	})
}

// TestStore_Follow: stretch by stretch, whatever the filter, exactly what it lets through comes, and the last stretch has
// looked at everything.
func TestStore_Follow(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{WindowMax: 7})
	for seed := range 3 {
		log := b.history(t, seed)
		i := b.rng.IntN(len(log.Records))
		for _, f := range []subscription.Filter{
			{},
			{Types: []event.Type{log.Records[i].Type, log.Records[0].Type}},
			{Kinds: []event.Kind{event.KindOrder, event.KindTenant}},
			{AccountID: just(log.Subjects[1].AccountID)},
			{AccountID: just(uuid.New())},
			{Types: []event.Type{log.Records[i].Type}, Kinds: []event.Kind{event.KindPosition}},
		} {
			after, from := int64(0), b.rng.Int64N(5)
			if seed > 0 {
				after = from
			}
			want := []event.Record{}
			for _, r := range bruteForce(Filter{Types: f.Types, Kinds: f.Kinds, AccountID: f.AccountID}, log, false) {
				if r.Position > after {
					want = append(want, r)
				}
			}
			got := []event.Record{}
			for {
				stretch, err := b.Follow(t.Context(), log.Tenant, after, f, 1+b.rng.IntN(5))
				require.NoError(t, err)
				require.Equal(t, int64(len(log.Records)), stretch.Head)
				for _, e := range stretch.Events {
					got = append(got, *e.Record)
				}
				if after == stretch.Head {
					require.Equal(t, after, stretch.Looked)
					break
				}
				require.Greater(t, stretch.Looked, after)
				after = stretch.Looked
			}
			require.Empty(t, cmp.Diff(want, got), "%v", f)
		}
	}

	t.Run("a position beyond the log stays there", func(t *testing.T) {
		log := b.history(t, 1)
		head := int64(len(log.Records))
		for _, f := range []subscription.Filter{{}, {Kinds: []event.Kind{event.KindOrder}}} {
			stretch, err := b.Follow(t.Context(), log.Tenant, head+5, f, 10)
			require.NoError(t, err)
			require.Equal(t, subscription.Stretch{Looked: head + 5, Head: head}, stretch)
		}
	})

	t.Run("a month that is not here is not passed over", func(t *testing.T) {
		b := setupReads(t, ReadLimits{})
		log := b.twoMonths(t)
		b.archive(t, log)
		for _, f := range []subscription.Filter{{}, {Kinds: []event.Kind{event.KindOrder}}} {
			_, err := b.Follow(t.Context(), log.Tenant, 0, f, 10)
			require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
			require.Equal(t, "1", fault.As(err).Metadata["position"])
		}
	})
}

// TestStore_News: round by round, each log's next events come with their accounts, whether or not there is room for all.
func TestStore_News(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]ReadLimits{"roomy": {}, "narrow": {PageBytesMax: 4000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupReads(t, limits)
			logs := []*storetest.Log{b.history(t, 1), b.history(t, 2), b.history(t, 3)}
			after := map[uuid.UUID]int64{logs[0].Tenant: 0, logs[1].Tenant: 7, uuid.New(): 3}
			sawCut := false
			for rounds := 0; ; rounds++ {
				found, cut, err := b.News(t.Context(), after, 9)
				require.NoError(t, err)
				if len(found) == 0 {
					require.False(t, cut)
					break
				}
				sawCut = sawCut || cut
				for tenant, events := range found {
					log := logs[slices.IndexFunc(logs, func(l *storetest.Log) bool { return l.Tenant == tenant })]
					require.LessOrEqual(t, len(events), 9)
					for _, e := range events {
						want := log.Records[after[tenant]]
						require.Empty(t, cmp.Diff(&want, e.Record))
						require.Equal(t, log.Subjects[after[tenant]].AccountID, e.AccountID)
						after[tenant]++
					}
					require.True(t, cut || len(events) == 9 || int(after[tenant]) == len(log.Records))
				}
			}
			require.Equal(t, name == "narrow", sawCut)
			for _, log := range logs[:2] {
				require.EqualValues(t, len(log.Records), after[log.Tenant])
			}
			require.Len(t, after, 3)
		})
	}
}
