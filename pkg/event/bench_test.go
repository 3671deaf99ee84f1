package event_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
)

// BenchmarkDecode is most of what replay costs an event.
func BenchmarkDecode(b *testing.B) {
	data, err := os.ReadFile("testdata/corpus/v1/FILL_RECEIVED.json")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Decode("FILL_RECEIVED", 1, data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCanonical is what an append pays to write a payload.
func BenchmarkCanonical(b *testing.B) {
	data, err := os.ReadFile("testdata/corpus/v1/FILL_RECEIVED.json")
	require.NoError(b, err)
	m, err := event.Decode("FILL_RECEIVED", 1, data)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Canonical(m); err != nil {
			b.Fatal(err)
		}
	}
}
