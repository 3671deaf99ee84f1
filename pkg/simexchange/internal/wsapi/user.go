package wsapi

import (
	"maps"
	"slices"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
	"github.com/robson/robson/pkg/simexchange/internal/fault"
)

// Tell delivers an account's event to its user streams, after what the fault plan does to it. It does not wait.
func (h *Hub) Tell(e engine.Event) {
	event := userEvent(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.users[e.Account] {
		h.deliver(s, event)
	}
}

func (h *Hub) deliver(s *subscription, event map[string]any) {
	kind, _ := event["e"].(string)
	execution, _ := event["x"].(string)
	symbol, _ := event["s"].(string)
	client, _ := event["c"].(string)
	rule, harmed := h.Plan.Take(fault.Occasion{Account: s.account, Symbol: symbol, ClientOrderID: client, Event: kind, Execution: execution})
	if !harmed {
		s.pass(event)
		return
	}
	switch rule.Kind {
	case fault.EventDrop:
	case fault.EventDuplicate:
		for range max(rule.Count, 1) {
			s.pass(event)
		}
		s.pass(event)
	case fault.EventReorder:
		s.window = max(rule.Count, 2)
		s.pass(event)
	case fault.Disconnect:
		s.conn.end()
	case fault.HalfOpen:
		s.conn.hang()
	case fault.Terminated:
		s.pass(event)
		s.pass(map[string]any{"e": "eventStreamTerminated", "E": h.Now()})
		s.conn.finish()
	case fault.Shutdown:
		s.pass(event)
		s.pass(map[string]any{"e": "serverShutdown", "E": h.Now()})
		s.conn.finish()
	default:
		s.pass(event)
	}
}

// pass sends an event, or holds it until so many have come that they go out in the reverse order.
func (s *subscription) pass(event any) {
	s.held = append(s.held, map[string]any{"subscriptionId": s.id, "event": event})
	if len(s.held) < s.window {
		return
	}
	slices.Reverse(s.held)
	for _, message := range s.held {
		s.conn.send(message)
	}
	s.held, s.window = nil, 0
}

func userEvent(e engine.Event) map[string]any {
	switch {
	case e.Report != nil:
		return executionReport(e.At, e.Report)
	case e.Position != nil:
		rows := []map[string]any{}
		for _, asset := range slices.Sorted(maps.Keys(e.Position.Balances)) {
			b := e.Position.Balances[asset]
			rows = append(rows, map[string]any{"a": asset, "f": num(b.Free), "l": num(b.Locked)})
		}
		return map[string]any{"e": "outboundAccountPosition", "E": e.At, "u": e.At, "B": rows}
	default:
		return map[string]any{"e": "balanceUpdate", "E": e.At, "a": e.Balance.Asset, "d": num(e.Balance.Delta), "T": e.At}
	}
}

func executionReport(at int64, r *engine.Report) map[string]any {
	o := r.Order
	// On a cancel c is the id of the request, C the order's; the rest of the time c is the order's.
	id, original := o.ClientOrderID, ""
	if r.Kind == engine.ReportCanceled {
		id, original = r.CancelID, o.ClientOrderID
	}
	out := map[string]any{
		"e": "executionReport", "E": at, "s": o.Symbol, "c": id, "C": original, "S": o.Side, "o": o.Type, "f": o.TimeInForce,
		"q": num(o.Quantity), "p": num(o.Price), "P": num(o.StopPrice), "F": "0.00000000", "g": -1, "x": r.Kind, "X": o.Status, "r": "NONE",
		"i": o.ID, "l": "0.00000000", "z": num(o.Executed), "L": "0.00000000", "n": "0", "N": nil, "T": at, "t": -1, "I": r.ExecutionID,
		"w": o.Working && o.Open(), "m": false, "M": false, "O": o.CreatedAt, "Z": num(o.CumQuote), "Y": "0.00000000", "Q": num(o.QuoteQuantity),
		"V": o.STP,
	}
	if o.Working {
		out["W"] = o.WorkingAt
	}
	if t := r.Trade; t != nil {
		out["l"], out["L"], out["Y"], out["t"], out["m"] = num(t.Quantity), num(t.Price), num(t.Quote), t.ID, t.Maker
		if !t.Fee.IsZero() {
			out["n"], out["N"] = num(t.Fee), t.FeeAsset
		}
	}
	if o.Prevented.IsPositive() {
		out["pl"] = num(o.Prevented)
	}
	if o.ExpiryReason != "" {
		out["eR"] = o.ExpiryReason
	}
	return out
}
