package main

import (
	"encoding/hex"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// The golden vectors of the event contracts.
func TestIdentity_golden(t *testing.T) {
	t.Parallel()
	command := factCommand("FILL_RECEIVED", "aaaaaaaa-0000-4000-8000-00000000000a", "BTCUSDT", "order", "5001", "trade", "28457")
	require.Equal(t, "f5943646-3cc5-5277-88bc-2f0cd5c9dfb1", command.String())
	intent := uuid.MustParse("0f8fad5b-d9cb-469f-a165-70867728950e")
	require.Equal(t, "091dfe84-58d4-5447-bd38-a4f9f6b63490", orderID(intent, 1).String())
	require.Equal(t, "1946e2ca-686f-54fa-8413-383aade21ed2", orderID(intent, 2).String())
	require.Equal(t, "rb-beo75bcy2rkeppjyut47nnrusa", clientOrderID(orderID(intent, 1)))
}

func TestFactDigest(t *testing.T) {
	t.Parallel()
	// sha256 of {"event_type":"BALANCE_SAMPLED","payload":{"free":"1","locked":"0"}} and of {"event_type":"ORDER_ACKED","payload":{}}
	require.Equal(t, "4240c53cc6de0ddcf928b32b43baeacaf407f75d02dd6f8541828f36ac003251", hex.EncodeToString(factDigest("BALANCE_SAMPLED", value{"free", "1"}, value{"locked", "0"})))
	require.Equal(t, "8e6b10c51112bdf4ba0b14651017e21f112e03714d59034bd195fd332d16a2e8", hex.EncodeToString(factDigest("ORDER_ACKED")))
}
