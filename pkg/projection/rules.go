package projection

import (
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/event"
)

// RulesVersion names this set of rules. State that other rules have folded is not continued but folded anew; it goes up
// with every change of Fold that gives another state for the same log.
const RulesVersion = 2

// rule is what an event type does.
type rule struct {
	// check is for what we decide; nil for facts and records.
	check func(*reader) error
	fold  func(*change)
}

// rules declares every event type of the taxonomy.
var rules = map[event.Type]rule{
	"ORDER_SUBMITTED": decides((*reader).checkSubmitted, (*change).foldSubmitted),
	"ORDER_ACKED":     reports((*change).foldAcked),
	"FILL_RECEIVED":   reports((*change).foldFill),
	"ORDER_REJECTED":  reports((*change).foldRejected),
	"ORDER_CANCELED":  reports((*change).foldCanceled),
	"ORDER_EXPIRED":   reports((*change).foldExpired),

	"POSITION_OPENED":       decides((*reader).checkOpened, (*change).foldOpened),
	"POSITION_CLOSED":       decides((*reader).checkClosed, (*change).foldClosed),
	"POSITION_ARMED":        decides((*reader).checkArmed, (*change).foldArmed),
	"POSITION_DISARMED":     decides((*reader).checkDisarmed, (*change).foldDisarmed),
	"TRAILING_STOP_UPDATED": decides((*reader).checkStopUpdated, (*change).foldStopUpdated),
	"EXIT_TRIGGERED":        decides((*reader).checkExitTriggered, (*change).foldExitTriggered),

	"DECISION_PROPOSED": decides((*reader).checkProposed, (*change).foldProposed),
	"INTENT_CREATED":    decides((*reader).checkIntent, (*change).foldIntent),

	"RISK_CHECK_PASSED":   decides((*reader).checkRiskPassed, (*change).foldRiskPassed),
	"RISK_CHECK_FAILED":   decides((*reader).checkRiskFailed, (*change).foldRiskFailed),
	"RISK_LIMIT_EXCEEDED": decides((*reader).checkLimitExceeded, (*change).foldLimitExceeded),

	"BALANCE_SAMPLED":  reports((*change).foldSampled),
	"BALANCE_ADJUSTED": reports((*change).foldAdjusted),

	"STRATEGY_REGISTERED": decides((*reader).checkStrategyRegistered, (*change).foldStrategyRegistered),
	"STRATEGY_ENABLED":    decides((*reader).checkStrategyEnabled, (*change).foldStrategyEnabled),
	"STRATEGY_DISABLED":   decides((*reader).checkStrategyDisabled, (*change).foldStrategyDisabled),
	"STRATEGY_UPDATED":    decides((*reader).checkStrategyUpdated, (*change).foldStrategyUpdated),

	"SIGNAL_DETECTED":         decides((*reader).checkSignalDetected, (*change).foldSignalDetected),
	"TECHNICAL_STOP_ANALYZED": decides((*reader).checkTechnicalStop, (*change).foldTechnicalStop),
	"SIGNAL_ACCEPTED":         decides((*reader).checkSignalAccepted, (*change).foldSignalAccepted),
	"SIGNAL_REJECTED":         decides((*reader).checkSignalRejected, (*change).foldSignalRejected),
	"SIGNAL_EXPIRED":          decides((*reader).checkSignalExpired, (*change).foldSignalExpired),

	"EXCHANGE_CONNECTED":       reports((*change).foldConnected),
	"EXCHANGE_DISCONNECTED":    reports((*change).foldDisconnected),
	"EXCHANGE_REQUEST_FAILED":  reports((*change).foldRequestFailed),
	"EXCHANGE_STATE_UNCERTAIN": reports((*change).foldUncertain),
	"EXCHANGE_RATE_LIMITED":    reports((*change).foldRateLimited),

	"MARGIN_TRANSFERRED":   reports((*change).foldTransferred),
	"MARGIN_BORROWED":      reports((*change).foldBorrowed),
	"MARGIN_REPAID":        reports((*change).foldRepaid),
	"MARGIN_LEVEL_SAMPLED": reports((*change).foldMarginLevel),

	"RECONCILIATION_COMPLETED": reports((*change).foldReconciled),
	"DISCREPANCY_DETECTED":     reports((*change).foldDiscrepancy),
	"SNAPSHOT_CREATED":         reports((*change).foldSnapshot),
	"PROJECTION_REBUILT":       reports((*change).foldRebuilt),

	"TENANT_CREATED":      decides((*reader).checkTenantCreated, (*change).foldTenantCreated),
	"ACCOUNT_REGISTERED":  decides((*reader).checkAccountRegistered, (*change).foldAccountRegistered),
	"CREDENTIALS_ROTATED": decides((*reader).checkCredentialsRotated, (*change).foldCredentialsRotated),
}

