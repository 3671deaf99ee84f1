package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/test/internal/wire"
)

// tenant is whom clients append for.
type tenant struct {
	id     string
	ledger *ledger
	// accounts and strategies are those that the log has, in the order of their making.
	accounts   shelf[string]
	strategies shelf[*strategy]
}

// strategy is one that clients switch on and off; several may at once.
type strategy struct{ id, account string }

func newTenant() *tenant { return &tenant{id: uuid.NewString(), ledger: newLedger()} }

// assets are what is sampled.
var assets = []string{"USDT", "BTC", "ETH", "BNB"}

// What an append expects of a stream.
var (
	anyStream = &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}}
	noStream  = &eventlogv1.Expected{Kind: &eventlogv1.Expected_NoStream{NoStream: true}}
	exists    = &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}}
)

func exactly(seq int64) *eventlogv1.Expected {
	return &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exact{Exact: seq}}
}

// moment is a business time near now, in steps in which two of them may well be equal.
func moment(r *rand.Rand) *timestamppb.Timestamp {
	const step, steps = 100 * time.Millisecond, 50
	return timestamppb.New(now().Truncate(step).Add(-time.Duration(r.IntN(steps)) * step))
}

// sampled is a fact: a balance as the venue tells it. Rarely, what it tells cannot be, and the fold says so by an event that it
// raises.
func sampled(r *rand.Rand, account string) *eventlogv1.AppendRequest {
	sample := sampleOf(r, account)
	if r.IntN(20) == 0 {
		sample.Total = "0.5"
	}
	return factOf(account, anyStream, sample)
}

// sampledPlainly is a fact that raises nothing.
func sampledPlainly(r *rand.Rand, account string, expected *eventlogv1.Expected) *eventlogv1.AppendRequest {
	return factOf(account, expected, sampleOf(r, account))
}

func sampleOf(r *rand.Rand, account string) *eventv1.BalanceSampled {
	at, free := moment(r), fmt.Sprintf("%d.%07d1", r.IntN(100_000), r.IntN(10_000_000))
	return &eventv1.BalanceSampled{
		SampleId: uuid.NewString(), AccountId: account, Wallet: "spot", Asset: assets[r.IntN(len(assets))], Free: free, Locked: "0", Total: free,
		SampledAt: at, Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT, ExchangeUpdateTime: at,
	}
}

// factOf is the append of a sample.
func factOf(account string, expected *eventlogv1.Expected, sample *eventv1.BalanceSampled) *eventlogv1.AppendRequest {
	payload := &eventv1.Payload{Kind: &eventv1.Payload_BalanceSampled{BalanceSampled: sample}}
	digest, err := wire.FactDigest(payload)
	if err != nil {
		panic(err) // a sample has no fields that could not be written
	}
	command := wire.FactCommand("BALANCE_SAMPLED", account, "sample", sample.GetSampleId(), "wallet", sample.GetWallet(), "asset", sample.GetAsset())
	return &eventlogv1.AppendRequest{
		CommandId: command.String(), RequestDigest: digest, TraceId: uuid.NewString(),
		Streams: []*eventlogv1.StreamAppend{streamOf("account:"+account, expected, payload)},
	}
}

// decided is an append of decisions.
func decided(streams ...*eventlogv1.StreamAppend) *eventlogv1.AppendRequest {
	command := uuid.NewString()
	return &eventlogv1.AppendRequest{CommandId: command, RequestDigest: wire.Digest(command), TraceId: uuid.NewString(), Streams: streams}
}

func streamOf(key string, expected *eventlogv1.Expected, payloads ...*eventv1.Payload) *eventlogv1.StreamAppend {
	s := &eventlogv1.StreamAppend{StreamKey: key, Expected: expected}
	for _, payload := range payloads {
		s.Events = append(s.Events, &eventlogv1.NewEvent{Payload: payload, OccurredAt: timestamppb.New(now())})
	}
	return s
}

// created begins a tenant's log.
func created(tenant string) *eventlogv1.AppendRequest {
	return decided(streamOf("tenant:"+tenant, noStream, &eventv1.Payload{Kind: &eventv1.Payload_TenantCreated{
		TenantCreated: &eventv1.TenantCreated{TenantId: tenant, Name: "chaos"},
	}}))
}

// opened is an append over several streams: an account and its strategies, of which the last is enabled.
func opened(account string, strategies ...*strategy) *eventlogv1.AppendRequest {
	streams := []*eventlogv1.StreamAppend{streamOf("account:"+account, noStream, registered(account))}
	for i, s := range strategies {
		payloads := []*eventv1.Payload{s.registered()}
		if i == len(strategies)-1 {
			payloads = append(payloads, s.enabled())
		}
		streams = append(streams, streamOf(s.stream(), noStream, payloads...))
	}
	return decided(streams...)
}

func registered(account string) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_AccountRegistered{AccountRegistered: &eventv1.AccountRegistered{
		AccountId: account, Exchange: "binance", Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT,
		Label: "chaos", ApiKeyFingerprint: account, Permissions: []string{"trade"}, Version: 1, QuoteAsset: "USDT",
		RiskLimits: &eventv1.RiskLimits{
			RiskPercentMax: "1", MaxExposure: "1000000", DailyLossLimit: "1000000", MaxDrawdown: "1000000",
			MonthlyBudgetPercent: "100", CapitalBase: "1000000", MaxOpenPositions: 100,
		},
	}}}
}

func (s *strategy) stream() string { return "strategy:" + s.id }

func (s *strategy) registered() *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_StrategyRegistered{StrategyRegistered: &eventv1.StrategyRegistered{
		StrategyId: s.id, AccountId: s.account, StrategyName: "chaos", StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}, Version: 1,
	}}}
}

func (s *strategy) enabled() *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_StrategyEnabled{StrategyEnabled: &eventv1.StrategyEnabled{
		StrategyId: s.id, AccountId: s.account, StrategyName: "chaos", StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}, Version: 1,
	}}}
}

func (s *strategy) disabled() *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_StrategyDisabled{StrategyDisabled: &eventv1.StrategyDisabled{StrategyId: s.id, Reason: "chaos"}}}
}
