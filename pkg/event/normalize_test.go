package event_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

var (
	tenant  = uuid.MustParse("aaaaaaaa-0000-4000-8000-000000000001")
	account = uuid.MustParse("aaaaaaaa-0000-4000-8000-00000000000a")
	command = uuid.MustParse("aaaaaaaa-0000-4000-8000-00000000000c")
)

// TestPayloads_mean_what_they_always_meant pins normal form, key, digest and identity of every type.
func TestPayloads_mean_what_they_always_meant(t *testing.T) {
	t.Parallel()
	type vector struct {
		Type           event.Type `json:"type"`
		Stream         string     `json:"stream"`
		Normalized     string     `json:"normalized"`
		IdempotencyKey string     `json:"idempotency_key"`
		Digest         string     `json:"digest,omitempty"`
		Identity       string     `json:"identity,omitempty"`
		CommandID      string     `json:"command_id"`
	}
	var vectors []vector
	for _, descriptor := range event.All() {
		m := populated(t, descriptor)
		normalized, err := event.Normalize(m)
		require.NoError(t, err)
		v := vector{Type: descriptor.Type, Normalized: string(normalized), CommandID: command.String()}
		if descriptor.IsFact() {
			digest, err := event.Digest(m)
			require.NoError(t, err)
			v.Digest = hex.EncodeToString(digest[:])
			v.Identity, err = event.Identity(m)
			require.NoError(t, err)
			v.CommandID = event.FactCommandID(v.Identity).String()
		}
		v.Stream = event.StreamKey{Kind: descriptor.Streams[0], ID: account}.String()
		v.IdempotencyKey = event.IdempotencyText(event.IdempotencyKey(tenant, v.Stream, uuid.MustParse(v.CommandID), normalized))
		vectors = append(vectors, v)
	}
	golden(t, "payloads.json", vectors)
}

