package projection

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/money"
)

// reader reads rows and payload fields for a rule. Its failures are kept and looked at once, at the end: a row that
// is not loaded reads as absent and is noted in missing, so that one run finds all rows that it can name. What a rule
// makes of such a row is thrown away.
type reader struct {
	view    View
	ev      *Event
	missing []Key
	err     error
}

// failure is what reading came to, missing rows first: an error may follow from their absence.
func (r *reader) failure(wrap func(*Event, error) error) error {
	if len(r.missing) > 0 {
		slices.SortFunc(r.missing, Key.Compare)
		return &Missing{Keys: slices.Compact(r.missing)}
	}
	return wrap(r.ev, r.err)
}

// fail keeps the first failure.
func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// get reads a row as its own type; nil when it does not exist.
func get[T any, P interface {
	*T
	Row
}](r *reader, key Key) P {
	row, err := Get[T, P](r.view, key)
	if err != nil {
		r.unread(key, err)
	}
	return row
}

// unread notes why a row could not be read: it is not loaded, or it is no such row.
func (r *reader) unread(key Key, err error) {
	var missing *Missing
	if errors.As(err, &missing) {
		r.missing = append(r.missing, missing.Keys...)
		return
	}
	r.fail("read %s: %w", key, err)
}

// want asks for rows that will most likely be needed once others are known, so that they are loaded together.
func (r *reader) want(keys ...Key) {
	for _, key := range keys {
		if _, err := r.view.Get(key); err != nil {
			var missing *Missing
			if errors.As(err, &missing) {
				r.missing = append(r.missing, missing.Keys...)
			}
		}
	}
}

func (r *reader) account(id uuid.UUID) *Account   { return get[Account](r, AccountKey(id)) }
func (r *reader) order(id uuid.UUID) *Order       { return get[Order](r, OrderKey(id)) }
func (r *reader) intent(id uuid.UUID) *Intent     { return get[Intent](r, IntentKey(id)) }
func (r *reader) position(id uuid.UUID) *Position { return get[Position](r, PositionKey(id)) }
func (r *reader) decision(id uuid.UUID) *Decision { return get[Decision](r, DecisionKey(id)) }
func (r *reader) signal(id uuid.UUID) *Signal     { return get[Signal](r, SignalKey(id)) }
func (r *reader) strategy(id uuid.UUID) *Strategy { return get[Strategy](r, StrategyKey(id)) }

func (r *reader) risk(account, strategy uuid.UUID) *Risk {
	return get[Risk](r, RiskKey(account, strategy))
}

func (r *reader) slot(account uuid.UUID, symbol, side string) *PositionSlot {
	return get[PositionSlot](r, PositionSlotKey(account, symbol, side))
}

// id reads a UUID that must be there.
func (r *reader) id(field, text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		r.fail("%s %q is not a UUID", field, text)
	}
	return id
}

// maybeID reads a UUID that may be absent.
func (r *reader) maybeID(field, text string) uuid.NullUUID {
	if text == "" {
		return uuid.NullUUID{}
	}
	return uuid.NullUUID{UUID: r.id(field, text), Valid: true}
}

// amount reads a decimal that must be there.
func (r *reader) amount(field, text string) decimal.Decimal {
	if d, ok := money.Quick(text); ok {
		return d
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		r.fail("%s %q is not a decimal number", field, text)
	}
	return d
}

// maybeAmount reads a decimal that may be absent.
func (r *reader) maybeAmount(field, text string) decimal.NullDecimal {
	if text == "" {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(r.amount(field, text))
}

// occurred is the event's business time as rows keep it.
func (r *reader) occurred() time.Time { return micros(r.ev.OccurredAt) }

// micros is a time as rows keep it: UTC, to the microsecond.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// moment reads a time that must be there; the event's own stands in for one that a fact lacks.
func (r *reader) moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return r.occurred()
	}
	return micros(t.AsTime())
}

// maybeMoment reads a time that may be absent.
func maybeMoment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := micros(t.AsTime())
	return &at
}

// maybeText reads a text that may be absent.
func maybeText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// maybeNumber is a number that may be absent.
func maybeNumber(told bool, n int32) *int32 {
	if !told {
		return nil
	}
	return &n
}

// textOf is the text of one that may be absent.
func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
