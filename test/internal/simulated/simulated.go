// Package simulated steers a robson simexchange over /sim/, and asks it what it knows.
package simulated

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// Exchange is a running one. Token is what opens /sim/.
type Exchange struct{ URL, Token string }

// connections keeps none: one that a restart of the exchange has cut must not be taken for the next request.
var connections = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Key is an account's name at the exchange, and what its requests are signed with.
type Key struct{ Account, Key, Secret string }

// Fingerprint names the key as the log does.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256([]byte(k.Key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// HandOver puts the key where the connector looks for that of a tenant's account.
func (k Key) HandOver(dir, tenant, account string) error {
	return os.WriteFile(filepath.Join(dir, tenant+"_"+account), []byte(k.Key+"\n"+k.Secret+"\n"), 0o600)
}

// Account is one to be opened. FeeMode is received or bnb.
type Account struct {
	Name     string            `json:"name"`
	Balances map[string]string `json:"balances"`
	FeeMode  string            `json:"feeMode,omitempty"`
}

// Fault is one thing that goes wrong; see robson simexchange --help.
type Fault struct {
	Kind       string `json:"kind"`
	Method     string `json:"method,omitempty"`
	Path       string `json:"path,omitempty"`
	Account    string `json:"account,omitempty"`
	Event      string `json:"event,omitempty"`
	After      int    `json:"after,omitempty"`
	Times      int    `json:"times,omitempty"`
	HTTP       int    `json:"http,omitempty"`
	Code       int    `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	Body       string `json:"body,omitempty"`
	DelayMS    int64  `json:"delayMs,omitempty"`
	RetryAfter int64  `json:"retryAfter,omitempty"`
	Lag        int    `json:"lag,omitempty"`
	Count      int    `json:"count,omitempty"`
	Quantity   string `json:"quantity,omitempty"`
	End        string `json:"end,omitempty"`
}

// Order is an order as the exchange itself knows it.
type Order struct {
	ID                                                            int64
	Symbol, ClientOrderID, Side, Type, Status, Quantity, Executed string
}

// Open says whether it can still fill.
func (o Order) Open() bool { return o.Status == "NEW" || o.Status == "PARTIALLY_FILLED" }

// Trade is one fill of one order.
type Trade struct {
	ID, OrderID                                           int64
	Symbol, ClientOrderID, Price, Quantity, Fee, FeeAsset string
}

// Balance is what is free and what is locked.
type Balance struct{ Free, Locked string }

// State is what the exchange knows of an account.
type State struct {
	Orders   []Order            `json:"orders"`
	Trades   []Trade            `json:"trades"`
	Balances map[string]Balance `json:"balances"`
}

// State asks what the exchange knows of an account.
func (x *Exchange) State(ctx context.Context, account string) (State, error) {
	var state State
	err := x.Do(ctx, http.MethodGet, "/sim/state?account="+url.QueryEscape(account), struct{}{}, &state)
	return state, err
}

// Open opens an account.
func (x *Exchange) Open(ctx context.Context, a Account) (Key, error) {
	var key Key
	err := x.Do(ctx, http.MethodPost, "/sim/accounts", a, &key)
	return key, err
}

// Price moves a symbol.
func (x *Exchange) Price(ctx context.Context, symbol, price string) error {
	return x.Do(ctx, http.MethodPost, "/sim/price", map[string]string{"Symbol": symbol, "Price": price}, nil)
}

// Fill fills a resting order at its price: at most quantity, all that remains if it is empty.
func (x *Exchange) Fill(ctx context.Context, account string, o Order, quantity string) error {
	return x.Do(ctx, http.MethodPost, "/sim/orders/fill", named(account, o, "quantity", quantity), nil)
}

// End ends a resting order as the exchange itself does: CANCELED, EXPIRED or EXPIRED_IN_MATCH.
func (x *Exchange) End(ctx context.Context, account string, o Order, status string) error {
	return x.Do(ctx, http.MethodPost, "/sim/orders/end", named(account, o, "status", status), nil)
}

func named(account string, o Order, field, value string) map[string]any {
	body := map[string]any{"account": account, "symbol": o.Symbol, "orderId": o.ID}
	if value != "" {
		body[field] = value
	}
	return body
}

// PlaceByHand places a market order as the account's owner does on the web site.
func (x *Exchange) PlaceByHand(ctx context.Context, account, symbol, side, quantity string) error {
	body := map[string]string{"account": account, "symbol": symbol, "side": side, "type": "MARKET", "quantity": quantity}
	return x.Do(ctx, http.MethodPost, "/sim/orders/external", body, nil)
}

// Deposit puts money into an account.
func (x *Exchange) Deposit(ctx context.Context, account, asset, amount string) error {
	return x.Do(ctx, http.MethodPost, "/sim/deposits", map[string]string{"account": account, "asset": asset, "amount": amount}, nil)
}

// Margin opens an account's isolated margin account of a pair with some of its money, and gives the name by which State and Fill know it.
func (x *Exchange) Margin(ctx context.Context, account, symbol, asset, amount string) (string, error) {
	if err := x.Do(ctx, http.MethodPost, "/sim/margin", map[string]string{"account": account, "symbol": symbol}, nil); err != nil {
		return "", err
	}
	body := map[string]string{"account": account, "symbol": symbol, "asset": asset, "amount": amount}
	return MarginName(account, symbol), x.Do(ctx, http.MethodPost, "/sim/transfers", body, nil)
}

// MarginName is the name by which the exchange knows an account's isolated margin account of a pair.
func MarginName(account, symbol string) string { return account + "@" + symbol }

// Skew makes the exchange's clock wrong by so many milliseconds.
func (x *Exchange) Skew(ctx context.Context, ms int64) error {
	return x.Do(ctx, http.MethodPost, "/sim/clock", map[string]int64{"skew_ms": ms}, nil)
}

// Harm adds a fault.
func (x *Exchange) Harm(ctx context.Context, f Fault) error {
	return x.Do(ctx, http.MethodPost, "/sim/faults", f, nil)
}

// Heal ends all faults.
func (x *Exchange) Heal(ctx context.Context) error {
	return x.Do(ctx, http.MethodDelete, "/sim/faults", struct{}{}, nil)
}

// Restart cuts every connection, and so the one that asks for it.
func (x *Exchange) Restart(ctx context.Context) error {
	request, err := x.request(ctx, http.MethodPost, "/sim/restart", struct{}{})
	if err != nil {
		return err
	}
	response, err := connections.Do(request)
	if err != nil {
		return ctx.Err()
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("restart the exchange: %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// Placings counts, by client order id, the requests of an account to place an order that the exchange carried out.
func (x *Exchange) Placings(ctx context.Context, account string) (map[string]int, error) {
	var requests []struct {
		Method, Path, ClientOrderID string
		Processed                   bool
	}
	if err := x.Do(ctx, http.MethodGet, "/sim/log?account="+url.QueryEscape(account), struct{}{}, &requests); err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, r := range requests {
		if r.Method == http.MethodPost && (r.Path == "/api/v3/order" || r.Path == "/sapi/v1/margin/order") && r.Processed {
			counts[r.ClientOrderID]++
		}
	}
	return counts, nil
}

func (x *Exchange) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, x.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Sim-Token", x.Token)
	return request, nil
}

// Do makes a request and reads its answer into out, unless that is nil.
func (x *Exchange) Do(ctx context.Context, method, path string, in, out any) error {
	request, err := x.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	response, err := connections.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w: %s", method, path, err, text)
	}
	return nil
}
