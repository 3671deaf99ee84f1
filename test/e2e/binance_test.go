package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/test/internal/simulated"
)

func TestTheDemoProvesItselfOverBinancesProtocol(t *testing.T) {
	t.Parallel()
	demo := start(t, "", nil, "demo", "--venue", "binance-sim", "--market-data", marketData())
	require.Zero(t, demo.end(t, demoTime), "%s", demo.output)
	for _, said := range []string{
		"filled in 3 parts", "trailing_stop", "fees bnb", "no answer: EXCHANGE_STATE_UNCERTAIN; asked, and found filled", "once", "spot: book = exchange", "other: book = exchange",
		"tables = fold", "all held",
	} {
		require.Contains(t, demo.output.String(), said)
	}
	require.NotContains(t, demo.output.String(), "signature=")
}

// bookOf waits until an account's book is the exchange's: orders, trades and balances.
func (u *user) bookOf(x *exchange, account string) {
	u.t.Helper()
	u.bookAs(x, account, x.key.Account)
}

// bookAs is bookOf an account that the exchange knows under another name than its key's.
func (u *user) bookAs(x *exchange, account, name string) {
	u.t.Helper()
	eventually(u.t, "the book is the exchange's", settleMax, func() string {
		book, err := simulated.ReadBook(u.ctx(), u.state(), account)
		var at simulated.State
		if err == nil {
			at, err = x.at.State(u.t.Context(), name)
		}
		if err == nil {
			err = book.Equal(at)
		}
		if err != nil {
			return err.Error()
		}
		if len(book.Balances) == 0 {
			return "no balance is known"
		}
		return ""
	})
}

// TestAnOrderLivesOverBinancesProtocolThroughRestarts opens a position over a simulated exchange, has the exchange cut every
// connection, has the stack killed while the price goes through the position's stop, and finds the position left and all of it in the
// book, once. What signs the requests is nowhere in what the stack says, stores or exports.
func TestAnOrderLivesOverBinancesProtocolThroughRestarts(t *testing.T) {
	t.Parallel()
	binary(t)
	x, traces, keys := newExchange(t), newCollector(t), t.TempDir()
	s := ownStack(t, func(s *stack) {
		s.more = []string{"--log-level", "debug", "--binance-environment", "sim", "--binance-url", x.at.URL, "--keys-dir", keys, "--send-timeout", "1s"}
		s.environment = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.address}
	})
	u := s.newUser(t)
	said := func() string { return s.process.output.String() }
	account := u.overExchange(x, keys)
	u.bookOf(x, account)

	opened, err := u.trading().OpenPosition(u.ctx(), longBTC(account))
	require.NoError(t, err)
	require.Equal(t, accepted, opened.GetOutcome().GetVerdict(), opened.GetOutcome().GetFailedChecks())
	u.awaitPosition(opened.GetPositionId(), projectorv1.PositionState_POSITION_STATE_ACTIVE)
	x.awaitStop()
	u.bookOf(x, account)
	for _, f := range u.fills(opened.GetPositionId()) {
		require.Equal(t, "BNB", f.GetFeeAsset())
	}

	require.NoError(t, x.at.Restart(t.Context()))
	x.price("96000")
	eventually(t, "the stop trails over a new connection", settleMax, func() string {
		if stop := u.position(opened.GetPositionId()).GetTrailingStopPrice(); stop != "94500" {
			return "it is " + stop
		}
		return ""
	})
	x.awaitStop()
	u.bookOf(x, account)

	before := said()
	s.kill()
	x.price("94000") // through the stop
	s.up(t)
	closed := u.awaitPosition(opened.GetPositionId(), projectorv1.PositionState_POSITION_STATE_CLOSED)
	require.NotEmpty(t, closed.GetNetPnl())
	u.bookOf(x, account)
	placings, err := x.at.Placings(t.Context(), x.key.Account)
	require.NoError(t, err)
	for id, count := range placings {
		require.Equal(t, 1, count, "order %s was placed %d times", id, count)
	}
	require.Empty(t, only(u.readLog(0), "DISCREPANCY_DETECTED"))

	shown := start(t, "", nil, "--data-dir", s.dir, "--token", u.token, "--tenant-id", u.tenant, "orders", "list", "--account-id", account)
	require.Zero(t, shown.end(t, callMax), "%s", shown.output)
	require.Contains(t, shown.output.String(), "filled")

	s.stop()
	u.requireNoLeak(x, map[string]string{"what the stack said before": before, "what the stack said": said(), "what the command line shows": shown.output.String(), "traces": traces.String()})
}

