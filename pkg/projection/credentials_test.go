package projection_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestCredentials_the_old_key_gives_way(t *testing.T) {
	t.Parallel()
	log := registered(t)
	first := "key-" + projectiontest.Spot.String()
	key := func(fingerprint string) *projection.APIKey {
		return get[projection.APIKey](t, log, projection.APIKeyKey(fingerprint))
	}
	add(t, log, log.Rotated("key-2"))
	account := get[projection.Account](t, log, projection.AccountKey(projectiontest.Spot))
	require.Equal(t, "key-2", account.APIKeyFingerprint)
	require.Equal(t, "ED25519", *account.KeyType)
	require.EqualValues(t, 1, account.KeyRotations)
	require.EqualValues(t, 1, account.Version) // Its limits are what they were.
	require.NotNil(t, key(first).RetiredAt)
	require.Nil(t, key("key-2").RetiredAt)

	margin := log.AccountRegistered(projectiontest.Margin, eventv1.Product_PRODUCT_ISOLATED_MARGIN)
	margin.ApiKeyFingerprint = "key-2"
	refuse(t, log, "API_KEY_TAKEN", margin)
	margin.ApiKeyFingerprint = first // It gave way, and stays the other account's all the same.
	refuse(t, log, "API_KEY_TAKEN", margin)
	margin.ApiKeyFingerprint = "key-m"
	add(t, log, margin) // Registered again with another key.
	require.NotNil(t, key("key-"+projectiontest.Margin.String()).RetiredAt)
	refuse(t, log, "API_KEY_TAKEN", log.Rotated("key-m"))

	add(t, log, log.Rotated("key-3"))
	add(t, log, log.Rotated("key-2")) // And back.
	require.Equal(t, projectiontest.Spot, key("key-2").AccountID)
	require.Nil(t, key("key-2").RetiredAt)
}

func TestCheck_CredentialsRotated(t *testing.T) {
	t.Parallel()
	rotated := func(change func(p *eventv1.CredentialsRotated)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Rotated("key-2"), change) }
	}
	armoured := "-----BEGIN PRIVATE KEY-----"
	wrong := func(field string, change func(p *eventv1.CredentialsRotated)) refusal {
		return refusal{name: field, at: "registered", field: field, payload: rotated(change)}
	}
	requireRefusals(t, []refusal{
		{name: "of nobody", at: "registered", reason: "ACCOUNT_UNKNOWN", payload: rotated(func(p *eventv1.CredentialsRotated) { p.AccountId = uuid.NewString() })},
		{name: "another key than it has", at: "registered", reason: "API_KEY_REPLACED", payload: rotated(func(p *eventv1.CredentialsRotated) { p.OldFingerprint = "key-0" })},
		{name: "another account's key", at: "registered", reason: "API_KEY_TAKEN", payload: rotated(func(p *eventv1.CredentialsRotated) {
			p.NewFingerprint = "key-" + projectiontest.Margin.String()
		})},
		wrong("new_fingerprint", func(p *eventv1.CredentialsRotated) { p.NewFingerprint = p.GetOldFingerprint() }),
		wrong("new_fingerprint", func(p *eventv1.CredentialsRotated) { p.NewFingerprint = armoured }),
		wrong("reason", func(p *eventv1.CredentialsRotated) { p.Reason = "now " + armoured }),
		wrong("key_type", func(p *eventv1.CredentialsRotated) { p.KeyType = "hmac" }),
	})
}

func TestCheck_TechnicalStopAnalyzed(t *testing.T) {
	t.Parallel()
	analyzed := func(change func(p *eventv1.TechnicalStopAnalyzed)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.StopAnalyzed(s.plan), change) }
	}
	same := analyzed(func(*eventv1.TechnicalStopAnalyzed) {})
	wrong := func(field string, change func(p *eventv1.TechnicalStopAnalyzed)) refusal {
		return refusal{name: field, at: "signaled", field: field, payload: analyzed(change)}
	}
	requireRefusals(t, []refusal{
		{name: "of no signal", at: "armed", reason: "SIGNAL_UNKNOWN", payload: same},
		{name: "of no position", at: "registered", reason: "POSITION_UNKNOWN", payload: same},
		{name: "when it was decided", at: "proposed", reason: "SIGNAL_DECIDED", payload: same},
		{name: "of a position that is entering", at: "intended", reason: "POSITION_STATE", payload: same},
		wrong("technical_stop_price", func(p *eventv1.TechnicalStopAnalyzed) { p.TechnicalStopPrice = "95000" }),
		wrong("distance", func(p *eventv1.TechnicalStopAnalyzed) { p.Distance = "1500.01" }),
		wrong("distance_pct", func(p *eventv1.TechnicalStopAnalyzed) { p.DistancePct = "1.573" }),
		wrong("level_n", func(p *eventv1.TechnicalStopAnalyzed) { p.LevelN = 2 }),
		wrong("level_n", func(p *eventv1.TechnicalStopAnalyzed) { p.LevelN = -1 }),
	})
}

