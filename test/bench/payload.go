package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// assets are what is sampled: each account's rows of balances_current.
var assets = []string{"USDT", "BTC", "ETH", "BNB"}

// anyStream expects nothing of a stream, noStream that it is empty.
var (
	anyStream = &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}}
	noStream  = &eventlogv1.Expected{Kind: &eventlogv1.Expected_NoStream{NoStream: true}}
)

// sampled is the simple event: a balance as the venue tells it, folded into one row.
func sampled(r *rand.Rand, accountID string) *eventlogv1.AppendRequest {
	asset := assets[r.IntN(len(assets))]
	return sampleOf(accountID, asset, amount(r), uuid.NewString())
}

// amount is what an account holds of an asset.
func amount(r *rand.Rand) string { return fmt.Sprintf("%d.%07d1", r.IntN(100_000), r.IntN(10_000_000)) }

// samplePayload is a sample as JSON, as large as the payload that the service stores for one.
func samplePayload(account, sample uuid.UUID, asset, free string) string {
	at := now().UTC().Format("2006-01-02T15:04:05.000000Z")
	return fmt.Sprintf(`{"account_id":"%s","asset":"%s","exchange_update_time":"%s","free":"%s","locked":"0","sample_id":"%s","sampled_at":"%s","source":"rest_account","total":"%s","wallet":"spot"}`,
		account, asset, at, free, sample, at, free)
}

// sampleOf is a sample of one asset, with nothing locked.
func sampleOf(accountID, asset, free, trace string) *eventlogv1.AppendRequest {
	sampleID, at := uuid.NewString(), timestamppb.New(now())
	payload := &eventv1.Payload{Kind: &eventv1.Payload_BalanceSampled{BalanceSampled: &eventv1.BalanceSampled{
		SampleId: sampleID, AccountId: accountID, Wallet: "spot", Asset: asset, Free: free, Locked: "0", Total: free,
		SampledAt: at, Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT, ExchangeUpdateTime: at,
	}}}
	return &eventlogv1.AppendRequest{
		CommandId:     factCommand("BALANCE_SAMPLED", accountID, "sample", sampleID, "wallet", "spot", "asset", asset).String(),
		RequestDigest: factDigest("BALANCE_SAMPLED", value{"free", free}, value{"locked", "0"}),
		TraceId:       trace,
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: "account:" + accountID, Expected: anyStream,
			Events: []*eventlogv1.NewEvent{{Payload: payload, OccurredAt: at}},
		}},
	}
}

// sampledBatch is many independent simple events.
func sampledBatch(r *rand.Rand, accountID func() string, size int) []*eventlogv1.AppendRequest {
	appends := make([]*eventlogv1.AppendRequest, size)
	for i := range appends {
		appends[i] = sampled(r, accountID())
	}
	return appends
}

// signals is one append of many events: what a detector saw, each folded into a row of its own and into the strategy's.
// Facts would not do: a fact is appended alone.
func signals(strategyID string, size int) *eventlogv1.AppendRequest {
	at := timestamppb.New(now())
	stream := &eventlogv1.StreamAppend{StreamKey: "strategy:" + strategyID, Expected: anyStream}
	for range size {
		stream.Events = append(stream.Events, &eventlogv1.NewEvent{OccurredAt: at, Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_SignalDetected{SignalDetected: &eventv1.SignalDetected{
				SignalId: uuid.NewString(), StrategyId: strategyID, Symbol: lifeSymbol, Side: eventv1.PositionSide_POSITION_SIDE_LONG,
				EntryPrice: "95000", StopLoss: "93500", Detector: "bench", DetectedAt: at,
			}},
		}})
	}
	return decided(uuid.NewString(), stream)
}

// decided is an append of decisions: its command is its own and its digest that of nothing.
func decided(trace string, streams ...*eventlogv1.StreamAppend) *eventlogv1.AppendRequest {
	return &eventlogv1.AppendRequest{CommandId: uuid.NewString(), RequestDigest: make([]byte, 32), TraceId: trace, Streams: streams}
}
