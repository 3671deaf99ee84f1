package screen

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// summaryFields are the numbers of each event type that matter to a person reading a timeline.
var summaryFields = map[string][]string{
	"TENANT_CREATED":           {"name"},
	"ACCOUNT_REGISTERED":       {"label", "environment", "product", "version"},
	"STRATEGY_REGISTERED":      {"strategy_name", "version"},
	"STRATEGY_ENABLED":         {"strategy_name", "version"},
	"STRATEGY_DISABLED":        {"reason"},
	"STRATEGY_UPDATED":         {"version", "changed_fields"},
	"POSITION_ARMED":           {"side", "symbol", "capital", "risk_percent", "trailing_mode"},
	"POSITION_DISARMED":        {"reason"},
	"SIGNAL_DETECTED":          {"side", "symbol", "entry_price", "stop_loss", "detector"},
	"SIGNAL_ACCEPTED":          {"decision_id"},
	"SIGNAL_REJECTED":          {"reason"},
	"DECISION_PROPOSED":        {"side", "quantity", "entry_price", "technical_stop_price", "planned_risk", "quantity_limit"},
	"RISK_CHECK_PASSED":        {"exposure_before", "exposure_after", "budget_remaining"},
	"RISK_CHECK_FAILED":        {"violation_reason"},
	"RISK_LIMIT_EXCEEDED":      {"limit_name", "action", "period", "symbol", "cleared_by"},
	"INTENT_CREATED":           {"intent_type", "side", "order_type", "quantity", "price", "stop_price", "reason"},
	"ORDER_SUBMITTED":          {"reduce_intent", "side", "order_type", "quantity", "price", "stop_price", "attempt"},
	"ORDER_ACKED":              {"exchange_order_id", "exchange_status", "source"},
	"FILL_RECEIVED":            {"side", "fill_quantity", "fill_price", "fee", "fee_asset", "exchange_trade_id", "source"},
	"ORDER_REJECTED":           {"stage", "error_code", "reason"},
	"ORDER_CANCELED":           {"canceled_by", "cum_filled_quantity"},
	"ORDER_EXPIRED":            {"exchange_status", "expiry_reason", "cum_filled_quantity"},
	"POSITION_OPENED":          {"side", "entry_quantity", "entry_price", "technical_stop_price"},
	"TRAILING_STOP_UPDATED":    {"previous_stop", "new_stop", "favorable_extreme", "trigger_price"},
	"EXIT_TRIGGERED":           {"reason", "trigger_price", "stop_price", "quantity"},
	"POSITION_CLOSED":          {"exit_reason", "exit_price", "realized_pnl", "total_fees", "net_pnl", "dust_quantity"},
	"BALANCE_SAMPLED":          {"wallet", "asset", "free", "locked", "borrowed"},
	"BALANCE_ADJUSTED":         {"wallet", "asset", "delta", "kind"},
	"EXCHANGE_STATE_UNCERTAIN": {"operation", "cause", "client_order_id"},
	"MARGIN_BORROWED":          {"symbol", "asset", "amount"},
	"MARGIN_REPAID":            {"symbol", "asset", "principal", "interest"},
	"DISCREPANCY_DETECTED":     {"kind", "entity", "expected", "actual"},
}

// Payload is the typed payload within the one-of; nil when none is set.
func Payload(e *eventv1.Event) protoreflect.Message {
	m := e.GetPayload().ProtoReflect()
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if f == nil {
		return nil
	}
	return m.Get(f).Message()
}

// Summary is what matters of an event, as "name=value" in the order a person wants it.
func Summary(e *eventv1.Event) string {
	payload := Payload(e)
	if payload == nil {
		return ""
	}
	names, listed := summaryFields[e.GetEventType()]
	if !listed {
		fields := payload.Descriptor().Fields()
		for i := range fields.Len() {
			names = append(names, string(fields.Get(i).Name()))
		}
	}
	var parts []string
	for _, name := range names {
		if value := FieldText(payload, name); value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, " ")
}

// shortID is the end of an id, enough to tell events of one screen apart.
func shortID(id string) string {
	const shown = 8
	if len(id) <= shown {
		return id
	}
	return id[len(id)-shown:]
}

// shortStream is a stream key with its id's first group.
func shortStream(key string) string {
	kind, id, found := strings.Cut(key, ":")
	if !found {
		return key
	}
	head, _, _ := strings.Cut(id, "-")
	return kind + ":" + head
}
