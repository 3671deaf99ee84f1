package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
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
				require.Len(t, textOf(t, view, sealed), int(sealed.Length))
				for _, row := range append(slices.Clone(s.cut.Own), s.cut.Context...) {
					got, err := view.Get(row.Key())
					require.NoError(t, err)
					require.Equal(t, string(projection.RowJSON(row)), string(projection.RowJSON(got)))
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
	require.Equal(t, first.Stored, textOf(t, opened, again))
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

// textOf is the text of a snapshot as zstd gives it, which knows nothing of snapshots; of one that is not compressed, what is stored.
func textOf(t testing.TB, view *snapshot.View, sealed *snapshot.Sealed) []byte {
	t.Helper()
	if bytes.HasPrefix(sealed.Stored, []byte("[")) {
		return sealed.Stored
	}
	unzip, err := zstd.NewReader(bytes.NewReader(sealed.Stored))
	require.NoError(t, err)
	defer unzip.Close()
	text, err := io.ReadAll(unzip)
	require.NoError(t, err)
	lines := int64(bytes.Count(text, []byte("\n")))
	own, context := view.Rows()
	require.Equal(t, own+context+1, lines)
	return text
}

// A snapshot with one bit flipped, or cut short anywhere, is never used: it shows before the first row is given.
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
				_, err := snapshot.Open(flipped, sealed.Expected())
				requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonLength, snapshot.ReasonFormat)
				_, err = snapshot.Open(sealed.Stored[:i], sealed.Expected())
				requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonLength)
			}
			_, err := snapshot.Open(append(bytes.Clone(sealed.Stored), 'x'), sealed.Expected())
			requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonLength)
		})
	}
}

// The same of one that has many blocks, at the edge of each and at a few bits of each.
func TestOpen_refuses_any_other_block(t *testing.T) {
	t.Parallel()
	meta, cut := bulk(t, 2_000)
	sealed, err := snapshot.Encode(meta, cut, snapshot.Config{})
	require.NoError(t, err)
	for i := 0; i < len(sealed.Stored); i += 997 {
		flipped := bytes.Clone(sealed.Stored)
		flipped[i] ^= 1 << (i % 8)
		_, err := snapshot.Open(flipped, sealed.Expected())
		requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonLength)
		_, err = snapshot.Open(sealed.Stored[:i], sealed.Expected())
		requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonLength)
	}
	// And behind the sum of all bytes, which a forger would have right: a block is held against the hash that the log knows.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd}
	second := bytes.Index(sealed.Stored[1:], frame) + 1
	forged := bytes.Clone(sealed.Stored)
	forged[second/2] ^= 1
	sum := sha256.Sum256(forged[:len(forged)-sha256.Size])
	copy(forged[len(forged)-sha256.Size:], sum[:])
	view, err := snapshot.Open(forged, sealed.Expected())
	require.NoError(t, err)
	_, err = view.All()
	requireUnfit(t, err, snapshot.ReasonHash, snapshot.ReasonCompression, snapshot.ReasonLength)
	row, err := view.Get(cut.Own[len(cut.Own)-1].Key())
	require.NoError(t, err, "what is not in that block is as it was")
	require.NotNil(t, row)
}

// Frames that are told otherwise than they are written are no snapshot, whoever has summed them up.
func TestOpen_refuses_other_frames(t *testing.T) {
	t.Parallel()
	s := setup(t)
	sealed := s.seal(t, packed)
	body := sealed.Stored[:len(sealed.Stored)-sha256.Size]
	count := int(binary.LittleEndian.Uint32(body[len(body)-4:]))
	lengths := len(body) - 4 - 4*count
	for name, change := range map[string]func([]byte){
		"no frames":       func(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-4:], 0) },
		"too many frames": func(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-4:], 1<<31) },
		"a frame more":    func(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-4:], uint32(count+1)) },
		"a longer frame":  func(b []byte) { b[lengths+2]++ },
		"a shorter frame": func(b []byte) { b[lengths]-- },
		"another magic":   func(b []byte) { b[lengths-8]++ },
		"another size":    func(b []byte) { b[lengths-4]++ },
	} {
		forged := bytes.Clone(body)
		change(forged)
		sum := sha256.Sum256(forged)
		_, err := snapshot.Open(append(forged, sum[:]...), sealed.Expected())
		requireUnfit(t, err, snapshot.ReasonFormat)
		require.NotEmpty(t, name)
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

// forged is a snapshot of these lines, with a last line that has been made to fit and then changed.
func forged(t testing.TB, s *scene, rows []byte, change func(last map[string]any)) (*snapshot.View, error) {
	t.Helper()
	text := s.seal(t, plain).Stored
	lines := bytes.SplitAfter(text, []byte("\n"))
	var last map[string]any
	decoder := json.NewDecoder(bytes.NewReader(lines[len(lines)-2]))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&last))
	sum := sha256.Sum256(rows)
	blocks, _ := last["blocks"].([]any)
	block, _ := blocks[0].(map[string]any)
	block["bytes"], block["sha256"], block["rows"] = len(rows), hex.EncodeToString(sum[:]), bytes.Count(text, []byte("\n"))-1
	last["blocks"], last["live_blocks"] = []any{block}, 1
	if change != nil {
		change(last)
	}
	line, err := json.Marshal(last)
	require.NoError(t, err)
	return open(s, append(bytes.Clone(rows), append(line, '\n')...), append(line, '\n'))
}

// open opens text as if it had been written so.
func open(s *scene, text, last []byte) (*snapshot.View, error) {
	return snapshot.Open(text, snapshot.Expected{Meta: s.meta, Hash: sha256.Sum256(last), Length: int64(len(text))})
}

