package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
)

func TestError_kind_is_found_through_wrapping(t *testing.T) {
	t.Parallel()
	inner := fault.Wrap(io.ErrUnexpectedEOF, fault.Unavailable, "DATABASE", "append").WithRetryAfter(time.Second)
	err := fmt.Errorf("serve: %w", inner)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.False(t, fault.Is(err, fault.Conflict))
	require.Equal(t, "DATABASE", fault.ReasonOf(err))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "serve: append: unexpected EOF", err.Error())
	require.Equal(t, time.Second, fault.As(err).RetryAfter)
}

func TestError_without_kind_is_unknown(t *testing.T) {
	t.Parallel()
	require.Equal(t, fault.Unknown, fault.KindOf(errors.New("x")))
	require.Equal(t, fault.Unknown, fault.KindOf(nil))
	require.False(t, fault.Is(nil, fault.Unknown))
	require.Empty(t, fault.ReasonOf(io.EOF))
	require.Nil(t, fault.As(io.EOF))
}

func TestError_additions_leave_the_shared_parts_alone(t *testing.T) {
	t.Parallel()
	base := fault.New(fault.Conflict, "STREAM_VERSION", "stream moved").With("expected", "3")
	meta := base.Metadata
	base.With("found", "4")
	require.Equal(t, map[string]string{"expected": "3"}, meta)
	require.Equal(t, map[string]string{"expected": "3", "found": "4"}, base.Metadata)
	field := fault.InvalidField("quantity", "must be above %d", 0).WithField("price", "must be above 0")
	require.Equal(t, "quantity: must be above 0", field.Error())
	require.Len(t, field.Fields, 2)
}

func TestKind_String(t *testing.T) {
	t.Parallel()
	for k := fault.Unknown; k <= fault.Corrupt; k++ {
		require.NotEmpty(t, k.String())
	}
}

func TestBug_panics_in_tests(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "bug: 7 is odd", func() { _ = fault.Bug("%d is odd", 7) })
}
