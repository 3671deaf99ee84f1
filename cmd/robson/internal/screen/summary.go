package screen

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// summaries say of each event type what matters to a person reading a timeline, in parts that name fields of the payload. A part
// whose fields have no value is left out.
var summaries = map[string][]string{
	"TENANT_CREATED":           {"{name}"},
	"ACCOUNT_REGISTERED":       {"{label}", "{environment} {product}", "version {version}"},
	"CREDENTIALS_ROTATED":      {"{old_fingerprint} to {new_fingerprint}", "{reason}"},
	"STRATEGY_REGISTERED":      {"{strategy_name}", "version {version}"},
	"STRATEGY_ENABLED":         {"{strategy_name}", "version {version}"},
	"STRATEGY_DISABLED":        {"{reason}"},
	"STRATEGY_UPDATED":         {"version {version}", "changed {changed_fields}"},
	"POSITION_ARMED":           {"{side} {symbol}", "capital {capital}", "risk {risk_percent} %", "stop {trailing_mode}"},
	"POSITION_DISARMED":        {"{reason}"},
	"SIGNAL_DETECTED":          {"{side} {symbol} at {entry_price}", "stop {stop_loss}", "seen by {detector}"},
	"SIGNAL_REJECTED":          {"{reason}"},
	"DECISION_PROPOSED":        {"{side} {quantity} at {entry_price}", "stop {technical_stop_price}", "risk {planned_risk}", "bound by {quantity_limit}"},
	"RISK_CHECK_PASSED":        {"exposure {exposure_before} to {exposure_after}", "budget left {budget_remaining}"},
	"RISK_CHECK_FAILED":        {"{violation_reason}"},
	"RISK_LIMIT_EXCEEDED":      {"{limit_name}: {action}", "{symbol}", "period {period}", "cleared by {cleared_by}", "{note}"},
	"INTENT_CREATED":           {"{intent_type}: {side} {quantity} {order_type}", "limit {price}", "stop {stop_price}", "cancels {cancels_order_id}", "because {reason}"},
	"ORDER_SUBMITTED":          {"{reduce_intent}: {side} {quantity} {order_type}", "limit {price}", "stop {stop_price}", "attempt {attempt}"},
	"ORDER_ACKED":              {"venue order {exchange_order_id} is {exchange_status}", "by {source}"},
	"FILL_RECEIVED":            {"{side} {fill_quantity} at {fill_price}", "fee {fee} {fee_asset}", "trade {exchange_trade_id}", "by {source}"},
	"ORDER_REJECTED":           {"{stage}: {reason}", "code {error_code}"},
	"ORDER_CANCELED":           {"by {canceled_by}", "filled {cum_filled_quantity}"},
	"ORDER_EXPIRED":            {"{exchange_status}", "{expiry_reason}", "filled {cum_filled_quantity}"},
	"POSITION_OPENED":          {"{side} {entry_quantity} at {entry_price}", "stop {technical_stop_price}"},
	"TRAILING_STOP_UPDATED":    {"stop {previous_stop} to {new_stop}", "best price {favorable_extreme}"},
	"EXIT_TRIGGERED":           {"{reason}", "price {trigger_price}", "stop {stop_price}", "quantity {quantity}"},
	"POSITION_CLOSED":          {"{exit_reason}", "gross {realized_pnl} - fees {total_fees} = net {net_pnl}"},
	"BALANCE_SAMPLED":          {"{wallet} {asset}", "free {free}", "locked {locked}", "borrowed {borrowed}"},
	"BALANCE_ADJUSTED":         {"{wallet} {asset} by {delta}", "{kind}"},
	"EXCHANGE_STATE_UNCERTAIN": {"{operation}", "{cause}", "order {client_order_id}"},
	"MARGIN_BORROWED":          {"{amount} {asset}", "{symbol}", "{via}"},
	"MARGIN_REPAID":            {"{amount} {asset}", "{symbol}", "interest {interest}"},
	"DISCREPANCY_DETECTED":     {"{kind}", "{entity}", "expected {expected}", "found {actual}"},
}

// field is a field's name in a part of a summary.
var field = regexp.MustCompile(`\{[a-z_]+\}`)

// Payload is the typed payload within the one-of; nil when none is set.
func Payload(e *eventv1.Event) protoreflect.Message {
	m := e.GetPayload().ProtoReflect()
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if f == nil {
		return nil
	}
	return m.Get(f).Message()
}

// Summary is what matters of an event; of a type that has no summary all fields, as "name=value".
func Summary(e *eventv1.Event) string {
	payload := Payload(e)
	if payload == nil {
		return ""
	}
	parts, known := summaries[e.GetEventType()]
	if !known {
		return strings.Trim(messageText(payload), "{}")
	}
	var out []string
	for _, part := range parts {
		if text, complete := fill(payload, part); complete {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// fill puts values into a part of a summary; complete is false where one of its fields has none.
func fill(payload protoreflect.Message, part string) (text string, complete bool) {
	complete = true
	text = field.ReplaceAllStringFunc(part, func(name string) string {
		name = strings.Trim(name, "{}")
		value := FieldText(payload, name)
		switch f := payload.Descriptor().Fields().ByName(protoreflect.Name(name)); {
		case strings.HasSuffix(name, "_id"):
			value, _, _ = strings.Cut(value, "-")
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			value = Round(value)
		}
		complete = complete && value != ""
		return value
	})
	return text, complete
}

// shortID is the end of an id, enough to tell events of one screen apart.
func shortID(id string) string {
	const shown = 8
	if len(id) <= shown {
		return id
	}
	return id[len(id)-shown:]
}

// ShortStream is a stream key with its id's first group.
func ShortStream(key string) string {
	kind, id, found := strings.Cut(key, ":")
	if !found {
		return key
	}
	head, _, _ := strings.Cut(id, "-")
	return kind + ":" + head
}
