package event

import (
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
)

// Kind says what a stream is about.
type Kind string

// The kinds of streams.
const (
	KindTenant   Kind = "tenant"
	KindAccount  Kind = "account"
	KindStrategy Kind = "strategy"
	KindPosition Kind = "position"
	KindOrder    Kind = "order"
)

// StreamKey names a stream of a tenant.
type StreamKey struct {
	Kind Kind
	ID   uuid.UUID
}

// ParseStreamKey reads "<kind>:<uuid>", the UUID in lower case with dashes: one text for one stream.
func ParseStreamKey(s string) (StreamKey, error) {
	kind, id, _ := strings.Cut(s, ":")
	switch Kind(kind) {
	case KindTenant, KindAccount, KindStrategy, KindPosition, KindOrder:
	default:
		return StreamKey{}, fault.InvalidField("stream_key", "must start with tenant, account, strategy, position or order and a colon, found %q", s)
	}
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		return StreamKey{}, fault.InvalidField("stream_key", "must end with a UUID in lower case with dashes, found %q", s)
	}
	return StreamKey{Kind: Kind(kind), ID: parsed}, nil
}

// String is "<kind>:<uuid>".
func (k StreamKey) String() string { return string(k.Kind) + ":" + k.ID.String() }
