package client

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/rpc"
)

// Options are what the command line and the environment say; what they leave out comes from the profile.
type Options struct {
	// DataDir is where the profile of `robson up` is looked for.
	DataDir string
	// Token, TenantID: empty to use ROBSON_TOKEN, ROBSON_TENANT_ID, or the profile's.
	Token, TenantID string
	// Addresses by service; a service without one: ROBSON_<SERVICE>_ADDRESS, the profile's, or the default.
	Addresses map[string]string
	// OnlyProfile takes everything from the profile, whatever the environment says: the stack is one's own.
	OnlyProfile bool
}

// Client is the connections of one command line.
type Client struct {
	token     string
	tenant    uuid.UUID
	addresses map[string]string
	conns     map[string]*connection
}

// ErrNoToken means that there is no stack to be found, and none was named.
var ErrNoToken = errors.New("no token, so no stack to ask: start one with `robson up`, or name one with --data-dir or ROBSON_TOKEN")

// Open finds out where the services are and who calls. It connects to nothing yet.
func Open(o Options) (*Client, error) {
	profile, err := LoadProfile(o.DataDir)
	if err != nil {
		return nil, err
	}
	env := os.Getenv
	if o.OnlyProfile {
		env = func(string) string { return "" }
	}
	c := &Client{token: first(o.Token, env("ROBSON_TOKEN"), profile.Token), addresses: map[string]string{}, conns: map[string]*connection{}}
	if c.token == "" {
		return nil, fmt.Errorf("%w (%s is not there)", ErrNoToken, ProfilePath(o.DataDir))
	}
	if text := first(o.TenantID, env("ROBSON_TENANT_ID"), profile.TenantID); text != "" {
		c.tenant, err = uuid.Parse(text)
		if err != nil {
			return nil, fault.InvalidField("--tenant-id", "%q is no UUID", text)
		}
	}
	for service, address := range DefaultAddresses {
		variable := "ROBSON_" + strings.ToUpper(service) + "_ADDRESS"
		c.addresses[service] = first(o.Addresses[service], env(variable), profile.Addresses[service], address)
	}
	return c, nil
}

// first is the first text that says something.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Tenant is the tenant that calls are for; Nil if the token's only one.
func (c *Client) Tenant() uuid.UUID { return c.tenant }

// Service gives the connection to a service, made when first asked for.
func (c *Client) Service(name string) (grpc.ClientConnInterface, error) {
	if conn, open := c.conns[name]; open {
		return conn, nil
	}
	address, known := c.addresses[name]
	if !known {
		return nil, fmt.Errorf("there is no service %q", name)
	}
	dialed, err := rpc.Dial(rpc.ClientConfig{Address: address, Token: c.token, Tenant: c.tenant})
	if err != nil {
		return nil, err
	}
	conn := &connection{ClientConn: dialed, service: name, address: address}
	c.conns[name] = conn
	return conn, nil
}

// Close gives the connections back.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	c.conns = map[string]*connection{}
	return errors.Join(errs...)
}
