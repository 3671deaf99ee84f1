package event_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
)

// TestIDs_are_what_they_always_were: every service, in every version, derives the same ids from the same things.
func TestIDs_are_what_they_always_were(t *testing.T) {
	t.Parallel()
	type vector struct {
		What string `json:"what"`
		From string `json:"from"`
		ID   string `json:"id"`
	}
	const identity = "FILL_RECEIVED/binance/aaaaaaaa-0000-4000-8000-00000000000a/BTCUSDT/order/5001/trade/28457"
	intent := uuid.MustParse(anID)
	cause := ulid.MustParseStrict("01JDFX2Q7M0000000000000000")
	order := event.OrderID(intent, 1)
	fact := event.FactCommandID(identity)
	golden(t, "ids.json", []vector{
		{"order_id of attempt 1", anID, order.String()},
		{"order_id of attempt 2", anID, event.OrderID(intent, 2).String()},
		{"order_id of attempt 10", anID, event.OrderID(intent, 10).String()},
		{"client_order_id", order.String(), event.ClientOrderID(order)},
		{"client_order_id", uuid.Nil.String(), event.ClientOrderID(uuid.Nil)},
		{"client_order_id", uuid.Max.String(), event.ClientOrderID(uuid.Max)},
		{"command_id of a step", cause.String() + " open", event.StepCommandID(cause, "open").String()},
		{"command_id of a fact", identity, fact.String()},
		{"fill_id", identity, event.FillID(identity).String()},
		{"command_id of a differing report", fact.String() + " 00..00", event.DiscrepancyCommandID(fact, [32]byte{}).String()},
		{"discrepancy_id", cause.String() + " overfill", event.DiscrepancyID(cause, "overfill").String()},
	})
}

func TestClientOrderID_leads_back_to_the_order(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		text := event.ClientOrderID(id)
		require.Regexp(t, "^rb-[a-z2-7]{26}$", text)
		back, ours := event.ParseClientOrderID(text)
		require.True(t, ours)
		require.Equal(t, id, back)
	})
}

func TestParseClientOrderID_knows_what_is_not_ours(t *testing.T) {
	t.Parallel()
	ours := event.ClientOrderID(uuid.MustParse(anID))
	for _, text := range []string{
		"", "rb-", "web_1234", strings.TrimPrefix(ours, "rb-"), strings.ToUpper(ours), "RB-" + ours[3:], ours[:len(ours)-1], ours + "a", ours + "\n", ours[:10] + "\n" + ours[10:],
		ours[:len(ours)-1] + "7", "rb-" + strings.Repeat("1", 26), "rb-" + strings.Repeat("a", 24) + "==", " " + ours,
	} {
		_, known := event.ParseClientOrderID(text)
		require.False(t, known, "%q", text)
	}
}

func TestNextID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 20, 5, 42, 123_999_999, time.UTC)
	entropy := func() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{0xab}, 10)) }
	first, err := event.NextID(ulid.ULID{}, at, entropy())
	require.NoError(t, err)
	require.Equal(t, ulid.Timestamp(at), first.Time())

	for name, clock := range map[string]time.Time{"the same millisecond": at, "a clock that went back": at.Add(-time.Hour), "1970": time.Unix(0, 0)} {
		next, err := event.NextID(first, clock, entropy())
		require.NoError(t, err, name)
		require.Equal(t, 1, next.Compare(first), name)
		require.Equal(t, first.Time(), next.Time(), name)
	}
	later, err := event.NextID(first, at.Add(time.Millisecond), entropy())
	require.NoError(t, err)
	require.Equal(t, first.Time()+1, later.Time())

	carry := first
	for i := 6; i < len(carry); i++ {
		carry[i] = 0xff
	}
	next, err := event.NextID(carry, at, entropy())
	require.NoError(t, err)
	require.Equal(t, 1, next.Compare(carry))
	require.Equal(t, first.Time()+1, next.Time())

	_, err = event.NextID(ulid.ULID(bytes.Repeat([]byte{0xff}, 16)), at, entropy())
	require.True(t, fault.Is(err, fault.Corrupt))
	require.Equal(t, "EVENT_ID_OVERFLOW", fault.ReasonOf(err))
	_, err = event.NextID(ulid.ULID{}, at, failing{})
	require.ErrorIs(t, err, errNoEntropy)
}

var errNoEntropy = errors.New("no entropy")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errNoEntropy }

// TestNextID_never_goes_back, whatever the clock does.
func TestNextID_never_goes_back(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		last := ulid.ULID{}
		for range 20 {
			at := time.UnixMilli(rapid.Int64Range(1, 1<<41).Draw(t, "ms"))
			next, err := event.NextID(last, at, bytes.NewReader(rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "entropy")))
			require.NoError(t, err)
			require.Equal(t, 1, next.Compare(last))
			last = next
		}
	})
}

func TestParseStreamKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []event.Kind{event.KindTenant, event.KindAccount, event.KindStrategy, event.KindPosition, event.KindOrder} {
		key, err := event.ParseStreamKey(string(kind) + ":" + anID)
		require.NoError(t, err)
		require.Equal(t, event.StreamKey{Kind: kind, ID: uuid.MustParse(anID)}, key)
		require.Equal(t, string(kind)+":"+anID, key.String())
	}
	for _, text := range []string{
		"", ":", anID, ":" + anID, "order", "order:", "order" + anID, "order/" + anID, "Order:" + anID, " order:" + anID, "order: " + anID, "order:" + anID + " ",
		"signal:" + anID, "order:" + strings.ToUpper(anID), "order:{" + anID + "}", "order:urn:uuid:" + anID, "order:" + strings.ReplaceAll(anID, "-", ""),
		"order:" + anID[:35], "order:" + anID + "0", "order:order:" + anID, "order:" + anID + "\x00", "tenant:x",
	} {
		_, err := event.ParseStreamKey(text)
		require.True(t, fault.Is(err, fault.Invalid), "%q", text)
		require.Equal(t, "stream_key", fault.As(err).Fields[0].Path)
	}
}