func TestTechnicalStop_reaches_signal_and_position(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "signaled")
	stop := s.StopAnalyzed(s.plan)
	stop.Levels, stop.LevelN, stop.DistancePct = []string{"94000.50", "93500"}, 2, "1.58"
	add(t, s.Log, stop)
	signal := s.Signal(s.plan.SignalID())
	require.Equal(t, []string{"94000.5", "93500"}, signal.StopLevels)
	require.EqualValues(t, 2, *signal.StopLevelN)
	equalNull(t, "93500", signal.TechnicalStopPrice)
	equalNull(t, "1500", signal.StopDistance)
	equalNull(t, "93500", s.Position(s.plan.PositionID()).TechnicalStopPrice)
	equalNull(t, "1500", s.Position(s.plan.PositionID()).TechnicalStopDistance)
	refuse(t, s.Log, "STOP_ANALYZED", stop)

	other := s.plan
	other.Stop = "93000"
	refuseField(t, s.Log, "technical_stop_price", s.Proposed(other)) // A decision keeps to the analysis.
	add(t, s.Log, s.Proposed(s.plan), s.Passed(s.plan))
}

// The first stop stays the armed position's, whatever becomes of its signal; the decision to enter has the last word.
func TestTechnicalStop_the_first_one_stays_until_the_entry(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "signaled")
	add(t, s.Log, s.StopAnalyzed(s.plan))
	add(t, s.Log, &eventv1.SignalExpired{SignalId: s.plan.SignalID().String(), PositionId: s.plan.PositionID().String(), ExpiredAt: timestamppb.New(s.Now)})
	second := s.Detected(s.plan)
	second.SignalId = uuid.NewString()
	stop := s.StopAnalyzed(s.plan)
	stop.SignalId, stop.TechnicalStopPrice, stop.Distance, stop.DistancePct = second.GetSignalId(), "94000", "1000", "1.05"
	add(t, s.Log, second, stop)
	equalNull(t, "93500", s.Position(s.plan.PositionID()).TechnicalStopPrice)
	next := s.plan
	next.Stop = "94000"
	decided := s.Proposed(next)
	decided.SignalId = second.GetSignalId()
	add(t, s.Log, decided, s.Passed(next))
	add(t, s.Log, s.Entry(next))
	equalNull(t, "94000", s.Position(s.plan.PositionID()).TechnicalStopPrice)
	equalNull(t, "1000", s.Position(s.plan.PositionID()).TechnicalStopDistance)
}

func TestAccount_a_deposit_asks_for_a_review_of_the_capital(t *testing.T) {
	t.Parallel()
	log := registered(t)
	adjusted := func(account uuid.UUID, kind eventv1.AdjustmentKind) *eventv1.BalanceAdjusted {
		return &eventv1.BalanceAdjusted{AccountId: account.String(), Wallet: "spot", Asset: "USDT", Delta: "5", Kind: kind, ClearedAt: timestamppb.New(log.Now)}
	}
	account := func() *projection.Account {
		return get[projection.Account](t, log, projection.AccountKey(projectiontest.Spot))
	}
	add(t, log, adjusted(projectiontest.Spot, eventv1.AdjustmentKind_ADJUSTMENT_KIND_EXTERNAL_LOCK))
	require.Nil(t, account().CapitalReviewSince)
	at := log.Now
	add(t, log, adjusted(projectiontest.Spot, eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT))
	add(t, log, adjusted(projectiontest.Spot, eventv1.AdjustmentKind_ADJUSTMENT_KIND_WITHDRAWAL))
	add(t, log, adjusted(uuid.New(), eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT)) // Of an account that is not registered.
	require.Equal(t, at, account().CapitalReviewSince.UTC())                          // Since the first.
	add(t, log, log.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT))
	require.Nil(t, account().CapitalReviewSince)
}
