package line

import (
	"context"
	"errors"
	"fmt"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Fault gives a venue's error a kind for callers. One that has a kind, or is the end of the caller's own time, keeps
// what it is.
func Fault(doing string, err error) error {
	var rejected *venue.RejectedError
	var limited *venue.RateLimitedError
	var uncertain *venue.UncertainError
	switch {
	case fault.KindOf(err) != fault.Unknown:
		return fmt.Errorf("%s: %w", doing, err)
	case errors.As(err, &limited):
		return fault.Wrap(err, fault.Exhausted, "VENUE_RATE_LIMIT", "%s", doing).WithRetryAfter(limited.RetryAfter)
	case errors.As(err, &rejected):
		return fault.Wrap(err, fault.Refused, "VENUE_REJECTED", "%s", doing)
	case errors.Is(err, venue.ErrInvalidSymbol):
		return fault.Wrap(err, fault.Invalid, "UNKNOWN_SYMBOL", "%s", doing).WithField("symbol", "the venue lists no such symbol")
	case errors.Is(err, venue.ErrNoPrice):
		return fault.Wrap(err, fault.Refused, "NO_PRICE", "%s", doing)
	case errors.As(err, &uncertain):
		return fault.Wrap(err, fault.Unavailable, "VENUE_UNCERTAIN", "%s", doing)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	default:
		return fault.Wrap(err, fault.Unavailable, "VENUE_UNAVAILABLE", "%s", doing)
	}
}
