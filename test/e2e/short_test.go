package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// TestAShortOverBinancesProtocol sells on an isolated margin account what its order borrows, is cut off and killed while it is open, and buys
// it back; the book is the exchange's, loans and all.
func TestAShortOverBinancesProtocol(t *testing.T) {
	t.Parallel()
	binary(t)
	x, keys := newExchange(t), t.TempDir()
	pair, err := x.at.Margin(t.Context(), x.key.Account, btc, "USDT", "20000")
	require.NoError(t, err)
	s := ownStack(t, func(s *stack) {
		s.more = []string{"--binance-environment", "sim", "--binance-url", x.at.URL, "--keys-dir", keys, "--sample-every", "2s"}
	})
	u := s.newUser(t)
	account := u.overExchange(x, keys, margin(btc))
	u.bookAs(x, account, pair)

	request := longBTC(account)
	request.Side, request.TechnicalStop = short, "96500"
	opened, err := u.trading().OpenPosition(u.ctx(), request)
	require.NoError(t, err)
	require.Equal(t, accepted, opened.GetOutcome().GetVerdict(), opened.GetOutcome().GetFailedChecks())
	u.awaitPosition(opened.GetPositionId(), projectorv1.PositionState_POSITION_STATE_ACTIVE)
	u.bookAs(x, account, pair)
	sold := u.position(opened.GetPositionId()).GetEntryQuantity()
	u.awaitOwed(account, "BTC", func(owed string) bool { return owed == sold })
	require.NoError(t, x.at.Restart(t.Context()))
	s.kill()
	s.up(t)
	u.bookAs(x, account, pair)

	_, err = u.trading().ClosePosition(u.ctx(), &commandv1.ClosePositionRequest{PositionId: opened.GetPositionId()})
	require.NoError(t, err)
	closed := u.awaitPosition(opened.GetPositionId(), projectorv1.PositionState_POSITION_STATE_CLOSED)
	require.NotEmpty(t, closed.GetNetPnl())
	u.awaitOwed(account, "BTC", func(owed string) bool { return strings.HasPrefix(owed, "0.00000") || owed == "0" }) // less than a lot cannot be bought back
	u.bookAs(x, account, pair)
	log := u.readLog(0)
	require.Len(t, only(log, "MARGIN_BORROWED"), 1)
	require.NotEmpty(t, only(log, "MARGIN_REPAID"))
	require.NotEmpty(t, only(log, "MARGIN_LEVEL_SAMPLED"))
	require.Empty(t, only(log, "DISCREPANCY_DETECTED"))
	require.Equal(t, "RECONCILIATION_STATUS_CLEAN", u.reconcile(account, 0).Status)
}

// awaitOwed waits until what the log says is borrowed of an asset is right.
func (u *user) awaitOwed(account, asset string, right func(owed string) bool) {
	u.t.Helper()
	eventually(u.t, asset+" is owed as it should be", settleMax, func() string {
		loans, err := u.state().ListMarginLoans(u.ctx(), &projectorv1.ListMarginLoansRequest{AccountId: account})
		if err != nil {
			return err.Error()
		}
		for _, loan := range loans.GetMarginLoans() {
			if loan.GetAsset() == asset && right(loan.GetBorrowed()) {
				return ""
			}
			if loan.GetAsset() == asset {
				return loan.GetBorrowed() + " is"
			}
		}
		return "nothing is known"
	})
}
