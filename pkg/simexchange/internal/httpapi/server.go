package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/simexchange/internal/engine"
	"github.com/robson/robson/pkg/simexchange/internal/fault"
	"github.com/robson/robson/pkg/simexchange/internal/sign"
)

// API answers REST requests. Its fields are set before it serves.
type API struct {
	Exchange *engine.Exchange
	Plan     *fault.Plan
	Ring     *sign.Ring
	Budget   *Budget
	Log      *Log
	Past     *Past
	// Now is the exchange's own time in milliseconds; Clock is what real waiting is done by.
	Now   func() int64
	Clock clock.Clock
	// Done ends when the server does.
	Done <-chan struct{}

	made atomic.Int64
}

// call is one request on its way.
type call struct {
	*http.Request
	Params
	account string
	fault   fault.Rule
	lag     int
}

type route struct {
	signed bool
	weight int64
	do     func(*API, *call) (any, error)
}

var (
	errPath    = &engine.Rejection{Code: -1000, Text: "Not found."}
	errGone    = &engine.Rejection{Code: -1000, Text: "This endpoint has been retired."}
	errOrders  = &engine.Rejection{Code: -1015, Text: "Too many new orders; current limit is 100 orders per 10 SECOND."}
	errLimited = &engine.Rejection{Code: -1003, Text: "Too many requests; current limit is 6000 request weight per 1 MINUTE."}
)

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, body, err := Read(r)
	c := &call{Request: r, Params: p, account: a.Ring.Account(r.Header.Get("X-MBX-APIKEY"))}
	entry := a.Log.begin(Entry{
		At: a.Now(), Method: r.Method, Path: r.URL.Path, Query: withoutSignature(r.URL.RawQuery), Body: withoutSignature(body), Account: c.account,
		ClientOrderID: first(p.Text("newClientOrderId"), p.Text("origClientOrderId")),
	})
	if r.URL.Path == "/api/v3/userDataStream" {
		a.answer(w, http.StatusGone, errGone)
		return
	}
	rt, known := routes[r.Method+" "+r.URL.Path]
	switch {
	case !known:
		a.answer(w, http.StatusNotFound, errPath)
	case err != nil:
		a.refuse(w, err)
	default:
		a.serve(w, c, rt, entry)
	}
}

func (a *API) serve(w http.ResponseWriter, c *call, rt route, entry int64) {
	now := a.Now()
	used := a.Budget.spend(now, rt.cost(c))
	w.Header().Set("X-Mbx-Used-Weight-1m", strconv.FormatInt(used, 10))
	if status, wait := a.Budget.blocked(now); status != 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(wait, 10))
		a.answer(w, status, errLimited)
		return
	}
	if c.Method == http.MethodPost && placing(c) && a.Budget.full(c.account, now) {
		w.Header().Set("Retry-After", "10")
		a.answer(w, http.StatusTooManyRequests, errOrders)
		return
	}
	rule, harmed := a.Plan.Take(fault.Occasion{
		Method: c.Method, Path: c.URL.Path, Account: c.account, Symbol: c.Text("symbol"),
		ClientOrderID: first(c.Text("newClientOrderId"), c.Text("origClientOrderId")),
	})
	if harmed {
		c.fault = rule
		a.Log.harm(entry, rule.Kind)
		if a.harmBefore(w, c) {
			return
		}
	}
	body, err := a.run(c, rt)
	if err == nil {
		a.Log.processed(entry)
		if placing(c) {
			a.Budget.spend(now, -rt.cost(c))
			tens, day := a.Budget.count(c.account, now, c.Method == http.MethodPost)
			w.Header().Set("X-Mbx-Order-Count-10s", strconv.FormatInt(tens, 10))
			w.Header().Set("X-Mbx-Order-Count-1d", strconv.FormatInt(day, 10))
		}
	}
	if harmed && a.harmAfter(w, c) {
		return
	}
	if err != nil {
		a.refuse(w, err)
		return
	}
	if harmed && c.fault.Kind == fault.BadBody {
		cut(w, body)
		return
	}
	a.answer(w, http.StatusOK, body)
}

// placing says whether the request places an order or cancels one: these cost no weight when they succeed.
func placing(c *call) bool {
	path := c.URL.Path
	return c.Method != http.MethodGet && (path == "/api/v3/order" || path == "/api/v3/openOrders" || path == pathMarginOrder)
}

