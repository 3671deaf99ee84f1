package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// simToken opens what steers the simulated exchange.
const simToken = "e2e"

// exchange is a `robson simexchange` with one account, and its key.
type exchange struct {
	t       *testing.T
	process *process
	rest    string
	key     string
	secret  string
}

// exchangeOrder is an order as the exchange itself knows it.
type exchangeOrder struct {
	ID                              int64
	ClientOrderID, Status, Executed string
}

// exchangeBalance is what the exchange itself says that its account has.
type exchangeBalance struct{ Free, Locked string }

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
		Accounts []struct{ Key, Secret string }
	}
	require.NoError(t, json.Unmarshal([]byte(x.process.output.String()), &said))
	x.rest, x.key, x.secret = said.Rest, said.Accounts[0].Key, said.Accounts[0].Secret
	return x
}

// fingerprint names the account's key as the log does.
func (x *exchange) fingerprint() string {
	sum := sha256.Sum256([]byte(x.key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// handOver puts the account's key where the connector looks.
func (x *exchange) handOver(dir, tenant, account string) {
	x.t.Helper()
	require.NoError(x.t, os.WriteFile(filepath.Join(dir, tenant+"_"+account), []byte(x.key+"\n"+x.secret+"\n"), 0o600))
}

// steer asks the exchange to do something, or for what it knows.
func (x *exchange) steer(method, path string, in, out any) {
	x.t.Helper()
	body, err := json.Marshal(in)
	require.NoError(x.t, err)
	request, err := http.NewRequestWithContext(x.t.Context(), method, x.rest+path, bytes.NewReader(body))
	require.NoError(x.t, err)
	request.Header.Set("X-Sim-Token", simToken)
	response, err := http.DefaultClient.Do(request)
	require.NoError(x.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(x.t, response.Body.Close())
	require.NoError(x.t, err)
	require.Equal(x.t, http.StatusOK, response.StatusCode, "%s", text)
	if out != nil {
		require.NoError(x.t, json.Unmarshal(text, out), "%s", text)
	}
}

// price moves BTCUSDT.
func (x *exchange) price(price string) {
	x.t.Helper()
	x.steer(http.MethodPost, "/sim/price", map[string]string{"Symbol": btc, "Price": price}, nil)
}

// restart cuts every connection, that of the asking too.
func (x *exchange) restart() {
	x.t.Helper()
	request, err := http.NewRequestWithContext(x.t.Context(), http.MethodPost, x.rest+"/sim/restart", strings.NewReader("{}"))
	require.NoError(x.t, err)
	request.Header.Set("X-Sim-Token", simToken)
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		require.NoError(x.t, response.Body.Close())
		require.Equal(x.t, http.StatusOK, response.StatusCode)
	}
}

// state is what the exchange itself knows of the account.
func (x *exchange) state() (orders []exchangeOrder, balances map[string]exchangeBalance) {
	x.t.Helper()
	var state struct {
		Orders   []exchangeOrder            `json:"orders"`
		Balances map[string]exchangeBalance `json:"balances"`
	}
	x.steer(http.MethodGet, "/sim/state?account=one", struct{}{}, &state)
	return state.Orders, state.Balances
}

// placings counts the requests to place each order that the exchange carried out.
func (x *exchange) placings() map[string]int {
	x.t.Helper()
	var requests []struct {
		Method        string `json:"method"`
		Path          string `json:"path"`
		ClientOrderID string `json:"clientOrderId"`
		Processed     bool   `json:"processed"`
	}
	x.steer(http.MethodGet, "/sim/log?account=one", struct{}{}, &requests)
	counts := map[string]int{}
	for _, r := range requests {
		if r.Method == http.MethodPost && r.Path == "/api/v3/order" && r.Processed {
			counts[r.ClientOrderID]++
		}
	}
	return counts
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