// Folds tells whether there is a rule for an event type. Every type of the taxonomy has one, and each changes a table.
func Folds(t event.Type) bool { return rules[t].fold != nil }

// reports makes the rule of a fact or a record.
func reports[P proto.Message](fold func(*change, P)) rule {
	return rule{fold: func(c *change) {
		if p, ok := payloadOf[P](&c.reader); ok {
			fold(c, p)
		}
	}}
}

// decides makes the rule of a decision.
func decides[P proto.Message](check func(*reader, P) error, fold func(*change, P)) rule {
	r := reports(fold)
	r.check = func(r *reader) error {
		if p, ok := payloadOf[P](r); ok {
			return check(r, p)
		}
		return nil
	}
	return r
}

func payloadOf[P proto.Message](r *reader) (P, bool) {
	p, ok := r.ev.Payload.(P)
	if !ok {
		r.fail("the payload of %s is a %T", r.ev.Type, r.ev.Payload)
	}
	return p, ok
}

func (r *reader) check() error {
	rule, declared := rules[r.ev.Type]
	if !declared || r.ev.Payload == nil {
		return invalid("payload", "%q is not an event type, or comes without a payload", r.ev.Type)
	}
	if err := r.checkPlace(); err != nil {
		return err
	}
	if rule.check == nil {
		return nil
	}
	return rule.check(r)
}

func (c *change) fold() {
	rule, declared := rules[c.ev.Type]
	if !declared {
		c.fail("%s is not an event type", c.ev.Type)
		return
	}
	rule.fold(c)
}

// checkPlace refuses an event in a stream of a kind that does not hold it, or of another thing than it names.
func (r *reader) checkPlace() error {
	descriptor, known := event.Lookup(r.ev.Type)
	stream, err := event.ParseStreamKey(r.ev.StreamKey)
	if err != nil {
		return err
	}
	if !known || !descriptor.Holds(stream.Kind) {
		return invalid("stream_key", "must not be that of a %s for %s", stream.Kind, r.ev.Type)
	}
	message := r.ev.Payload.ProtoReflect()
	own := string(stream.Kind) + "_id"
	if field := message.Descriptor().Fields().ByName(protoreflect.Name(own)); field != nil {
		if named := strings.ToLower(message.Get(field).String()); named != stream.ID.String() {
			return invalid(own, "must be the stream's %s and is %q", stream.ID, named)
		}
	}
	if stream.Kind == event.KindTenant && stream.ID != r.ev.TenantID {
		return invalid("stream_key", "must be the tenant's own, tenant:%s", r.ev.TenantID)
	}
	return nil
}

// onStream refuses an event that is not in a given stream.
func (r *reader) onStream(kind event.Kind, id uuid.UUID) error {
	if key := (event.StreamKey{Kind: kind, ID: id}).String(); r.ev.StreamKey != key {
		return invalid("stream_key", "must be %s and is %s", key, r.ev.StreamKey)
	}
	return nil
}

// first refuses an event that must begin its stream and does not.
func (r *reader) first() error {
	if r.ev.Seq != 1 {
		return refused("STREAM_EXISTS", "%s must be the first event of %s, not number %d", r.ev.Type, r.ev.StreamKey, r.ev.Seq)
	}
	return nil
}
