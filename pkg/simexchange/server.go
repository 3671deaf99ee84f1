package simexchange

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/clock"
)

const headerTimeout = 10 * time.Second

// Server is a running exchange. It is safe for concurrent use.
type Server struct {
	cfg      Config
	virtual  *clock.Fake // nil where time is real
	skew     atomic.Int64
	drift    atomic.Pointer[drift]
	world    atomic.Pointer[world]
	listener net.Listener
	http     *http.Server
	done     chan struct{}
	once     sync.Once
	running  sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

// New founds an exchange and serves it until Close.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	if !cfg.Virtual.IsZero() {
		s.virtual = clock.NewFake(cfg.Virtual)
	}
	w, err := s.found(cfg)
	if err != nil {
		return nil, fmt.Errorf("found exchange: %w", err)
	}
	s.world.Store(w)
	var listen net.ListenConfig
	s.listener, err = listen.Listen(context.Background(), "tcp", cfg.Listen) //nolint:forbidigo // the listener lives until Close, not as long as a caller's context
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.http = &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.world.Load().mux.ServeHTTP(w, r) }),
		ConnState: s.watch, ReadHeaderTimeout: headerTimeout,
	}
	s.running.Go(func() { _ = s.http.Serve(s.listener) }) // it returns when Close closes it
	if cfg.Pace > 0 {
		s.running.Go(s.pace)
	}
	return s, nil
}

// Close ends the exchange and waits until it has ended.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.done)
		s.world.Load().hub.Close()
		_ = s.http.Close() // what it could not close is gone with the process
	})
	s.running.Wait()
}

func (s *Server) pace() {
	ticker := s.cfg.Clock.NewTicker(s.cfg.Pace)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			// A price of a path that was read and checked is always taken.
			_ = s.Step(1)
		case <-s.done:
			return
		}
	}
}

// watch knows the plain HTTP connections, so that Restart can cut them.
func (s *Server) watch(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[c] = struct{}{}
		if s.down {
			_ = c.Close() // it is refused whatever it says
		}
	case http.StateHijacked, http.StateClosed:
		delete(s.conns, c)
	case http.StateActive, http.StateIdle:
	}
}

// Restart cuts every connection, as an exchange that restarts does. Orders, trades and balances remain.
func (s *Server) Restart() {
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close() // it is cut whatever it says
	}
	s.mu.Unlock()
	s.world.Load().hub.Cut("")
}

// SetDown refuses new connections and cuts the old ones, until it is set back.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.Restart()
	}
}

// now is the exchange's time in milliseconds, skew and drift included.
func (s *Server) now() int64 {
	right := s.right()
	return right + s.skew.Load() + s.drift.Load().by(right)
}

// right is the time that the exchange's clock should show, in milliseconds.
func (s *Server) right() int64 {
	if s.virtual != nil {
		return s.virtual.Now().UnixMilli()
	}
	return s.cfg.Clock.Now().UnixMilli()
}

// drift is by how much a clock goes wrong, in milliseconds of a thousand seconds, and since when.
type drift struct{ since, perMillion int64 }

func (d *drift) by(at int64) int64 {
	if d == nil {
		return 0
	}
	return (at - d.since) * d.perMillion / 1_000_000
}

// SetDrift makes the exchange's clock go fast from here on by so many milliseconds in a thousand seconds, or slow below zero. What it is
// wrong by until now stays.
func (s *Server) SetDrift(perMillion int64) {
	right := s.right()
	s.skew.Add(s.drift.Swap(&drift{right, perMillion}).by(right))
}

// URL is the base of the REST endpoints.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// WSAPI is the URL of the WS API, on which user data streams are.
func (s *Server) WSAPI() string { return "ws://" + s.listener.Addr().String() + "/ws-api/v3" }

// Streams is the URL under which the market streams are.
func (s *Server) Streams() string { return "ws://" + s.listener.Addr().String() + "/ws" }

// CombinedStreams is the URL, up to its names, of several market streams on one socket.
func (s *Server) CombinedStreams() string {
	return "ws://" + s.listener.Addr().String() + "/stream?streams="
}

// AddAccount opens an account.
func (s *Server) AddAccount(a Account) (Credentials, error) { return s.world.Load().add(a) }

// SetPrice moves a symbol.
func (s *Server) SetPrice(symbol, price string) error {
	p, err := decimal.NewFromString(price)
	if err != nil {
		return fmt.Errorf("price of %s: %w", symbol, err)
	}
	return s.world.Load().price(symbol, p)
}

// Step moves every path on by n prices.
func (s *Server) Step(n int) error { return s.world.Load().step(n) }

// Advance moves virtual time on; an error where time is real.
func (s *Server) Advance(d time.Duration) error {
	if s.virtual == nil || d < 0 {
		return fmt.Errorf("advance by %s: only virtual time can be moved, and only on", d)
	}
	s.virtual.Advance(d)
	return nil
}

// SetSkew makes the exchange's clock wrong by so much.
func (s *Server) SetSkew(d time.Duration) { s.skew.Store(d.Milliseconds()) }

