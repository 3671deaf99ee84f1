package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// The size of a page whose caller names none. The contract says the same.
const pageSizeDefault = 100

// GetSnapshot implements snapshotterv1.ReadServiceServer.
func (r *Read) GetSnapshot(ctx context.Context, in *snapshotterv1.GetSnapshotRequest) (*snapshotterv1.GetSnapshotResponse, error) {
	id, err := parseID("snapshot_id", in.GetSnapshotId())
	if err != nil {
		return nil, err
	}
	found, err := r.deps.Store.Get(ctx, identity.Tenant(ctx), id)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &snapshotterv1.GetSnapshotResponse{Snapshot: message(found)}, nil
}

// ListSnapshots implements snapshotterv1.ReadServiceServer.
func (r *Read) ListSnapshots(ctx context.Context, in *snapshotterv1.ListSnapshotsRequest) (*snapshotterv1.ListSnapshotsResponse, error) {
	filter, err := filterOf(in.GetKind(), in.GetScopeId())
	if err != nil {
		return nil, err
	}
	filter.CreatedFrom, filter.CreatedBefore, filter.Unfit = timeOf(in.GetCreatedFrom()), timeOf(in.GetCreatedBefore()), in.Unfit
	tenant, size := identity.Tenant(ctx), int(in.GetPageSize())
	if size == 0 {
		size = pageSizeDefault
	}
	var after *checkpoint.Snapshot
	if in.GetPageToken() != "" {
		if after, err = decodeToken(in.GetPageToken(), tenant, filter); err != nil {
			return nil, err
		}
	}
	found, err := r.deps.Store.List(ctx, tenant, filter, after, size+1) // One more tells whether there is a next page.
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	out := &snapshotterv1.ListSnapshotsResponse{}
	for _, s := range found[:min(len(found), size)] {
		out.Snapshots = append(out.Snapshots, message(s))
	}
	if len(found) > size {
		out.NextPageToken, err = encodeToken(found[size-1], tenant, filter)
	}
	return out, err
}

// A page token is where the page before ended, and a digest that tells one of another list. It carries no right.
const (
	tokenDigestSize = 12
	tokenSize       = 8 + 16 + tokenDigestSize
)

func encodeToken(last checkpoint.Snapshot, tenant uuid.UUID, f checkpoint.Filter) (string, error) {
	token := binary.BigEndian.AppendUint64(make([]byte, 0, tokenSize), uint64(last.CreatedAt.UnixMicro()))
	token = append(token, last.ID[:]...)
	digest, err := tokenDigest(token, tenant, f)
	return base64.RawURLEncoding.EncodeToString(append(token, digest...)), err
}

func decodeToken(text string, tenant uuid.UUID, f checkpoint.Filter) (*checkpoint.Snapshot, error) {
	token, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(token) != tokenSize {
		return nil, badToken("is not one that this service gave")
	}
	place, told := token[:tokenSize-tokenDigestSize], token[tokenSize-tokenDigestSize:]
	digest, err := tokenDigest(place, tenant, f)
	switch {
	case err != nil:
		return nil, err
	case string(digest) != string(told):
		return nil, badToken("belongs to another list or other conditions; they must be those of the first page")
	}
	return &checkpoint.Snapshot{CreatedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(place))).UTC(), ID: uuid.UUID(place[8:])}, nil
}

func badToken(why string) error {
	return fault.New(fault.Invalid, "PAGE_TOKEN", "page_token %s", why).WithField("page_token", why)
}

func tokenDigest(place []byte, tenant uuid.UUID, f checkpoint.Filter) ([]byte, error) {
	data, err := json.Marshal([]any{place, tenant, f})
	if err != nil {
		return nil, fmt.Errorf("page token of snapshots: %w", err)
	}
	sum := sha256.Sum256(data)
	return sum[:tokenDigestSize], nil
}

// GetSchedule implements snapshotterv1.ReadServiceServer.
func (r *Read) GetSchedule(ctx context.Context, _ *snapshotterv1.GetScheduleRequest) (*snapshotterv1.GetScheduleResponse, error) {
	found, err := r.deps.Store.Schedule(ctx, identity.Tenant(ctx))
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &snapshotterv1.GetScheduleResponse{Schedule: scheduleMessage(found)}, nil
}

func scheduleMessage(s checkpoint.Schedule) *snapshotterv1.Schedule {
	return &snapshotterv1.Schedule{EveryEvents: s.EveryEvents, EverySeconds: s.EverySeconds, AtWorkflowEnd: s.AtWorkflowEnd}
}
