package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/test/internal/wire"
)

// The services for which the tests call, and the user for whom decisions are made.
const (
	asEventlog  = "eventlog"
	asConnector = "connector"
	asCommand   = "command"
	asProjector = "projector"
	asReplayer  = "replayer"
	someUser    = "somebody"
)

// operator is the token of a user who may operate and audit the rig's own tenant.
const operator = "chaos-operator"

// messageBytesMax lets a page of 1000 events through.
const messageBytesMax = 64 << 20

// rig is what is run: PostgreSQL, event logs, a projector, and the links between them.
type rig struct {
	binary, dir string
	database    *database
	replicas    []*replica
	projector   *server
	// replayer is nil until a test serves it.
	replayer *server
	// operated is the tenant that the operator's token is for.
	operated *tenant
}

// server is one robson serve.
type server struct {
	rig     *rig
	name    string
	service string
	address string
	// link leads to the database, and database is where it finds that: through the link. Only where it uses one.
	link     *link
	database string
	// more are arguments of its own.
	more    []string
	conn    *grpc.ClientConn
	process *process
}

// replica is an event log.
type replica struct {
	*server
	log  eventlogv1.AppendServiceClient
	read eventlogv1.ReadServiceClient
}

// newRig starts everything; dir is where PostgreSQL's data goes.
func newRig(t *testing.T, dir string, replicas int) *rig {
	t.Helper()
	ctx := t.Context()
	r := &rig{binary: binary(t), dir: dir, operated: newTenant()}
	var err error
	r.database, err = startDatabase(ctx, r.binary, dir)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PostgreSQL said:\n%s", r.database.process.said())
		}
		require.NoError(t, r.database.stop())
	})
	require.NoError(t, r.writeTokens())
	for i := range replicas {
		s := r.serve(t, fmt.Sprintf("eventlog-%d", i+1), asEventlog)
		r.replicas = append(r.replicas, &replica{server: s, log: eventlogv1.NewAppendServiceClient(s.conn), read: eventlogv1.NewReadServiceClient(s.conn)})
	}
	r.projector = r.serve(t, "projector", asProjector)
	for _, s := range r.servers() {
		require.NoError(t, s.ready(ctx))
	}
	return r
}

// servers are all of them.
func (r *rig) servers() []*server {
	all := []*server{r.projector}
	if r.replayer != nil {
		all = append(all, r.replayer)
	}
	for _, replica := range r.replicas {
		all = append(all, replica.server)
	}
	return all
}

// tokenOf is a token that stands for a service.
func tokenOf(service string) string { return "chaos-" + service }

func (r *rig) writeTokens() error {
	entries := []map[string]any{{
		"sha256": fmt.Sprintf("%x", wire.Digest(operator)), "subject": someUser,
		"tenants": map[string][]string{r.operated.id: {"read", "trade", "operate", "audit"}},
	}}
	for _, service := range []string{asConnector, asCommand, asProjector, asReplayer} {
		entries = append(entries, map[string]any{"sha256": fmt.Sprintf("%x", wire.Digest(tokenOf(service))), "service": service})
		if err := os.WriteFile(r.serviceToken(service), []byte(tokenOf(service)), 0o600); err != nil {
			return err
		}
	}
	data, err := json.Marshal(map[string]any{"tokens": entries})
	if err != nil {
		return err
	}
	return os.WriteFile(r.tokens(), data, 0o600)
}

func (r *rig) tokens() string { return filepath.Join(r.dir, "tokens.json") }

// serviceToken is the file with the token that a service presents to the event log.
func (r *rig) serviceToken(service string) string { return filepath.Join(r.dir, service+".token") }

// serve starts a service, one that uses the database behind a link of its own. It ends with the test, in order.
func (r *rig) serve(t *testing.T, name, service string, more ...string) *server {
	t.Helper()
	s := &server{rig: r, name: name, service: service, more: more}
	var err error
	if s.usesDatabase() {
		s.link, err = newLink(t.Context(), r.database.url.Host)
		require.NoError(t, err)
		t.Cleanup(s.link.stop)
		u := *r.database.url
		u.Host = s.link.address()
		s.database = u.String()
	}
	s.address, err = freeAddress(t.Context())
	require.NoError(t, err)
	s.conn, err = dial(s.address)
	require.NoError(t, err)
	require.NoError(t, s.start())
	t.Cleanup(func() {
		require.NoError(t, s.conn.Close())
		if t.Failed() {
			t.Logf("%s said:\n%s", s.name, s.process.said())
		}
		require.NoError(t, s.process.stop())
	})
	return s
}

// dial makes a connection.
func dial(address string) (*grpc.ClientConn, error) {
	// Connecting again must not wait for long: the tests are about what happens at once.
	again := backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 200 * time.Millisecond}
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)))
}

// freeAddress is a port that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// usesDatabase says whether the service has a role in the database; the others ask those that have.
func (s *server) usesDatabase() bool { return s.service != asConnector && s.service != asCommand }

// start runs the process.
func (s *server) start() error {
	args := []string{"serve", s.service, "--listen", s.address, "--token-file", s.rig.tokens(), "--log-level", "warn"}
	if s.service != asEventlog {
		args = append(args, "--service-token-file", s.rig.serviceToken(s.service), "--eventlog-address", s.rig.replicas[0].address)
	}
	if s.usesDatabase() {
		args = append(args, "--database-url", s.database)
	}
	var err error
	s.process, err = start(s.rig.dir, s.name, s.rig.binary, append(args, s.more...)...)
	return err
}

// ready returns when the service serves. One that ended by itself, since there was no database when it started, is started
// again, as whoever runs it would.
func (s *server) ready(ctx context.Context) error {
	health := healthv1.NewHealthClient(s.conn)
	return await(ctx, s.name+" serves", readyMax, func() error {
		if !s.process.running() {
			said := s.process.said()
			if err := s.start(); err != nil {
				return err
			}
			return fmt.Errorf("it has ended:\n%s", said)
		}
		ctx, cancel := context.WithTimeout(ctx, callMax)
		defer cancel()
		answer, err := health.Check(ctx, &healthv1.HealthCheckRequest{})
		if err == nil && answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			err = fmt.Errorf("its health is %s", answer.GetStatus())
		}
		return err
	})
}

// restartDatabase starts PostgreSQL again and leads the links to it.
func (r *rig) restartDatabase(ctx context.Context) error {
	if err := r.database.restart(ctx); err != nil {
		return err
	}
	for _, s := range r.servers() {
		s.link.lead(r.database.url.Host)
	}
	return nil
}

// revive returns when PostgreSQL answers. One that has given up is started again.
func (r *rig) revive(ctx context.Context) error {
	return await(ctx, "PostgreSQL answers again", readyMax, func() error {
		if !r.database.process.running() {
			return r.restartDatabase(ctx)
		}
		return r.database.look(ctx)
	})
}

// as is the context of a call that a service makes for a tenant; with user, on behalf of one.
func as(ctx context.Context, service, tenant string, user bool) context.Context {
	pairs := []string{"authorization", "Bearer " + tokenOf(service), "x-robson-tenant-id", tenant}
	if user {
		pairs = append(pairs, "x-robson-on-behalf-of", someUser)
	}
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(pairs...))
}

// state is the projector's client.
func (r *rig) state() projectorv1.StateServiceClient {
	return projectorv1.NewStateServiceClient(r.projector.conn)
}
