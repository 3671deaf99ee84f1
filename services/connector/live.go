package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/binance"
	"github.com/robson/robson/services/connector/internal/keys"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// KeysConfig says where the API keys of accounts are.
type KeysConfig = keys.Config

// BinanceConfig says which Binance is served beside the paper venue. The zero value serves none. There is one for a process: all its
// requests count against one limit of the venue.
type BinanceConfig struct {
	// Environment is prod, testnet, demo or sim; empty: none. It serves the accounts of exchange binance in that environment.
	Environment string
	// URL is where the simulated exchange of sim is, e.g. http://127.0.0.1:9090. Elsewhere the addresses are Binance's own, so
	// that no setting can send an account's requests to another place.
	URL string
	// Production confirms prod: real money.
	Production bool
	// ReceiveWindow, Processing and Margin bound the life of a request (venue.Timing); their sum is how long an order of unknown
	// outcome may remain one. Defaults 5 s, 10 s and 5 s, by Binance's documented limits.
	ReceiveWindow, Processing, Margin time.Duration
	// Silence is after how long without a word a stream counts as dead. Default 1 min: Binance pings every 20 s.
	Silence time.Duration
	// Keys are the accounts' API keys.
	Keys KeysConfig
}

// receiveWindowMax is Binance's.
const receiveWindowMax = time.Minute

// addresses are where an environment is spoken to.
type addresses struct{ rest, wsAPI, streams string }

// environments are Binance's installations.
var environments = map[string]struct {
	environment eventv1.Environment
	at          addresses
}{
	"prod": {eventv1.Environment_ENVIRONMENT_PROD, addresses{
		"https://api.binance.com", "wss://ws-api.binance.com:443/ws-api/v3", "wss://stream.binance.com:9443",
	}},
	"testnet": {eventv1.Environment_ENVIRONMENT_TESTNET, addresses{
		"https://testnet.binance.vision", "wss://ws-api.testnet.binance.vision/ws-api/v3", "wss://stream.testnet.binance.vision",
	}},
	"demo": {eventv1.Environment_ENVIRONMENT_DEMO, addresses{
		"https://demo-api.binance.com", "wss://demo-ws-api.binance.com/ws-api/v3", "wss://demo-stream.binance.com",
	}},
	"sim": {environment: eventv1.Environment_ENVIRONMENT_SIM},
}

// withDefaults refuses what cannot be meant, and all that could trade real money by mistake.
func (c BinanceConfig) withDefaults() (BinanceConfig, error) {
	if c.Environment == "" {
		if c.URL != "" || c.Production || c.Keys.Dir != "" || len(c.Keys.Environ) > 0 {
			return c, errors.New("binance config: address, confirmation and keys are for an environment, and none is named")
		}
		return c, nil
	}
	if _, known := environments[c.Environment]; !known {
		return c, fmt.Errorf("binance config: environment %q: must be prod, testnet, demo or sim", c.Environment)
	}
	switch {
	case c.Environment == "prod" && !c.Production:
		return c, errors.New("binance config: prod trades real money: it must be confirmed (--binance-production)")
	case c.Environment != "prod" && c.Production:
		return c, fmt.Errorf("binance config: production is confirmed and the environment is %s", c.Environment)
	case c.Environment != "sim" && c.URL != "":
		return c, fmt.Errorf("binance config: an address is for sim; those of %s are Binance's own", c.Environment)
	case c.Keys.Dir == "" && len(c.Keys.Environ) == 0:
		return c, errors.New("binance config: no keys: name a directory (--keys-dir) or set ROBSON_KEY_ variables")
	case min(c.ReceiveWindow, c.Processing, c.Margin, c.Silence) < 0 || c.ReceiveWindow > receiveWindowMax:
		return c, fmt.Errorf("binance config: window %s, processing %s, margin %s and silence %s must not be negative, and the window at most %s",
			c.ReceiveWindow, c.Processing, c.Margin, c.Silence, receiveWindowMax)
	}
	for _, wait := range []struct {
		of    *time.Duration
		usual time.Duration
	}{{&c.ReceiveWindow, 5 * time.Second}, {&c.Processing, 10 * time.Second}, {&c.Margin, 5 * time.Second}, {&c.Silence, time.Minute}} {
		if *wait.of == 0 {
			*wait.of = wait.usual
		}
	}
	return c, nil
}

// addresses are the environment's, or follow from the simulator's.
func (c BinanceConfig) addresses() (addresses, error) {
	if c.Environment != "sim" {
		return environments[c.Environment].at, nil
	}
	at, err := url.Parse(c.URL)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.User != nil {
		return addresses{}, fmt.Errorf("binance config: address of the simulator %q: must be http://host:port", c.URL)
	}
	for _, real := range []string{"binance.com", "binance.us", "binance.vision"} {
		if host := strings.ToLower(strings.TrimSuffix(at.Hostname(), ".")); host == real || strings.HasSuffix(host, "."+real) {
			return addresses{}, fmt.Errorf("binance config: %s is no simulator", at.Hostname())
		}
	}
	socket := "ws" + strings.TrimPrefix(at.Scheme, "http") + "://" + at.Host
	return addresses{at.Scheme + "://" + at.Host, socket + "/ws-api/v3", socket}, nil
}

// live opens the venue that is served beside the paper venue, and gives what to start and stop for it. From here on the process's
// memory is closed to others: it holds keys.
func (c BinanceConfig) live(log *slog.Logger, clk clock.Clock, books *ledger.Ledger) (venues []line.Live, parts []part, err error) {
	c, err = c.withDefaults()
	if err != nil || c.Environment == "" {
		return nil, nil, err
	}
	at, err := c.addresses()
	if err != nil {
		return nil, nil, err
	}
	if err := keys.Guard(); err != nil {
		return nil, nil, err
	}
	ring, err := keys.New(log, clk, bookKeys{books}, c.Keys)
	if err != nil {
		return nil, nil, err
	}
	of := environments[c.Environment].environment
	served, err := binance.New(log, clk, binance.Config{
		Environment: of, RESTURL: at.rest, WSAPIURL: at.wsAPI, StreamURL: at.streams, Credentials: credentials{ring},
		Timing: venue.Timing{ReceiveWindow: c.ReceiveWindow, Processing: c.Processing, Margin: c.Margin}, Silence: c.Silence,
	})
	if err != nil {
		ring.Close()
		return nil, nil, err
	}
	return []line.Live{{Exchange: served.Name(), Environment: of, Venue: served}}, []part{ringPart{ring}, served}, nil
}

// part is what runs as long as the service.
type part interface {
	Start(ctx context.Context) error
	Stop()
}

// ringPart overwrites the keys when all that uses them has stopped.
type ringPart struct{ *keys.Store }

func (r ringPart) Start(context.Context) error { return nil }
func (r ringPart) Stop()                       { r.Close() }

// bookKeys tells from our books which key stands for an account.
type bookKeys struct{ books *ledger.Ledger }

func (b bookKeys) KeyFingerprint(ctx context.Context, tenant, account uuid.UUID) (string, error) {
	row, err := b.books.Account(identity.WithTenant(ctx, tenant), account.String())
	return row.GetApiKeyFingerprint(), err
}

// credentials gives the venue keys in its own words.
type credentials struct{ ring *keys.Store }

func (c credentials) Credentials(ctx context.Context, account venue.AccountKey) (binance.Credentials, error) {
	key, err := c.ring.Get(ctx, account)
	if err != nil {
		return binance.Credentials{}, err
	}
	return binance.Credentials{APIKey: key.APIKey(), Secret: key.Secret(), Type: string(key.Type())}, nil
}
