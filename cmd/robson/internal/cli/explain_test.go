package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

const orderID = "9c8b7a6d-0e1f-4a2b-8c3d-4e5f60718293"

// stray is an ack of an order that nobody submitted.
func stray(position int64) *eventv1.Event {
	return &eventv1.Event{
		EventId: eventID, Position: position, EventType: "ORDER_ACKED", StreamKey: "order:" + orderID, CommandId: positionID,
		Payload: event.Wrap(&eventv1.OrderAcked{OrderId: orderID, AccountId: accountID, Symbol: "BTCUSDT", ExchangeOrderId: "7", ExchangeStatus: "NEW"}),
	}
}

// TestExplain asks page by page, and prints text or one document.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.answer("QueryEvents", &eventlogv1.QueryEventsResponse{Events: []*eventv1.Event{stray(7)}, NextPageToken: "more", AsOf: 9}, &eventlogv1.QueryEventsResponse{AsOf: 9})
	s.answer("GetCommand", &eventlogv1.GetCommandResponse{RequestDigest: []byte{1, 2}})
	code, out, errOut := s.run("explain", "order", orderID)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "outcome  not known here")
	require.Contains(t, out, "request   sha256 0102")
	require.Equal(t, "more", s.asked[1].request.(*eventlogv1.QueryEventsRequest).GetPageToken())
	require.True(t, proto.Equal(&eventlogv1.EventFilter{OrderId: orderID}, s.asked[0].request.(*eventlogv1.QueryEventsRequest).GetFilter()))

	s.answer("QueryEvents", &eventlogv1.QueryEventsResponse{Events: []*eventv1.Event{stray(7)}, AsOf: 9})
	code, out, errOut = s.run("explain", "order", orderID, "-o", "json")
	require.Zero(t, code)
	require.Empty(t, errOut)
	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	require.EqualValues(t, 9, document["as_of"])
	require.Len(t, document["events"], 1)
}

// TestExplain_fill finds the trade's order by its row.
func TestExplain_fill(t *testing.T) {
	t.Parallel()
	filled := stray(7)
	filled.EventType, filled.Payload = "FILL_RECEIVED", event.Wrap(&eventv1.FillReceived{FillId: positionID, OrderId: orderID, AccountId: accountID, Symbol: "BTCUSDT", FillPrice: "2", FillQuantity: "3", Fee: "0"})
	s := start(t)
	s.answer("GetFill", &projectorv1.GetFillResponse{Fill: &projectorv1.Fill{OrderId: orderID}})
	s.answer("QueryEvents", &eventlogv1.QueryEventsResponse{Events: []*eventv1.Event{filled}})
	code, out, errOut := s.run("explain", "fill", positionID)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "3 BTCUSDT at 2: 6 quote")

	s.answer("QueryEvents", &eventlogv1.QueryEventsResponse{Events: []*eventv1.Event{stray(7)}})
	code, _, errOut = s.run("explain", "fill", positionID)
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "is a row, and order "+orderID+" has no such event")
}

// TestExplain_that_cannot_be says what was looked for, or what is wrong with the line.
func TestExplain_that_cannot_be(t *testing.T) {
	t.Parallel()
	s := start(t).answer("GetFill", fault.New(fault.NotFound, "NOT_FOUND", "no fill"))
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"order " + orderID:       {1, "there is no order " + orderID},
		"position " + positionID: {1, "there is no position " + positionID},
		"fill " + positionID:     {1, "there is no fill " + positionID},
		"balance " + accountID + " --wallet spot --asset DOGE": {1, "there is no balance of DOGE in wallet spot of account " + accountID},
		"order x":                         {2, `error: ORDER_ID: "x" is no UUID`},
		"order " + orderID + " --lines 0": {2, "--lines: must be at least 1, found 0"},
		"balance " + accountID + " --wallet spot --asset A --samples 0": {2, "--samples: must be at least 1, found 0"},
		"balance " + accountID + " --wallet spot":                       {2, "needs --asset"},
		"balance x --wallet spot --asset USDT":                          {2, `error: ACCOUNT_ID: "x" is no UUID`},
		"signal " + orderID:                                             {2, `has no command "signal"`},
		"order":                                                         {2, "takes one argument, ORDER_ID, found 0"},
	} {
		code, out, errOut := s.run(append([]string{"explain"}, strings.Fields(line)...)...)
		require.Equal(t, want.code, code, line)
		require.Empty(t, out, line)
		require.Contains(t, errOut, want.says, line)
	}
	s.answer("QueryEvents", fault.New(fault.Unavailable, "DATABASE_AWAY", "the database is away"))
	code, out, errOut := s.run("explain", "order", orderID)
	require.Equal(t, 5, code)
	require.Empty(t, out)
	require.Contains(t, errOut, "the database is away")
}
