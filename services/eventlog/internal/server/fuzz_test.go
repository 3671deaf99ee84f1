package server

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// fuzzCallers may append.
var fuzzCallers = []identity.Identity{
	{Service: "connector"}, {Service: "command"}, {Service: "command", OnBehalfOf: "owner"}, {Service: "snapshotter"}, {Service: "replayer"},
}

// FuzzAppendRequest: whatever bytes come in as an append, whoever sends them, they become a request of the log's, or are told to
// be Invalid or Denied. Nothing panics, and nothing else is said.
func FuzzAppendRequest(f *testing.F) {
	for _, seed := range appendSeeds(f) {
		for caller := range fuzzCallers {
			f.Add(uint8(caller), seed)
		}
	}
	validator, err := protovalidate.New()
	require.NoError(f, err)
	limits, err := intake.Limits{}.WithDefaults()
	require.NoError(f, err)
	service := NewAppend(slog.New(slog.DiscardHandler), clock.NewFake(time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)), nil, limits, nil)
	tenant := uuid.MustParse("0f8fad5b-d9cb-469f-a165-70867728950e")
	f.Fuzz(func(t *testing.T, caller uint8, wire []byte) {
		in := &eventlogv1.AppendRequest{}
		if proto.Unmarshal(wire, in) != nil || validator.Validate(in) != nil {
			return // The interceptor answers these.
		}
		ctx := identity.WithTenant(identity.With(context.WithoutCancel(t.Context()), fuzzCallers[int(caller)%len(fuzzCallers)]), tenant)
		request, err := service.ownRequest(ctx, in)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid) || fault.Is(err, fault.Denied), "%v: %v", fault.KindOf(err), err)
			require.NotEmpty(t, fault.ReasonOf(err))
			return
		}
		events := 0
		for _, stream := range in.GetStreams() {
			events += len(stream.GetEvents())
		}
		require.Equal(t, events, request.EventCount())
		require.Len(t, request.StreamKeys(), len(in.GetStreams()))
		require.Equal(t, in.GetCommandId(), request.CommandIDs()[0].String())
	})
}

// appendSeeds are an append for every event type that was ever stored, each named as the contract has it.
func appendSeeds(f *testing.F) [][]byte {
	f.Helper()
	paths, err := filepath.Glob("../../../../pkg/event/testdata/corpus/v1/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	at, tenant := timestamppb.New(time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)), "0f8fad5b-d9cb-469f-a165-70867728950e"
	var seeds [][]byte
	for _, path := range paths {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		m, err := event.Decode(event.Type(name), 1, data)
		require.NoError(f, err)
		descriptor, err := event.OfMessage(m)
		require.NoError(f, err)
		command, digest := uuid.MustParse(tenant), make([]byte, 32)
		if identified, err := event.Identity(m); err == nil {
			values, err := event.Digest(m)
			require.NoError(f, err)
			command, digest = event.FactCommandID(identified), values[:]
		}
		for _, kind := range descriptor.Streams {
			id := tenant
			if field := m.ProtoReflect().Descriptor().Fields().ByTextName(string(kind) + "_id"); field != nil {
				id = m.ProtoReflect().Get(field).String()
			}
			wire, err := proto.Marshal(&eventlogv1.AppendRequest{
				CommandId: command.String(), RequestDigest: digest, TraceId: tenant,
				Streams: []*eventlogv1.StreamAppend{{
					StreamKey: string(kind) + ":" + id, Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
					Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(m), OccurredAt: at}},
				}},
			})
			require.NoError(f, err)
			seeds = append(seeds, wire)
		}
	}
	return seeds
}
