package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
)

// scene is a log with a position, and the scope of it.
type scene struct {
	log   *projectiontest.Log
	scope projection.Scope
	meta  snapshot.Meta
	cut   projection.Cut
}

func setup(t testing.TB) *scene {
	t.Helper()
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	require.NoError(t, log.Registered())
	require.NoError(t, log.Opening(plan))
	_, err := log.Append(log.Claim(plan.EntryID(), 1))
	require.NoError(t, err)
	_, err = log.Append(log.Sample("1", `odd|as"set\é`, "7"))
	require.NoError(t, err)
	return sceneOf(log, projection.Scope{Kind: projection.ScopePosition, ID: plan.PositionID()})
}

func sceneOf(log *projectiontest.Log, scope projection.Scope) *scene {
	return &scene{
		log: log, scope: scope, cut: scope.Cut(log.State.Rows()),
		meta: snapshot.Meta{
			TenantID: log.TenantID, Scope: scope, AsOf: int64(len(log.Events)), ChainHash: sha256.Sum256([]byte("chain")), RulesVersion: projection.RulesVersion,
		},
	}
}

func (s *scene) seal(t testing.TB, cfg snapshot.Config) *snapshot.Sealed {
	t.Helper()
	sealed, err := snapshot.Encode(s.meta, s.cut, cfg)
	require.NoError(t, err)
	return sealed
}

func requireUnfit(t testing.TB, err error, reasons ...snapshot.Reason) {
	t.Helper()
	var unfit *snapshot.Unfit
	require.ErrorAs(t, err, &unfit)
	require.Contains(t, reasons, unfit.Reason, "%v", err)
	require.ErrorContains(t, err, string(unfit.Reason))
}

// plain and packed are the two ways in which a snapshot is stored.
var (
	plain  = snapshot.Config{CompressFrom: snapshot.TextMax}
	packed = snapshot.Config{CompressFrom: 1}
)

func TestOpen_gives_what_was_encoded(t *testing.T) {
	t.Parallel()
	for _, kind := range []projection.ScopeKind{projection.ScopePosition, projection.ScopeAccount} {
		for name, cfg := range map[string]snapshot.Config{"plain": plain, "packed": packed, "by default": {}} {
			t.Run(fmt.Sprint(kind, " ", name), func(t *testing.T) {
				t.Parallel()
				s := setup(t)
				if kind == projection.ScopeAccount {
					s = sceneOf(s.log, projection.Scope{Kind: kind, ID: projectiontest.Spot})
				}
				sealed := s.seal(t, cfg)
				view, err := snapshot.Open(sealed.Stored, sealed.Expected())
				require.NoError(t, err)
				require.Equal(t, s.meta, view.Meta())
				own, context := view.Rows()
				require.EqualValues(t, len(s.cut.Own), own)
				require.EqualValues(t, len(s.cut.Context), context)
				require.Len(t, view.Text(), int(sealed.Length))
				for _, row := range append(slices.Clone(s.cut.Own), s.cut.Context...) {
					got, err := view.Get(row.Key())
					require.NoError(t, err)
					require.Equal(t, string(projection.RowJSON(row)), string(projection.RowJSON(got)))
					again, err := view.Get(row.Key())
					require.NoError(t, err)
					require.Same(t, got, again, "a row is decoded once")
				}
				absent, err := view.Get(projection.OrderKey(uuid.Max))
				require.NoError(t, err)
				require.Nil(t, absent)
				rows, err := view.Own()
				require.NoError(t, err)
				require.Len(t, rows, len(s.cut.Own))
			})
		}
	}
}

// A snapshot of any size comes back: below a compressor's window, about as large, and above it.
func TestOpen_gives_back_every_size(t *testing.T) {
	t.Parallel()
	for _, orders := range []int{1, 10, 100, 1_000, 3_000} {
		meta, cut := bulk(t, orders)
		sealed, err := snapshot.Encode(meta, cut, snapshot.Config{})
		require.NoError(t, err)
		view, err := snapshot.Open(sealed.Stored, sealed.Expected())
		require.NoError(t, err, "%d orders, %d bytes", orders, sealed.Length)
		own, _ := view.Rows()
		require.EqualValues(t, len(cut.Own), own)
	}
}