// AddFault adds a fault behind the others and gives its id.
func (s *Server) AddFault(f Fault) (int64, error) { return s.world.Load().plan.Add(f) }

// SetChaos sets what goes wrong by chance from here on.
func (s *Server) SetChaos(c Chaos) error { return s.world.Load().plan.Unleash(c) }

// Faults are the faults that may still come.
func (s *Server) Faults() []Fault { return s.world.Load().plan.List() }

// ClearFaults ends all faults and all chaos.
func (s *Server) ClearFaults() { s.world.Load().plan.Clear() }

// Requests are the requests of an account, of all if it is empty, in order.
func (s *Server) Requests(account string) []Request { return s.world.Load().log.Entries(account) }

// Subscribers is how many user streams an account has.
func (s *Server) Subscribers(account string) int { return s.world.Load().hub.Subscribers(account) }

// Orders are an account's orders, oldest first, of all symbols if symbol is empty.
func (s *Server) Orders(account, symbol string) ([]Order, error) {
	return s.world.Load().exchange.Orders(account, symbol, 0)
}

// Trades are an account's trades on a symbol, oldest first, of all symbols if symbol is empty.
func (s *Server) Trades(account, symbol string) ([]Trade, error) {
	return s.world.Load().exchange.Trades(account, symbol, 0)
}

// Balances are what an account has, by asset.
func (s *Server) Balances(account string) (map[string]Balance, error) {
	sheet, err := s.world.Load().exchange.Sheet(account)
	return sheet.Balances, err
}

// Place places an order that no client asked for, as its owner does by hand on the web site.
func (s *Server) Place(account string, r OrderRequest) (Order, error) {
	if r.ClientOrderID == "" {
		r.ClientOrderID = "web_" + derive(s.cfg.Seed, "order", fmt.Sprint(account, s.world.Load().exchange.Count(account)))[:20]
	}
	placed, err := s.world.Load().exchange.Place(account, r, s.now())
	return placed.Order, err
}

// Cancel cancels an order by hand.
func (s *Server) Cancel(account string, ref OrderRef) (Order, error) {
	return s.world.Load().exchange.Cancel(account, ref, "web_cancel", s.now())
}

// End ends an order as the exchange itself does: CANCELED, EXPIRED or EXPIRED_IN_MATCH.
func (s *Server) End(account string, ref OrderRef, status string) (Order, error) {
	switch status {
	case "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH":
		return s.world.Load().exchange.End(account, ref, status, s.now())
	default:
		return Order{}, fmt.Errorf("end order: status %q", status)
	}
}

// Fill fills a resting order at its price: at most quantity, all that remains if zero.
func (s *Server) Fill(account string, ref OrderRef, quantity decimal.Decimal) (Order, error) {
	return s.world.Load().exchange.Fill(account, ref, quantity, s.now())
}

// Deposit puts money into an account, or takes it out if negative.
func (s *Server) Deposit(account, asset string, amount decimal.Decimal) error {
	return s.world.Load().exchange.Deposit(account, asset, amount, s.now())
}

// ChangeSymbol alters filters, status or depth while the symbol trades.
func (s *Server) ChangeSymbol(symbol string, alter func(*Symbol)) error {
	return s.world.Load().exchange.Change(symbol, alter)
}

// Sums is what is held of an asset by accounts, house and fees, and what was ever deposited: they are always equal.
func (s *Server) Sums(asset string) (held, deposited decimal.Decimal) {
	return s.world.Load().exchange.Sums(asset)
}

// Reset founds the exchange anew, with another seed: connections are cut and nothing remains but the configuration.
func (s *Server) Reset(seed uint64) error {
	cfg := s.cfg
	cfg.Seed = seed
	w, err := s.found(cfg)
	if err != nil {
		return fmt.Errorf("reset exchange: %w", err)
	}
	s.world.Swap(w).hub.Cut("")
	return nil
}

// EnableMargin founds an account's isolated margin account of a pair.
func (s *Server) EnableMargin(account, symbol string) error {
	return s.world.Load().exchange.EnableMargin(account, symbol, s.now())
}

// Margins are the pairs of which an account has an isolated margin account.
func (s *Server) Margins(account string) []string { return s.world.Load().exchange.Margins(account) }

// Margin is an isolated margin account of a pair, with the interest that is due.
func (s *Server) Margin(account, symbol string) (MarginSheet, error) {
	return s.world.Load().exchange.Margin(account, symbol, s.now())
}

// Liquidate sells an isolated margin account of a pair up, as the exchange does where its margin level falls too low.
func (s *Server) Liquidate(account, symbol string) error {
	return s.world.Load().exchange.Liquidate(account, symbol, s.now())
}

// Transfer moves money between an account and its isolated margin account of a pair, out of that or into it.
func (s *Server) Transfer(account, symbol, asset string, amount decimal.Decimal, out bool) error {
	_, err := s.world.Load().exchange.Transfer(account, symbol, asset, amount, out, s.now())
	return err
}
