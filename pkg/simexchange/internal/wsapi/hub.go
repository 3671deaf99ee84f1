package wsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/simexchange/internal/engine"
	"github.com/robson/robson/pkg/simexchange/internal/fault"
	"github.com/robson/robson/pkg/simexchange/internal/sign"
)

// subscriptionsMax is how many user streams one connection carries.
const subscriptionsMax = 1000

// Hub holds all WebSockets. Its fields are set before it serves.
type Hub struct {
	Ring  *sign.Ring
	Plan  *fault.Plan
	Now   func() int64
	Clock clock.Clock
	// PingEvery is how often each connection is pinged.
	PingEvery time.Duration

	mu      sync.Mutex
	closed  bool
	conns   map[*conn]struct{}
	users   map[string][]*subscription
	streams map[string][]*market
	running sync.WaitGroup
}

// subscription is one account's user stream on one connection.
type subscription struct {
	conn    *conn
	id      int
	account string
	held    []any // events that wait to change places
	window  int
}

type market struct {
	conn    *conn
	wrapped bool
}

// accept upgrades a request; nil if that was not to be.
func (h *Hub) accept(w http.ResponseWriter, r *http.Request) *conn {
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil // the upgrader has answered
	}
	c := &conn{socket: socket, queue: make(chan []byte, queueMax), gone: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		c.end()
		return nil
	}
	if h.conns == nil {
		h.conns, h.users, h.streams = map[*conn]struct{}{}, map[string][]*subscription{}, map[string][]*market{}
	}
	h.conns[c] = struct{}{}
	h.running.Add(1)
	go func() {
		defer h.running.Done()
		c.write(h.Clock, h.PingEvery)
	}()
	return c
}

func (h *Hub) forget(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	for account, list := range h.users {
		h.users[account] = without(list, func(s *subscription) bool { return s.conn == c })
		if len(h.users[account]) == 0 {
			delete(h.users, account)
		}
	}
	for name, list := range h.streams {
		h.streams[name] = without(list, func(m *market) bool { return m.conn == c })
	}
}

func without[T any](list []T, gone func(T) bool) []T {
	kept := make([]T, 0, len(list))
	for _, v := range list {
		if !gone(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// Cut ends every connection of an account, or all if it is empty, as a restart does.
func (h *Hub) Cut(account string) {
	h.mu.Lock()
	var conns []*conn
	if account == "" {
		for c := range h.conns {
			conns = append(conns, c)
		}
	}
	for _, s := range h.users[account] {
		conns = append(conns, s.conn)
	}
	h.mu.Unlock()
	for _, c := range conns {
		c.end()
	}
}

// Close ends all connections for good and waits until they are ended.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.Cut("")
	h.running.Wait()
}

// Subscribers is how many user streams an account has.
func (h *Hub) Subscribers(account string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.users[account])
}

type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params map[string]any  `json:"params"`
}

// ServeAPI is one connection of the WS API.
func (h *Hub) ServeAPI(w http.ResponseWriter, r *http.Request) {
	c := h.accept(w, r)
	if c == nil {
		return
	}
	defer h.forget(c)
	next := 0
	c.read(func(message []byte) {
		q, err := Decode(message)
		if err != nil {
			c.send(failure(nil, &engine.Rejection{Code: -1000, Text: "Malformed request."}))
			return
		}
		if answer := h.handle(c, q, &next); answer != nil {
			c.send(answer)
		}
	})
}

// Decode reads a request of the WS API; its numbers stay as they were written.
func Decode(message []byte) (request, error) {
	decoder := json.NewDecoder(bytes.NewReader(message))
	decoder.UseNumber()
	var q request
	if err := decoder.Decode(&q); err != nil {
		return q, fmt.Errorf("decode request: %w", err)
	}
	return q, nil
}

func success(id json.RawMessage, result any) any {
	return map[string]any{"id": id, "status": http.StatusOK, "result": result, "rateLimits": []any{}}
}

func failure(id json.RawMessage, err *engine.Rejection) any {
	return map[string]any{
		"id": id, "status": http.StatusBadRequest, "error": map[string]any{"code": err.Code, "msg": err.Text}, "rateLimits": []any{},
	}
}

func (h *Hub) handle(c *conn, q request, next *int) any {
	switch q.Method {
	case "ping":
		return success(q.ID, map[string]any{})
	case "time":
		return success(q.ID, map[string]any{"serverTime": h.Now()})
	case "userDataStream.subscribe.signature":
		return h.subscribe(c, q, next)
	case "userDataStream.subscribe.listenToken":
		account, expires, err := h.Ring.Admit(q.text("listenToken"), h.Now())
		if err != nil {
			return failure(q.ID, sign.ErrToken)
		}
		return h.join(c, q, next, account, map[string]any{"expirationTime": expires})
	case "userDataStream.unsubscribe":
		h.unsubscribe(c, q.text("subscriptionId"))
		return success(q.ID, map[string]any{})
	case "session.subscriptions":
		return success(q.ID, h.subscriptions(c))
	default:
		return failure(q.ID, &engine.Rejection{Code: -1000, Text: "Unknown method."})
	}
}

