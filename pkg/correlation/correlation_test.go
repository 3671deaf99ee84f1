package correlation_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
)

func TestRead_takes_what_Pairs_writes(t *testing.T) {
	t.Parallel()
	want := correlation.IDs{Trace: uuid.New(), Command: uuid.New(), Workflow: uuid.New(), Causation: "01ARZ3NDEKTSV4RRFFQ69G5FAV", CommandGiven: true}
	got, err := correlation.Read(metadata.Pairs(want.Pairs()...))
	require.NoError(t, err)
	require.Equal(t, want, got)

	none, err := correlation.Read(metadata.MD{})
	require.NoError(t, err)
	require.Equal(t, correlation.IDs{}, none)
	require.Empty(t, none.Pairs())
}

func TestRead_names_the_malformed_key(t *testing.T) {
	t.Parallel()
	for header, value := range map[string]string{
		correlation.HeaderTrace: "x", correlation.HeaderCommand: uuid.Nil.String(), correlation.HeaderWorkflow: "1", correlation.HeaderCausation: "not-a-ulid",
	} {
		_, err := correlation.Read(metadata.Pairs(header, value))
		require.True(t, fault.Is(err, fault.Invalid), header)
		require.ErrorContains(t, err, header)
	}
	_, err := correlation.Read(metadata.Pairs(correlation.HeaderCommand, uuid.NewString(), correlation.HeaderCommand, uuid.NewString()))
	require.ErrorContains(t, err, "must be given once")
}

func TestWith(t *testing.T) {
	t.Parallel()
	ids := correlation.IDs{Command: uuid.New()}
	require.Equal(t, ids, correlation.From(correlation.With(context.Background(), ids)))
	require.Equal(t, correlation.IDs{}, correlation.From(context.Background()))
}
