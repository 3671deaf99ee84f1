package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// The words of a watch of orders.
func wordReset(at int64) *projectorv1.WatchOrdersResponse {
	return &projectorv1.WatchOrdersResponse{Position: at, Message: &projectorv1.WatchOrdersResponse_Reset_{Reset_: &projectorv1.WatchReset{}}}
}

func wordRow(at int64, id string, status projectorv1.OrderStatus) *projectorv1.WatchOrdersResponse {
	return &projectorv1.WatchOrdersResponse{Position: at, Message: &projectorv1.WatchOrdersResponse_Row{Row: &projectorv1.Order{OrderId: id, Symbol: "BTCUSDT", Status: status, LastPosition: at}}}
}

func wordLeft(at int64, id string) *projectorv1.WatchOrdersResponse {
	return &projectorv1.WatchOrdersResponse{Position: at, Message: &projectorv1.WatchOrdersResponse_Left{Left: id}}
}

func wordSynced(at int64) *projectorv1.WatchOrdersResponse {
	return &projectorv1.WatchOrdersResponse{Position: at, Message: &projectorv1.WatchOrdersResponse_Synced{Synced: &projectorv1.WatchSynced{Point: &projectorv1.WatchPoint{Position: at, Generation: 3}}}}
}

const (
	submitted = projectorv1.OrderStatus_ORDER_STATUS_SUBMITTED
	filled    = projectorv1.OrderStatus_ORDER_STATUS_FILLED
)

// TestWatch writes a line for each change where lines stay, goes on after the last point when the stream breaks, and asks by
// what the line asks for.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := start(t).answer("WatchOrders",
		[]any{wordReset(4), wordRow(4, orderID, submitted), wordSynced(4), wordLeft(5, positionID), wordSynced(5)},
		fault.New(fault.Exhausted, "WATCHER_TOO_SLOW", "too slow"),
		[]any{wordRow(6, orderID, filled), wordSynced(6), wordLeft(7, orderID), wordSynced(7)}, denied)
	code, out, errOut := s.run("orders", "list", "--watch", "--account-id", accountID, "--status", "submitted,filled", "--limit", "5000")
	require.Equal(t, 1, code)
	require.Equal(t, "#4  ORDER "+orderID+"  SYMBOL BTCUSDT  STATUS submitted\n#6  ORDER "+orderID+"  SYMBOL BTCUSDT  STATUS filled\n#7  "+orderID+" left: it does not meet the conditions any more\n", out)
	require.Contains(t, errOut, "going on after position 5\n")
	require.Contains(t, errOut, "error: your token lacks the permission read\n")
	first := &projectorv1.WatchOrdersRequest{AccountId: accountID, Statuses: []projectorv1.OrderStatus{submitted, filled}, InitialSize: 1000}
	require.True(t, proto.Equal(first, s.asked[0].request), "%v", s.asked[0].request)
	first.After = &projectorv1.WatchPoint{Position: 5, Generation: 3}
	require.True(t, proto.Equal(first, s.asked[1].request), "%v", s.asked[1].request)
	require.EqualValues(t, 7, s.asked[3].request.(*projectorv1.WatchOrdersRequest).GetAfter().GetPosition())
}

// TestWatch_json is the contract's messages, one a line.
func TestWatch_json(t *testing.T) {
	t.Parallel()
	s := start(t).answer("WatchOrders", []any{wordReset(4), wordRow(4, orderID, submitted), wordSynced(4)}, denied)
	_, out, _ := s.run("orders", "list", "--watch", "-o", "json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	for i, field := range []string{"reset", "row", "synced"} {
		var document map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &document))
		require.Contains(t, document, field)
	}
}

// TestWatch_one asks for one row, which must be there.
func TestWatch_one(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		method  string
		request proto.Message
		reset   any
	}{
		"positions get " + positionID:                               {"WatchPositions", &projectorv1.WatchPositionsRequest{PositionId: positionID, InitialSize: 1}, &projectorv1.WatchPositionsResponse{Message: &projectorv1.WatchPositionsResponse_Synced{}}},
		"orders get " + orderID:                                     {"WatchOrders", &projectorv1.WatchOrdersRequest{OrderId: orderID, InitialSize: 1}, wordSynced(3)},
		"balances get " + accountID + " --wallet spot --asset USDT": {"WatchBalances", &projectorv1.WatchBalancesRequest{AccountId: accountID, Wallet: "spot", Asset: "USDT", InitialSize: 1}, &projectorv1.WatchBalancesResponse{Message: &projectorv1.WatchBalancesResponse_Synced{}}},
		"risk get " + accountID:                                     {"WatchRiskStates", &projectorv1.WatchRiskStatesRequest{AccountId: accountID, StrategyId: "00000000-0000-0000-0000-000000000000", InitialSize: 1}, &projectorv1.WatchRiskStatesResponse{Message: &projectorv1.WatchRiskStatesResponse_Synced{}}},
	} {
		s := start(t).answer(want.method, []any{want.reset})
		code, out, errOut := s.run(append(strings.Fields(line), "--watch")...)
		require.Equal(t, 1, code, line)
		require.Empty(t, out)
		require.Contains(t, errOut, "there is no such row of")
		require.True(t, proto.Equal(want.request, s.asked[0].request), "%v", s.asked[0].request)
	}
	code, _, errOut := start(t).run("fills", "list", "--watch")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "has no flag --watch")
}

// window is a terminal, to which a run is stopped when it has shown a text.
type window struct{ stopper }

func (*window) Size() (width, height int) { return 300, 20 }

// TestWatch_on_a_terminal draws the table anew in its place, and ends with status 0.
func TestWatch_on_a_terminal(t *testing.T) {
	t.Parallel()
	s := start(t).answer("WatchOrders", []any{
		wordReset(4), wordRow(3, positionID, submitted), wordRow(4, orderID, submitted), wordSynced(4), wordRow(5, positionID, filled), wordSynced(5), wordLeft(6, orderID), wordLeft(6, positionID), wordSynced(6),
	})
	w := &window{}
	code, shown := s.runOn(w, "Ctrl-C ends\n", 3, "orders", "list", "--watch", "--no-color")
	require.Zero(t, code)
	require.Equal(t, 2, strings.Count(shown, "\x1b[J"), "drawn over twice")
	frames := strings.Split(shown, "\x1b[5A\x1b[J")
	require.Less(t, strings.Index(frames[0], orderID), strings.Index(frames[0], positionID), "the newest change first")
	require.Less(t, strings.Index(frames[1], positionID), strings.Index(frames[1], orderID))
	require.True(t, strings.HasSuffix(shown, "no orders\ntrue at position 6; Ctrl-C ends\n"), shown)
	require.NotContains(t, shown, "\x1b[1m")
}
