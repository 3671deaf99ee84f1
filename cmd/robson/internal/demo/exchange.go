package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/cmd/robson/internal/market"
	"github.com/robson/robson/pkg/simexchange"
)

// What the simulated exchange is founded with.
const (
	exchangeSeed   = 20200430
	priceETH       = "205.5"
	priceBNB       = "17"
	symbolBNB      = "BNBUSDT"
	bnbText        = "10"
	feesInBNB      = "bnb"
	feesAsReceived = "received"
)

// Exchange is a simulated exchange that speaks Binance's protocol, in this process, on the demo's market data. The connector knows
// of it what a user's would: an address, and keys in a directory.
type Exchange struct {
	server  *simexchange.Server
	source  source
	note    string
	keysDir string
}

// OpenExchange founds an exchange with a directory's market data and place for keys. The caller closes it.
func OpenExchange(ctx context.Context, dir, marketData string) (*Exchange, error) {
	e := &Exchange{source: source{path: marketData}, keysDir: filepath.Join(dir, "keys")}
	var err error
	e.note, err = e.source.read(ctx)
	if err != nil {
		return nil, err
	}
	played, err := makePlan(market.Prices(e.source.klines))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(e.keysDir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for keys: %w", err)
	}
	recorded := filepath.Join(dir, "klines.json")
	if err := writeKlines(recorded, e.source.klines); err != nil {
		return nil, err
	}
	part := played.long.quantity().Div(decimal.New(partsOfLong, 0)).Truncate(quantityPlaces)
	symbols := simexchange.DefaultSymbols()
	for i := range symbols {
		if symbols[i].Name == symbolBTC { // the same ladder as on paper: so thin that the long is filled in parts
			symbols[i].Ladder = []simexchange.Level{
				{Quantity: part, Offset: 0}, {Quantity: part, Offset: 100}, {Quantity: decimal.RequireFromString(depthRest), Offset: 250},
			}
		}
	}
	e.server, err = simexchange.New(simexchange.Config{ //nolint:contextcheck // it lives until Close
		Seed: exchangeSeed, Symbols: symbols, Prices: map[string]string{symbolETH: priceETH, symbolBNB: priceBNB}, Files: map[string]string{symbolBTC: recorded},
	})
	if err != nil {
		return nil, fmt.Errorf("found the simulated exchange: %w", err)
	}
	return e, nil
}

// Close ends the exchange.
func (e *Exchange) Close() { e.server.Close() }

// URL is where the exchange is.
func (e *Exchange) URL() string { return e.server.URL() }

// KeysDir is where the keys of its accounts are.
func (e *Exchange) KeysDir() string { return e.keysDir }

// account opens a funded account, hands its key over as a user would, by a file, and gives the key's fingerprint.
func (e *Exchange) account(tenant, account, feeMode string) (fingerprint string, err error) {
	keys, err := e.server.AddAccount(simexchange.Account{
		Name: account, Balances: map[string]string{assetUSDT: depositText, "BNB": bnbText}, FeeMode: feeMode,
	})
	if err != nil {
		return "", fmt.Errorf("open account %s: %w", account, err)
	}
	// Written aside and renamed: whoever looks finds it whole or not at all. A name that begins with a dot is no key.
	aside := filepath.Join(e.keysDir, "."+account)
	if err := os.WriteFile(aside, []byte(keys.Key+"\n"+keys.Secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("hand over a key: %w", err)
	}
	if err := os.Rename(aside, filepath.Join(e.keysDir, tenant+"_"+account)); err != nil {
		return "", fmt.Errorf("hand over a key: %w", err)
	}
	sum := sha256.Sum256([]byte(keys.Key))
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// placed counts the requests to place an order of a client id that the exchange has carried out, whatever it answered.
func (e *Exchange) placed(account, clientOrderID string) int {
	count := 0
	for _, r := range e.server.Requests(account) {
		if r.Method == "POST" && r.ClientOrderID == clientOrderID && r.Processed {
			count++
		}
	}
	return count
}

// writeKlines writes bars in the form of GET /api/v3/klines.
func writeKlines(path string, klines []market.Kline) error {
	rows := make([][]any, len(klines))
	for i, k := range klines {
		rows[i] = []any{
			k.OpenTime.UnixMilli(), k.Open.String(), k.High.String(), k.Low.String(), k.Close.String(), k.Volume.String(), k.CloseTime.UnixMilli(),
			"0", 0, "0", "0", strconv.Itoa(0),
		}
	}
	document, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("write market data: %w", err)
	}
	if err := os.WriteFile(path, document, 0o600); err != nil {
		return fmt.Errorf("write market data: %w", err)
	}
	return nil
}
