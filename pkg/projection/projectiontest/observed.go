package projectiontest

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Connected says that a connection of the spot account's user stream stands.
func (l *Log) Connected(connection string) *eventv1.ExchangeConnected {
	return &eventv1.ExchangeConnected{
		AccountId: Spot.String(), Environment: eventv1.Environment_ENVIRONMENT_SIM, Channel: eventv1.Channel_CHANNEL_USER_STREAM,
		ConnectionId: connection, ClockOffsetMs: -12, ReconnectCount: 1,
	}
}

// Disconnected says that it ended.
func (l *Log) Disconnected(connection string) *eventv1.ExchangeDisconnected {
	return &eventv1.ExchangeDisconnected{
		AccountId: Spot.String(), Channel: eventv1.Channel_CHANNEL_USER_STREAM, ConnectionId: connection, Reason: "24 h are over",
		Planned: true, LastEventTime: timestamppb.New(l.Now.Add(-time.Second)),
	}
}

// RequestFailed says that the venue refused a request of the spot account.
func (l *Log) RequestFailed() *eventv1.ExchangeRequestFailed {
	status, code := int32(400), int32(-1021)
	return &eventv1.ExchangeRequestFailed{
		AccountId: Spot.String(), RequestId: ID("request").String(), Operation: "query", HttpStatus: &status, ErrorCode: &code,
		Message: "Timestamp for this request is outside of the recvWindow.", Retryable: true, Attempt: 1,
	}
}

// RateLimited says that the venue wants no request of the spot account for a while.
func (l *Log) RateLimited(milliseconds int32) *eventv1.ExchangeRateLimited {
	return &eventv1.ExchangeRateLimited{AccountId: Spot.String(), HttpStatus: 429, RetryAfterMs: milliseconds}
}

// Transferred moves BTC into the margin account's pair.
func (l *Log) Transferred(tran, amount string) *eventv1.MarginTransferred {
	return &eventv1.MarginTransferred{
		AccountId: Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: amount, TranId: tran,
		Direction: eventv1.TransferDirection_TRANSFER_DIRECTION_SPOT_TO_ISOLATED,
	}
}

// MarginLevel is how the venue judges the margin account.
func (l *Log) MarginLevel(id, borrowed string) *eventv1.MarginLevelSampled {
	return &eventv1.MarginLevelSampled{
		SampleId: ID("margin sample " + id).String(), AccountId: Margin.String(), Symbol: "BTCUSDT", MarginLevel: "2.5", MarginRatio: "5",
		Status: eventv1.MarginStatus_MARGIN_STATUS_NORMAL, IndexPrice: "95000", LiquidatePrice: "130000", Borrowed: borrowed, Interest: "0.001",
		SampledAt: l.stamp(),
	}
}

// Reconciled ends a run over the spot account that found and resolved nothing.
func (l *Log) Reconciled(run string) *eventv1.ReconciliationCompleted {
	return &eventv1.ReconciliationCompleted{
		RunId: ID("run " + run).String(), AccountId: Spot.String(), Trigger: eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_HOURLY,
		WindowFrom: timestamppb.New(l.Now.Add(-time.Hour)), WindowTo: l.stamp(), OrdersChecked: 3, FillsChecked: 2, BalancesChecked: 1,
		Status: eventv1.ReconciliationStatus_RECONCILIATION_STATUS_CLEAN, DurationMs: 250,
	}
}

// RunFound is a discrepancy that a run raises.
func (l *Log) RunFound(run, entity string, resolution eventv1.Resolution) *eventv1.DiscrepancyDetected {
	return &eventv1.DiscrepancyDetected{
		DiscrepancyId: ID("run " + run + entity).String(), AccountId: Spot.String(), RunId: ID("run " + run).String(),
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, Entity: entity, Expected: map[string]string{"free": "1"},
		Actual: map[string]string{"free": "2"}, Severity: eventv1.Severity_SEVERITY_WARNING, Resolution: resolution,
	}
}

// SnapshotMade announces a snapshot of the spot account.
func (l *Log) SnapshotMade(id string, asOf int64) *eventv1.SnapshotCreated {
	streams, rules := int32(1), int32(projection.RulesVersion)
	return &eventv1.SnapshotCreated{
		SnapshotId: ID("snapshot " + id).String(), Scope: eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT, ScopeId: Spot.String(),
		AsOfPosition: asOf, SnapshotType: "count", Checksum: "0f1e", EventCount: 1, ChainHash: "a1b2", StreamCount: &streams, RulesVersion: &rules,
		AsOfSeqs: []*eventv1.StreamSeq{{StreamKey: "account:" + Spot.String(), Seq: 1}},
	}
}

// Rebuilt says that the tenant's projections were rebuilt and were right.
func (l *Log) Rebuilt(run string, to int64) *eventv1.ProjectionRebuilt {
	changed, rules := int64(0), int32(projection.RulesVersion)
	return &eventv1.ProjectionRebuilt{
		RunId: ID("rebuild " + run).String(), Scope: eventv1.RebuildScope_REBUILD_SCOPE_ALL, ToPosition: to, EventsApplied: to, Rows: 7,
		RowsChanged: &changed, ChecksumBefore: "0f1e", ChecksumAfter: "0f1e", Identical: true, RulesVersion: &rules,
	}
}

// Rotated puts another API key in the place of the spot account's.
func (l *Log) Rotated(fingerprint string) *eventv1.CredentialsRotated {
	payload := &eventv1.CredentialsRotated{AccountId: Spot.String(), NewFingerprint: fingerprint, KeyType: "ED25519", Reason: "quarterly"}
	if known := row[projection.Account](l, projection.AccountKey(Spot)); known != nil {
		payload.OldFingerprint = known.APIKeyFingerprint
	}
	return payload
}

// StopAnalyzed says where the chart puts a plan's stop.
func (l *Log) StopAnalyzed(p Plan) *eventv1.TechnicalStopAnalyzed {
	entry, stop := dec(p.Entry), dec(p.Stop)
	distance := entry.Sub(stop).Abs()
	return &eventv1.TechnicalStopAnalyzed{
		SignalId: p.SignalID().String(), PositionId: p.PositionID().String(), Method: "swing_low", LevelN: 1, Levels: []string{p.Stop},
		TechnicalStopPrice: p.Stop, Distance: distance.String(), DistancePct: distance.Shift(2).DivRound(entry, 4).String(), Confidence: "high",
	}
}
