package binance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/robson/robson/pkg/clock"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Name is the stored name of the venue.
const Name = "binance"

// Credentials are an API key. Secret is the HMAC secret, or the PEM of an RSA or Ed25519 private key; Type is HMAC, RSA or ED25519.
type Credentials struct{ APIKey, Secret, Type string }

// String tells nothing, so that no format verb can.
func (Credentials) String() string { return "credentials" }

// GoString tells as little.
func (c Credentials) GoString() string { return c.String() }

// LogValue tells as little.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// CredentialSource gives an account's key for one request.
type CredentialSource interface {
	Credentials(ctx context.Context, account venue.AccountKey) (Credentials, error)
}

// Config says which installation of Binance is spoken to. Zero durations take the defaults.
type Config struct {
	Environment eventv1.Environment
	// RESTURL, WSAPIURL and StreamURL are its addresses, e.g. https://api.binance.com, wss://ws-api.binance.com:443/ws-api/v3 and
	// wss://stream.binance.com:9443.
	RESTURL, WSAPIURL, StreamURL string
	Credentials                  CredentialSource
	Timing                       venue.Timing
	// RequestTimeout is how long an answer is waited for. Default: as long as the venue may work on a request.
	RequestTimeout time.Duration
	// Silence is after how long without a word, or a ping, a stream counts as dead. Default 60 s: Binance pings every 20 s.
	Silence time.Duration
	// InstrumentsAge is how old the trading rules may become. Default 1 h.
	InstrumentsAge time.Duration
	// TimeAge is how old the comparison of clocks may become. Default 10 min.
	TimeAge time.Duration
	// RetryDelay and RetryDelayMax are the pauses before a market stream is opened again. Defaults 250 ms and 30 s.
	RetryDelay, RetryDelayMax time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for name, at := range map[string]string{"REST": c.RESTURL, "WS API": c.WSAPIURL, "stream": c.StreamURL} {
		parsed, err := url.Parse(at)
		if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" {
			return c, fmt.Errorf("binance: %s address must be scheme://host", name)
		}
	}
	if c.Credentials == nil {
		return c, errors.New("binance: no source of credentials")
	}
	if c.Timing.ReceiveWindow <= 0 || c.Timing.Processing < 0 || c.Timing.Margin < 0 {
		return c, fmt.Errorf("binance: timing %+v: the window must be above zero, nothing below", c.Timing)
	}
	for _, wait := range []struct {
		of    *time.Duration
		usual time.Duration
	}{
		{&c.RequestTimeout, c.Timing.ReceiveWindow + c.Timing.Processing},
		{&c.Silence, time.Minute},
		{&c.InstrumentsAge, time.Hour},
		{&c.TimeAge, 10 * time.Minute},
		{&c.RetryDelay, 250 * time.Millisecond},
		{&c.RetryDelayMax, 30 * time.Second},
	} {
		if *wait.of < 0 {
			return c, fmt.Errorf("binance: duration %s must not be negative", *wait.of)
		}
		if *wait.of == 0 {
			*wait.of = wait.usual
		}
	}
	c.RESTURL, c.StreamURL = strings.TrimSuffix(c.RESTURL, "/"), strings.TrimSuffix(c.StreamURL, "/")
	return c, nil
}

// Venue is one installation of Binance. It is safe for concurrent use; all its accounts share one budget, as the venue counts by address.
type Venue struct {
	cfg    Config
	log    *slog.Logger
	clock  clock.Clock
	meters *meters
	budget *budget
	rest   *transport
	time   *serverClock
	rules  instruments
	rates  rates
	debts  sync.Map // by venue.AccountRef, *debt: what isolated margin accounts owe
}

var (
	_ venue.Venue      = (*Venue)(nil)
	_ venue.MarketData = (*Venue)(nil)
)

// New opens the venue. It makes no call.
func New(log *slog.Logger, clk clock.Clock, cfg Config) (*Venue, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Venue{cfg: cfg, log: log.With("venue", Name), clock: clk, budget: newBudget(clk)}
	if v.meters, err = newMeters(clk); err != nil {
		return nil, err
	}
	v.time = &serverClock{clock: clk, age: cfg.TimeAge, ask: v.askTime}
	v.rest = newTransport(v.budget)
	return v, nil
}

// Start compares clocks and reads the trading rules, so that the first order need not wait for them. A venue that does not answer
// yet is no failure: both are asked for again when they are needed.
func (v *Venue) Start(ctx context.Context) error {
	if err := v.time.sync(ctx); err != nil {
		v.log.WarnContext(ctx, "venue does not tell the time yet", "error", err)
		return nil
	}
	if _, err := v.Instruments(ctx); err != nil {
		v.log.WarnContext(ctx, "venue does not tell its trading rules yet", "error", err)
	}
	return nil
}

// Stop closes idle connections. Streams end with the contexts of those who follow them.
func (v *Venue) Stop() {
	v.rest.base.CloseIdleConnections()
	v.meters.close()
}

// Name is the stored name.
func (v *Venue) Name() string { return Name }

// Market is what everyone may ask.
func (v *Venue) Market() venue.MarketData { return v }

// Account opens the lines of one account.
func (v *Venue) Account(ref venue.AccountRef) venue.Account {
	a := &account{venue: v, ref: ref}
	if ref.MarginSymbol != "" {
		known, _ := v.debts.LoadOrStore(ref, &debt{})
		p := &pair{account: a, debt: known.(*debt)} //nolint:forcetypeassert // debts holds nothing else
		return venue.Account{Trading: p, Wallets: p, Reports: p}
	}
	return venue.Account{Trading: a, Wallets: a, Reports: a}
}

// Timing says how long a request may take to be done or be dead.
func (v *Venue) Timing() venue.Timing { return v.cfg.Timing }

// account is one account's lines; an isolated margin account's are pair.
type account struct {
	venue *Venue
	ref   venue.AccountRef
}

var (
	_ venue.Trading    = (*account)(nil)
	_ venue.Wallets    = (*account)(nil)
	_ venue.UserStream = (*account)(nil)
)
