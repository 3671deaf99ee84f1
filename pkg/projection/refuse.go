package projection

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
)

// refused is a decision that the state forbids.
func refused(reason, format string, args ...any) *fault.Error {
	return fault.New(fault.Refused, reason, format, args...)
}

// invalid is a decision whose own value cannot be meant.
func invalid(field, format string, args ...any) *fault.Error {
	return fault.InvalidField(field, format, args...)
}

// invalidPayload is a payload that a producer sent and that cannot be read.
func invalidPayload(ev *Event, err error) error {
	return fault.Wrap(err, fault.Invalid, "INVALID_PAYLOAD", "%s", ev.Type)
}

// corruptEvent is an event of the log that cannot be folded.
func corruptEvent(ev *Event, err error) error {
	return fault.Wrap(err, fault.Corrupt, "UNFOLDABLE_EVENT", "fold %s at position %d", ev.Type, ev.Position)
}

// sameText refuses a field that must repeat what the log holds.
func sameText(field, given, stored string) error {
	if given == stored {
		return nil
	}
	return invalid(field, "must be %q, as recorded, and is %q", stored, given).With("expected", stored).With("found", given)
}

// sameAmount refuses an amount that must be what the log's sums say.
func sameAmount(field string, given, right decimal.Decimal) error {
	if given.Equal(right) {
		return nil
	}
	return invalid(field, "must be %s and is %s", right, given).With("expected", right.String()).With("found", given.String())
}

// firstOf is the first error of several.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
