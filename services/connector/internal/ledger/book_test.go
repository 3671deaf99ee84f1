package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
)

// intents is a state that lists intents in pages of one, or cannot, and a log that is at a position, or cannot be read.
type intents struct {
	pager
	attempts int32
	asOf     int64
	err      error
}

func (i *intents) ListIntents(_ context.Context, in *projectorv1.ListIntentsRequest, _ ...grpc.CallOption) (*projectorv1.ListIntentsResponse, error) {
	id, next := i.page(in.GetPageToken())
	return &projectorv1.ListIntentsResponse{Intents: []*projectorv1.Intent{{IntentId: id, Attempts: i.attempts}}, NextPageToken: next}, i.err
}

func (i *intents) QueryEvents(context.Context, *eventlogv1.QueryEventsRequest, ...grpc.CallOption) (*eventlogv1.QueryEventsResponse, error) {
	return &eventlogv1.QueryEventsResponse{AsOf: i.asOf}, i.err
}

// An order's intent is found on whichever page it is, by the attempts that there were and the next one.
func TestIntentOf(t *testing.T) {
	t.Parallel()
	wanted := uuid.New()
	listed := &intents{pager: pager{ids: []string{uuid.NewString(), uuid.NewString(), wanted.String(), uuid.NewString()}}, attempts: 2}
	l, err := ledger.New(clock.System(), ledger.Deps{State: listed}, ledger.Config{})
	require.NoError(t, err)
	for attempt := int32(1); attempt <= 3; attempt++ {
		intent, found, err := l.IntentOf(t.Context(), "", event.OrderID(wanted, attempt), 0)
		require.NoError(t, err)
		require.Equal(t, wanted.String(), intent.GetIntentId())
		require.Equal(t, attempt, found)
	}
	for _, order := range []uuid.UUID{event.OrderID(wanted, 4), uuid.New()} {
		intent, _, err := l.IntentOf(t.Context(), "", order, 0)
		require.NoError(t, err)
		require.Nil(t, intent)
	}
	listed.err = errors.New("away")
	_, _, err = l.IntentOf(t.Context(), "", uuid.New(), 0)
	require.ErrorIs(t, err, listed.err)
}

func TestReached(t *testing.T) {
	t.Parallel()
	log := &intents{asOf: 7}
	l, err := ledger.New(clock.System(), ledger.Deps{Reader: log}, ledger.Config{})
	require.NoError(t, err)
	position, err := l.Reached(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 7, position)
	log.err = errors.New("away")
	_, err = l.Reached(t.Context(), "a")
	require.ErrorIs(t, err, log.err)
	require.ErrorContains(t, err, "account a")
}
