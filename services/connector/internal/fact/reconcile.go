package fact

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Difference is what does not fit between our book and the venue's.
type Difference struct {
	Kind     eventv1.DiscrepancyKind
	Entity   string
	Severity eventv1.Severity
	// Expected is ours, Actual the venue's.
	Expected, Actual map[string]string
	// Order and Position are Nil where it is about none.
	Order, Position uuid.UUID
}

// Key tells differences of one account apart: what is open with the same key is the same difference.
func (d Difference) Key() string { return DifferenceKey(d.Kind, d.Entity, d.Actual) }

// DifferenceKey is Difference.Key of what a discrepancy in the log says.
func DifferenceKey(kind eventv1.DiscrepancyKind, entity string, actual map[string]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d/%q", kind, entity)
	for _, name := range slices.Sorted(maps.Keys(actual)) {
		fmt.Fprintf(&text, "/%q=%q", name, actual[name])
	}
	return text.String()
}

// Detected says that a run has found a difference. One that is repaired is named by what it is about, so that a run that
// is broken off and done again tells it once; one that stays open is named by its run as well, so that it can be raised
// again after somebody has closed it.
func Detected(account, run uuid.UUID, d Difference, resolution eventv1.Resolution, at time.Time, origin Origin) Fact {
	digest := sha256.Sum256([]byte(d.Key()))
	identity := fmt.Sprintf("DISCREPANCY_DETECTED/%s/%x", account, digest)
	if resolution != eventv1.Resolution_RESOLUTION_AUTO_REPAIRED {
		identity += "/" + run.String()
	}
	payload := &eventv1.DiscrepancyDetected{
		DiscrepancyId: event.FactCommandID("discrepancy_id:" + identity).String(), AccountId: account.String(), RunId: run.String(),
		Kind: d.Kind, Entity: d.Entity, Expected: d.Expected, Actual: d.Actual, Severity: d.Severity, Resolution: resolution,
	}
	if d.Order != uuid.Nil {
		payload.OrderId = d.Order.String()
	}
	if d.Position != uuid.Nil {
		payload.PositionId = d.Position.String()
	}
	f := record(accountStream(account), payload, at, origin, identity)
	f.Workflow = run
	return f
}

// InRun gives what a run brings the run as its workflow, and what explains it as its cause; it keeps its trace.
func (f Fact) InRun(run uuid.UUID, cause string) Fact {
	f.Workflow = run
	if cause != "" {
		f.Origin.Cause = cause
	}
	switch payload := f.Payload.(type) {
	case *eventv1.DiscrepancyDetected:
		payload.RunId = run.String()
	default:
	}
	return f
}

// Reconciled says that a run has ended, once.
func Reconciled(account, run uuid.UUID, payload *eventv1.ReconciliationCompleted, at time.Time) Fact {
	ended, _ := proto.Clone(payload).(*eventv1.ReconciliationCompleted)
	ended.RunId, ended.AccountId = run.String(), account.String()
	f := record(accountStream(account), ended, at, Origin{}, "RECONCILIATION_COMPLETED/"+account.String()+"/"+run.String())
	f.Workflow = run
	return f
}
