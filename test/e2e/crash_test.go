package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// demoMax is how long a demo may take, with a stack that is killed meanwhile.
const demoMax = 3 * time.Minute

// marketData is recorded market data if there is any, and otherwise what the demo finds for itself.
func marketData() string {
	path := filepath.Join(os.Getenv("ROBSON_MARKET_DATA"), "btcusdt-1h-2020-04-30.json")
	if _, err := os.Stat(path); err != nil {
		return "auto"
	}
	return path
}

// end waits for a process to end by itself and gives its exit status.
func (p *process) end(t *testing.T, most time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(most):
		_ = p.command.Process.Kill()
		<-p.ended
		require.FailNow(t, "the process does not end", "%s", p.output)
	}
	return p.command.ProcessState.ExitCode()
}

// ownerOf is the user that the stack's profile names.
func (s *stack) ownerOf(t *testing.T) *user {
	t.Helper()
	return &user{t: t, stack: s, base: context.WithoutCancel(t.Context()), token: s.profile.Token, tenant: s.profile.TenantID}
}

// TestKilledInTheMiddleOfTheDemoTheWorkGoesOn kills the whole stack while the demo trades on it, at several places, and
// starts it again: the demo goes on, and its proof holds; no order was placed twice.
func TestKilledInTheMiddleOfTheDemoTheWorkGoesOn(t *testing.T) {
	t.Parallel()
	s := ownStack(t)
	owner := s.ownerOf(t)
	for _, moment := range []int64{15, 60, 110} {
		before := owner.headOrNone()
		demo := start(t, "", nil, "--data-dir", s.dir, "demo", "--attach", "--market-data", marketData())
		eventually(t, "the demo has come so far", settleMax, func() string {
			if owner.headOrNone() < before+moment {
				return "it has not"
			}
			return ""
		})
		s.kill()
		s.up(t)
		require.Zero(t, demo.end(t, demoMax), "%s", demo.output)
		require.Contains(t, demo.output.String(), "tables = fold")
	}
	verify := start(t, "", nil, "--data-dir", s.dir, "verify")
	require.Zero(t, verify.end(t, demoMax), "%s", verify.output)
	owner.requirePlacedOnce()
	open, err := owner.state().ListPositions(owner.ctx(), &projectorv1.ListPositionsRequest{States: unended})
	require.NoError(t, err)
	require.Empty(t, open.GetPositions(), "every position has reached its end")
}

// headOrNone is the last position of the log; 0 while nobody can tell.
func (u *user) headOrNone() int64 {
	position, _ := u.settledHead()
	return position
}

// requirePlacedOnce holds that the venue has processed at most one request to place each order.
func (u *user) requirePlacedOnce() {
	u.t.Helper()
	accounts, err := u.state().ListAccounts(u.ctx(), &projectorv1.ListAccountsRequest{PageSize: 1000})
	require.NoError(u.t, err)
	orders := 0
	for _, account := range accounts.GetAccounts() {
		for token := ""; ; {
			page, err := u.paper().ListOrders(u.ctx(), &connectorv1.ListOrdersRequest{AccountId: account.GetAccountId(), PageSize: 1000, PageToken: token})
			require.NoError(u.t, err)
			for _, order := range page.GetOrders() {
				require.LessOrEqual(u.t, order.GetPlacedCount(), int32(1), "%v", order)
				orders++
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
	}
	require.NotZero(u.t, orders)
}
