// Package sign checks the signatures of Binance requests: HMAC-SHA256, RSA (PKCS#1 v1.5 over SHA-256) and Ed25519.
package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Verifier says whether a signature is one of the payload.
type Verifier func(payload, signature string) bool

// HMAC verifies by a shared secret; the hexadecimal signature may be in either case.
func HMAC(secret string) Verifier {
	return func(payload, signature string) bool {
		given, err := hex.DecodeString(signature)
		if err != nil {
			return false
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(payload))
		return hmac.Equal(given, mac.Sum(nil))
	}
}

// PublicKey verifies by an RSA or Ed25519 public key in PEM (PKIX).
func PublicKey(document string) (Verifier, error) {
	block, _ := pem.Decode([]byte(document))
	if block == nil {
		return nil, errors.New("public key: not PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	switch key := key.(type) {
	case ed25519.PublicKey:
		return decoded(func(payload string, signature []byte) bool { return ed25519.Verify(key, []byte(payload), signature) }), nil
	case *rsa.PublicKey:
		return decoded(func(payload string, signature []byte) bool {
			sum := sha256.Sum256([]byte(payload))
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
		}), nil
	default:
		return nil, fmt.Errorf("public key: %T is neither RSA nor Ed25519", key)
	}
}

func decoded(verify func(string, []byte) bool) Verifier {
	return func(payload, signature string) bool {
		given, err := base64.StdEncoding.DecodeString(signature)
		return err == nil && verify(payload, given)
	}
}
