package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/identity"
)

// What a data directory holds beside the database.
const (
	tokenFileName  = "tokens.json"
	tokenDirectory = "tokens"
	ownerSubject   = "owner"
)

// allPermissions are the owner's of a stack of one's own.
var allPermissions = []string{"read", "trade", "operate", "audit"}

// credentials are what the services and the owner of a stack present.
type credentials struct {
	tokenFile string
	services  map[string]string
	owner     string
	tenantID  string
	// others are entries of the token file that a person has added.
	others []identity.Entry
}

// loadOrMint reads a data directory's tokens and makes those that are missing: one for each service, and the owner's, for one
// tenant. What is there stays as it is.
func loadOrMint(dataDir string) (*credentials, error) {
	c := &credentials{tokenFile: filepath.Join(dataDir, tokenFileName), services: map[string]string{}}
	profile, err := client.LoadProfile(dataDir)
	if err != nil {
		return nil, err
	}
	c.owner, c.tenantID = profile.Token, profile.TenantID
	listed, err := c.readTokenFile()
	if err != nil {
		return nil, err
	}
	complete := listed && c.owner != "" && c.tenantID != ""
	for _, service := range identity.Services {
		token, err := os.ReadFile(tokenPath(dataDir, service))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read token: %w", err)
		}
		c.services[service] = strings.TrimSpace(string(token))
		complete = complete && c.services[service] != ""
	}
	if complete {
		return c, nil
	}
	return c, c.mint(dataDir)
}

// tokenPath is where a service's token is kept.
func tokenPath(dataDir, service string) string {
	return filepath.Join(dataDir, tokenDirectory, service+".token")
}

// readTokenFile learns what a profile that was lost said: for which tenant the owner's token was; and which tokens are others'.
func (c *credentials) readTokenFile() (there bool, err error) {
	data, err := os.ReadFile(c.tokenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read token file: %w", err)
	}
	var file identity.File
	if err := json.Unmarshal(data, &file); err != nil {
		return false, fmt.Errorf("read token file %s: %w", c.tokenFile, err)
	}
	for _, entry := range file.Tokens {
		switch {
		case entry.Service != "":
		case entry.Subject != ownerSubject:
			c.others = append(c.others, entry)
		case c.tenantID == "":
			for tenant := range entry.Tenants {
				c.tenantID = tenant
			}
		}
	}
	return true, nil
}

// mint makes what is missing and writes the token file, and last the profile. The tenant, once made, stays.
func (c *credentials) mint(dataDir string) error {
	if err := os.MkdirAll(filepath.Join(dataDir, tokenDirectory), 0o700); err != nil {
		return fmt.Errorf("make token directory: %w", err)
	}
	if c.tenantID == "" {
		c.tenantID = uuid.NewString()
	}
	var file identity.File
	for _, service := range identity.Services {
		if c.services[service] == "" {
			token, err := identity.NewToken()
			if err != nil {
				return err
			}
			if err := os.WriteFile(tokenPath(dataDir, service), []byte(token+"\n"), 0o600); err != nil {
				return fmt.Errorf("write token: %w", err)
			}
			c.services[service] = token
		}
		file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(c.services[service]), Service: service})
	}
	if c.owner == "" {
		token, err := identity.NewToken()
		if err != nil {
			return err
		}
		c.owner = token
	}
	file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(c.owner), Subject: ownerSubject, Tenants: map[string][]string{c.tenantID: allPermissions}})
	file.Tokens = append(file.Tokens, c.others...)
	if err := file.Save(c.tokenFile); err != nil {
		return err
	}
	return client.Profile{Token: c.owner, TenantID: c.tenantID}.Save(dataDir)
}