// fill is a trade as one of the venue's reports tells it.
func fill(change func(*eventv1.FillReceived)) *eventv1.FillReceived {
	f := &eventv1.FillReceived{
		FillId: anID, AccountId: account.String(), OrderId: otherID, ClientOrderId: "rb-x", ExchangeOrderId: "5001", ExchangeTradeId: "28457",
		Symbol: "BTCUSDT", Side: eventv1.Side_SIDE_BUY, FillPrice: "95000.10", FillQuantity: "0.06666", QuoteQuantity: "6332.706666", Fee: "0.00006666",
		FeeAsset: "BTC", FilledAt: timestamppb.New(someTime(7)), Source: eventv1.Source_SOURCE_WS,
	}
	if change != nil {
		change(f)
	}
	return f
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	at := timestamppb.New(someTime(7))
	for want, m := range map[string]proto.Message{
		"FILL_RECEIVED/binance/%s/BTCUSDT/order/5001/trade/28457":          fill(nil),
		"FILL_RECEIVED/binance/%s/BTCUSDT/order/5001%%2F7/trade/%%22x%%5C": fill(func(f *eventv1.FillReceived) { f.ExchangeOrderId, f.ExchangeTradeId = "5001/7", `"x\` }),
		"ORDER_ACKED/binance/%s/BTCUSDT/order/" + anID + "/exchange_order/5001": &eventv1.OrderAcked{
			AccountId: strings.ToUpper(account.String()), OrderId: strings.ToUpper(anID), Symbol: "BTCUSDT", ExchangeOrderId: "5001", ExchangeStatus: "NEW",
		},
		"ORDER_REJECTED/binance/%s/BTCUSDT/order/" + anID + "/intent/" + otherID: &eventv1.OrderRejected{AccountId: account.String(), OrderId: anID, Symbol: "BTCUSDT", IntentId: otherID},
		"ORDER_REJECTED/binance/%s/BTCUSDT/order/" + anID:                        &eventv1.OrderRejected{AccountId: account.String(), OrderId: anID, Symbol: "BTCUSDT"},
		"ORDER_CANCELED/binance/%s/BTCUSDT/order/" + anID:                        &eventv1.OrderCanceled{AccountId: account.String(), OrderId: anID, Symbol: "BTCUSDT", ExchangeOrderId: "1"},
		"ORDER_EXPIRED/binance/%s/BTCUSDT/order/" + anID:                         &eventv1.OrderExpired{AccountId: account.String(), OrderId: anID, Symbol: "BTCUSDT"},
		"BALANCE_SAMPLED/binance/%s/sample/" + anID + "/wallet/spot/asset/USDT":  &eventv1.BalanceSampled{AccountId: account.String(), SampleId: anID, Wallet: "spot", Asset: "USDT"},
		"BALANCE_ADJUSTED/binance/%s/wallet/isolated:BTCUSDT/asset/BTC/delta/-0.5/cleared_at/2026-11-24T00:00:07.007Z": &eventv1.BalanceAdjusted{
			AccountId: account.String(), Wallet: "isolated:BTCUSDT", Asset: "BTC", Delta: "-0.50", ClearedAt: at,
		},
		"MARGIN_TRANSFERRED/binance/%s/BTCUSDT/asset/BTC/direction/isolated_to_spot/tran/9": &eventv1.MarginTransferred{
			AccountId: account.String(), Symbol: "BTCUSDT", Asset: "BTC", Direction: eventv1.TransferDirection_TRANSFER_DIRECTION_ISOLATED_TO_SPOT, TranId: "9",
		},
		"MARGIN_LEVEL_SAMPLED/binance/%s/BTCUSDT/sample/" + anID: &eventv1.MarginLevelSampled{AccountId: account.String(), Symbol: "BTCUSDT", SampleId: anID},
	} {
		got, err := event.Identity(m)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(want, account), got)
	}
}

// TestIdentity_of_a_loan: its transaction names it, told with or without the order; the order does where there is none.
func TestIdentity_of_a_loan(t *testing.T) {
	t.Parallel()
	borrowed := func(tran, order string) proto.Message {
		return &eventv1.MarginBorrowed{AccountId: account.String(), Symbol: "BTCUSDT", Asset: "BTC", TranId: tran, OrderId: order}
	}
	repaid := func(tran, order string) proto.Message {
		return &eventv1.MarginRepaid{AccountId: account.String(), Symbol: "BTCUSDT", Asset: "BTC", TranId: tran, OrderId: order}
	}
	for name, of := range map[string]func(tran, order string) proto.Message{"MARGIN_BORROWED": borrowed, "MARGIN_REPAID": repaid} {
		for want, m := range map[string]proto.Message{"tran/9": of("9", ""), "order/" + anID: of("", anID)} {
			identity, err := event.Identity(m)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%s/binance/%s/BTCUSDT/asset/BTC/%s", name, account, want), identity)
		}
		alone, err := event.Identity(of("9", ""))
		require.NoError(t, err)
		both, err := event.Identity(of("9", anID))
		require.NoError(t, err)
		require.Equal(t, alone, both)
	}
}

func TestIdentity_refusals(t *testing.T) {
	t.Parallel()
	_, err := event.Identity(&eventv1.FillReceived{AccountId: "x"})
	require.True(t, fault.Is(err, fault.Invalid))
	require.Equal(t, "payload.fill_received.account_id", fault.As(err).Fields[0].Path)
	for _, none := range []proto.Message{&eventv1.FillReceived{}, &eventv1.StrategyDisabled{StrategyId: anID}, &eventv1.DiscrepancyDetected{DiscrepancyId: anID}} {
		_, err := event.Identity(none)
		require.True(t, fault.Is(err, fault.Invalid))
		require.ErrorContains(t, err, "has no identity")
	}
}

// TestDigest_tells_reports_apart: what happened counts, how it was learned does not.
func TestDigest_tells_reports_apart(t *testing.T) {
	t.Parallel()
	digest := func(m proto.Message) [32]byte {
		d, err := event.Digest(m)
		require.NoError(t, err)
		return d
	}
	first := digest(fill(nil))
	same := fill(func(f *eventv1.FillReceived) {
		f.FillPrice, f.Source, f.FilledAt, f.IsMaker, f.Synthetic = "95000.1", eventv1.Source_SOURCE_REST, timestamppb.New(someTime(9)), true, true
		f.QuoteQuantity, f.FeeQuote, f.OrderId, f.FillId, f.PositionId, f.ClientOrderId = "1", "2", anID, otherID, anID, "rb-y"
	})
	require.Equal(t, first, digest(same))
	for name, change := range map[string]func(*eventv1.FillReceived){
		"side": func(f *eventv1.FillReceived) { f.Side = eventv1.Side_SIDE_SELL }, "fill_price": func(f *eventv1.FillReceived) { f.FillPrice = "95000.11" },
		"fill_quantity": func(f *eventv1.FillReceived) { f.FillQuantity = "0.06667" }, "fee": func(f *eventv1.FillReceived) { f.Fee = "0" },
		"fee_asset": func(f *eventv1.FillReceived) { f.FeeAsset = "BNB" },
	} {
		require.NotEqual(t, first, digest(fill(change)), name)
	}
}

func TestNormalize_leaves_out_how_it_was_learned(t *testing.T) {
	t.Parallel()
	for m, want := range map[proto.Message]string{
		fill(nil): `{"event_type":"FILL_RECEIVED","payload":{"account_id":"` + account.String() + `","exchange_order_id":"5001","exchange_trade_id":"28457","fee":"0.00006666","fee_asset":"BTC",` +
			`"fill_price":"95000.1","fill_quantity":"0.06666","side":"buy","symbol":"BTCUSDT"}}`,
		&eventv1.ExchangeRequestFailed{AccountId: anID, RequestId: "r-1", Operation: "place", Message: "no"}: `{"event_type":"EXCHANGE_REQUEST_FAILED","payload":{"account_id":"` + anID +
			`","attempt":0,"message":"no","operation":"place","retryable":false}}`,
		&eventv1.PositionDisarmed{PositionId: anID, Reason: eventv1.DisarmReason_DISARM_REASON_USER, DisarmedAt: timestamppb.New(someTime(1))}: `{"event_type":"POSITION_DISARMED","payload":{"position_id":"` + anID +
			`","reason":"user"}}`,
		&eventv1.StrategyUpdated{DetectorConfig: map[string]string{"request_id": "1", "actor_id": "2", "timeout_at": "3"}}: `{"event_type":"STRATEGY_UPDATED","payload":{"detector_config":{"actor_id":"2","request_id":"1","timeout_at":"3"},"version":0}}`,
		// The time of an adjustment says which adjustment it is.
		&eventv1.BalanceAdjusted{Delta: "1", ClearedAt: timestamppb.New(someTime(7))}: `{"event_type":"BALANCE_ADJUSTED","payload":{"cleared_at":"2026-11-24T00:00:07.007Z","delta":"1"}}`,
	} {
		got, err := event.Normalize(m)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

// TestNormalize_is_idempotent: what is normal already stays as it is, for every type.
func TestNormalize_is_idempotent(t *testing.T) {
	t.Parallel()
	for _, descriptor := range event.All() {
		once, err := event.Normalize(populated(t, descriptor))
		require.NoError(t, err)
		var normal struct {
			EventType event.Type      `json:"event_type"`
			Payload   json.RawMessage `json:"payload"`
		}
		require.NoError(t, json.Unmarshal(once, &normal))
		back, err := event.Decode(normal.EventType, descriptor.Version, normal.Payload)
		require.NoError(t, err)
		twice, err := event.Normalize(back)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	}
}

// respelled writes JSON with the members of its objects in another order, white space, decimals with trailing zeros and
// UUIDs in capitals: the same, otherwise written.
func respelled(t *rapid.T, value any) string {
	pad := func() string { return rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space") }
	switch v := value.(type) {
	case map[string]any:
		var members []string
		for _, key := range rapid.Permutation(keysOf(v)).Draw(t, "order") {
			name, err := json.Marshal(key)
			require.NoError(t, err)
			members = append(members, pad()+string(name)+pad()+":"+respelled(t, v[key]))
		}
		return pad() + "{" + strings.Join(members, ",") + "}" + pad()
	case []any:
		var elements []string
		for _, element := range v {
			elements = append(elements, respelled(t, element))
		}
		return "[" + strings.Join(elements, ",") + "]"
	case string:
		text, err := json.Marshal(respelledText(t, v))
		require.NoError(t, err)
		return pad() + string(text)
	default:
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return string(text)
	}
}

func respelledText(t *rapid.T, s string) string {
	if _, err := uuid.Parse(s); err == nil && len(s) == 36 && rapid.Bool().Draw(t, "capitals") {
		return strings.ToUpper(s)
	}
	if whole, fraction, point := strings.Cut(s, "."); point && strings.Trim(whole+fraction, "-0123456789") == "" {
		return s + strings.Repeat("0", rapid.IntRange(0, 30).Draw(t, "zeros"))
	}
	return s
}

func keysOf(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// TestNormalize_says_the_same_of_what_means_the_same, however it is written.
func TestNormalize_says_the_same_of_what_means_the_same(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t) {
		var parsed map[string]any
		decoder := json.NewDecoder(bytes.NewReader(file.bytes))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&parsed))
		want, err := event.Decode(file.typ, file.version, file.bytes)
		require.NoError(t, err)
		rapid.Check(t, func(t *rapid.T) {
			got, err := event.Decode(file.typ, file.version, []byte(respelled(t, parsed)))
			require.NoError(t, err)
			requireSame(t, event.Canonical, want, got)
			requireSame(t, event.Normalize, want, got)
		})
	}
}

func requireSame(t *rapid.T, write func(proto.Message) ([]byte, error), a, b proto.Message) {
	t.Helper()
	first, err := write(a)
	require.NoError(t, err)
	second, err := write(b)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

// TestIdempotencyKey_joins_its_parts_so_that_they_stay_apart: other parts, another key, wherever one ends and the next
// begins.
func TestIdempotencyKey_joins_its_parts_so_that_they_stay_apart(t *testing.T) {
	t.Parallel()
	type parts struct {
		tenant, command uuid.UUID
		stream          string
		normalized      string
	}
	id := rapid.Custom(func(t *rapid.T) uuid.UUID {
		return uuid.UUID(bytes.Repeat([]byte{rapid.SampledFrom([]byte("\x00ab")).Draw(t, "byte")}, 16))
	})
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00")), 0, 34, -1)
	draw := rapid.Custom(func(t *rapid.T) parts {
		return parts{id.Draw(t, "tenant"), id.Draw(t, "command"), text.Draw(t, "stream"), text.Draw(t, "normalized")}
	})
	key := func(p parts) [32]byte {
		return event.IdempotencyKey(p.tenant, p.stream, p.command, []byte(p.normalized))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if rapid.Bool().Draw(t, "moved") { // What one part loses at its end the next one gains.
			b = a
			cut := rapid.IntRange(0, len(a.stream)).Draw(t, "cut")
			b.stream, b.normalized = a.stream[:cut], a.stream[cut:]+a.normalized
		}
		require.Equal(t, a == b, key(a) == key(b))
		require.True(t, strings.HasPrefix(event.IdempotencyText(key(a)), "idem_"))
		require.Len(t, event.IdempotencyText(key(a)), len("idem_")+64)
	})
}

// TestIdempotencyKey_tells_types_apart: two types with the same fields are not the same event.
func TestIdempotencyKey_tells_types_apart(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]event.Type{}
	for _, descriptor := range event.All() {
		m, err := event.Decode(descriptor.Type, 1, []byte(`{}`))
		require.NoError(t, err)
		normalized, err := event.Normalize(m)
		require.NoError(t, err)
		key := event.IdempotencyKey(tenant, "account:"+account.String(), command, normalized)
		require.NotContains(t, seen, key, "%s and %s", descriptor.Type, seen[key])
		seen[key] = descriptor.Type
	}
}

// TestMakeStorable_bound cuts text to what the contract lets its field have, so that a report with an overlong text is
// shorter, and not refused.
func TestMakeStorable_bound(t *testing.T) {
	t.Parallel()
	validator, err := protovalidate.New()
	require.NoError(t, err)
	long := strings.Repeat("é", 5000)
	for _, m := range []proto.Message{
		&eventv1.OrderExpired{
			OrderId: uuid.NewString(), AccountId: uuid.NewString(), Symbol: "BTCUSDT", ExchangeStatus: "EXPIRED",
			ExpiryReason: long, CumFilledQuantity: "0", Source: eventv1.Source_SOURCE_WS,
		},
		&eventv1.ExchangeDisconnected{
			AccountId: uuid.NewString(), Channel: eventv1.Channel_CHANNEL_REST, ConnectionId: "c", Reason: long,
		},
	} {
		require.Error(t, validator.Validate(m))
		require.True(t, event.MakeStorable(m, 512))
		require.NoError(t, validator.Validate(m))
	}
}

func TestMakeStorable(t *testing.T) {
	t.Parallel()
	clean := fill(nil)
	require.False(t, event.MakeStorable(clean, 36))
	require.True(t, proto.Equal(fill(nil), clean))

	failed := &eventv1.ExchangeRequestFailed{Message: "a\x00b\xff\xfec", Operation: "place"}
	require.True(t, event.MakeStorable(failed, 512))
	require.Equal(t, "a\ufffdb\ufffdc", failed.GetMessage())
	require.Equal(t, "place", failed.GetOperation())

	long := &eventv1.ExchangeRequestFailed{Message: strings.Repeat("é", 10)}
	require.True(t, event.MakeStorable(long, 7))
	require.Equal(t, "ééé", long.GetMessage())

	everywhere := &eventv1.DiscrepancyDetected{Expected: map[string]string{"a": "x"}, Actual: map[string]string{"client_order_id": "w\x00", "b": "fine"}}
	require.True(t, event.MakeStorable(everywhere, 64))
	require.Equal(t, map[string]string{"client_order_id": "w\ufffd", "b": "fine"}, everywhere.GetActual())
	require.True(t, event.MakeStorable(&eventv1.StrategyUpdated{ChangedFields: []string{"a", "\xff"}}, 64))
	checks := &eventv1.RiskCheckPassed{ChecksPerformed: []*eventv1.RiskCheck{{Message: "\x00"}}}
	require.True(t, event.MakeStorable(checks, 64))
	require.Equal(t, "\ufffd", checks.GetChecksPerformed()[0].GetMessage())
	_, err := event.Canonical(everywhere)
	require.NoError(t, err)
}
