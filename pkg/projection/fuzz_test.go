package projection_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// fuzzEventsMax bounds how many events one input makes.
const fuzzEventsMax = 40

// FuzzFold: whatever the contract lets through, in whatever order, a fact is folded; a decision is folded or refused by Check;
// and the state is what a replay makes.
func FuzzFold(f *testing.F) {
	for _, seed := range foldSeeds(f) {
		f.Add(seed)
	}
	validator, err := protovalidate.New()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := &eventlogv1.AppendRequest{}
		if proto.Unmarshal(wire, in) != nil {
			return
		}
		log := projectiontest.NewLog()
		require.NoError(t, log.Registered())
		require.NoError(t, log.Opening(projectiontest.Long("a")))
		before := len(log.Events)
		for _, stream := range in.GetStreams() {
			for _, e := range stream.GetEvents() {
				if payload := storedForm(validator, e.GetPayload()); payload != nil && len(log.Events)-before < fuzzEventsMax {
					follow(t, log, payload)
				}
			}
		}
		replayed, err := projectiontest.Replay(log.Events)
		require.NoError(t, err)
		require.Equal(t, replayed.Render(), log.State.Render())
	})
}

// follow lets an event follow the state.
func follow(t *testing.T, log *projectiontest.Log, payload proto.Message) {
	t.Helper()
	descriptor, err := event.OfMessage(payload)
	require.NoError(t, err)
	if err := projection.Check(log.State, log.Next(payload)); err != nil {
		kind := fault.KindOf(err)
		may := kind == fault.Invalid || kind == fault.Refused && descriptor.IsDecision()
		require.True(t, may, "%v: %v", kind, err)
		return
	}
	_, err = log.Append(payload)
	require.NoError(t, err, "%v", payload)
}

// storedForm is a payload as the log would hold it; nil for one that never gets there.
func storedForm(validator protovalidate.Validator, in *eventv1.Payload) proto.Message {
	if validator.Validate(in) != nil {
		return nil
	}
	descriptor, m, err := event.Of(in)
	if err != nil {
		return nil
	}
	data, err := event.Canonical(m)
	if err != nil {
		return nil
	}
	stored, err := event.Decode(descriptor.Type, descriptor.Version, data)
	if err != nil || !namesStream(descriptor, stored) {
		return nil
	}
	return stored
}

// namesStream says whether it shows in a payload which stream holds it.
func namesStream(descriptor *event.Descriptor, payload proto.Message) bool {
	switch payload.(type) {
	case *eventv1.TenantCreated, *eventv1.SnapshotCreated, *eventv1.ProjectionRebuilt, *eventv1.RiskCheckPassed, *eventv1.RiskCheckFailed:
		return true
	}
	m := payload.ProtoReflect()
	for _, kind := range descriptor.Streams {
		if f := m.Descriptor().Fields().ByTextName(string(kind) + "_id"); f != nil && m.Has(f) {
			return true
		}
	}
	return false
}

// foldSeeds are an order's life in one input, and every event type that was ever stored in another.
func foldSeeds(f *testing.F) [][]byte {
	f.Helper()
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	require.NoError(f, log.Registered())
	require.NoError(f, log.Opening(plan))
	intent := log.Intent(plan.EntryID())
	for _, payload := range []proto.Message{
		log.Claim(intent.IntentID, 1), log.Ack(intent, 1), log.Uncertain(intent, 1, "place"), log.Canceled(intent, 1, "0.01"), log.Expired(intent, 1, "0.5"),
		log.Sample("s", "USDT", "5"),
	} {
		if _, err := log.Append(payload); err != nil {
			f.Fatal(err)
		}
	}
	life, every := &eventlogv1.StreamAppend{}, &eventlogv1.StreamAppend{}
	for i := range log.Events {
		life.Events = append(life.Events, &eventlogv1.NewEvent{Payload: event.Wrap(log.Events[i].Payload)})
	}
	paths, err := filepath.Glob("../event/testdata/corpus/v*/*.json")
	require.NoError(f, err)
	for _, path := range paths {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		version, err := strconv.ParseInt(strings.TrimPrefix(filepath.Base(filepath.Dir(path)), "v"), 10, 32)
		require.NoError(f, err)
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		payload, err := event.Decode(event.Type(name), int32(version), data)
		require.NoError(f, err)
		every.Events = append(every.Events, &eventlogv1.NewEvent{Payload: event.Wrap(payload)})
	}
	var seeds [][]byte
	for _, stream := range []*eventlogv1.StreamAppend{life, every} {
		wire, err := proto.Marshal(&eventlogv1.AppendRequest{Streams: []*eventlogv1.StreamAppend{stream}})
		require.NoError(f, err)
		seeds = append(seeds, wire)
	}
	return seeds
}
