package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// tokensMax bounds a token file.
const tokensMax = 100_000

// File is the form of a token file. It holds hashes of tokens, never tokens.
type File struct {
	Tokens []Entry `json:"tokens"`
}

// Entry says whom a token stands for: a service, or a user with permissions by tenant.
type Entry struct {
	// SHA256 of the token, 64 hex digits.
	SHA256 string `json:"sha256"`
	// Service is command, eventlog, projector, snapshotter, replayer or connector.
	Service string `json:"service,omitempty"`
	// Subject is a user's name.
	Subject string `json:"subject,omitempty"`
	// Tenants maps a user's tenants to read, trade, operate, audit.
	Tenants map[string][]string `json:"tenants,omitempty"`
}

// Services are the names a token may stand for.
var Services = []string{"command", "eventlog", "projector", "snapshotter", "replayer", "connector"}

// PermissionText is a permission as token files write it.
func PermissionText(p optionsv1.Permission) string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "PERMISSION_"))
}

// parsePermission reads what PermissionText writes.
func parsePermission(s string) (optionsv1.Permission, error) {
	p, known := optionsv1.Permission_value["PERMISSION_"+strings.ToUpper(s)]
	if !known || p == 0 {
		return 0, fmt.Errorf("permission %q is none of read, trade, operate, audit", s)
	}
	return optionsv1.Permission(p), nil
}

// HashToken is how a token stands in the file.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// NewToken makes a token of 256 random bits.
func NewToken() (string, error) {
	secret := make([]byte, sha256.Size)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return "robson_" + base64.RawURLEncoding.EncodeToString(secret), nil
}

// Save writes a token file that only its owner can read.
func (f File) Save(path string) error {
	if _, err := f.index(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("write token file: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write token file: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write token file: %w", err)
	}
	return nil
}

// parseFile reads a token file's bytes into identities by token hash.
func parseFile(data []byte) (map[string]Identity, error) {
	var f File
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, fmt.Errorf("token file is no valid JSON of the documented form: %w", err)
	}
	return f.index()
}

// index checks every entry.
func (f File) index() (map[string]Identity, error) {
	if len(f.Tokens) > tokensMax {
		return nil, fmt.Errorf("token file has %d tokens, more than %d", len(f.Tokens), tokensMax)
	}
	identities := make(map[string]Identity, len(f.Tokens))
	for n, entry := range f.Tokens {
		hash := strings.ToLower(entry.SHA256)
		if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("tokens[%d].sha256 must be 64 hex digits", n)
		}
		if _, twice := identities[hash]; twice {
			return nil, fmt.Errorf("tokens[%d].sha256 stands in the file twice", n)
		}
		i, err := entry.identity()
		if err != nil {
			return nil, fmt.Errorf("tokens[%d]: %w", n, err)
		}
		identities[hash] = i
	}
	return identities, nil
}

// identity checks one entry.
func (e Entry) identity() (Identity, error) {
	if (e.Service == "") == (e.Subject == "") {
		return Identity{}, fmt.Errorf("exactly one of service and subject must be set")
	}
	if e.Service != "" {
		if !slices.Contains(Services, e.Service) {
			return Identity{}, fmt.Errorf("service %q is none of %s", e.Service, strings.Join(Services, ", "))
		}
		if len(e.Tenants) > 0 {
			return Identity{}, fmt.Errorf("a service has no tenants of its own")
		}
		return Identity{Service: e.Service}, nil
	}
	if len(e.Tenants) == 0 {
		return Identity{}, fmt.Errorf("the user %q holds no tenant", e.Subject)
	}
	grants := make(map[uuid.UUID][]optionsv1.Permission, len(e.Tenants))
	for text, names := range e.Tenants {
		tenant, err := uuid.Parse(text)
		if err != nil || tenant == uuid.Nil {
			return Identity{}, fmt.Errorf("tenant %q is no UUID", text)
		}
		for _, name := range names {
			p, err := parsePermission(name)
			if err != nil {
				return Identity{}, err
			}
			grants[tenant] = append(grants[tenant], p)
		}
		if len(names) == 0 {
			return Identity{}, fmt.Errorf("tenant %s has no permissions", tenant)
		}
	}
	return Identity{Subject: e.Subject, Grants: grants}, nil
}