// Text that is written wrong is told, although its hash is right.
func TestOpen_refuses_what_is_written_wrong(t *testing.T) {
	t.Parallel()
	s := setup(t)
	text := s.seal(t, plain).Stored
	lines := bytes.SplitAfter(text, []byte("\n"))
	last := lines[len(lines)-2]
	rows := bytes.TrimSuffix(text, last)
	for name, forge := range map[string]struct{ text, last []byte }{
		"nothing":           {},
		"no last line":      {rows, lines[len(lines)-3]},
		"no end of line":    {bytes.TrimSuffix(text, []byte("\n")), last},
		"other white space": {append(bytes.Clone(rows), append([]byte(" "), last...)...), append([]byte(" "), last...)},
	} {
		_, err := open(s, forge.text, forge.last)
		requireUnfit(t, err, snapshot.ReasonFormat)
		require.NotEmpty(t, name)
	}
	one := func(last map[string]any) map[string]any {
		blocks, _ := last["blocks"].([]any)
		block, _ := blocks[0].(map[string]any)
		return block
	}
	for name, change := range map[string]func(last map[string]any){
		"another format":         func(last map[string]any) { last["format"] = 1 },
		"counts below zero":      func(last map[string]any) { last["context"] = -1 },
		"counts of nothing":      func(last map[string]any) { last["own"] = map[string]any{projection.TableFills: 0} },
		"a row more":             func(last map[string]any) { one(last)["rows"] = 99; last["context"] = 1_000 },
		"no rows":                func(last map[string]any) { one(last)["rows"] = 0 },
		"half a hash":            func(last map[string]any) { one(last)["sha256"] = "00" },
		"more that is live":      func(last map[string]any) { last["live_blocks"] = 9 },
		"no filter":              func(last map[string]any) { last["filter"] = "" },
		"a filter of odd length": func(last map[string]any) { last["filter"] = "AAAA" },
		"a filter of no base":    func(last map[string]any) { last["filter"] = 7 },
	} {
		_, err := forged(t, s, rows, change)
		requireUnfit(t, err, snapshot.ReasonFormat)
		require.NotEmpty(t, name)
	}
	_, err := forged(t, s, rows[:len(rows)-1], nil)
	requireUnfit(t, err, snapshot.ReasonHash) // The last line begins elsewhere then.
	_, err = forged(t, s, rows[len(lines[0]):], nil)
	requireUnfit(t, err, snapshot.ReasonFormat)
	_, err = forged(t, s, rows, func(last map[string]any) { one(last)["bytes"] = len(rows) - 1 })
	requireUnfit(t, err, snapshot.ReasonLength)
	_, err = forged(t, s, rows, func(last map[string]any) { one(last)["sha256"] = strings.Repeat("0", 64) })
	requireUnfit(t, err, snapshot.ReasonHash)
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
			view, err := forged(t, s, append([]byte(line+"\n"), bytes.Join(lines[1:len(lines)-2], nil)...), nil)
			require.NoError(t, err, "no line is read before it is asked for")
			_, err = view.All()
			requireUnfit(t, err, snapshot.ReasonFormat)
			_, err = view.Own()
			requireUnfit(t, err, snapshot.ReasonFormat)
		})
	}
	view, err := forged(t, s, append([]byte("x\n"), bytes.Join(lines[1:len(lines)-2], nil)...), func(last map[string]any) {
		last["live_blocks"] = 1
	})
	require.NoError(t, err)
	requireUnfit(t, view.Lines(func(snapshot.Line) error { return nil }), snapshot.ReasonFormat)
	_, err = view.Get(s.cut.Context[0].Key())
	requireUnfit(t, err, snapshot.ReasonFormat)
	_, err = view.Live()
	requireUnfit(t, err, snapshot.ReasonFormat)
}

// A view gives several readers the same at a time, whatever blocks they are at.
func TestView_is_for_several_readers(t *testing.T) {
	t.Parallel()
	meta, cut := bulk(t, 3_000)
	sealed, err := snapshot.Encode(meta, cut, snapshot.Config{})
	require.NoError(t, err)
	view, err := snapshot.Open(sealed.Stored, sealed.Expected())
	require.NoError(t, err)
	require.Positive(t, view.Size())
	var readers errgroup.Group
	for reader := range 4 {
		readers.Go(func() error {
			for i := reader; i < len(cut.Own); i += 37 {
				row, err := view.Get(cut.Own[i].Key())
				if err != nil {
					return err
				}
				if row == nil || row.Key() != cut.Own[i].Key() {
					return fmt.Errorf("row %s is missing", cut.Own[i].Key())
				}
			}
			return nil
		})
	}
	require.NoError(t, readers.Wait())
}

// What is not over is listed, and nothing else.
func TestView_Live(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s = sceneOf(s.log, projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot})
	sealed := s.seal(t, packed)
	view, err := snapshot.Open(sealed.Stored, sealed.Expected())
	require.NoError(t, err)
	rows, err := view.Live()
	require.NoError(t, err)
	live := map[string]int{}
	for _, row := range rows {
		live[row.Key().Table]++
	}
	require.Equal(t, 1, live[projection.TablePositions])
	require.Equal(t, 1, live[projection.TableOrders])
	require.Equal(t, 1, live[projection.TableAccounts])
	require.Equal(t, 1, live[projection.TableBalances])
	for _, table := range []string{projection.TableSignals, projection.TableDecisions, projection.TableFills} {
		require.Zero(t, live[table], table)
	}
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
			_, err := view.All()
			require.NoError(t, err)
		}
		// And behind the hash, which here is always right.
		view, err := snapshot.Open(stored, snapshot.Expected{Meta: s.meta, Hash: sha256.Sum256(stored[bytes.LastIndexByte(bytes.TrimSuffix(stored, []byte("\n")), '\n')+1:]), Length: min(length, 1<<20)})
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
