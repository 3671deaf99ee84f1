package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/simexchange"
)

// accountsBytesMax bounds a file of accounts.
const accountsBytesMax = 16 << 20

const simexchangeLong = `Serve a spot exchange that speaks Binance's REST and WebSocket protocols, so that any Binance client can be pointed at it.

It trades on recorded klines or trades, or on a seeded walk, and only ever with money that it made up. It listens on loopback.
One account is ready: its key and secret are printed, and are the same for the same --seed. With --token, /sim/ steers it:
prices, faults, more accounts, isolated margin, orders by hand, and the log of all requests.`

const simexchangeExample = `robson simexchange --listen 127.0.0.1:9090 --seed 7 --symbol BTCUSDT --klines btcusdt-1h.json --pace 1s --token open
curl -s 'http://127.0.0.1:9090/api/v3/ticker/price?symbol=BTCUSDT'

# A signed request: buy 0.01 BTC with the key and the secret that were printed.
Q="symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&timestamp=$(date +%s000)"
S=$(printf %s "$Q" | openssl dgst -sha256 -hmac "$SECRET" -r | cut -d' ' -f1)
curl -s -X POST -H "X-MBX-APIKEY: $KEY" "http://127.0.0.1:9090/api/v3/order?$Q&signature=$S"

# The next order is taken, and its answer is a 503.
curl -s -H 'X-Sim-Token: open' -d '{"kind":"accept_then_5xx","method":"POST","path":"/api/v3/order"}' http://127.0.0.1:9090/sim/faults`

// simexchangeFlags are what the simulated exchange is told.
type simexchangeFlags struct {
	listen, symbol, klines, trades, accounts, token string
	seed                                            uint64
	weightMax                                       int64
	pingEvery                                       time.Duration
	prices                                          map[string]string
	walks                                           map[string]int64
	pace                                            time.Duration
}

// simexchangeCommand serves the simulated exchange.
func simexchangeCommand(app *App) *cobra.Command {
	var f simexchangeFlags
	cmd := &cobra.Command{
		Use: "simexchange", Short: "Serve a simulated exchange that speaks Binance's protocol", Args: noArgs,
		Long: simexchangeLong, Example: indent(simexchangeExample),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stopSignals := app.signaled(cmd.Context())
			defer stopSignals()
			return f.run(ctx, app)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "where to listen; port 0 is a free one")
	flags.Uint64Var(&f.seed, "seed", 1, "what keys and walks are made from")
	flags.StringVar(&f.symbol, "symbol", "BTCUSDT", "the symbol that the recorded prices are of")
	flags.StringVar(&f.klines, "klines", "", "a `file` of klines: Binance's REST answer, or its public dump (CSV or ZIP)")
	flags.StringVar(&f.trades, "trades", "", "a `file` of trades: Binance's dump of trades or aggTrades (CSV or ZIP), or lines of seconds,price,quantity,side; or a script of prices, as lines of milliseconds,price")
	flags.StringToStringVar(&f.prices, "price", map[string]string{"BTCUSDT": "60000", "ETHUSDT": "2000", "BNBUSDT": "600"}, "where symbols stand at first")
	flags.StringToInt64Var(&f.walks, "walk", nil, "symbols that walk by chance, and by how many ticks at most, such as ETHUSDT=50")
	flags.DurationVar(&f.pace, "pace", 0, "how often the next price comes (default: only by POST /sim/step)")
	flags.StringVar(&f.accounts, "accounts", "", "a `file` of accounts: [{\"name\": \"one\", \"balances\": {\"USDT\": \"10000\"}}] (default: one with 100000 USDT)")
	flags.Int64Var(&f.weightMax, "weight-max", 0, "the request weight that all clients together may use in a minute (default: Binance's 6000)")
	flags.DurationVar(&f.pingEvery, "ping-every", 20*time.Second, "how often each WebSocket is pinged")
	flags.StringVar(&f.token, "token", "", "what opens /sim/, in the header "+simexchange.TokenHeader+" (default: it is shut)")
	return cmd
}

