package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
)

// How long a request is good for, in milliseconds.
const (
	recvWindowDefault = 5000
	recvWindowMax     = 60000
	aheadMax          = 1000
)

// The answers to requests that are not who they say they are, or not when.
var (
	ErrKeyMissing   = &engine.Rejection{Code: -2014, Text: "API-key format invalid."}
	ErrSignature    = &engine.Rejection{Code: -1022, Text: "Signature for this request is not valid."}
	ErrTimestamp    = &engine.Rejection{Code: -1102, Text: "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."}
	ErrUnsigned     = &engine.Rejection{Code: -1102, Text: "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."}
	ErrRecvWindow   = &engine.Rejection{Code: -1131, Text: "recvWindow must be less than 60000."}
	ErrLate         = &engine.Rejection{Code: -1021, Text: "Timestamp for this request is outside of the recvWindow."}
	ErrEarly        = &engine.Rejection{Code: -1021, Text: "Timestamp for this request was 1000ms ahead of the server's time."}
	errUnknownAPIID = engine.ErrAccountUnknown
)

type holder struct {
	account string
	verify  Verifier
}

// Ring holds the API keys. It is safe for concurrent use.
type Ring struct {
	mu     sync.RWMutex
	keys   map[string]holder
	tokens map[string]ticket
}

// ticket is what a listen token lets into, and until when.
type ticket struct {
	account string
	expires int64
}

// ErrToken is the answer to a listen token that nobody made, or that is over.
var ErrToken = &engine.Rejection{Code: -1125, Text: "This listenToken does not exist."}

// Token makes a listen token, which lets into an account's user stream until a time in milliseconds.
func (r *Ring) Token(account string, expires int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens == nil {
		r.tokens = map[string]ticket{}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", account, expires, len(r.tokens)))
	token := hex.EncodeToString(sum[:])
	r.tokens[token] = ticket{account, expires}
	return token
}

// Admit says whose user stream a listen token lets into, and until when.
func (r *Ring) Admit(token string, now int64) (account string, expires int64, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, known := r.tokens[token]
	if !known || now >= t.expires {
		return "", 0, ErrToken
	}
	return t.account, t.expires, nil
}

// Add gives an account an API key.
func (r *Ring) Add(key, account string, verify Verifier) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.keys[key]; taken || key == "" {
		return fmt.Errorf("API key of account %s is empty or taken", account)
	}
	if r.keys == nil {
		r.keys = map[string]holder{}
	}
	r.keys[key] = holder{account, verify}
	return nil
}

// Account is whose key it is; empty if nobody's.
func (r *Ring) Account(key string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[key].account
}

// Signed is a request as its signature was made over it.
type Signed struct{ Key, Payload, Signature, Timestamp, RecvWindow string }

// Check is the account that signed, if the request is its own and in time.
func (r *Ring) Check(s Signed, now int64) (string, error) {
	if s.Key == "" {
		return "", ErrKeyMissing
	}
	r.mu.RLock()
	h, known := r.keys[s.Key]
	r.mu.RUnlock()
	if !known {
		return "", errUnknownAPIID
	}
	if s.Signature == "" {
		return "", ErrUnsigned
	}
	if err := timely(s, now); err != nil {
		return "", err
	}
	if !h.verify(s.Payload, s.Signature) {
		return "", ErrSignature
	}
	return h.account, nil
}

func timely(s Signed, now int64) error {
	at, err := strconv.ParseInt(s.Timestamp, 10, 64)
	if err != nil {
		return ErrTimestamp
	}
	window := int64(recvWindowDefault)
	if s.RecvWindow != "" {
		window, err = strconv.ParseInt(s.RecvWindow, 10, 64)
		if err != nil || window < 0 || window > recvWindowMax {
			return ErrRecvWindow
		}
	}
	switch {
	case at >= now+aheadMax:
		return ErrEarly
	case now-at > window:
		return ErrLate
	default:
		return nil
	}
}
