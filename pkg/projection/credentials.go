package projection

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// keyTypes are how a venue's API keys sign.
var keyTypes = []string{"HMAC", "ED25519", "RSA"}

// foldCredentialsRotated puts another key in the place of an account's. Its strategies, limits and version stay.
func (c *change) foldCredentialsRotated(p *eventv1.CredentialsRotated) {
	id := c.id("account_id", p.GetAccountId())
	account := c.account(id)
	if account == nil {
		c.fail("account %s does not exist", id)
		return
	}
	at := c.occurred()
	changed := clone(account)
	changed.APIKeyFingerprint, changed.KeyType = p.GetNewFingerprint(), maybeText(p.GetKeyType())
	changed.KeyRotations++
	changed.KeyRotatedAt = &at
	c.put(changed)
	c.replaceKey(id, account.APIKeyFingerprint, p.GetNewFingerprint())
}

// replaceKey lets a key stand for an account, and the one before it give way. A key that gave way stays the account's, which
// may come back to it: a fingerprint stands for one account, for ever.
func (c *change) replaceKey(account uuid.UUID, before, after string) {
	if before != "" && before != after {
		if known := get[APIKey](&c.reader, APIKeyKey(before)); known != nil && known.AccountID == account {
			retired, at := clone(known), c.occurred()
			retired.RetiredAt = &at
			c.put(retired)
		}
	}
	known := get[APIKey](&c.reader, APIKeyKey(after))
	switch {
	case known == nil:
		c.put(&APIKey{TenantID: c.ev.TenantID, APIKeyFingerprint: after, AccountID: account})
	case known.AccountID == account && known.RetiredAt != nil:
		again := clone(known)
		again.RetiredAt = nil
		c.put(again)
	}
}

func (r *reader) checkCredentialsRotated(p *eventv1.CredentialsRotated) error {
	id := r.id("account_id", p.GetAccountId())
	account := r.account(id)
	err := r.keyIsFree(p.GetNewFingerprint(), id)
	switch {
	case account == nil:
		return refused("ACCOUNT_UNKNOWN", "account %s is not registered", id)
	case p.GetOldFingerprint() != account.APIKeyFingerprint:
		return refused("API_KEY_REPLACED", "account %s has another API key than the one that is to be replaced", id).
			With("found", account.APIKeyFingerprint)
	case p.GetNewFingerprint() == p.GetOldFingerprint():
		return invalid("new_fingerprint", "must be another key's than old_fingerprint")
	case !slices.Contains(keyTypes, p.GetKeyType()):
		return invalid("key_type", "must be one of %s and is %q", strings.Join(keyTypes, ", "), p.GetKeyType())
	}
	return firstOf(err,
		noKeyMaterial("old_fingerprint", p.GetOldFingerprint()),
		noKeyMaterial("new_fingerprint", p.GetNewFingerprint()),
		noKeyMaterial("reason", p.GetReason()))
}

// keyIsFree refuses a key that stands for another account of the tenant, or once did.
func (r *reader) keyIsFree(fingerprint string, account uuid.UUID) error {
	key := get[APIKey](r, APIKeyKey(fingerprint))
	if key != nil && key.AccountID != account {
		return refused("API_KEY_TAKEN", "the API key stands for account %s already", key.AccountID).With("account_id", key.AccountID.String())
	}
	return nil
}

// noKeyMaterial refuses a text that is a key in its usual armour: a fingerprint names a key, and a log keeps what it is
// given for ever. The error does not repeat it.
func noKeyMaterial(field, text string) error {
	if strings.Contains(text, "-----BEGIN") || strings.Contains(strings.ToUpper(text), "PRIVATE KEY") {
		return invalid(field, "must not hold key material")
	}
	return nil
}
