package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/test/internal/simulated"
)

// exitOpen is the command line's status where a book is not the venue's.
const exitOpen = 6

// reconciled is what robson reconcile --output json says.
type reconciled struct {
	Status      string `json:"status"`
	Unresolved  int    `json:"unresolved"`
	Differences []struct {
		DiscrepancyID string            `json:"discrepancy_id"`
		Kind          string            `json:"kind"`
		Entity        string            `json:"entity"`
		Actual        map[string]string `json:"actual"`
		Facts         []string          `json:"facts"`
	} `json:"differences"`
	OpenBefore  []struct{ Entity string } `json:"open_before"`
	ResolvedIDs []string                  `json:"resolved_ids"`
}

// reconcile has the command line reconcile an account, and requires its exit status.
func (u *user) reconcile(account string, status int, more ...string) (said reconciled) {
	u.t.Helper()
	args := append([]string{"--data-dir", u.stack.dir, "--token", u.token, "--tenant-id", u.tenant, "--output", "json", "reconcile", "--account-id", account}, more...)
	run := start(u.t, "", nil, args...)
	require.Equal(u.t, status, run.end(u.t, callMax), "%s", run.output)
	require.NoError(u.t, json.NewDecoder(strings.NewReader(run.output.String())).Decode(&said), "%s", run.output)
	return said
}

// TestReconciliationFindsWhatTheStreamNeverDelivered: a fill is taken in once, with the event that says why; money that came without a word is
// reported, and stays open until somebody has looked into it.
func TestReconciliationFindsWhatTheStreamNeverDelivered(t *testing.T) {
	t.Parallel()
	binary(t)
	x, keys := newExchange(t), t.TempDir()
	s := ownStack(t, func(s *stack) {
		s.more = []string{"--binance-environment", "sim", "--binance-url", x.at.URL, "--keys-dir", keys, "--sample-every", "2s"}
	})
	u := s.newUser(t)
	account := u.overExchange(x, keys)
	u.bookOf(x, account)
	eventually(t, "the account is reconciled after its stream began", settleMax, func() string {
		log := u.readLog(0)
		connected := slices.IndexFunc(log, func(e *eventv1.Event) bool { return e.GetEventType() == "EXCHANGE_CONNECTED" })
		if connected < 0 || len(only(log[connected:], "RECONCILIATION_COMPLETED")) == 0 {
			return "it was not yet"
		}
		return ""
	})
	require.Equal(t, "RECONCILIATION_STATUS_CLEAN", u.reconcile(account, 0).Status)

	request := longBTC(account)
	request.OrderType, request.EntryPrice = eventv1.OrderType_ORDER_TYPE_LIMIT, "94900"
	opened, err := u.trading().OpenPosition(u.ctx(), request)
	require.NoError(t, err)
	require.Equal(t, accepted, opened.GetOutcome().GetVerdict(), opened.GetOutcome().GetFailedChecks())
	x.awaitStop() // no stop yet: the entry
	u.bookOf(x, account)
	require.NoError(t, x.at.Harm(t.Context(), simulated.Fault{Kind: "ws_drop_event", Account: x.key.Account, Times: 100}))
	entry := x.state().Orders[0]
	require.NoError(t, x.at.Fill(t.Context(), x.key.Account, entry, "0.01"))
	require.NoError(t, x.at.Fill(t.Context(), x.key.Account, entry, ""))
	require.Empty(t, u.fills(opened.GetPositionId()))

	said := u.reconcile(account, 0)
	trades := x.state().Trades
	require.Len(t, trades, 2)
	require.Len(t, said.Differences, len(trades), "%+v", said)
	require.NoError(t, x.at.Heal(t.Context()))
	u.awaitPosition(opened.GetPositionId(), projectorv1.PositionState_POSITION_STATE_ACTIVE)
	u.bookOf(x, account)
	log := u.readLog(0)
	fills := only(log, "FILL_RECEIVED")
	require.Len(t, fills, len(trades))
	for n, d := range said.Differences {
		require.Equal(t, "DISCREPANCY_KIND_MISSED_FILL", d.Kind)
		require.Equal(t, []string{"FILL_RECEIVED"}, d.Facts)
		why := slices.IndexFunc(log, func(e *eventv1.Event) bool { return e.GetEventId() == fills[n].GetCausationId() })
		require.Equal(t, d.DiscrepancyID, log[why].GetPayload().GetDiscrepancyDetected().GetDiscrepancyId())
	}
	require.Empty(t, u.reconcile(account, 0).Differences)

	require.NoError(t, x.at.Harm(t.Context(), simulated.Fault{Kind: "ws_drop_event", Account: x.key.Account, Times: 100}))
	require.NoError(t, x.at.Deposit(t.Context(), x.key.Account, "USDT", "77"))
	said = u.reconcile(account, exitOpen)
	require.Len(t, said.Differences, 1)
	unexplained := said.Differences[0]
	require.Equal(t, "DISCREPANCY_KIND_BALANCE_MISMATCH", unexplained.Kind)
	require.Equal(t, "77", unexplained.Actual["difference"])
	said = u.reconcile(account, exitOpen)
	require.Empty(t, said.Differences, "it is told once")
	require.Equal(t, []struct{ Entity string }{{"balance:spot/USDT"}}, said.OpenBefore)
	require.Equal(t, []string{unexplained.DiscrepancyID}, u.reconcile(account, 0, "--resolve", unexplained.DiscrepancyID).ResolvedIDs)
	require.Zero(t, u.reconcile(account, 0).Unresolved)
}