func (f *simexchangeFlags) run(ctx context.Context, app *App) error {
	cfg, err := f.config()
	if err != nil {
		return err
	}
	accounts, err := f.readAccounts()
	if err != nil {
		return err
	}
	server, err := simexchange.New(cfg) //nolint:contextcheck // it lives until Close, which the end of ctx brings about
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "SIMEXCHANGE", "start the simulated exchange")
	}
	defer server.Close()
	keys := make([]simexchange.Credentials, 0, len(accounts))
	for _, account := range accounts {
		key, err := server.AddAccount(account)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "ACCOUNT", "open account %s", account.Name)
		}
		keys = append(keys, key)
	}
	if err := f.print(app, server, keys); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (f *simexchangeFlags) config() (simexchange.Config, error) {
	cfg := simexchange.Config{
		Listen: f.listen, Seed: f.seed, Prices: maps.Clone(f.prices), Walks: f.walks, Pace: f.pace, Token: f.token, Files: map[string]string{},
		WeightMax: f.weightMax, PingEvery: f.pingEvery,
	}
	if f.pingEvery <= 0 {
		return cfg, fault.InvalidField("ping-every", "%s: must be above zero", f.pingEvery)
	}
	if f.weightMax < 0 {
		return cfg, fault.InvalidField("weight-max", "%d: must not be below zero", f.weightMax)
	}
	if f.klines != "" && f.trades != "" {
		return cfg, fault.InvalidField("trades", "must not be given together with --klines")
	}
	if file := f.klines + f.trades; file != "" {
		cfg.Files[f.symbol] = file
		delete(cfg.Prices, f.symbol) // the file says where it stands
	}
	known := map[string]bool{}
	for _, s := range simexchange.DefaultSymbols() {
		known[s.Name] = true
	}
	named := slices.Concat([]string{f.symbol}, slices.Collect(maps.Keys(f.prices)), slices.Collect(maps.Keys(f.walks)))
	slices.Sort(named)
	for _, name := range slices.Compact(named) {
		if known[name] {
			continue
		}
		symbol, ok := otherSymbol(name)
		if !ok {
			return cfg, fault.InvalidField("symbol", "%s: must be an asset followed by USDT", name)
		}
		if cfg.Symbols == nil {
			cfg.Symbols = simexchange.DefaultSymbols()
		}
		cfg.Symbols = append(cfg.Symbols, symbol)
	}
	return cfg, nil
}

// otherSymbol is a pair that is not built in, with fine steps and no bounds.
func otherSymbol(name string) (simexchange.Symbol, bool) {
	base, ok := strings.CutSuffix(name, "USDT")
	return simexchange.Symbol{Name: name, Base: base, Quote: "USDT", Tick: decimal.New(1, -8), Step: decimal.New(1, -5)}, ok && base != ""
}

func (f *simexchangeFlags) readAccounts() ([]simexchange.Account, error) {
	if f.accounts == "" {
		return []simexchange.Account{{Name: "one", Balances: map[string]string{"USDT": "100000", "BTC": "1", "BNB": "10"}}}, nil
	}
	info, err := os.Stat(f.accounts)
	if err != nil {
		return nil, fault.InvalidField("accounts", "%s", err)
	}
	if info.Size() > accountsBytesMax {
		return nil, fault.InvalidField("accounts", "%s: more than %d bytes", f.accounts, accountsBytesMax)
	}
	document, err := os.ReadFile(f.accounts)
	if err != nil {
		return nil, fault.InvalidField("accounts", "%s", err)
	}
	var accounts []simexchange.Account
	if err := json.Unmarshal(document, &accounts); err != nil || len(accounts) == 0 {
		return nil, fault.InvalidField("accounts", "%s: must be a JSON array of accounts (%v)", f.accounts, err)
	}
	return accounts, nil
}

func (f *simexchangeFlags) print(app *App, server *simexchange.Server, keys []simexchange.Credentials) error {
	if app.json() {
		if err := json.NewEncoder(app.out).Encode(map[string]any{
			"rest": server.URL(), "ws_api": server.WSAPI(), "streams": server.Streams(), "accounts": keys,
		}); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return nil
	}
	fmt.Fprintf(app.out, "REST     %s\nWS API   %s\nstreams  %s\n", server.URL(), server.WSAPI(), server.Streams())
	for _, key := range keys {
		fmt.Fprintf(app.out, "account  %s\n  key    %s\n  secret %s\n", key.Account, key.Key, key.Secret)
	}
	fmt.Fprintf(app.out, "Ctrl-C ends it.\n")
	return nil
}