// overExchange registers an account whose key is the exchange's, and hands the key over.
func (u *user) overExchange(x *exchange, keys string, changes ...func(*commandv1.RegisterAccountRequest)) string {
	u.t.Helper()
	request := &commandv1.RegisterAccountRequest{
		AccountId: uuid.NewString(), Environment: eventv1.Environment_ENVIRONMENT_SIM, Exchange: "binance", Product: eventv1.Product_PRODUCT_SPOT, Label: "over the exchange",
		QuoteAsset: "USDT", ApiKeyFingerprint: x.key.Fingerprint(), Permissions: []string{"read", "trade"}, RiskLimits: limits(),
	}
	for _, change := range changes {
		change(request)
	}
	registered, err := u.setup().RegisterAccount(u.ctx(), request)
	require.NoError(u.t, err)
	account := registered.GetAccountId()
	_, err = u.venue().SampleBalances(u.ctx(), &connectorv1.SampleBalancesRequest{AccountId: account})
	require.Equal(u.t, codes.FailedPrecondition, status.Code(err), "%v", err)
	require.ErrorContains(u.t, err, "there is no API key for account "+account)
	_, err = u.paper().Deposit(u.ctx(), &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: account, Wallet: "spot", Asset: "USDT", Amount: "5"})
	require.ErrorContains(u.t, err, "is served by binance")
	require.NoError(u.t, x.key.HandOver(keys, u.tenant, account))
	eventually(u.t, "the key is found", settleMax, func() string {
		_, err := u.venue().SampleBalances(u.ctx(), &connectorv1.SampleBalancesRequest{AccountId: account})
		if err != nil {
			return err.Error()
		}
		return ""
	})
	return account
}

// awaitPosition waits until a position is in a state.
func (u *user) awaitPosition(id string, state projectorv1.PositionState) *projectorv1.Position {
	u.t.Helper()
	var at *projectorv1.Position
	eventually(u.t, "the position is "+state.String(), settleMax, func() string {
		response, err := u.state().GetPosition(u.ctx(), &projectorv1.GetPositionRequest{PositionId: id})
		if err != nil {
			return err.Error()
		}
		at = response.GetPosition()
		if at.GetState() != state {
			return at.GetState().String()
		}
		return ""
	})
	return at
}

// awaitStop waits until one order rests at the exchange.
func (x *exchange) awaitStop() {
	x.t.Helper()
	eventually(x.t, "a stop rests at the exchange", settleMax, func() string {
		resting := 0
		for _, o := range x.state().Orders {
			if o.Status == "NEW" {
				resting++
			}
		}
		if resting != 1 {
			return strings.Repeat("an order ", resting) + "rests"
		}
		return ""
	})
}

// requireNoLeak holds that no key and no signature is in what the stack said, exported and keeps.
func (u *user) requireNoLeak(x *exchange, texts map[string]string) {
	u.t.Helper()
	require.NoError(u.t, filepath.WalkDir(u.stack.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		texts[path] = string(content)
		return err
	}))
	require.NotEmpty(u.t, texts["traces"], "nothing was exported")
	for where, text := range texts {
		for name, secret := range map[string]string{"the secret": x.key.Secret, "the API key": x.key.Key, "a signature": "signature="} {
			require.False(u.t, strings.Contains(text, secret), "%s holds %s", where, name) //nolint:testifylint // NotContains would show both
		}
	}
}
