package intake_test

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

func entries() []intake.Entry {
	id := ulid.MustParseStrict("01KAVJ3M0G00000000000000AZ")
	kinds := []event.Kind{event.KindTenant, event.KindAccount, event.KindStrategy, event.KindPosition, event.KindOrder}
	list := make([]intake.Entry, len(kinds))
	for i, kind := range kinds {
		id[15] = byte(i)
		list[i] = intake.Entry{
			EventID: id, Stream: event.StreamKey{Kind: kind, ID: projectiontest.ID(string(kind))}, Seq: 1 << (7 * i), Type: "FILL_RECEIVED", Skewed: i%2 == 1,
		}
	}
	list[4].Seq, list[4].Type = math.MaxInt64, "EXCHANGE_STATE_UNCERTAIN"
	return list
}

// golden is what entries were stored as by version 1: it is read for ever.
//
//go:embed testdata/receipt-v1.hex
var golden string

func TestEntries_golden(t *testing.T) {
	t.Parallel()
	require.Equal(t, strings.TrimSpace(golden), hex.EncodeToString(intake.EncodeEntries(entries())))
	stored, err := hex.DecodeString(strings.TrimSpace(golden))
	require.NoError(t, err)
	decoded, err := intake.DecodeEntries(stored, 5)
	require.NoError(t, err)
	require.Equal(t, entries(), decoded)
	none, err := intake.DecodeEntries(intake.EncodeEntries(nil), 0)
	require.NoError(t, err)
	require.Empty(t, none)
}

// What is not whole is Corrupt, wherever it is cut, and never half a receipt.
func TestEntries_cut_short(t *testing.T) {
	t.Parallel()
	whole := intake.EncodeEntries(entries())
	for cut := range whole {
		_, err := intake.DecodeEntries(whole[:cut], 5)
		require.True(t, fault.Is(err, fault.Corrupt), "cut at %d: %v", cut, err)
		require.Equal(t, "RECEIPT_UNREADABLE", fault.ReasonOf(err))
	}
}

func TestEntries_that_are_not_understood(t *testing.T) {
	t.Parallel()
	whole := intake.EncodeEntries(entries())
	changed := func(at int, to byte) []byte {
		data := bytes.Clone(whole)
		data[at] = to
		return data
	}
	for name, data := range map[string][]byte{
		"nothing":               nil,
		"another version":       changed(0, 2),
		"an unknown kind":       changed(17, 5),
		"more than there is":    append(bytes.Clone(whole), whole[1:]...),
		"a type beyond the end": changed(len(whole)-len("EXCHANGE_STATE_UNCERTAIN")-1, 0xff),
		"an endless seq":        append(bytes.Clone(whole[:35]), bytes.Repeat([]byte{0xff}, 12)...),
		"no type":               append(bytes.Clone(whole[:35]), 1, 0),
		"a seq of 0":            append(bytes.Clone(whole[:35]), 0, 1, 'A'),
		"a seq below zero":      append(append(bytes.Clone(whole[:35]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 1, 'A'),
		"unknown flags":         changed(34, 0x80),
	} {
		_, err := intake.DecodeEntries(data, 1)
		require.True(t, fault.Is(err, fault.Corrupt), "%s: %v", name, err)
	}
	_, err := intake.DecodeEntries(whole, 4)
	require.ErrorContains(t, err, "has 5 events and should have 4")
}

// Whatever is stored is read without a panic, and what is read was written.
func FuzzDecodeEntries(f *testing.F) {
	f.Add(intake.EncodeEntries(entries()), 5)
	f.Add(intake.EncodeEntries(nil), 0)
	f.Add([]byte{1}, -47)
	f.Add([]byte{1, 0}, 1)
	f.Add([]byte{2}, 0)
	f.Add(append([]byte{1}, make([]byte, 40)...), 1)
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		decoded, err := intake.DecodeEntries(data, count)
		if err != nil {
			require.True(t, fault.Is(err, fault.Corrupt))
			return
		}
		require.Len(t, decoded, count)
		again, err := intake.DecodeEntries(intake.EncodeEntries(decoded), count)
		require.NoError(t, err)
		require.Equal(t, decoded, again)
	})
}

func TestReceipt_parts(t *testing.T) {
	t.Parallel()
	r := &intake.Receipt{Command: uuid.New(), Entries: entries(), Raised: 2}
	require.Equal(t, r.Entries[:3], r.Requested())
	require.Equal(t, r.Entries[3:], r.RaisedEntries())
}