// trader is the account that a request is about: the key's own, or its isolated margin account of the pair.
func (c *call) trader() string {
	if strings.HasPrefix(c.URL.Path, pathMargin) {
		return engine.MarginName(c.account, c.Text("symbol"))
	}
	return c.account
}

func (a *API) run(c *call, rt route) (any, error) {
	if rt.signed {
		_, err := a.Ring.Check(sign.Signed{
			Key: c.Header.Get("X-MBX-APIKEY"), Payload: c.Payload, Signature: c.Signature,
			Timestamp: c.Text("timestamp"), RecvWindow: c.Text("recvWindow"),
		}, a.Now())
		if err != nil {
			return nil, err
		}
	}
	return rt.do(a, c)
}

// harmBefore does what a fault does before the request is; true if that was all.
func (a *API) harmBefore(w http.ResponseWriter, c *call) bool {
	switch f := c.fault; f.Kind {
	case fault.DropBefore:
		panic(http.ErrAbortHandler)
	case fault.Reject:
		a.answer(w, or(f.HTTP, http.StatusBadRequest), &engine.Rejection{Code: or(f.Code, -1000), Text: first(f.Message, "An unknown error occurred while processing the request.")})
		return true
	case fault.RateLimit:
		w.Header().Set("Retry-After", strconv.FormatInt(max(f.RetryAfter, 1), 10))
		a.answer(w, or(f.HTTP, http.StatusTooManyRequests), &engine.Rejection{Code: -1003, Text: first(f.Message, "Too many requests; please use the websocket for live updates to avoid bans.")})
		return true
	case fault.Slow:
		a.wait(c, f.DelayMS)
	case fault.QueryLag:
		c.lag = max(f.Lag, 1)
	case fault.FillBeforeCancel:
		if ref, err := c.ref(); err == nil && c.Method == http.MethodDelete {
			// An order that cannot fill is cancelled as if there were no race.
			_, _ = a.Exchange.Fill(c.trader(), ref, f.Quantity, a.Now())
		}
	}
	return false
}

// harmAfter does what a fault does after the request was done; true if the answer is thereby given, or never will be.
func (a *API) harmAfter(w http.ResponseWriter, c *call) bool {
	switch f := c.fault; f.Kind {
	case fault.AcceptThenTimeout:
		a.wait(c, f.DelayMS)
		panic(http.ErrAbortHandler)
	case fault.AcceptThenDrop:
		panic(http.ErrAbortHandler)
	case fault.AcceptThenError:
		w.WriteHeader(or(f.HTTP, http.StatusServiceUnavailable))
		text := f.Body
		if f.Code != 0 {
			text = fmt.Sprintf(`{"code":%d,"msg":%q}`, f.Code, first(f.Message, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."))
		}
		_, _ = io.WriteString(w, text) // a client that left needs no answer
		return true
	case fault.SlowAnswer:
		a.wait(c, f.DelayMS)
	}
	return false
}

// wait waits for so many milliseconds of real time, for ever if none: until the client leaves or the server ends.
func (a *API) wait(c *call, ms int64) {
	var due <-chan time.Time
	if ms > 0 {
		timer := a.Clock.NewTimer(time.Duration(ms) * time.Millisecond)
		defer timer.Stop()
		due = timer.C()
	}
	select {
	case <-due:
	case <-a.Done:
	case <-c.Context().Done():
	}
}

// cut answers with the first half of the body.
func cut(w http.ResponseWriter, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(text[:len(text)/2]) // a client that left needs no answer
}

func (a *API) refuse(w http.ResponseWriter, err error) {
	var rejection *engine.Rejection
	if !errors.As(err, &rejection) {
		a.answer(w, http.StatusInternalServerError, &engine.Rejection{Code: -1000, Text: err.Error()})
		return
	}
	status := http.StatusBadRequest
	if rejection.Code == -2014 || rejection.Code == -2015 {
		status = http.StatusUnauthorized
	}
	a.answer(w, status, rejection)
}

func (a *API) answer(w http.ResponseWriter, status int, body any) {
	if rejection, ok := body.(*engine.Rejection); ok {
		body = map[string]any{"code": rejection.Code, "msg": rejection.Text}
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left needs no answer
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func or(n, fallback int) int {
	if n != 0 {
		return n
	}
	return fallback
}
