package keys_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/connector/internal/keys"
	"github.com/robson/robson/services/connector/internal/venue"
)

const (
	apiKey = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
	secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
)

// accounts are the log's word on which key stands for each account.
type accounts struct {
	mu           sync.Mutex
	fingerprints map[uuid.UUID]string
	err          error
	asked        int
}

func (a *accounts) KeyFingerprint(_ context.Context, _, account uuid.UUID) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return a.fingerprints[account], a.err
}

type testBundle struct {
	dir             string
	tenant, account uuid.UUID
	accounts        *accounts
	clock           *clock.Fake
	log             *bytes.Buffer
	config          keys.Config
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{dir: t.TempDir(), tenant: uuid.New(), account: uuid.New(), clock: clock.NewFake(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)), log: &bytes.Buffer{}}
	b.accounts = &accounts{fingerprints: map[uuid.UUID]string{b.account: keys.Fingerprint([]byte(apiKey))}}
	b.config.Dir = b.dir
	return b
}

func (b *testBundle) name() string { return b.tenant.String() + "_" + b.account.String() }

func (b *testBundle) ref() venue.AccountKey {
	return venue.AccountKey(b.tenant.String() + "/" + b.account.String())
}

func (b *testBundle) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (b *testBundle) open(t *testing.T) *keys.Store {
	t.Helper()
	store, err := keys.New(slog.New(slog.NewTextHandler(b.log, nil)), b.clock, b.accounts, b.config)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// refused requires an error of a reason that says that nothing was sent, and shows no secret.
func refused(t *testing.T, err error, reason, says string) {
	t.Helper()
	require.Equal(t, fault.Refused, fault.KindOf(err), "%v", err)
	require.Equal(t, reason, fault.As(err).Reason)
	require.ErrorContains(t, err, says)
	require.ErrorIs(t, err, venue.ErrNotSent)
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, err.Error(), apiKey)
}

func TestStore_Get_kinds(t *testing.T) {
	t.Parallel()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	for name, c := range map[string]struct {
		files map[string]string
		kind  keys.Type
		want  string
	}{
		"a file":                      {map[string]string{"": apiKey + "\n" + secret + "\n"}, keys.HMAC, secret},
		"a file with line ends of CR": {map[string]string{"": apiKey + "\r\n" + secret + "\r\n"}, keys.HMAC, secret},
		"a file with a label":         {map[string]string{".second": apiKey + "\n" + secret}, keys.HMAC, secret},
		"a file, Ed25519":             {map[string]string{"": apiKey + "\n" + pemOf(t, edKey)}, keys.Ed25519, pemOf(t, edKey)},
		"a directory":                 {map[string]string{"/api_key": apiKey, "/secret": secret + "\n"}, keys.HMAC, secret},
		"a directory, RSA":            {map[string]string{"/api_key": apiKey, "/private_key": pemOf(t, rsaKey)}, keys.RSA, pemOf(t, rsaKey)},
		"a directory, RSA by PKCS#1":  {map[string]string{".k/api_key": apiKey, ".k/private_key": pkcs1}, keys.RSA, pkcs1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for suffix, text := range c.files {
				b.write(t, b.name()+suffix, text)
			}
			key, err := b.open(t).Get(t.Context(), b.ref())
			require.NoError(t, err)
			require.Equal(t, c.kind, key.Type())
			require.Equal(t, apiKey, key.APIKey())
			require.Equal(t, strings.TrimSpace(c.want), key.Secret())
		})
	}
}

func TestStore_Get_environment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Dir = ""
	plain := func(id uuid.UUID) string { return strings.ReplaceAll(id.String(), "-", "") }
	b.config.Environ = []string{"ROBSON_KEY_" + strings.ToUpper(plain(b.tenant)) + "_" + plain(b.account) + "_FIRST=" + apiKey + "\n" + secret}
	store := b.open(t)
	key, err := store.Get(t.Context(), b.ref())
	require.NoError(t, err)
	require.Equal(t, secret, key.Secret())
	b.account = uuid.New()
	_, err = store.Get(t.Context(), b.ref())
	refused(t, err, "KEY_MISSING", "--keys-dir")

	for variable, says := range map[string]string{
		"ROBSON_KEY_x=" + secret:          "by ids without dashes",
		"ROBSON_KEY_x_y=" + secret:        "by ids without dashes",
		b.config.Environ[0][:80] + "=one": "first line",
	} {
		_, err := keys.New(slog.New(slog.DiscardHandler), b.clock, b.accounts, keys.Config{Environ: []string{variable}})
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), secret)
	}
}

