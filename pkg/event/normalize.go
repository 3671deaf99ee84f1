package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"strings"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/fault"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// Normalize writes what makes two payloads mean the same: the event type and the canonical payload without evidence,
// without the times at which something was noted (*_at), and without who asked (actor_id, actor_type, request_id), at
// every depth. A time that is a part of a fact's identity stays, since it says which fact it is; so do the keys of a
// map, which are words of a user and no fields of ours.
func Normalize(m proto.Message) ([]byte, error) {
	return selected(m, meaning)
}

// Digest is the SHA-256 of what a fact says happened: its VALUE fields. Two reports of one fact with different digests
// contradict each other.
func Digest(m proto.Message) ([32]byte, error) {
	data, err := selected(m, values)
	return sha256.Sum256(data), err
}

// selected writes the event type and the chosen fields.
func selected(m proto.Message, choose selection) ([]byte, error) {
	d, err := OfMessage(m)
	if err != nil {
		return nil, err
	}
	w := writer{path: []string{"payload", d.FieldName()}, choose: choose}
	w.out = append(w.out, `{"event_type":"`...)
	w.out = append(w.out, d.Type...)
	w.out = append(w.out, `","payload":`...)
	w.message(m.ProtoReflect(), d.plan)
	w.out = append(w.out, '}')
	return w.out, w.err
}

// IdempotencyKey is the SHA-256 of tenant, stream, command and normalized payload, each with its length before it, so
// that no two different tuples give the same bytes.
func IdempotencyKey(tenant uuid.UUID, stream string, command uuid.UUID, normalized []byte) [32]byte {
	h := sha256.New()
	for _, part := range [][]byte{tenant[:], []byte(stream), command[:], normalized} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// idempotencyPrefix starts the text of an idempotency key.
const idempotencyPrefix = "idem_"

// IdempotencyText is a key as people see it: "idem_" and 64 hex digits.
func IdempotencyText(key [32]byte) string { return idempotencyPrefix + hex.EncodeToString(key[:]) }

// Identity is what a fact is known by, wherever it was heard: the event type, the venue, the account, the symbol, then
// the other IDENTITY fields by name in the contract's order, e.g.
//
//	FILL_RECEIVED/binance/<account>/BTCUSDT/order/5001/trade/28457
//
// A field that stands in for another is left out where that one is there: a loan is known by its transaction, or else by
// its order. A payload without IDENTITY fields has none, which is Invalid.
func Identity(m proto.Message) (string, error) {
	d, err := OfMessage(m)
	if err != nil {
		return "", err
	}
	var head, tail []string
	message := m.ProtoReflect()
	for i := range message.Descriptor().Fields().Len() {
		f := d.plan.byName[string(message.Descriptor().Fields().Get(i).Name())]
		if f.role != optionsv1.FieldRole_FIELD_ROLE_IDENTITY || !message.Has(f.desc) {
			continue
		}
		if better := d.plan.byName[f.standsInFor]; better != nil && message.Has(better.desc) {
			continue
		}
		text, err := identityText(message, f, d)
		if err != nil {
			return "", err
		}
		switch f.name {
		case "account_id":
			head = append([]string{text}, head...)
		case "symbol":
			head = append(head, text)
		default:
			tail = append(tail, d.plan.label(f), text)
		}
	}
	if len(head)+len(tail) == 0 {
		return "", fault.InvalidField("payload."+d.FieldName(), "has no identity: it is no report of a venue")
	}
	return strings.Join(append(append([]string{string(d.Type), "binance"}, head...), tail...), "/"), nil
}

// label is a field's short name in an identity: exchange_trade_id is trade. Where two fields would have one name, the
// venue's keeps its full one.
func (p *plan) label(f *fieldPlan) string {
	short := strings.TrimSuffix(f.name, "_id")
	plain, venues := strings.CutPrefix(short, "exchange_")
	if !venues {
		return short
	}
	if other, exists := p.byName[plain+"_id"]; exists && other.role == optionsv1.FieldRole_FIELD_ROLE_IDENTITY {
		return short
	}
	return plain
}

// identityText is one identity field, in its normal form and so escaped that it cannot be taken for two.
func identityText(m protoreflect.Message, f *fieldPlan, d *Descriptor) (string, error) {
	w := writer{path: []string{"payload", d.FieldName(), f.name}}
	w.value(m.Get(f.desc), f)
	if w.err != nil {
		return "", w.err
	}
	if f.form == formText {
		return url.PathEscape(m.Get(f.desc).String()), nil
	}
	return url.PathEscape(strings.Trim(string(w.out), `"`)), nil
}

// MakeStorable mends text that a venue sent and that cannot be stored, at every depth: NUL and invalid UTF-8 become
// U+FFFD, and text beyond limit bytes, or beyond what the contract lets the field have, is cut. It says whether it changed
// anything.
func MakeStorable(m proto.Message, limit int) bool {
	return mend(m.ProtoReflect(), limit)
}

func mend(m protoreflect.Message, limit int) bool {
	changed := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			changed = mendMap(v.Map(), limit) || changed
		case f.IsList():
			changed = mendList(v.List(), f.Kind(), limit) || changed
		case f.Kind() == protoreflect.MessageKind:
			changed = mend(v.Message(), limit) || changed
		case f.Kind() == protoreflect.StringKind:
			if text := storable(v.String(), bound(f, limit)); text != v.String() {
				m.Set(f, protoreflect.ValueOfString(text))
				changed = true
			}
		}
		return true
	})
	return changed
}

func mendList(list protoreflect.List, kind protoreflect.Kind, limit int) bool {
	changed := false
	for i := range list.Len() {
		switch v := list.Get(i); kind {
		case protoreflect.MessageKind:
			changed = mend(v.Message(), limit) || changed
		case protoreflect.StringKind:
			if text := storable(v.String(), limit); text != v.String() {
				list.Set(i, protoreflect.ValueOfString(text))
				changed = true
			}
		default:
		}
	}
	return changed
}

// mendMap mends a map's texts. Keys are words of ours or of a user and are left as they are.
func mendMap(m protoreflect.Map, limit int) bool {
	changed := false
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if text := storable(v.String(), limit); text != v.String() {
			m.Set(k, protoreflect.ValueOfString(text))
			changed = true
		}
		return true
	})
	return changed
}

// bound is the most bytes of a field: as many as the contract allows characters, if that is less than limit.
func bound(f protoreflect.FieldDescriptor, limit int) int {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	if most := rules.GetString().GetMaxLen(); most > 0 && most < uint64(limit) {
		return int(most)
	}
	return limit
}

// storable mends one text.
func storable(s string, limit int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
