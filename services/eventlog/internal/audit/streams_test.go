package audit

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
)

// TestParseStream_reads_what_the_contract_reads: the same keys, and no others.
func TestParseStream_reads_what_the_contract_reads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(
			rapid.Map(rapid.SampledFrom(streamKinds), func(k event.Kind) string { return string(k) + ":" + uuid.NewString() }),
			rapid.StringMatching(`(tenant|account|order|orders|)[:;]?[0-9a-fA-Fg]{7,8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA]{4}-?[0-9a-f]{11,12}`),
			rapid.String(),
		).Draw(t, "key")
		want, err := event.ParseStreamKey(key)
		found, ok := parseStream([]byte(key))
		if ok != (err == nil) || ok && found.key() != want {
			t.Fatalf("%q: %v, %v", key, found, err)
		}
	})
}

// TestStreams_puts_spans_together: gaps and repeats between stretches are found, whatever is in between.
func TestStreams_puts_spans_together(t *testing.T) {
	t.Parallel()
	a, b := []byte("order:"+uuid.NewString()), []byte("position:"+uuid.NewString())
	type step struct {
		key []byte
		seq int64
	}
	for name, test := range map[string]struct {
		steps []step
		after int64
		bad   int64
	}{
		"whole":                         {[]step{{a, 1}, {b, 1}, {a, 2}, {a, 3}, {b, 2}}, 0, 0},
		"begun at two":                  {[]step{{a, 2}, {a, 3}}, 0, 1},
		"begun at two, after the start": {[]step{{a, 2}, {a, 3}}, 10, 0},
		"a gap":                         {[]step{{a, 1}, {b, 1}, {a, 3}}, 0, 3},
		"a gap, after the start":        {[]step{{a, 5}, {b, 1}, {a, 7}}, 10, 13},
		"a repeat":                      {[]step{{a, 1}, {b, 1}, {a, 2}, {b, 1}}, 0, 4},
		"back":                          {[]step{{a, 1}, {a, 2}, {a, 1}}, 0, 3},
	} {
		for _, size := range []int{1, 2, 9} {
			streams := NewStreams(StreamsParams{Max: 10, After: test.after})
			spans := NewSpans(Part{})
			var wrong *Breach
			for i, s := range test.steps {
				if i%size == 0 && wrong == nil {
					wrong = streams.Add(spans)
					spans = NewSpans(Part{})
				}
				if wrong == nil {
					wrong = spans.NextOf(s.key, s.seq, test.after+int64(i)+1)
				}
			}
			wrong = Earlier(wrong, streams.Add(spans))
			if test.bad == 0 {
				require.Nil(t, wrong, name)
				continue
			}
			require.NotNil(t, wrong, name)
			require.Equal(t, StreamMismatch, wrong.Kind, name)
			require.Equal(t, test.bad, wrong.Position, "%s by %d", name, size)
		}
	}
	require.NotNil(t, NewSpans(Part{}).NextOf([]byte("mallory"), 1, 1))
}

// TestStreams_of_more_than_there_may_be: nothing is said of them, and every part has its own.
func TestStreams_of_more_than_there_may_be(t *testing.T) {
	t.Parallel()
	streams := NewStreams(StreamsParams{Max: 2})
	counts := [3]int64{}
	for number := range counts {
		spans := NewSpans(Part{Number: uint64(number), Of: 3})
		all := NewSpans(Part{})
		for i := range 90 {
			key := []byte("order:" + uuid.NewSHA1(uuid.Nil, []byte{byte(i)}).String())
			require.Nil(t, spans.NextOf(key, 1, int64(i+1)))
			require.Nil(t, all.NextOf(key, 1, int64(i+1)))
		}
		counts[number] = int64(len(spans.list))
		require.Nil(t, streams.Add(all))
	}
	require.True(t, streams.Over())
	require.EqualValues(t, 90, counts[0]+counts[1]+counts[2])
	require.NotZero(t, counts[0]*counts[1]*counts[2])
}
