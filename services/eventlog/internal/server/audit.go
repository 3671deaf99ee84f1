package server

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/audit"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// progressEvery is how often a verification tells how far it is.
const progressEvery = time.Second

// Verifier proves logs.
type Verifier interface {
	// Verify proves a tenant's log as it is now. A broken log is a verdict; errors say that there is none.
	Verify(ctx context.Context, tenant uuid.UUID, p store.VerifyParams) (store.Verdict, error)
}

// Audit implements eventlogv1.AuditServiceServer.
type Audit struct {
	eventlogv1.UnimplementedAuditServiceServer
	verifier Verifier
	clock    clock.Clock
	stopping <-chan struct{}
}

// NewAudit makes the server of proofs. Those under way end when stopping is closed.
func NewAudit(clk clock.Clock, verifier Verifier, stopping <-chan struct{}) *Audit {
	return &Audit{verifier: verifier, clock: clk, stopping: stopping}
}

// VerifyChain implements eventlogv1.AuditServiceServer.
func (a *Audit) VerifyChain(in *eventlogv1.VerifyChainRequest, stream grpc.ServerStreamingServer[eventlogv1.VerifyChainResponse]) error {
	params, err := verifyParams(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-a.stopping:
			cancel(fault.New(fault.Unavailable, "STOPPING", "this replica stops, and the verification with it").WithRetryAfter(stoppingRetryAfter))
		case <-ctx.Done():
		}
	}()
	p := &progress{clock: a.clock, last: a.clock.Now(), send: func(m *eventlogv1.VerifyProgress) {
		err := stream.Send(&eventlogv1.VerifyChainResponse{Message: &eventlogv1.VerifyChainResponse_Progress{Progress: m}})
		if err != nil {
			cancel(fault.Wrap(err, fault.Unavailable, "CONNECTION_LOST", "tell how far a verification is"))
		}
	}}
	params.Progress = p.tell
	verdict, err := a.verifier.Verify(ctx, identity.Tenant(stream.Context()), params)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause //nolint:wrapcheck // It is why the store gave up.
		}
		return err //nolint:wrapcheck // The store says what it was doing.
	}
	return stream.Send(&eventlogv1.VerifyChainResponse{Message: &eventlogv1.VerifyChainResponse_Verdict{Verdict: verdictMessage(&verdict)}}) //nolint:wrapcheck // The call has ended.
}

// verifyParams reads what is asked for.
func verifyParams(in *eventlogv1.VerifyChainRequest) (store.VerifyParams, error) {
	p := store.VerifyParams{To: in.GetToPosition()}
	if in.GetAfter() != nil {
		after, err := known("after", in.GetAfter())
		if err != nil {
			return p, err
		}
		p.After = after
	}
	for _, head := range in.GetKnownHeads() {
		k, err := known("known_heads", head)
		if err != nil {
			return p, err
		}
		p.Known = append(p.Known, k)
	}
	return p, nil
}

// known reads a head that somebody kept; the contract has seen to its form.
func known(path string, in *eventlogv1.KnownHead) (audit.Known, error) {
	k := audit.Known{Position: in.GetPosition()}
	if n, err := hex.Decode(k.Hash[:], []byte(in.GetHash())); err != nil || n != len(k.Hash) {
		return k, fault.InvalidField(path+".hash", "must be 64 hex digits")
	}
	if in.GetEventId() != "" {
		id, err := ulid.ParseStrict(in.GetEventId())
		if err != nil {
			return k, fault.InvalidField(path+".event_id", "must be a ULID")
		}
		k.EventID = id
	}
	return k, nil
}

// breaches are the kinds of breaches as the contract has them.
var breaches = map[audit.Kind]eventlogv1.Breach{
	audit.Missing:         eventlogv1.Breach_BREACH_EVENT_MISSING,
	audit.Inserted:        eventlogv1.Breach_BREACH_EVENT_INSERTED,
	audit.Altered:         eventlogv1.Breach_BREACH_EVENT_ALTERED,
	audit.Broken:          eventlogv1.Breach_BREACH_CHAIN_BROKEN,
	audit.Disordered:      eventlogv1.Breach_BREACH_ORDER_BROKEN,
	audit.SearchAltered:   eventlogv1.Breach_BREACH_SEARCH_ALTERED,
	audit.StreamMismatch:  eventlogv1.Breach_BREACH_STREAM_MISMATCH,
	audit.ReceiptMismatch: eventlogv1.Breach_BREACH_RECEIPT_MISMATCH,
	audit.HeadMismatch:    eventlogv1.Breach_BREACH_HEAD_MISMATCH,
	audit.KnownMismatch:   eventlogv1.Breach_BREACH_KNOWN_HEAD_MISMATCH,
}

// verdictMessage is a verdict as the contract shows it.
func verdictMessage(v *store.Verdict) *eventlogv1.VerifyVerdict {
	out := &eventlogv1.VerifyVerdict{
		Whole: v.Breach == nil, EventsVerified: v.Events, StreamsVerified: v.Streams, ReceiptsVerified: v.Receipts,
	}
	if v.Breach != nil {
		out.Breach, out.FirstBadPosition, out.Description = breaches[v.Breach.Kind], v.Breach.Position, v.Breach.What
	}
	if v.Head.Position > 0 {
		out.Head = &eventlogv1.KnownHead{Position: v.Head.Position, EventId: v.Head.EventID.String(), Hash: hex.EncodeToString(v.Head.Hash[:])}
		out.HeadIngestedAt = timestamppb.New(v.Head.IngestedAt)
	}
	return out
}

// progress tells how far a verification is, not too often.
type progress struct {
	clock clock.Clock
	last  time.Time
	done  int64
	send  func(*eventlogv1.VerifyProgress)
}

func (p *progress) tell(done, total int64) {
	now := p.clock.Now()
	passed := now.Sub(p.last)
	if passed < progressEvery {
		return
	}
	p.send(&eventlogv1.VerifyProgress{EventsDone: done, EventsTotal: total, EventsPerSecond: (done - p.done) * int64(time.Second/time.Microsecond) / passed.Microseconds()})
	p.last, p.done = now, done
}
