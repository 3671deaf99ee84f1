package projection

import (
	"slices"
	"strconv"

	"github.com/google/uuid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// run is a copy of a reconciliation run's row to change; a new one where the run was not heard of before.
func (c *change) run(id, account uuid.UUID) *ReconciliationRun {
	if known := get[ReconciliationRun](&c.reader, ReconciliationKey(id)); known != nil {
		return clone(known)
	}
	return &ReconciliationRun{TenantID: c.ev.TenantID, RunID: id, AccountID: account, ResolvedIDs: []uuid.UUID{}}
}

// countRaised counts a discrepancy for the run that raised it. One that comes after the run has ended, and that the run has
// resolved, is closed.
func (c *change) countRaised(d *Discrepancy) {
	if !d.RunID.Valid {
		return
	}
	run := c.run(d.RunID.UUID, d.AccountID)
	run.Raised++
	if !d.IsOpen {
		run.RaisedRepaired++
	}
	if d.IsOpen && slices.Contains(run.ResolvedIDs, d.DiscrepancyID) {
		d.IsOpen, d.ClosedAt, d.ClosedByRunID = false, run.CompletedAt, some(run.RunID)
	}
	c.put(run)
}

// foldReconciled records what a run says of itself, once, and closes the discrepancies that it has resolved. What it says
// is held against the discrepancies in the log that name it; other events of its workflow are not counted.
func (c *change) foldReconciled(p *eventv1.ReconciliationCompleted) {
	account := c.id("account_id", p.GetAccountId())
	run := c.run(c.id("run_id", p.GetRunId()), account)
	if run.Completed {
		c.flagRun(run, map[string]string{"completed": "once"}, map[string]string{"completed": "again, as " + enumText(runStatuses, p.GetStatus())})
		return
	}
	expected, actual := map[string]string{}, map[string]string{}
	if run.AccountID != account {
		expected["account_id"], actual["account_id"] = run.AccountID.String(), account.String()
	}
	at := c.occurred()
	run.AccountID, run.Completed, run.CompletedAt = account, true, &at
	run.take(p)
	own := c.resolve(run, p.GetResolvedIds(), expected, actual)
	run.hold(own, expected, actual)
	c.put(run)
	c.flagRun(run, expected, actual)
}

// take takes over what a run tells of itself.
func (r *ReconciliationRun) take(p *eventv1.ReconciliationCompleted) {
	r.Trigger, r.Status = enumText(runTriggers, p.GetTrigger()), enumText(runStatuses, p.GetStatus())
	r.WindowFrom, r.WindowTo = maybeMoment(p.GetWindowFrom()), maybeMoment(p.GetWindowTo())
	r.OrdersChecked, r.FillsChecked, r.BalancesChecked = p.GetOrdersChecked(), p.GetFillsChecked(), p.GetBalancesChecked()
	r.MissingFills, r.MissingAcks = p.GetMissingFills(), p.GetMissingAcks()
	r.UnknownOrders, r.BalanceMismatches = p.GetUnknownOrders(), p.GetBalanceMismatches()
	r.Resolved, r.Unresolved, r.DurationMS = p.GetResolved(), p.GetUnresolved(), p.GetDurationMs()
}

// resolve closes the discrepancies that a run has resolved, and tells how many of them it had raised itself. Those that the
// account does not have are noted.
func (c *change) resolve(run *ReconciliationRun, ids []string, expected, actual map[string]string) (own int32) {
	unknown := ""
	for _, text := range ids {
		id := c.id("resolved_ids", text)
		if slices.Contains(run.ResolvedIDs, id) {
			continue
		}
		run.ResolvedIDs = appended(run.ResolvedIDs, id)
		found := c.closeDiscrepancy(id, run)
		switch {
		case found == nil && unknown == "":
			unknown = id.String()
		case found != nil && found.RunID == some(run.RunID) && found.Resolution != resolutionRepaired:
			own++
		}
	}
	if unknown != "" {
		expected["resolved_ids"], actual["resolved_ids"] = "discrepancies of the account", unknown+" is none"
	}
	return own
}

// resolutionRepaired is a discrepancy that was never open.
var resolutionRepaired = enumText(resolutions, eventv1.Resolution_RESOLUTION_AUTO_REPAIRED)

// closeDiscrepancy closes a discrepancy of the run's account, unless it is closed already, and gives it as it was; nil for one
// that the account does not have.
func (c *change) closeDiscrepancy(id uuid.UUID, run *ReconciliationRun) *Discrepancy {
	known := get[Discrepancy](&c.reader, DiscrepancyKey(id))
	if known == nil || known.AccountID != run.AccountID {
		return nil
	}
	if known.IsOpen {
		closed, at := clone(known), c.occurred()
		closed.IsOpen, closed.ClosedAt, closed.ClosedByRunID = false, &at, some(run.RunID)
		c.put(closed)
	}
	return known
}

// hold notes where the run contradicts itself or the discrepancies that name it, own of which it has resolved itself.
func (r *ReconciliationRun) hold(own int32, expected, actual map[string]string) {
	atLeast := func(name string, told int32, least int64) {
		if int64(told) < least {
			expected[name], actual[name] = "at least "+strconv.FormatInt(least, 10), strconv.FormatInt(int64(told), 10)
		}
	}
	for _, count := range []struct {
		name string
		told int32
	}{
		{"orders_checked", r.OrdersChecked},
		{"fills_checked", r.FillsChecked},
		{"balances_checked", r.BalancesChecked},
		{"missing_fills", r.MissingFills},
		{"missing_acks", r.MissingAcks},
		{"unknown_orders", r.UnknownOrders},
		{"balance_mismatches", r.BalanceMismatches},
		{"duration_ms", r.DurationMS},
	} {
		atLeast(count.name, count.told, 0)
	}
	atLeast("resolved", r.Resolved, int64(len(r.ResolvedIDs)))
	atLeast("unresolved", r.Unresolved, max(int64(r.Raised)-int64(r.RaisedRepaired)-int64(own), 0))
	clean := r.Status == enumText(runStatuses, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_CLEAN)
	if found := max(int64(r.Raised), int64(r.Unresolved)); clean && found > 0 {
		expected["found"], actual["found"] = "0 by a clean run", strconv.FormatInt(found, 10)
	}
	if r.WindowFrom != nil && r.WindowTo != nil && r.WindowTo.Before(*r.WindowFrom) {
		expected["window_to"], actual["window_to"] = "not before "+r.WindowFrom.Format(timeLayout), r.WindowTo.Format(timeLayout)
	}
}

// flagRun flags what a run says of itself and cannot be.
func (c *change) flagRun(run *ReconciliationRun, expected, actual map[string]string) {
	if len(expected) == 0 {
		return
	}
	c.flag(Anomaly{
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, Severity: eventv1.Severity_SEVERITY_WARNING,
		AccountID: run.AccountID, Entity: "reconciliation:" + run.RunID.String(), Expected: expected, Actual: actual,
	})
}
