package store

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// A page token is where the page before ended: the sort key of its last row, and a digest over that key and all that
// the pages have in common. It is opaque to callers and carries no right: it can only choose a place in a list that
// the caller may read anyhow. The digest tells a token of another list, tenant or set of conditions from a good one.

// tokenDigestSize is how many bytes of the SHA-256 a token carries: it guards against slips, not against an adversary.
const tokenDigestSize = 12

type pageToken struct {
	Digest []byte   `json:"d"`
	Key    []string `json:"k"`
}

// encodeToken makes the token for the page after the row with this sort key.
func encodeToken(tenant uuid.UUID, l Listing, conditions []Condition, key []any) (string, error) {
	texts := make([]string, len(key))
	for i, value := range key {
		text, err := keyText(value)
		if err != nil {
			return "", fmt.Errorf("page token of %s: %w", l.table.Name, err)
		}
		texts[i] = text
	}
	digest, err := tokenDigest(tenant, l, conditions, texts)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(pageToken{Digest: digest, Key: texts})
	if err != nil {
		return "", fmt.Errorf("page token of %s: %w", l.table.Name, err)
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// decodeToken gives the sort key to go on after. Whatever is wrong with the token, the answer names page_token.
func decodeToken(token string, tenant uuid.UUID, l Listing, conditions []Condition) ([]any, error) {
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, badToken("is not one that this service gave")
	}
	var t pageToken
	if err := json.Unmarshal(data, &t); err != nil || len(t.Key) != len(l.order) {
		return nil, badToken("is not one that this list gave")
	}
	digest, err := tokenDigest(tenant, l, conditions, t.Key)
	if err != nil {
		return nil, err
	}
	if string(digest) != string(t.Digest) {
		return nil, badToken("belongs to another list or other conditions; they must be those of the first page")
	}
	key := make([]any, len(t.Key))
	kinds := l.kinds()
	for i, text := range t.Key {
		if key[i], err = parseKey(kinds[i], text); err != nil {
			return nil, badToken("is not one that this list gave")
		}
	}
	return key, nil
}

func badToken(why string) error {
	return fault.New(fault.Invalid, "PAGE_TOKEN", "page_token %s", why).WithField("page_token", why)
}

func tokenDigest(tenant uuid.UUID, l Listing, conditions []Condition, key []string) ([]byte, error) {
	type condition struct {
		Column string
		Value  any
	}
	all := make([]condition, len(conditions))
	for i, c := range conditions {
		all[i] = condition{Column: c.name(), Value: c.value}
	}
	data, err := json.Marshal([]any{tenant, l.table.Name, l.descending, all, key})
	if err != nil {
		return nil, fmt.Errorf("page token of %s: %w", l.table.Name, err)
	}
	sum := sha256.Sum256(data)
	return sum[:tokenDigestSize], nil
}

// keyText renders a sort value without loss: times are whole microseconds, as the database keeps them.
func keyText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case uuid.UUID:
		return v.String(), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case time.Time:
		return strconv.FormatInt(v.UnixMicro(), 10), nil
	default:
		return "", fmt.Errorf("no sort value is a %T", value)
	}
}

// parseKey is the inverse of keyText for a column of this kind.
func parseKey(k projection.Kind, text string) (any, error) {
	switch k {
	case projection.KindUUID:
		return uuid.Parse(text) //nolint:wrapcheck // The caller tells a bad token, whatever is wrong with it.
	case projection.KindInt64:
		return strconv.ParseInt(text, 10, 64) //nolint:wrapcheck // As above.
	case projection.KindTime:
		micros, err := strconv.ParseInt(text, 10, 64)
		return time.UnixMicro(micros).UTC(), err
	case projection.KindText:
		return text, nil
	default:
		return nil, fmt.Errorf("no list sorts by a %s", k.SQLType())
	}
}
