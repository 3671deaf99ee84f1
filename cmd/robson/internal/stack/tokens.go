package stack

import (
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
}

// loadOrMint reads a data directory's tokens, or makes them once: one for each service, and the owner's, for one tenant.
func loadOrMint(dataDir string) (*credentials, error) {
	c := &credentials{tokenFile: filepath.Join(dataDir, tokenFileName), services: map[string]string{}}
	profile, err := client.LoadProfile(dataDir)
	if err != nil {
		return nil, err
	}
	c.owner, c.tenantID = profile.Token, profile.TenantID
	complete := c.owner != "" && c.tenantID != ""
	for _, service := range identity.Services {
		token, err := os.ReadFile(tokenPath(dataDir, service))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			complete = false
		case err != nil:
			return nil, fmt.Errorf("read token: %w", err)
		}
		c.services[service] = strings.TrimSpace(string(token))
	}
	if _, err := os.Stat(c.tokenFile); complete && err == nil {
		return c, nil
	}
	return c, c.mint(dataDir)
}

// tokenPath is where a service's token is kept.
func tokenPath(dataDir, service string) string {
	return filepath.Join(dataDir, tokenDirectory, service+".token")
}

// mint makes what is missing and writes the token file. The tenant, once made, stays.
func (c *credentials) mint(dataDir string) error {
	if err := os.MkdirAll(filepath.Join(dataDir, tokenDirectory), 0o700); err != nil {
		return fmt.Errorf("make token directory: %w", err)
	}
	if c.tenantID == "" {
		c.tenantID = uuid.NewString()
	}
	var file identity.File
	for _, service := range identity.Services {
		token, err := identity.NewToken()
		if err != nil {
			return err
		}
		if err := os.WriteFile(tokenPath(dataDir, service), []byte(token+"\n"), 0o600); err != nil {
			return fmt.Errorf("write token: %w", err)
		}
		c.services[service] = token
		file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(token), Service: service})
	}
	owner, err := identity.NewToken()
	if err != nil {
		return err
	}
	c.owner = owner
	file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(owner), Subject: ownerSubject, Tenants: map[string][]string{c.tenantID: allPermissions}})
	if err := file.Save(c.tokenFile); err != nil {
		return err
	}
	return client.Profile{Token: c.owner, TenantID: c.tenantID}.Save(dataDir)
}
