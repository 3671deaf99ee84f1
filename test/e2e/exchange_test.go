package e2e_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/test/internal/simulated"
)

// simToken opens what steers the simulated exchange.
const simToken = "e2e"

// exchange is a `robson simexchange` with one account, and its key.
type exchange struct {
	t       *testing.T
	process *process
	at      *simulated.Exchange
	key     simulated.Key
}

// newExchange starts an exchange on which BTCUSDT stands at 95 000, and whose account pays its fees in BNB.
func newExchange(t *testing.T) *exchange {
	t.Helper()
	accounts := filepath.Join(t.TempDir(), "accounts.json")
	require.NoError(t, os.WriteFile(accounts, []byte(`[{"name": "one", "balances": {"USDT": "50000", "BNB": "10"}, "feeMode": "bnb"}]`), 0o600))
	x := &exchange{t: t, process: start(t, "\n", nil, "--output", "json", "simexchange", "--token", simToken, "--price", "BTCUSDT=95000,BNBUSDT=600", "--accounts", accounts)}
	t.Cleanup(func() { x.process.signal(syscall.SIGINT) })
	select {
	case <-x.process.output.said:
	case <-x.process.ended:
		t.Fatalf("robson simexchange ended:\n%s", x.process.output)
	}
	var said struct {
		Rest     string `json:"rest"`
		Accounts []simulated.Key
	}
	require.NoError(t, json.Unmarshal([]byte(x.process.output.String()), &said))
	x.at, x.key = &simulated.Exchange{URL: said.Rest, Token: simToken}, said.Accounts[0]
	return x
}

// price moves BTCUSDT.
func (x *exchange) price(price string) {
	x.t.Helper()
	require.NoError(x.t, x.at.Price(x.t.Context(), btc, price))
}

// state is what the exchange itself knows of the account.
func (x *exchange) state() simulated.State {
	x.t.Helper()
	state, err := x.at.State(x.t.Context(), x.key.Account)
	require.NoError(x.t, err)
	return state
}

// collector keeps all that is exported to it as traces, whatever it means.
type collector struct {
	address string

	mu  sync.Mutex
	all bytes.Buffer
}

// raw takes messages as the bytes that they are.
type raw struct{ into *collector }

func (r raw) Name() string { return "proto" }

func (r raw) Marshal(any) ([]byte, error) { return nil, nil }

func (r raw) Unmarshal(data []byte, _ any) error {
	r.into.mu.Lock()
	defer r.into.mu.Unlock()
	_, err := r.into.all.Write(data)
	return err
}

// newCollector takes traces in until the test ends.
func newCollector(t *testing.T) *collector {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &collector{address: "http://" + listener.Addr().String()}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{c}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(nil); err != nil {
			return err
		}
		return stream.SendMsg(nil)
	}))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return c
}

// String is all that was exported.
func (c *collector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.String()
}