// What is no key is told by where it is and what is wrong, never by what it holds.
func TestStore_Get_refuses(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024) // too short on purpose
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	block := func(kind string, headers map[string]string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: []byte("no key")}))
	}
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"one line":                {map[string]string{"": secret}, "first line"},
		"no API key":              {map[string]string{"": "\n" + secret}, "API key must be"},
		"a space in the API key":  {map[string]string{"": "a b\n" + secret}, "API key must be"},
		"a long API key":          {map[string]string{"": strings.Repeat("k", 129) + "\n" + secret}, "API key must be"},
		"a short secret":          {map[string]string{"": apiKey + "\nshort"}, "secret must be 8 to 256"},
		"two lines of secret":     {map[string]string{"": apiKey + "\n" + secret + "\n" + secret}, "secret must be"},
		"too much":                {map[string]string{"": strings.Repeat("k", 17<<10)}, "more than 16384 bytes"},
		"half a PEM":              {map[string]string{"": apiKey + "\n-----BEGIN PRIVATE KEY-----\nMC4C"}, "one whole PEM block"},
		"something after the PEM": {map[string]string{"": apiKey + "\n" + pemOf(t, curve) + "more"}, "one whole PEM block"},
		"another curve":           {map[string]string{"": apiKey + "\n" + pemOf(t, curve)}, "must be RSA or Ed25519"},
		"a short RSA key":         {map[string]string{"": apiKey + "\n" + pemOf(t, short)}, "1024 bits"},
		"no PKCS#8":               {map[string]string{"": apiKey + "\n" + block("PRIVATE KEY", nil)}, "no PKCS#8 key"},
		"no PKCS#1":               {map[string]string{"": apiKey + "\n" + block("RSA PRIVATE KEY", nil)}, "no PKCS#1 RSA key"},
		"encrypted":               {map[string]string{"": apiKey + "\n" + block("ENCRYPTED PRIVATE KEY", nil)}, "is encrypted"},
		"encrypted, the old way":  {map[string]string{"": apiKey + "\n" + block("RSA PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"})}, "is encrypted"},
		"a certificate":           {map[string]string{"": apiKey + "\n" + block("CERTIFICATE", nil)}, `must be a "PRIVATE KEY"`},
		"no API key file":         {map[string]string{"/secret": secret}, "api_key"},
		"only an API key":         {map[string]string{"/api_key": apiKey}, "neither secret nor private_key"},
		"both":                    {map[string]string{"/api_key": apiKey, "/secret": secret, "/private_key": pemOf(t, curve)}, "both"},
		"PEM as a secret":         {map[string]string{"/api_key": apiKey, "/secret": pemOf(t, curve)}, "name it private_key"},
		"a secret as PEM":         {map[string]string{"/api_key": apiKey, "/private_key": secret}, "must be in PEM"},
		"a directory in it":       {map[string]string{"/api_key/x": apiKey, "/secret": secret}, "is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for suffix, text := range c.files {
				b.write(t, b.name()+suffix, text)
			}
			_, err := b.open(t).Get(t.Context(), b.ref())
			refused(t, err, "KEY_UNREADABLE", c.says)
			require.ErrorContains(t, err, b.name())
			require.NotContains(t, b.log.String(), secret)
			require.Contains(t, b.log.String(), "key cannot be used")
		})
	}
}

func TestStore_Get_permissions(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]string{"a file": "", "a directory": "/secret"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			text := apiKey + "\n" + secret
			if inside != "" {
				b.write(t, b.name()+"/api_key", apiKey)
				text = secret
			}
			path := b.write(t, b.name()+inside, text)
			require.NoError(t, os.Chmod(path, 0o644)) // open on purpose
			_, err := b.open(t).Get(t.Context(), b.ref())
			refused(t, err, "KEY_UNREADABLE", "has permissions 0644: it must be closed to others")

			b.config.ReadableByOthers = true
			_, err = b.open(t).Get(t.Context(), b.ref())
			require.NoError(t, err)
			require.Contains(t, b.log.String(), "level=WARN msg=\"key can be read by others")

			b.config.ReadableByOthers = false
			require.NoError(t, os.Chmod(path, 0o640)) // Kubernetes gives secrets to a group
			_, err = b.open(t).Get(t.Context(), b.ref())
			require.NoError(t, err)
		})
	}
}

