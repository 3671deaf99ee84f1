package event

import (
	"bytes"

	"github.com/google/uuid"
)

// StoredSubjects finds what an event is about from its payload's stored bytes, as SubjectsOf does from the message, without
// decoding them. ok is false where the bytes are not what Canonical writes.
func StoredSubjects(stream StreamKey, payload []byte) (s Subjects, ok bool) {
	rest, ok := bytes.CutPrefix(payload, []byte{'{'})
	for ok && len(rest) > 0 && rest[0] != '}' {
		var key, value []byte
		if key, rest, ok = cutText(rest); !ok || len(rest) < 2 || rest[0] != ':' {
			return s, false
		}
		if value, rest, ok = cutValue(rest[1:]); !ok || len(rest) == 0 {
			return s, false
		}
		if into := s.named(key); into != nil {
			// What is no UUID names nothing, as with a message.
			*into, _ = uuid.ParseBytes(bytes.Trim(value, `"`))
		}
		if rest[0] == ',' {
			rest = rest[1:]
		}
	}
	switch stream.Kind {
	case KindAccount:
		s.AccountID = stream.ID
	case KindStrategy:
		s.StrategyID = stream.ID
	case KindPosition:
		s.PositionID = stream.ID
	case KindOrder:
		s.OrderID = stream.ID
	case KindTenant:
	}
	return s, ok && len(rest) == 1
}

// named is the subject that a payload's field names; nil for every other field.
func (s *Subjects) named(field []byte) *uuid.UUID {
	switch string(field) {
	case "account_id":
		return &s.AccountID
	case "strategy_id":
		return &s.StrategyID
	case "position_id":
		return &s.PositionID
	case "order_id":
		return &s.OrderID
	default:
		return nil
	}
}

// cutText cuts a string off the front, and gives what is between its quotes, escapes and all.
func cutText(data []byte) (text, rest []byte, ok bool) {
	if len(data) == 0 || data[0] != '"' {
		return nil, nil, false
	}
	for from := 1; ; {
		at := bytes.IndexByte(data[from:], '"')
		if at < 0 {
			return nil, nil, false
		}
		at += from
		escapes := 0
		for data[at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return data[1:at], data[at+1:], true
		}
		from = at + 1
	}
}

// cutValue cuts a value of any kind off the front. Within objects and arrays it looks at strings and brackets only.
func cutValue(data []byte) (value, rest []byte, ok bool) {
	depth := 0
	for at := 0; at < len(data); at++ {
		switch data[at] {
		case '"':
			_, after, whole := cutText(data[at:])
			if !whole {
				return nil, nil, false
			}
			at = len(data) - len(after) - 1
			if depth == 0 {
				return data[:at+1], after, true
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // A number or a word ends with the object that holds it.
				return data[:at], data[at:], at > 0
			}
			if depth--; depth == 0 {
				return data[:at+1], data[at+1:], true
			}
		case ',':
			if depth == 0 {
				return data[:at], data[at:], at > 0
			}
		}
	}
	return nil, nil, false
}
