package snapshot

import "github.com/robson/robson/pkg/projection"

// isLive says whether a row belongs to the picture of what is, rather than to what was: not a position that is closed, an order or
// intent that has ended, a discrepancy that is closed, nor what has led to them. Such rows come first, in blocks of their own, so
// that an account's picture is read without its history, and a tail, which is mostly about what is live, finds it in few blocks.
func isLive(row projection.Row) bool {
	switch r := row.(type) {
	case *projection.Fill, *projection.Decision, *projection.Signal, *projection.ReconciliationRun:
		return false
	case *projection.Position:
		return r.State != projection.PositionClosed
	case *projection.Order:
		return !r.Status.Ended()
	case *projection.Intent:
		return !r.Ended
	case *projection.Discrepancy:
		return r.IsOpen
	}
	return true
}
