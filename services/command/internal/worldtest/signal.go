package worldtest

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Signal gives a signal as it stands.
func (w *World) Signal(id string) *projectorv1.Signal {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Signal](w, projection.SignalKey(uuid.MustParse(id)))
	if err != nil {
		return &projectorv1.Signal{}
	}
	return fill(row, &projectorv1.Signal{})
}

// GetSignal implements the state.
func (w *World) GetSignal(_ context.Context, in *projectorv1.GetSignalRequest, _ ...grpc.CallOption) (*projectorv1.GetSignalResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row, err := one[*projection.Signal](w, projection.SignalKey(uuid.MustParse(in.GetSignalId())))
	if err != nil {
		return nil, err
	}
	return &projectorv1.GetSignalResponse{Signal: fill(row, &projectorv1.Signal{}), AsOf: int64(len(w.events))}, nil
}

// ListSignals implements the state; it gives everything at once.
func (w *World) ListSignals(_ context.Context, in *projectorv1.ListSignalsRequest, _ ...grpc.CallOption) (*projectorv1.ListSignalsResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := &projectorv1.ListSignalsResponse{AsOf: int64(len(w.events))}
	for _, row := range all(w, func(*projection.Signal) bool { return true }) {
		signal := fill(row, &projectorv1.Signal{})
		wanted := len(in.GetStatuses()) == 0 || slices.Contains(in.GetStatuses(), signal.GetStatus())
		if wanted && (in.GetPositionId() == "" || in.GetPositionId() == signal.GetPositionId()) {
			answer.Signals = append(answer.Signals, signal)
		}
	}
	slices.SortFunc(answer.GetSignals(), func(a, b *projectorv1.Signal) int { return int(b.GetLastPosition() - a.GetLastPosition()) })
	return answer, nil
}
