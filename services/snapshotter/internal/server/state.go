package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/snapshot"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// chunkSize is how many bytes of a snapshot travel in one message.
const chunkSize = 256 << 10

// FindSnapshot implements snapshotterv1.StateServiceServer.
func (s *State) FindSnapshot(ctx context.Context, in *snapshotterv1.FindSnapshotRequest) (*snapshotterv1.FindSnapshotResponse, error) {
	scope, err := scopeOf(in.GetScope())
	if err != nil {
		return nil, err
	}
	found, passed, err := s.deps.Checker.Find(ctx, identity.Tenant(ctx), scope, in.GetPosition(), timeOf(in.GetTime()))
	if err != nil {
		return nil, err //nolint:wrapcheck // The checker says what it was doing.
	}
	out := &snapshotterv1.FindSnapshotResponse{Snapshot: message(found.Snapshot)}
	for _, p := range passed {
		out.PassedOver = append(out.PassedOver, &snapshotterv1.UnfitSnapshot{Snapshot: message(p.Snapshot), Description: p.Why.Detail})
	}
	return out, nil
}

// checked gives a snapshot that is fit for use.
func (s *State) checked(ctx context.Context, text string) (checkpoint.Checked, error) {
	id, err := parseID("snapshot_id", text)
	if err != nil {
		return checkpoint.Checked{}, err
	}
	found, err := s.deps.Checker.Check(ctx, identity.Tenant(ctx), id)
	var why *snapshot.Unfit
	if errors.As(err, &why) {
		return found, refused(found.Snapshot, why)
	}
	return found, err //nolint:wrapcheck // The checker says what it was doing.
}

// LoadSnapshot implements snapshotterv1.StateServiceServer.
func (s *State) LoadSnapshot(in *snapshotterv1.LoadSnapshotRequest, stream grpc.ServerStreamingServer[snapshotterv1.LoadSnapshotResponse]) error {
	found, err := s.checked(stream.Context(), in.GetSnapshotId())
	if err != nil {
		return err
	}
	err = stream.Send(&snapshotterv1.LoadSnapshotResponse{Message: &snapshotterv1.LoadSnapshotResponse_Snapshot{Snapshot: message(found.Snapshot)}})
	for rest := found.Stored; err == nil && len(rest) > 0; {
		size := min(len(rest), chunkSize)
		err = stream.Send(&snapshotterv1.LoadSnapshotResponse{Message: &snapshotterv1.LoadSnapshotResponse_Data{Data: rest[:size]}})
		rest = rest[size:]
	}
	return err //nolint:wrapcheck // The call has ended.
}

// RestoreSnapshot implements snapshotterv1.StateServiceServer.
func (s *State) RestoreSnapshot(in *snapshotterv1.RestoreSnapshotRequest, stream grpc.ServerStreamingServer[snapshotterv1.RestoreSnapshotResponse]) error {
	found, err := s.checked(stream.Context(), in.GetSnapshotId())
	if err != nil {
		return err
	}
	err = stream.Send(&snapshotterv1.RestoreSnapshotResponse{Message: &snapshotterv1.RestoreSnapshotResponse_Snapshot{Snapshot: message(found.Snapshot)}})
	if err != nil {
		return err //nolint:wrapcheck // The call has ended.
	}
	return found.View.Lines(func(l snapshot.Line) error {
		return stream.Send(&snapshotterv1.RestoreSnapshotResponse{Message: &snapshotterv1.RestoreSnapshotResponse_Row{
			Row: &snapshotterv1.Row{Table: l.Table, Key: l.ID, Json: l.JSON, Context: !l.Own},
		}})
	})
}

// VerifySnapshots implements snapshotterv1.StateServiceServer.
func (s *State) VerifySnapshots(in *snapshotterv1.VerifySnapshotsRequest, stream grpc.ServerStreamingServer[snapshotterv1.VerifySnapshotsResponse]) error {
	filter, err := verifyFilter(in)
	if err != nil {
		return err
	}
	select {
	case s.verifying <- struct{}{}:
		defer func() { <-s.verifying }()
	default:
		return fault.New(fault.Exhausted, "VERIFYING_ALREADY", "%d verifications are under way already", VerifyingMax).WithRetryAfter(verifyRetryAfter)
	}
	ctx, cancel := until(stream.Context(), s.deps.Stopping)
	defer cancel(nil)
	if filter.ID != [16]byte{} {
		if _, err := s.deps.Store.Get(ctx, identity.Tenant(ctx), filter.ID); err != nil {
			return err //nolint:wrapcheck // The store says what it was doing.
		}
	}
	sum := &snapshotterv1.VerifySummary{}
	p := &progress{clock: s.deps.Clock, last: s.deps.Clock.Now(), send: func(m *snapshotterv1.VerifyProgress) error {
		return stream.Send(&snapshotterv1.VerifySnapshotsResponse{Message: &snapshotterv1.VerifySnapshotsResponse_Progress{Progress: m}})
	}}
	err = s.deps.Verifier.Verify(ctx, identity.Tenant(ctx), filter, in.GetDeep(), checkpoint.Findings{
		Progress: p.tell,
		Found: func(found checkpoint.Snapshot, why *snapshot.Unfit) error {
			sum.Verified++
			m := &snapshotterv1.VerifiedSnapshot{Snapshot: message(found)}
			if why != nil {
				sum.Unfit++
				m.Description = why.Detail
			}
			return stream.Send(&snapshotterv1.VerifySnapshotsResponse{Message: &snapshotterv1.VerifySnapshotsResponse_Verified{Verified: m}})
		},
	})
	if err != nil {
		return ended(ctx, err)
	}
	return stream.Send(&snapshotterv1.VerifySnapshotsResponse{Message: &snapshotterv1.VerifySnapshotsResponse_Summary{Summary: sum}}) //nolint:wrapcheck // The call has ended.
}

// verifyRetryAfter is when a verification may have ended.
const verifyRetryAfter = 5 * time.Second

// verifyFilter reads which snapshots are meant: one, or those that meet the conditions.
func verifyFilter(in *snapshotterv1.VerifySnapshotsRequest) (checkpoint.Filter, error) {
	id, err := parseID("snapshot_id", in.GetSnapshotId())
	if err != nil || id != [16]byte{} {
		return checkpoint.Filter{ID: id}, err
	}
	return filterOf(in.GetKind(), in.GetScopeId())
}

// progressEvery is how often a verification tells how far it is.
const progressEvery = time.Second

// progress tells how far a fold is, not too often.
type progress struct {
	clock clock.Clock
	last  time.Time
	done  int64
	send  func(*snapshotterv1.VerifyProgress) error
}

func (p *progress) tell(done, total int64) error {
	now := p.clock.Now()
	passed := now.Sub(p.last)
	if passed < progressEvery {
		return nil
	}
	rate := (done - p.done) * int64(time.Second/time.Microsecond) / passed.Microseconds()
	p.last, p.done = now, done
	return p.send(&snapshotterv1.VerifyProgress{EventsDone: done, EventsTotal: total, EventsPerSecond: rate})
}