// The same state gives the same bytes, however its rows are handed over and however it is stored.
func TestEncode_is_canonical(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.seal(t, plain)
	slices.Reverse(s.cut.Own)
	slices.Reverse(s.cut.Context)
	again := s.seal(t, packed)
	require.Equal(t, first.Hash, again.Hash)
	require.Equal(t, first.Length, again.Length)
	require.Less(t, len(again.Stored), len(first.Stored))
	opened, err := snapshot.Open(again.Stored, again.Expected())
	require.NoError(t, err)
	require.Equal(t, first.Stored, opened.Text())
}

// Whatever the snapshot is of enters its hash.
func TestEncode_hashes_what_it_is_of(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]bool{}
	for _, change := range []func(*scene){
		func(*scene) {},
		func(s *scene) { s.meta.TenantID = uuid.Max },
		func(s *scene) { s.meta.Scope.ID = uuid.Max },
		func(s *scene) { s.meta.Scope.Kind = projection.ScopeStrategy },
		func(s *scene) { s.meta.AsOf++ },
		func(s *scene) { s.meta.ChainHash[31]++ },
		func(s *scene) { s.meta.RulesVersion++ },
		func(s *scene) { s.cut.Own = s.cut.Own[1:] },
		func(s *scene) { s.cut.Context = nil },
		func(s *scene) {
			s.cut.Own, s.cut.Context = append(slices.Clone(s.cut.Own), s.cut.Context...), nil
		},
	} {
		s := setup(t)
		change(s)
		sealed := s.seal(t, plain)
		require.False(t, seen[sealed.Hash])
		seen[sealed.Hash] = true
	}
}

func TestEncode_refusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := snapshot.Encode(s.meta, s.cut, snapshot.Config{TextMax: 100})
	var large *snapshot.TooLarge
	require.ErrorAs(t, err, &large)
	require.Equal(t, s.scope, large.Scope)
	require.ErrorContains(t, err, "larger than the 100 bytes")
	s.cut.Own = append(s.cut.Own, s.cut.Own[0])
	_, err = snapshot.Encode(s.meta, s.cut, packed)
	require.ErrorContains(t, err, "comes twice")
	for _, cfg := range []snapshot.Config{{CompressFrom: -1}, {TextMax: -1}, {TextMax: snapshot.TextMax + 1}} {
		_, err = snapshot.Encode(s.meta, s.cut, cfg)
		require.ErrorContains(t, err, "snapshot config")
	}
}

// A snapshot with one bit flipped, or cut short anywhere, is never used.
func TestOpen_refuses_any_other_bytes(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]snapshot.Config{"plain": plain, "packed": packed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			sealed := s.seal(t, cfg)
			for i := range sealed.Stored {
				flipped := bytes.Clone(sealed.Stored)
				flipped[i] ^= 1 << (i % 8)
				view, err := snapshot.Open(flipped, sealed.Expected())
				// zstd has bits that mean nothing: where the text is the same, nothing was lost.
				if err == nil {
					require.Equal(t, "packed", name)
					require.Equal(t, sealed.Hash, sha256.Sum256(view.Text()))
					continue
				}
				requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonLength, snapshot.ReasonCompression)
				_, err = snapshot.Open(sealed.Stored[:i], sealed.Expected())
				requireUnfit(t, err, snapshot.ReasonLength, snapshot.ReasonCompression)
			}
			_, err := snapshot.Open(append(bytes.Clone(sealed.Stored), 'x'), sealed.Expected())
			requireUnfit(t, err, snapshot.ReasonLength, snapshot.ReasonCompression)
		})
	}
}

