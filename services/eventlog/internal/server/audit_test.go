package server

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/audit"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// verify calls VerifyChain and gives its verdict.
func (b *testBundle) verify(ctx context.Context, token string, in *eventlogv1.VerifyChainRequest) (*eventlogv1.VerifyVerdict, error) {
	stream, err := eventlogv1.NewAuditServiceClient(b.dial(token)).VerifyChain(ctx, in)
	if err != nil {
		return nil, err
	}
	var verdict *eventlogv1.VerifyVerdict
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return verdict, nil
		}
		if err != nil {
			return nil, err
		}
		verdict = message.GetVerdict()
	}
}

func TestAudit_VerifyChain(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{})
	last := b.log.Records[len(b.log.Records)-1]
	head := &eventlogv1.KnownHead{Position: last.Position, EventId: last.EventID.String(), Hash: hex.EncodeToString(last.Hash[:])}
	streams := map[string]bool{}
	for _, r := range b.log.Records {
		streams[r.StreamKey] = true
	}
	want := &eventlogv1.VerifyVerdict{
		Whole: true, EventsVerified: last.Position, StreamsVerified: int64(len(streams)), ReceiptsVerified: int64(len(b.log.Receipts)),
		Head: head, HeadIngestedAt: timestamppb.New(last.IngestedAt),
	}
	got, err := b.verify(t.Context(), "auditor", &eventlogv1.VerifyChainRequest{KnownHeads: []*eventlogv1.KnownHead{head}})
	require.NoError(t, err)
	requireSame(t, want, got)

	middle := b.log.Records[len(b.log.Records)/2]
	got, err = b.verify(t.Context(), "auditor", &eventlogv1.VerifyChainRequest{After: &eventlogv1.KnownHead{Position: middle.Position, Hash: hex.EncodeToString(middle.Hash[:])}})
	require.NoError(t, err)
	require.True(t, got.GetWhole())
	require.Equal(t, last.Position-middle.Position, got.GetEventsVerified())

	wrong := proto.CloneOf(head)
	wrong.Position++
	got, err = b.verify(t.Context(), "auditor", &eventlogv1.VerifyChainRequest{KnownHeads: []*eventlogv1.KnownHead{wrong}})
	require.NoError(t, err)
	require.False(t, got.GetWhole())
	require.Equal(t, eventlogv1.Breach_BREACH_KNOWN_HEAD_MISMATCH, got.GetBreach())
	require.Equal(t, last.Position+1, got.GetFirstBadPosition())
	require.Contains(t, got.GetDescription(), "the end was removed")
	wrong.Position, wrong.EventId = last.Position, middle.EventID.String()
	got, err = b.verify(t.Context(), "auditor", &eventlogv1.VerifyChainRequest{KnownHeads: []*eventlogv1.KnownHead{wrong}})
	require.NoError(t, err)
	require.Equal(t, last.Position, got.GetFirstBadPosition())
}

func TestAudit_VerifyChain_is_for_auditors(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{})
	for token, kind := range map[string]fault.Kind{"reader": fault.Denied, "stranger": fault.Denied, "command": fault.Denied, "nobody": fault.Unauthenticated} {
		_, err := b.verify(metadata.AppendToOutgoingContext(t.Context(), identity.HeaderTenant, b.log.Tenant.String()), token, &eventlogv1.VerifyChainRequest{})
		require.True(t, fault.Is(err, kind), "%s: %v", token, err)
	}
	for path, in := range map[string]*eventlogv1.VerifyChainRequest{
		"to_position":             {ToPosition: -1},
		"after.position":          {After: &eventlogv1.KnownHead{Hash: strings.Repeat("0", 64)}},
		"after.hash":              {After: &eventlogv1.KnownHead{Position: 1, Hash: "0"}},
		"known_heads[0].event_id": {KnownHeads: []*eventlogv1.KnownHead{{Position: 1, Hash: strings.Repeat("0", 64), EventId: "x"}}},
	} {
		_, err := b.verify(t.Context(), "auditor", in)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.Equal(t, path, fault.As(err).Fields[0].Path)
	}
	_, err := b.verify(t.Context(), "auditor", &eventlogv1.VerifyChainRequest{ToPosition: 1 << 40})
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
}

// slowVerifier tells how far it is at once, and again after a while; it then waits for its end.
type slowVerifier struct {
	clock *clock.Fake
	until <-chan struct{}
}

func (v slowVerifier) Verify(ctx context.Context, _ uuid.UUID, p store.VerifyParams) (store.Verdict, error) {
	p.Progress(10, 1000)
	v.clock.Advance(2 * time.Second)
	p.Progress(500, 1000)
	v.clock.Advance(progressEvery / 2)
	p.Progress(900, 1000)
	select {
	case <-ctx.Done():
		return store.Verdict{}, ctx.Err()
	case <-v.until:
		return store.Verdict{Events: 1000, Breach: &audit.Breach{Kind: audit.Altered, Position: 7, What: "altered"}}, nil
	}
}

// recorder is the far side of a stream.
type recorder struct {
	eventlogv1.AuditService_VerifyChainServer
	ctx  context.Context
	sent []*eventlogv1.VerifyChainResponse
	fail error
}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Send(m *eventlogv1.VerifyChainResponse) error {
	r.sent = append(r.sent, m)
	return r.fail
}

func TestAudit_VerifyChain_tells_how_far_it_is(t *testing.T) {
	t.Parallel()
	ctx := identity.WithTenant(t.Context(), uuid.New())
	over := make(chan struct{})
	close(over)
	fake := clock.NewFake(time.Unix(1_790_000_000, 0))
	r := &recorder{ctx: ctx}
	require.NoError(t, NewAudit(fake, slowVerifier{fake, over}, nil).VerifyChain(&eventlogv1.VerifyChainRequest{}, r))
	require.Len(t, r.sent, 2)
	requireSame(t, &eventlogv1.VerifyProgress{EventsDone: 500, EventsTotal: 1000, EventsPerSecond: 250}, r.sent[0].GetProgress())
	requireSame(t, &eventlogv1.VerifyVerdict{Breach: eventlogv1.Breach_BREACH_EVENT_ALTERED, FirstBadPosition: 7, Description: "altered", EventsVerified: 1000}, r.sent[1].GetVerdict())

	err := NewAudit(fake, slowVerifier{fake, nil}, over).VerifyChain(&eventlogv1.VerifyChainRequest{}, &recorder{ctx: ctx})
	require.Equal(t, "STOPPING", fault.ReasonOf(err))
	require.True(t, fault.Is(err, fault.Unavailable))
	err = NewAudit(fake, slowVerifier{fake, nil}, nil).VerifyChain(&eventlogv1.VerifyChainRequest{}, &recorder{ctx: ctx, fail: io.ErrClosedPipe})
	require.Equal(t, "CONNECTION_LOST", fault.ReasonOf(err))
	gone, cancel := context.WithCancel(ctx)
	cancel()
	err = NewAudit(fake, slowVerifier{fake, nil}, nil).VerifyChain(&eventlogv1.VerifyChainRequest{}, &recorder{ctx: gone})
	require.ErrorIs(t, err, context.Canceled)
}

// TestBreaches_have_all_kinds: each kind has a name in the contract.
func TestBreaches_have_all_kinds(t *testing.T) {
	t.Parallel()
	for number := range eventlogv1.Breach_name {
		require.Equal(t, eventlogv1.Breach(number), breaches[audit.Kind(number)])
	}
}
