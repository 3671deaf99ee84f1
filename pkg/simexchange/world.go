package simexchange

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
	"github.com/robson/robson/pkg/simexchange/internal/fault"
	"github.com/robson/robson/pkg/simexchange/internal/httpapi"
	"github.com/robson/robson/pkg/simexchange/internal/market"
	"github.com/robson/robson/pkg/simexchange/internal/sign"
	"github.com/robson/robson/pkg/simexchange/internal/wsapi"
)

// world is all that a reset makes anew.
type world struct {
	exchange *engine.Exchange
	plan     *fault.Plan
	ring     *sign.Ring
	log      *httpapi.Log
	past     *httpapi.Past
	hub      *wsapi.Hub
	mux      *http.ServeMux
	now      func() int64
	seed     uint64

	mu    sync.Mutex
	paths map[string]market.Path
}

func (s *Server) found(cfg Config) (*world, error) {
	w := &world{plan: &fault.Plan{}, ring: &sign.Ring{}, log: &httpapi.Log{}, past: &httpapi.Past{}, now: s.now, seed: cfg.Seed}
	w.hub = &wsapi.Hub{Ring: w.ring, Plan: w.plan, Now: s.now, Clock: cfg.Clock, PingEvery: cfg.PingEvery}
	var err error
	if w.exchange, err = engine.New(engine.Config{Symbols: cfg.Symbols, FirstID: cfg.FirstID}, w.hub.Tell); err != nil {
		return nil, err
	}
	if w.paths, err = cfg.paths(); err != nil {
		return nil, err
	}
	for symbol, text := range cfg.Prices {
		price, err := decimal.NewFromString(text)
		if err == nil {
			err = w.price(symbol, price)
		}
		if err != nil {
			return nil, fmt.Errorf("price %s of %s: %w", text, symbol, err)
		}
	}
	// A path's first price is there from the start.
	for symbol := range w.paths {
		if _, priced := cfg.Prices[symbol]; !priced {
			if err := w.advance(symbol); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range cfg.Accounts {
		if _, err := w.add(a); err != nil {
			return nil, err
		}
	}
	w.mux = http.NewServeMux()
	w.mux.Handle("/", &httpapi.API{
		Exchange: w.exchange, Plan: w.plan, Ring: w.ring, Budget: &httpapi.Budget{WeightMax: cfg.WeightMax}, Log: w.log, Past: w.past,
		Now: s.now, Clock: cfg.Clock, Done: s.done,
	})
	w.mux.HandleFunc("/ws-api/v3", w.hub.ServeAPI)
	w.mux.HandleFunc("/ws/", w.hub.ServeRaw)
	w.mux.HandleFunc("/stream", w.hub.ServeCombined)
	w.mux.Handle("/sim/", s.admin())
	return w, nil
}

func (w *world) add(a Account) (Credentials, error) {
	founded, err := a.founded()
	if err != nil {
		return Credentials{}, err
	}
	out := Credentials{Account: a.Name, Key: a.Key, Secret: a.Secret}
	if out.Key == "" {
		out.Key = derive(w.seed, "key", a.Name)
	}
	var verify sign.Verifier
	if a.PublicKey != "" {
		if verify, err = sign.PublicKey(a.PublicKey); err != nil {
			return Credentials{}, fmt.Errorf("account %s: %w", a.Name, err)
		}
	} else {
		if out.Secret == "" {
			out.Secret = derive(w.seed, "secret", a.Name)
		}
		verify = sign.HMAC(out.Secret)
	}
	if err := w.exchange.Open(founded); err != nil {
		return Credentials{}, err
	}
	return out, w.ring.Add(out.Key, a.Name, verify)
}

// price moves a symbol and tells its market streams.
func (w *world) price(symbol string, price decimal.Decimal) error {
	at := w.now()
	if err := w.exchange.Tick(symbol, price, at); err != nil {
		return err
	}
	w.past.Note(symbol, at, price)
	return w.tell(symbol, at)
}

// advance moves a symbol to the next price of its path; at the path's end it stays where it is.
func (w *world) advance(symbol string) error {
	tick, more := w.paths[symbol].Next()
	if !more {
		return nil
	}
	return w.price(symbol, tick.Price)
}

func (w *world) step(n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		for _, symbol := range slices.Sorted(maps.Keys(w.paths)) {
			if err := w.advance(symbol); err != nil {
				return err
			}
		}
	}
	return nil
}
