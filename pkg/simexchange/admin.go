package simexchange

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/shopspring/decimal"
)

const (
	adminBodyMax = 1 << 20
	stepsMax     = 1_000_000
)

// TokenHeader carries the token that opens /sim/.
const TokenHeader = "X-Sim-Token" //nolint:gosec // the name of a header, not what it carries

// order names an order, or asks for one, on the admin surface.
type order struct {
	Account       string          `json:"account"`
	Symbol        string          `json:"symbol"`
	ID            int64           `json:"orderId"`
	ClientOrderID string          `json:"clientOrderId"`
	Side          string          `json:"side"`
	Type          string          `json:"type"`
	TimeInForce   string          `json:"timeInForce"`
	Status        string          `json:"status"`
	Quantity      decimal.Decimal `json:"quantity"`
	Price         decimal.Decimal `json:"price"`
	StopPrice     decimal.Decimal `json:"stopPrice"`
}

func (o order) ref() OrderRef {
	return OrderRef{Symbol: o.Symbol, ID: o.ID, ClientOrderID: o.ClientOrderID}
}

// admin is the surface by which an exchange in another process is steered. Every change is a POST with a JSON object.
func (s *Server) admin() http.Handler {
	mux := http.NewServeMux()
	s.adminMarket(mux)
	s.adminFaults(mux)
	s.adminOrders(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Token == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(s.cfg.Token)) != 1 {
			http.Error(w, "the header "+TokenHeader+" must carry the token", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// on answers a request of the admin surface: the body is decoded, the result encoded, an error is a 400 with its text.
func on[T any](mux *http.ServeMux, pattern string, do func(*http.Request, T) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var in T
		decoder := json.NewDecoder(io.LimitReader(r.Body, adminBodyMax))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil && (r.Method == http.MethodPost || r.ContentLength > 0) {
			http.Error(w, fmt.Sprintf("read request: %v", err), http.StatusBadRequest)
			return
		}
		out, err := do(r, in)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // a client that left needs no answer
	})
}

// done is the answer where there is nothing to say.
var done = map[string]any{"ok": true}

func (s *Server) adminMarket(mux *http.ServeMux) {
	on(mux, "POST /sim/clock", func(_ *http.Request, in struct {
		AdvanceMS int64  `json:"advance_ms"`
		SkewMS    *int64 `json:"skew_ms"`
		DriftPPM  *int64 `json:"drift_ppm"`
		Set       int64  `json:"set"`
	},
	) (any, error) {
		if in.SkewMS != nil {
			s.SetSkew(time.Duration(*in.SkewMS) * time.Millisecond)
		}
		if in.DriftPPM != nil {
			s.SetDrift(*in.DriftPPM)
		}
		if in.Set != 0 {
			in.AdvanceMS = in.Set - s.now()
		}
		if in.AdvanceMS != 0 {
			if err := s.Advance(time.Duration(in.AdvanceMS) * time.Millisecond); err != nil {
				return nil, err
			}
		}
		return map[string]any{"serverTime": s.now()}, nil
	})
	on(mux, "POST /sim/price", func(_ *http.Request, in struct{ Symbol, Price string }) (any, error) {
		return done, s.SetPrice(in.Symbol, in.Price)
	})
	on(mux, "POST /sim/step", func(_ *http.Request, in struct{ N int }) (any, error) {
		if in.N < 1 || in.N > stepsMax {
			return nil, fmt.Errorf("step by %d, from 1 to %d are taken", in.N, stepsMax)
		}
		return done, s.Step(in.N)
	})
	on(mux, "POST /sim/restart", func(*http.Request, struct{}) (any, error) {
		s.Restart()
		return done, nil
	})
	on(mux, "POST /sim/reset", func(_ *http.Request, in struct{ Seed uint64 }) (any, error) {
		return done, s.Reset(in.Seed)
	})
}

func (s *Server) adminFaults(mux *http.ServeMux) {
	on(mux, "POST /sim/faults", func(_ *http.Request, in Fault) (any, error) {
		id, err := s.AddFault(in)
		return map[string]any{"id": id}, err
	})
	on(mux, "GET /sim/faults", func(*http.Request, struct{}) (any, error) { return s.Faults(), nil })
	on(mux, "DELETE /sim/faults", func(*http.Request, struct{}) (any, error) {
		s.ClearFaults()
		return done, nil
	})
	on(mux, "POST /sim/chaos", func(_ *http.Request, in Chaos) (any, error) { return done, s.SetChaos(in) })
	on(mux, "GET /sim/log", func(r *http.Request, _ struct{}) (any, error) {
		return s.Requests(r.URL.Query().Get("account")), nil
	})
}

func (s *Server) adminOrders(mux *http.ServeMux) {
	on(mux, "POST /sim/accounts", func(_ *http.Request, in Account) (any, error) { return s.AddAccount(in) })
	on(mux, "POST /sim/deposits", func(_ *http.Request, in struct {
		Account, Asset string
		Amount         decimal.Decimal
	},
	) (any, error) {
		return done, s.Deposit(in.Account, in.Asset, in.Amount)
	})
	on(mux, "POST /sim/margin", func(_ *http.Request, in struct{ Account, Symbol string }) (any, error) {
		return done, s.EnableMargin(in.Account, in.Symbol)
	})
	on(mux, "POST /sim/liquidate", func(_ *http.Request, in struct{ Account, Symbol string }) (any, error) {
		return done, s.Liquidate(in.Account, in.Symbol)
	})
	on(mux, "POST /sim/transfers", func(_ *http.Request, in struct {
		Account, Symbol, Asset string
		Amount                 decimal.Decimal
		Out                    bool
	},
	) (any, error) {
		return done, s.Transfer(in.Account, in.Symbol, in.Asset, in.Amount, in.Out)
	})
	on(mux, "POST /sim/orders/external", func(_ *http.Request, in order) (any, error) {
		return s.Place(in.Account, OrderRequest{
			Symbol: in.Symbol, Side: in.Side, Type: in.Type, TimeInForce: in.TimeInForce, ClientOrderID: in.ClientOrderID,
			Quantity: in.Quantity, Price: in.Price, StopPrice: in.StopPrice,
		})
	})
	on(mux, "POST /sim/orders/cancel", func(_ *http.Request, in order) (any, error) { return s.Cancel(in.Account, in.ref()) })
	on(mux, "POST /sim/orders/end", func(_ *http.Request, in order) (any, error) { return s.End(in.Account, in.ref(), in.Status) })
	on(mux, "POST /sim/orders/fill", func(_ *http.Request, in order) (any, error) { return s.Fill(in.Account, in.ref(), in.Quantity) })
	on(mux, "GET /sim/state", func(r *http.Request, _ struct{}) (any, error) {
		account := r.URL.Query().Get("account")
		orders, err := s.Orders(account, "")
		if err != nil {
			return nil, err
		}
		trades, err := s.Trades(account, "")
		if err != nil {
			return nil, err
		}
		balances, err := s.Balances(account)
		return map[string]any{"orders": orders, "trades": trades, "balances": balances}, err
	})
}
