package binance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/services/connector/internal/venue"
)

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return bytes.TrimSpace(body)
}

var num = decimal.RequireFromString

// requireSame compares to the last field, decimals by their value.
func requireSame[T any](t *testing.T, want, got T) {
	t.Helper()
	wanted, err := json.Marshal(want)
	require.NoError(t, err)
	gotten, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(wanted), string(gotten))
}

func wrapped(event []byte) []byte { return fmt.Appendf(nil, `{"subscriptionId":0,"event":%s}`, event) }

// TestRecorded_payloads reads what Binance itself gives as examples.
func TestRecorded_payloads(t *testing.T) {
	t.Parallel()
	translator := &translator{wallet: venue.SpotWallet, report: func(kind string) { t.Errorf("%s is not known", kind) }}
	reports, ended := translator.translate([][]byte{
		wrapped(recorded(t, "executionReport")), wrapped(recorded(t, "outboundAccountPosition")), wrapped(recorded(t, "balanceUpdate")),
		wrapped(recorded(t, "externalLockUpdate")), wrapped(recorded(t, "eventStreamTerminated")), wrapped(recorded(t, "executionReport")),
	})
	require.ErrorIs(t, ended, errEnded)
	require.ErrorContains(t, ended, "eventStreamTerminated")
	require.Len(t, reports, 4, "what comes after the end of the stream is not of it")
	made := time.UnixMilli(1499405658657).UTC()
	requireSame(t, venue.Report{
		Cursor: 1499405658658000, Time: time.UnixMilli(1499405658658).UTC(),
		Execution: &venue.Execution{Type: venue.ExecutionNew, Order: venue.Order{
			Symbol: "ETHBTC", OrderID: 4293153, ClientOrderID: "mUvoqJxFIILMdfAW5iGSOW", Status: venue.StatusNew, Side: venue.Buy, Type: venue.Limit,
			TimeInForce: venue.GTC, Quantity: num("1"), Price: num("0.1026441"), CreatedAt: made, UpdatedAt: made,
		}},
	}, reports[0])
	requireSame(t, venue.AccountPosition{Balances: []venue.Balance{{Wallet: "spot", Asset: "ETH", Free: num("10000")}}}, *reports[1].Position)
	require.Equal(t, time.UnixMilli(1564034571105).UTC(), reports[1].Time)
	requireSame(t, venue.Movement{
		Wallet: "spot", Asset: "BTC", Delta: num("100"), Kind: venue.Deposit, Reference: "balanceUpdate/BTC/1573200697068/100.00000000",
	}, *reports[2].Movement)
	requireSame(t, venue.Movement{
		Wallet: "spot", Asset: "NEO", Delta: num("-10"), Kind: venue.ExternalLock, Reference: "externalLockUpdate/NEO/1581557507268/10.00000000",
	}, *reports[3].Movement)

	var parts commissions
	require.NoError(t, json.Unmarshal(recorded(t, "commission"), &parts))
	taker := parts.Standard.taker().Add(parts.Special.taker()).Add(parts.Tax.taker())
	require.Equal(t, "0.0600029", taker.String())
}

// altered is the recorded report with other fields.
func altered(t *testing.T, fields map[string]any) []byte {
	t.Helper()
	var all map[string]any
	decoder := json.NewDecoder(bytes.NewReader(recorded(t, "executionReport")))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&all))
	for name, value := range fields {
		all[name] = value
	}
	out, err := json.Marshal(all)
	require.NoError(t, err)
	return wrapped(out)
}

func TestExecution_kinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields map[string]any
		want   func(*testing.T, *venue.Execution)
	}{
		"a cancel is named by C": {map[string]any{"x": "CANCELED", "X": "CANCELED", "c": "cancel", "C": "order"}, func(t *testing.T, e *venue.Execution) {
			t.Helper()
			require.Equal(t, venue.ClientOrderID("order"), e.Order.ClientOrderID)
			require.Equal(t, venue.ClientOrderID("cancel"), e.Order.CancelID)
		}},
		"a trade without a fee": {map[string]any{"x": "TRADE", "X": "FILLED", "t": 7, "l": "1", "L": "2", "Y": "2", "n": "0", "N": nil}, func(t *testing.T, e *venue.Execution) {
			t.Helper()
			require.Equal(t, venue.TradeID(7), e.Trade.TradeID)
			require.Empty(t, e.Trade.FeeAsset)
			require.True(t, e.Trade.Fee.IsZero())
		}},
		"an expiry and its reason": {map[string]any{"x": "EXPIRED", "X": "EXPIRED", "eR": "INSUFFICIENT_LIQUIDITY"}, func(t *testing.T, e *venue.Execution) {
			t.Helper()
			require.Equal(t, venue.ExecutionExpired, e.Type)
			require.Equal(t, "INSUFFICIENT_LIQUIDITY", e.Order.ExpiryReason)
		}},
		"self-trade prevention": {map[string]any{"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, func(t *testing.T, e *venue.Execution) {
			t.Helper()
			require.Equal(t, venue.ExecutionExpired, e.Type)
			require.Equal(t, venue.StatusExpiredInMatch, e.Order.Status)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reports, ended := (&translator{wallet: venue.SpotWallet, report: func(string) {}}).translate([][]byte{altered(t, c.fields)})
			require.NoError(t, ended)
			require.Len(t, reports, 1)
			c.want(t, reports[0].Execution)
		})
	}
}

// TestTranslate_what_cannot_be_told passes over what is not known, and ends the line where something that is known cannot be read.
func TestTranslate_what_cannot_be_told(t *testing.T) {
	t.Parallel()
	var skipped []string
	translator := &translator{wallet: venue.SpotWallet, after: 1 << 60, report: func(kind string) { skipped = append(skipped, kind) }}
	reports, ended := translator.translate([][]byte{
		wrapped([]byte(`{"e":"listStatus","E":1}`)), altered(t, map[string]any{"x": "REPLACED"}), altered(t, map[string]any{"X": "NOVEL"}), altered(t, nil),
	})
	require.NoError(t, ended)
	require.Len(t, reports, 1)
	require.Len(t, skipped, 3)
	require.Equal(t, venue.Cursor(1<<60+1), reports[0].Cursor, "cursors grow though the clock went back")
	for name, message := range map[string][]byte{
		"no JSON": []byte("{"), "no number": altered(t, map[string]any{"q": "many"}), "no id": altered(t, map[string]any{"i": 0}),
		"a trade without id": altered(t, map[string]any{"x": "TRADE", "X": "FILLED"}), "terminated": []byte(`{"e":"eventStreamTerminated","E":1}`),
		"no movement": wrapped([]byte(`{"e":"balanceUpdate","E":1,"a":"BTC","d":"0","T":1}`)),
	} {
		reports, ended := translator.translate([][]byte{message})
		require.ErrorIs(t, ended, errEnded, name)
		require.Empty(t, reports, name)
	}
}