// A key is exchanged while the store is open: beside the old one first, then in the log, then the old one goes.
func TestStore_Get_rotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, b.name(), apiKey+"\n"+secret)
	store := b.open(t)
	old, err := store.Get(t.Context(), b.ref())
	require.NoError(t, err)

	b.write(t, b.name()+".next", "another-key\nanother-secret")
	b.clock.Advance(time.Second)
	key, err := store.Get(t.Context(), b.ref())
	require.NoError(t, err)
	require.Equal(t, secret, key.Secret(), "the log has not changed")

	b.accounts.fingerprints[b.account] = keys.Fingerprint([]byte("another-key"))
	b.clock.Advance(5 * time.Second)
	key, err = store.Get(t.Context(), b.ref())
	require.NoError(t, err)
	require.Equal(t, "another-secret", key.Secret())
	require.Equal(t, secret, old.Secret(), "what was given is the taker's own, whatever is overwritten here")

	require.NoError(t, os.Remove(filepath.Join(b.dir, b.name()+".next")))
	b.clock.Advance(time.Second)
	for range 2 {
		_, err = store.Get(t.Context(), b.ref())
		refused(t, err, "KEY_NOT_CURRENT", b.name()+" holds "+keys.Fingerprint([]byte(apiKey)))
	}
	require.Equal(t, 1, strings.Count(b.log.String(), "no key for an account"), "it is told once")

	// The key is put back before the log is asked again: a mismatch has it asked at once.
	b.accounts.fingerprints[b.account] = keys.Fingerprint([]byte(apiKey))
	_, err = store.Get(t.Context(), b.ref())
	require.NoError(t, err)
	require.Contains(t, b.log.String(), "the account has its key")
}

func TestStore_Get_asks_the_log_seldom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, b.name(), apiKey+"\n"+secret)
	store := b.open(t)
	for range 10 {
		_, err := store.Get(t.Context(), b.ref())
		require.NoError(t, err)
	}
	require.Equal(t, 1, b.accounts.asked)
	b.clock.Advance(5 * time.Second)
	b.accounts.err = errors.New("away")
	_, err := store.Get(t.Context(), b.ref())
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.ErrorIs(t, err, venue.ErrNotSent)
	b.accounts.err = fault.New(fault.NotFound, "NO_ACCOUNT", "no such account")
	_, err = store.Get(t.Context(), b.ref())
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestStore_Get_names(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, "..data/x", secret)
	b.write(t, ".hidden", secret)
	b.write(t, "README", "not a key")
	store := b.open(t)
	_, err := store.Get(t.Context(), b.ref())
	refused(t, err, "KEY_MISSING", "it belongs into "+filepath.Join(b.dir, b.name()))
	_, err = store.Get(t.Context(), "nonsense")
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.Contains(t, b.log.String(), "name=README")
	require.NotContains(t, b.log.String(), "hidden")
}

// A directory that has gone leaves what was read in force.
func TestStore_Get_directory_gone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, b.name(), apiKey+"\n"+secret)
	store := b.open(t)
	require.NoError(t, os.RemoveAll(b.dir))
	b.clock.Advance(time.Second)
	_, err := store.Get(t.Context(), b.ref())
	require.NoError(t, err)
	require.Contains(t, b.log.String(), "those that were read stay")
	_, err = keys.New(slog.New(slog.DiscardHandler), b.clock, b.accounts, b.config)
	require.ErrorContains(t, err, "read keys")
	_, err = keys.New(slog.New(slog.DiscardHandler), b.clock, b.accounts, keys.Config{LookEvery: -1})
	require.ErrorContains(t, err, "LookEvery")
}

func TestKey_shows_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, b.name(), apiKey+"\n"+secret)
	key, err := b.open(t).Get(t.Context(), b.ref())
	require.NoError(t, err)
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb+" ", key)
		fmt.Fprintf(&shown, verb+" ", struct{ Key *keys.Key }{key})
	}
	fmt.Fprint(&shown, key.String())
	require.NoError(t, json.NewEncoder(&shown).Encode(map[string]any{"key": key, "inside": struct{ Key *keys.Key }{key}}))
	for _, handler := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		slog.New(handler(&shown)).Info("a key", "key", key, "error", fmt.Errorf("with %v", key))
	}
	for _, part := range []string{apiKey, secret, apiKey[:8], secret[:8], fmt.Sprintf("%x", secret[:8]), fmt.Sprintf("%X", secret[:8])} {
		require.NotContains(t, shown.String(), part)
	}
	require.Contains(t, shown.String(), "[redacted]")
}

func TestStore_Close_leaves_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(t, b.name(), apiKey+"\n"+secret)
	store := b.open(t)
	store.Close()
	_, err := store.Get(t.Context(), b.ref())
	refused(t, err, "KEY_MISSING", "no API key")
}

func TestStore_Get_concurrently_with_rotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.write(t, b.name(), apiKey+"\n"+secret)
	store := b.open(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 50 {
				key, err := store.Get(t.Context(), b.ref())
				if err == nil && key.Secret() != secret {
					t.Error("a key that was overwritten was given")
				}
			}
		})
	}
	wait.Go(func() {
		for n := range 50 {
			moment := time.Unix(int64(n), 0)
			if err := os.Chtimes(path, moment, moment); err != nil {
				t.Error(err)
			}
			b.clock.Advance(time.Second)
		}
	})
	wait.Wait()
}
