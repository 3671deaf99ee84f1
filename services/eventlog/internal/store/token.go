package store

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/robson/robson/pkg/fault"
)

// A page token is where the page before ended, behind a digest over that place and all that the pages have in common. It is
// opaque to callers and carries no right: it can only choose a place in an answer that the caller may have anyhow. The
// digest tells a token of another question or tenant from a good one.

// tokenDigestSize is how many bytes of the SHA-256 a token carries: it guards against slips, not against an adversary.
const tokenDigestSize = 12

// encodeToken makes the token for the page after a place.
func encodeToken(place []byte, common ...any) (string, error) {
	digest, err := tokenDigest(place, common)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(digest, place...)), nil
}

// decodeToken gives the place to go on after. Whatever is wrong with the token, the answer names page_token.
func decodeToken(token string, placeSize int, common ...any) ([]byte, error) {
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(data) != tokenDigestSize+placeSize {
		return nil, badToken("is not one that this call gave")
	}
	place := data[tokenDigestSize:]
	digest, err := tokenDigest(place, common)
	if err != nil {
		return nil, err
	}
	if string(digest) != string(data[:tokenDigestSize]) {
		return nil, badToken("belongs to another question; filter and direction must be those of the first page")
	}
	return place, nil
}

func badToken(why string) error {
	return fault.New(fault.Invalid, "PAGE_TOKEN", "page_token %s", why).WithField("page_token", why)
}

func tokenDigest(place []byte, common []any) ([]byte, error) {
	data, err := json.Marshal([]any{place, common})
	if err != nil {
		return nil, fmt.Errorf("page token: %w", err)
	}
	sum := sha256.Sum256(data)
	return sum[:tokenDigestSize], nil
}
