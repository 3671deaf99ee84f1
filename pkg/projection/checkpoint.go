package projection

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The scopes of a snapshot and of a rebuild that are a part of a tenant.
var (
	scopeAccount  = enumText(snapshotScopes, eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT)
	scopeStrategy = enumText(snapshotScopes, eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY)
	scopePosition = enumText(snapshotScopes, eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION)
)

// foldSnapshot counts a snapshot of a scope, and shows the newest: that of the latest position, and of two of one position
// the later in the log.
func (c *change) foldSnapshot(p *eventv1.SnapshotCreated) {
	row := &Snapshot{
		TenantID: c.ev.TenantID, Scope: enumText(snapshotScopes, p.GetScope()), ScopeID: c.id("scope_id", p.GetScopeId()),
		SnapshotID: c.id("snapshot_id", p.GetSnapshotId()), AsOfPosition: p.GetAsOfPosition(), SnapshotType: p.GetSnapshotType(),
		Checksum: p.GetChecksum(), ChainHash: maybeText(p.GetChainHash()), RulesVersion: maybeNumber(p.RulesVersion != nil, p.GetRulesVersion()),
		EventCount: p.GetEventCount(), Snapshots: 1, MadeAt: c.occurred(),
	}
	if known := get[Snapshot](&c.reader, row.Key()); known != nil {
		count := known.Snapshots + 1
		if known.AsOfPosition > row.AsOfPosition {
			row = clone(known)
		}
		row.Meta, row.Snapshots = known.Meta, count
	}
	c.put(row)
	expected, actual := map[string]string{}, map[string]string{}
	between(expected, actual, "as_of_position", p.GetAsOfPosition(), 0, c.ev.Position-1)
	between(expected, actual, "event_count", p.GetEventCount(), 0, max(p.GetAsOfPosition(), 0))
	c.flagScope("snapshot:"+row.SnapshotID.String(), row.Scope, row.ScopeID, expected, actual)
}

// foldRebuilt records a rebuild, once.
func (c *change) foldRebuilt(p *eventv1.ProjectionRebuilt) {
	row := &ReplayRun{
		TenantID: c.ev.TenantID, RunID: c.id("run_id", p.GetRunId()), Scope: enumText(rebuildScopes, p.GetScope()),
		ScopeID: c.maybeID("scope_id", p.GetScopeId()), StreamKey: maybeText(p.GetStreamKey()),
		FromSnapshotID: c.maybeID("from_snapshot_id", p.GetFromSnapshotId()), FromPosition: p.GetFromPosition(), ToPosition: p.GetToPosition(),
		EventsApplied: p.GetEventsApplied(), Rows: p.GetRows(), RowsChanged: p.GetRowsChanged(),
		ChecksumBefore: p.GetChecksumBefore(), ChecksumAfter: p.GetChecksumAfter(), Identical: p.GetIdentical(),
		RulesVersion: maybeNumber(p.RulesVersion != nil, p.GetRulesVersion()), RebuiltAt: c.occurred(),
	}
	if get[ReplayRun](&c.reader, row.Key()) != nil {
		return
	}
	c.put(row)
	expected, actual := map[string]string{}, map[string]string{}
	between(expected, actual, "to_position", row.ToPosition, max(row.FromPosition, 0), c.ev.Position-1)
	between(expected, actual, "events_applied", row.EventsApplied, 0, max(row.ToPosition-max(row.FromPosition, 0), 0))
	if same := row.ChecksumBefore == row.ChecksumAfter && row.RowsChanged == 0; same != row.Identical {
		expected["identical"], actual["identical"] = strconv.FormatBool(same), strconv.FormatBool(row.Identical)
	}
	scope, id := row.Scope, row.ScopeID.UUID
	if stream, err := event.ParseStreamKey(p.GetStreamKey()); err == nil && scope == scopeStream {
		scope, id = string(stream.Kind), stream.ID
	}
	c.flagScope("rebuild:"+row.RunID.String(), scope, id, expected, actual)
}

// scopeStream is a rebuild of what one stream's events alone have made.
var scopeStream = enumText(rebuildScopes, eventv1.RebuildScope_REBUILD_SCOPE_STREAM)

// between notes a number that lies outside of what it can be.
func between(expected, actual map[string]string, name string, told, least, most int64) {
	if told < least || told > most {
		expected[name] = strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
		actual[name] = strconv.FormatInt(told, 10)
	}
}

// flagScope flags what one of our own services says of a scope and cannot be. A discrepancy is an account's: of a whole
// tenant, and of a scope that is not known, there is none to tell it to, and the record alone says it.
func (c *change) flagScope(entity, scope string, id uuid.UUID, expected, actual map[string]string) {
	if len(expected) == 0 {
		return
	}
	account, known := c.accountOf(scope, id)
	if !known {
		return
	}
	c.flag(Anomaly{
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, Severity: eventv1.Severity_SEVERITY_WARNING,
		AccountID: account, Entity: entity, Expected: expected, Actual: actual,
	})
}

// accountOf is the account that a scope belongs to.
func (r *reader) accountOf(scope string, id uuid.UUID) (account uuid.UUID, known bool) {
	switch scope {
	case scopeAccount:
		return id, r.account(id) != nil
	case scopeStrategy:
		if strategy := r.strategy(id); strategy != nil {
			return strategy.AccountID, true
		}
	case scopePosition:
		if position := r.position(id); position != nil {
			return position.AccountID, true
		}
	case string(event.KindOrder):
		if order := r.order(id); order != nil {
			return order.AccountID, true
		}
	}
	return uuid.Nil, false
}
