package projection

import (
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// foldDiscrepancy records that something does not fit. A stale position can no longer be trusted: it goes to error,
// where it may still be stopped, left and closed. Told again, it changes nothing.
func (c *change) foldDiscrepancy(p *eventv1.DiscrepancyDetected) {
	row := &Discrepancy{
		TenantID: c.ev.TenantID, DiscrepancyID: c.id("discrepancy_id", p.GetDiscrepancyId()), AccountID: c.id("account_id", p.GetAccountId()),
		RunID: c.maybeID("run_id", p.GetRunId()), Kind: enumText(discrepancyKinds, p.GetKind()), Entity: p.GetEntity(),
		OrderID: c.maybeID("order_id", p.GetOrderId()), PositionID: c.maybeID("position_id", p.GetPositionId()),
		Expected: configOf(p.GetExpected()), Actual: configOf(p.GetActual()), Severity: enumText(severities, p.GetSeverity()),
		Resolution: enumText(resolutions, p.GetResolution()), DetectedAt: c.occurred(),
	}
	row.IsOpen = p.GetResolution() != eventv1.Resolution_RESOLUTION_AUTO_REPAIRED
	if row.RunID.Valid {
		c.want(ReconciliationKey(row.RunID.UUID))
	}
	if get[Discrepancy](&c.reader, row.Key()) != nil {
		return
	}
	c.countRaised(row)
	c.put(row)
	if p.GetKind() != eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION || !row.PositionID.Valid {
		return
	}
	position := c.position(row.PositionID.UUID)
	if position == nil || position.State == PositionClosed || position.State == PositionError {
		return
	}
	changed := clone(position)
	changed.State = PositionError
	c.putPosition(position, changed)
}
