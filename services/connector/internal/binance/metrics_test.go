package binance

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/services/connector/internal/venue"
)

// TestCodeName names failures as alerts look for them.
func TestCodeName(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"-2015": &venue.RejectedError{Code: -2015}, "-2013": &venue.OrderError{Code: -2013, Err: venue.ErrOrderNotFound},
		"418": &venue.RateLimitedError{HTTPStatus: 418}, "timeout": &venue.UncertainError{Cause: venue.CauseTimeout},
		"not_sent": errors.Join(venue.ErrNotSent),
	} {
		require.Equal(t, want, codeName(err))
	}
}