func TestOpen_refuses_what_is_not_expected(t *testing.T) {
	t.Parallel()
	s := setup(t)
	sealed := s.seal(t, packed)
	for name, c := range map[string]struct {
		change func(*snapshot.Expected)
		reason snapshot.Reason
	}{
		"other rules":    {func(e *snapshot.Expected) { e.RulesVersion++ }, snapshot.ReasonRules},
		"older rules":    {func(e *snapshot.Expected) { e.RulesVersion-- }, snapshot.ReasonRules},
		"another hash":   {func(e *snapshot.Expected) { e.Hash[0]++ }, snapshot.ReasonHash},
		"a longer text":  {func(e *snapshot.Expected) { e.Length++ }, snapshot.ReasonLength},
		"a shorter text": {func(e *snapshot.Expected) { e.Length-- }, snapshot.ReasonLength},
		"no text":        {func(e *snapshot.Expected) { e.Length = -1 }, snapshot.ReasonLength},
		"a huge text":    {func(e *snapshot.Expected) { e.Length = snapshot.TextMax + 1 }, snapshot.ReasonLength},
		"another tenant": {func(e *snapshot.Expected) { e.TenantID = uuid.Max }, snapshot.ReasonMismatch},
		"another scope":  {func(e *snapshot.Expected) { e.Scope.ID = uuid.Max }, snapshot.ReasonMismatch},
		"another kind":   {func(e *snapshot.Expected) { e.Scope.Kind = projection.ScopeAccount }, snapshot.ReasonMismatch},
		"another place":  {func(e *snapshot.Expected) { e.AsOf++ }, snapshot.ReasonMismatch},
		"another chain":  {func(e *snapshot.Expected) { e.ChainHash[0]++ }, snapshot.ReasonMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := sealed.Expected()
			c.change(&expected)
			_, err := snapshot.Open(sealed.Stored, expected)
			requireUnfit(t, err, c.reason)
		})
	}
}

// Text that is written wrong is told, although its hash is right.
func TestOpen_refuses_what_is_written_wrong(t *testing.T) {
	t.Parallel()
	s := setup(t)
	text := s.seal(t, plain).Stored
	lines := bytes.SplitAfter(text, []byte("\n"))
	last := lines[len(lines)-2]
	for name, forged := range map[string][]byte{
		"nothing":           {},
		"no last line":      text[:len(text)-len(last)],
		"no end of line":    bytes.TrimSuffix(text, []byte("\n")),
		"a row less":        text[len(lines[0]):],
		"another format":    bytes.Replace(text, []byte(`"format":1`), []byte(`"format":2`), 1),
		"other white space": bytes.Replace(text, []byte(`"format":1`), []byte(`"format": 1`), 1),
		"counts below zero": bytes.Replace(text, []byte(`"context":1`), []byte(`"context":-1`), 1),
	} {
		_, err := open(s, forged)
		requireUnfit(t, err, snapshot.ReasonFormat)
		require.NotEmpty(t, name)
	}
	for name, line := range map[string]string{
		"no bracket":     `"accounts_current"`,
		"no key":         `["accounts_current",7,"own",{}]`,
		"an open key":    `["accounts_current","x`,
		"a bad escape":   `["accounts_current","\x","own",{}]`,
		"no mark":        `["accounts_current","x","mine",{}]`,
		"no end":         `["accounts_current","x","own",{}`,
		"no table":       `["nothing","x","own",{}]`,
		"no row":         `["accounts_current","x","own",{"a":1}]`,
		"another row":    `["accounts_current","x","own",{"account_id":"` + projectiontest.Spot.String() + `"}]`,
		"another tenant": `["tenants_current","","own",{"tenant_id":"` + projectiontest.Spot.String() + `"}]`,
		"one end":        `["`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forged := append([]byte(line+"\n"), bytes.Join(lines[1:], nil)...)
			view, err := open(s, forged)
			require.NoError(t, err, "no line is read before it is asked for")
			_, err = view.All()
			requireUnfit(t, err, snapshot.ReasonFormat)
			_, err = view.Own()
			requireUnfit(t, err, snapshot.ReasonFormat)
		})
	}
	view, err := open(s, append([]byte("x\n"), bytes.Join(lines[1:], nil)...))
	require.NoError(t, err)
	requireUnfit(t, view.Lines(func(snapshot.Line) error { return nil }), snapshot.ReasonFormat)
	_, err = view.Get(projection.AccountKey(uuid.Nil))
	requireUnfit(t, err, snapshot.ReasonFormat)
}

// open opens text as if it had been written so.
func open(s *scene, text []byte) (*snapshot.View, error) {
	return snapshot.Open(text, snapshot.Expected{Meta: s.meta, Hash: sha256.Sum256(text), Length: int64(len(text))})
}

