package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Type is how a key signs, in the words of CREDENTIALS_ROTATED.
type Type string

// The types.
const (
	HMAC    Type = "HMAC"
	RSA     Type = "RSA"
	Ed25519 Type = "ED25519"
)

// Limits of what is taken for a key.
const (
	apiKeyMax  = 128
	secretMin  = 8
	secretMax  = 256
	rsaBitsMin = 2048
)

// Key is an API key with what signs for it.
type Key struct {
	kind           Type
	apiKey, secret []byte
	fingerprint    string
}

// redacted is all that a key says of itself wherever it is shown.
const redacted = "[redacted]"

// Fingerprint names an API key without telling it: sha256: and the SHA-256 of the key in hexadecimal.
func Fingerprint(apiKey []byte) string {
	sum := sha256.Sum256(apiKey)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Type says how the key signs.
func (k *Key) Type() Type { return k.kind }

// Fingerprint names the key.
func (k *Key) Fingerprint() string { return k.fingerprint }

// APIKey is what the venue knows the key by.
func (k *Key) APIKey() string { return string(k.apiKey) }

// Secret is what signs: the HMAC secret, or the private key in PEM.
func (k *Key) Secret() string { return string(k.secret) }

// wipe overwrites the key. It is of no use afterwards.
func (k *Key) wipe() {
	clear(k.apiKey)
	clear(k.secret)
}

// String tells nothing.
func (k *Key) String() string { return redacted }

// Format tells nothing, whatever the verb: %x and %#v would look inside.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue tells nothing.
func (k *Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText tells nothing; JSON and others use it.
func (k *Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// parseText reads the API key from the first line and what signs from the others. It keeps no part of the text.
func parseText(text []byte) (*Key, error) {
	apiKey, secret, found := bytes.Cut(text, []byte("\n"))
	if !found {
		return nil, errors.New("it must hold the API key in its first line and what signs in the others")
	}
	return parse(apiKey, secret)
}

// parse makes a key of its two parts, and says what is wrong with them without showing them.
func parse(apiKey, secret []byte) (*Key, error) {
	apiKey, secret = bytes.TrimSpace(apiKey), bytes.TrimSpace(secret)
	if len(apiKey) == 0 || len(apiKey) > apiKeyMax || !printable(apiKey) {
		return nil, fmt.Errorf("the API key must be 1 to %d printable characters without spaces", apiKeyMax)
	}
	kind, err := typeOf(secret)
	if err != nil {
		return nil, err
	}
	return &Key{kind: kind, apiKey: bytes.Clone(apiKey), secret: bytes.Clone(secret), fingerprint: Fingerprint(apiKey)}, nil
}

// typeOf tells what kind of secret it is. The parser's own words are not passed on: they are about the inside of a secret.
func typeOf(secret []byte) (Type, error) {
	if !bytes.HasPrefix(secret, []byte("-----BEGIN")) {
		if len(secret) < secretMin || len(secret) > secretMax || !printable(secret) {
			return "", fmt.Errorf("the secret must be %d to %d printable characters without spaces, or a private key in PEM", secretMin, secretMax)
		}
		return HMAC, nil
	}
	block, rest := pem.Decode(secret)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return "", errors.New("the private key must be one whole PEM block and nothing else")
	}
	defer clear(block.Bytes)
	switch block.Type {
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return "", errEncrypted
		}
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return "", errors.New("the private key is no PKCS#1 RSA key")
		}
		return RSA, longEnough(key)
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return "", errors.New("the private key is no PKCS#8 key")
		}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return RSA, longEnough(key)
		case ed25519.PrivateKey:
			return Ed25519, nil
		default:
			return "", errors.New("the private key must be RSA or Ed25519")
		}
	case "ENCRYPTED PRIVATE KEY":
		return "", errEncrypted
	default:
		return "", errors.New(`the PEM block must be a "PRIVATE KEY" or an "RSA PRIVATE KEY"`)
	}
}

var errEncrypted = errors.New("the private key is encrypted; there is nobody to ask for its passphrase")

func longEnough(key *rsa.PrivateKey) error {
	if key.N.BitLen() < rsaBitsMin {
		return fmt.Errorf("the RSA key has %d bits, fewer than %d", key.N.BitLen(), rsaBitsMin)
	}
	return nil
}

func printable(text []byte) bool {
	for _, b := range text {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return true
}