func (q request) text(name string) string {
	if v, ok := q.Params[name]; ok {
		return fmt.Sprintf("%v", v)
	}
	return ""
}

// payload is what the signature was made over: the other parameters, sorted by name.
func (q request) payload() string {
	values := url.Values{}
	for name := range q.Params {
		if name != "signature" {
			values.Set(name, q.text(name))
		}
	}
	return values.Encode()
}

func (h *Hub) subscribe(c *conn, q request, next *int) any {
	account, err := h.Ring.Check(sign.Signed{
		Key: q.text("apiKey"), Payload: q.payload(), Signature: q.text("signature"), Timestamp: q.text("timestamp"), RecvWindow: q.text("recvWindow"),
	}, h.Now())
	if err != nil {
		rejection, ok := err.(*engine.Rejection) //nolint:errorlint // Check gives rejections as they are
		if !ok {
			rejection = sign.ErrSignature
		}
		return failure(q.ID, rejection)
	}
	return h.join(c, q, next, account, map[string]any{})
}

// join adds a user stream to a connection and answers with what is told of it.
func (h *Hub) join(c *conn, q request, next *int, account string, told map[string]any) any {
	if rule, harmed := h.Plan.Take(fault.Occasion{Account: account, Event: "subscribe"}); harmed && rule.Kind == fault.SubscribeReject {
		return failure(q.ID, &engine.Rejection{Code: -2015, Text: "Invalid API-key, IP, or permissions for action."})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.users[account] {
		if s.conn == c {
			return failure(q.ID, &engine.Rejection{Code: -2035, Text: "User data stream subscription already active."})
		}
	}
	if *next >= subscriptionsMax {
		return failure(q.ID, &engine.Rejection{Code: -1000, Text: "Too many subscriptions."})
	}
	s := &subscription{conn: c, id: *next, account: account}
	*next++
	// The answer is queued before the first event can be: whoever holds the lock publishes.
	told["subscriptionId"] = s.id
	c.send(success(q.ID, told))
	h.users[account] = append(h.users[account], s)
	return nil
}

func (h *Hub) unsubscribe(c *conn, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for account, list := range h.users {
		h.users[account] = without(list, func(s *subscription) bool { return s.conn == c && (id == "" || fmt.Sprint(s.id) == id) })
	}
}

func (h *Hub) subscriptions(c *conn) []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []map[string]any{}
	for _, list := range h.users {
		for _, s := range list {
			if s.conn == c {
				out = append(out, map[string]any{"subscriptionId": s.id})
			}
		}
	}
	return out
}

// ServeRaw serves /ws/<stream>[/<stream>], ServeCombined /stream?streams=a/b.
func (h *Hub) ServeRaw(w http.ResponseWriter, r *http.Request) {
	h.serveMarket(w, r, strings.TrimPrefix(r.URL.Path, "/ws/"), false)
}

// ServeCombined serves several market streams, each message with the name of its stream.
func (h *Hub) ServeCombined(w http.ResponseWriter, r *http.Request) {
	h.serveMarket(w, r, r.URL.Query().Get("streams"), true)
}

func (h *Hub) serveMarket(w http.ResponseWriter, r *http.Request, names string, wrapped bool) {
	c := h.accept(w, r)
	if c == nil {
		return
	}
	defer h.forget(c)
	h.listen(c, strings.Split(names, "/"), wrapped)
	c.read(func(message []byte) {
		var q struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params []string        `json:"params"`
		}
		if json.Unmarshal(message, &q) != nil || q.Method != "SUBSCRIBE" {
			c.send(map[string]any{"error": map[string]any{"code": 2, "msg": "Invalid request: only SUBSCRIBE is known"}, "id": q.ID})
			return
		}
		h.listen(c, q.Params, wrapped)
		c.send(map[string]any{"result": nil, "id": q.ID})
	})
}

// listen adds market streams to a connection; one that it has already is not added twice.
func (h *Hub) listen(c *conn, names []string, wrapped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		if !slices.ContainsFunc(h.streams[name], func(m *market) bool { return m.conn == c }) {
			h.streams[name] = append(h.streams[name], &market{c, wrapped})
		}
	}
}

// Publish tells a market stream's listeners.
func (h *Hub) Publish(stream string, event any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.streams[stream] {
		if m.wrapped {
			m.conn.send(map[string]any{"stream": stream, "data": event})
		} else {
			m.conn.send(event)
		}
	}
}

// Watched says whether anyone listens to a market stream.
func (h *Hub) Watched(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams[stream]) > 0
}

func num(d decimal.Decimal) string { return d.StringFixed(8) }