func TestView_Lines_stops_where_it_is_told(t *testing.T) {
	t.Parallel()
	s := setup(t)
	sealed := s.seal(t, packed)
	view, err := snapshot.Open(sealed.Stored, sealed.Expected())
	require.NoError(t, err)
	enough, lines := errors.New("enough"), 0
	require.ErrorIs(t, view.Lines(func(l snapshot.Line) error {
		lines++
		require.NotEmpty(t, l.JSON)
		return enough
	}), enough)
	require.Equal(t, 1, lines)
}

// Snapshot + tail = full replay, through the bytes: for every scope, at any position of random histories.
func TestProperty_snapshot_and_tail_are_the_full_replay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log, err := projectiontest.Random(t, 80)
		require.NoError(t, err)
		at := rapid.IntRange(5, len(log.Events)).Draw(t, "snapshot at")
		before, err := projectiontest.Replay(log.Events[:at])
		require.NoError(t, err)
		for _, row := range before.Rows() {
			scope, is := scopeOf(row)
			if !is {
				continue
			}
			meta := snapshot.Meta{TenantID: log.TenantID, Scope: scope, AsOf: int64(at), RulesVersion: projection.RulesVersion}
			sealed, err := snapshot.Encode(meta, scope.Cut(before.Rows()), packed)
			require.NoError(t, err)
			view, err := snapshot.Open(sealed.Stored, sealed.Expected())
			require.NoError(t, err)
			requireFoldsOn(t, view, log, at)
		}
	})
}

func scopeOf(row projection.Row) (projection.Scope, bool) {
	switch r := row.(type) {
	case *projection.Account:
		return projection.Scope{Kind: projection.ScopeAccount, ID: r.AccountID}, true
	case *projection.Strategy:
		return projection.Scope{Kind: projection.ScopeStrategy, ID: r.StrategyID}, true
	case *projection.Position:
		return projection.Scope{Kind: projection.ScopePosition, ID: r.PositionID}, true
	}
	return projection.Scope{}, false
}

func requireFoldsOn(t *rapid.T, view *snapshot.View, log *projectiontest.Log, at int) {
	fold, err := view.Fold()
	require.NoError(t, err)
	for _, ev := range log.Events[at:] {
		_, err := fold.Fold(ev)
		var outside *projection.Outside
		if errors.As(err, &outside) {
			return
		}
		require.NoError(t, err)
	}
	rows, err := fold.Own()
	require.NoError(t, err)
	if diff := cmp.Diff(texts(view.Meta().Scope.Cut(log.State.Rows()).Own), texts(rows)); diff != "" {
		t.Fatalf("%s: %s", view.Meta().Scope, diff)
	}
}

func texts(rows []projection.Row) []string {
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = row.Key().String() + " " + string(projection.RowJSON(row))
	}
	return out
}

// FuzzOpen: no bytes make a reader fall over, and none but those that were sealed are taken for a snapshot.
func FuzzOpen(f *testing.F) {
	s := setup(f)
	for _, cfg := range []snapshot.Config{plain, packed} {
		sealed := s.seal(f, cfg)
		f.Add(sealed.Stored, sealed.Length)
		f.Add(sealed.Stored[:len(sealed.Stored)/2], sealed.Length)
	}
	f.Add([]byte("[\"accounts_current\",\"\\u00\",\"own\",{}]\n{}\n"), int64(40))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xff}, int64(1<<20))
	sealed := s.seal(f, packed)
	f.Fuzz(func(t *testing.T, stored []byte, length int64) {
		if view, err := snapshot.Open(stored, sealed.Expected()); err == nil {
			require.Equal(t, sealed.Hash, sha256.Sum256(view.Text()))
		}
		// And behind the hash, which here is always right.
		view, err := snapshot.Open(stored, snapshot.Expected{Meta: s.meta, Hash: sha256.Sum256(stored), Length: min(length, 1<<20)})
		if err != nil {
			var unfit *snapshot.Unfit
			require.ErrorAs(t, err, &unfit)
			return
		}
		_, _ = view.All()
		_, _ = view.Get(projection.AccountKey(projectiontest.Spot))
		_ = view.Lines(func(snapshot.Line) error { return nil })
	})
}
