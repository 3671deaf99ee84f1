// Package client finds a running Robson and connects to it: addresses and token from flags, from the environment,
// or from the profile that `robson up` leaves in its data directory.
package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Service names, as in contracts, folders and identities.
const (
	Command     = "command"
	Eventlog    = "eventlog"
	Projector   = "projector"
	Connector   = "connector"
	Snapshotter = "snapshotter"
	Replayer    = "replayer"
)

// DefaultAddresses are where the services listen unless told otherwise.
var DefaultAddresses = map[string]string{
	Command:     "127.0.0.1:7401",
	Eventlog:    "127.0.0.1:7402",
	Projector:   "127.0.0.1:7403",
	Snapshotter: "127.0.0.1:7404",
	Replayer:    "127.0.0.1:7405",
	Connector:   "127.0.0.1:7406",
}

// Profile is what a person's command line needs to reach a stack: written by `robson up`, mode 0600.
type Profile struct {
	// Addresses by service name.
	Addresses map[string]string `json:"addresses"`
	// Token of the stack's owner.
	Token string `json:"token"`
	// TenantID is the tenant the token is for.
	TenantID string `json:"tenant_id"`
}

// profileName is the profile's file in a data directory.
const profileName = "client.json"

// ProfilePath is where the profile of a data directory is.
func ProfilePath(dataDir string) string { return filepath.Join(dataDir, profileName) }

// Save writes the profile so that only its owner can read it.
func (p Profile) Save(dataDir string) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	temporary := ProfilePath(dataDir) + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	if err := os.Rename(temporary, ProfilePath(dataDir)); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}

// LoadProfile reads the profile of a data directory; a missing one is empty.
func LoadProfile(dataDir string) (Profile, error) {
	data, err := os.ReadFile(ProfilePath(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return Profile{}, nil
	}
	if err != nil {
		return Profile{}, fmt.Errorf("read profile: %w", err)
	}
	var p Profile
	if err := json.Unmarshal(data, &p); err != nil {
		return Profile{}, fmt.Errorf("read profile %s: %w", ProfilePath(dataDir), err)
	}
	return p, nil
}

// DefaultDataDir is where `robson up` keeps its data unless told otherwise: a place of the user's own.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/robson"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "robson")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "robson")
	}
	return filepath.Join(home, ".local", "share", "robson")
}
