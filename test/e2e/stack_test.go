// Package e2e talks to the binary and its RPCs only, as a user does.
package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

// Limits of waiting.
const (
	readyMax   = 2 * time.Minute
	stopMax    = time.Minute
	settleMax  = 45 * time.Second
	callMax    = 30 * time.Second
	lookPause  = 5 * time.Millisecond
	tenantsMax = 60
)

// served are the services that the binary serves today.
var served = []string{"command", "eventlog", "projector", "snapshotter", "replayer", "connector"}

// binary is the robson that is tested; make test builds it and sets the variable.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ROBSON_BINARY")
	if path == "" {
		t.Skip("ROBSON_BINARY names no binary: run make test")
	}
	return path
}

// profile is what `robson up` leaves for its owner.
type profile struct {
	Addresses map[string]string `json:"addresses"`
	Token     string            `json:"token"`
	TenantID  string            `json:"tenant_id"`
}

// tokenEntry is one entry of the token file, as its documented form has it.
type tokenEntry struct {
	SHA256  string              `json:"sha256"`
	Service string              `json:"service,omitempty"`
	Subject string              `json:"subject,omitempty"`
	Tenants map[string][]string `json:"tenants,omitempty"`
}

// stack is a `robson up` in a directory of its own, and who may call it.
type stack struct {
	dir     string
	profile profile
	process *process
	// more are further arguments and variables of `robson up`.
	more, environment []string

	loading sync.Mutex // of markets that stand still
	mu      sync.Mutex
	conns   map[string]*grpc.ClientConn
	tenants []string // of users that no test has taken yet; the token of each is its name
	markets map[string]*sync.RWMutex
}

// newStack makes the directory and starts the process.
func newStack(t *testing.T, change ...func(*stack)) *stack {
	t.Helper()
	binary(t)
	dir, err := os.MkdirTemp("", "robson-e2e-") //nolint:usetesting // it outlives the test that happens to be the first
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &stack{dir: dir, conns: map[string]*grpc.ClientConn{}, markets: map[string]*sync.RWMutex{btc: {}, eth: {}}}
	for _, c := range change {
		c(s)
	}
	s.up(t)
	entries := []tokenEntry{}
	for _, name := range served {
		entries = append(entries, tokenEntry{SHA256: hashOf(serviceToken(name)), Service: name})
	}
	for range tenantsMax {
		tenant := uuid.NewString()
		s.tenants = append(s.tenants, tenant)
		entries = append(entries, userEntry(tenant, tenant, "read", "trade", "operate", "audit"))
	}
	s.grant(t, entries...)
	s.awaitToken(t, s.tenants[tenantsMax-1])
	return s
}

// ownStack is a stack that ends with the test.
func ownStack(t *testing.T, change ...func(*stack)) *stack {
	t.Helper()
	s := newStack(t, change...)
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("robson up said:\n%s", s.process.output)
		}
		require.NoError(t, os.RemoveAll(s.dir))
	})
	return s
}

// shared is the stack of all tests that do not need one for themselves.
var shared struct {
	once  sync.Once
	stack *stack
}

// sharedStack starts the shared stack at its first use.
func sharedStack(t *testing.T) *stack {
	t.Helper()
	shared.once.Do(func() { shared.stack = newStack(t) })
	if shared.stack == nil {
		t.Skip("the shared stack did not start")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("robson up said lately:\n%s", shared.stack.process.output.tail())
		}
	})
	return shared.stack
}

// parallelMax is how many tests run at a time where the command line does not say: they wait more than they work.
const parallelMax = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallelMax); err != nil {
		panic(err) // package testing has it
	}
	code := m.Run()
	if s := shared.stack; s != nil {
		s.stop()
		if err := os.RemoveAll(s.dir); err != nil && code == 0 {
			code = 1
		}
	}
	os.Exit(code)
}

// process is a running robson.
type process struct {
	command *exec.Cmd
	output  *output
	ended   chan struct{}
}

// start runs the binary; said is closed when it has said the text.
func start(t *testing.T, text string, environment []string, args ...string) *process {
	t.Helper()
	p := &process{output: &output{text: text, said: make(chan struct{})}, ended: make(chan struct{})}
	p.command = exec.Command(binary(t), args...)
	p.command.Env = append(os.Environ(), environment...)
	p.command.Stdout, p.command.Stderr = p.output, p.output
	dieWithTests(p.command)
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread() // the thread lives as long as the process, which would die with it
		if err := p.command.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		_ = p.command.Wait() // its status is in ProcessState
	}()
	require.NoError(t, <-started)
	return p
}

// signal sends a signal and waits for the end.
func (p *process) signal(s syscall.Signal) {
	_ = p.command.Process.Signal(s) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopMax):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// output keeps what a process says.
type output struct {
	mu   sync.Mutex
	all  strings.Builder
	text string
	said chan struct{}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := strings.Contains(o.all.String(), o.text)
	n, err := o.all.Write(p)
	if !before && strings.Contains(o.all.String(), o.text) {
		close(o.said)
	}
	return n, err
}

// String is all that was said.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// tail is the end of it.
func (o *output) tail() string {
	const most = 4000
	all := o.String()
	return all[max(0, len(all)-most):]
}

// up starts the process and waits until it is ready. A restart keeps its addresses, as a deployment would.
func (s *stack) up(t *testing.T) {
	t.Helper()
	args := []string{"--data-dir", s.dir, "--log-level", "warn", "up"}
	for _, name := range served {
		address := "127.0.0.1:0"
		if s.profile.Addresses != nil {
			address = s.profile.Addresses[name]
		}
		args = append(args, "--"+name+"-listen", address)
	}
	s.process = start(t, "ready.", s.environment, append(args, s.more...)...)
	select {
	case <-s.process.output.said:
	case <-s.process.ended:
		t.Fatalf("robson up ended:\n%s", s.process.output)
	case <-time.After(readyMax):
		t.Fatalf("robson up is not ready after %s:\n%s", readyMax, s.process.output)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "client.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &s.profile))
}

// kill ends the process as a crash does.
func (s *stack) kill() { s.process.signal(syscall.SIGKILL) }

// stop ends the process as Ctrl-C does.
func (s *stack) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close() // nobody calls any more
	}
	s.process.signal(syscall.SIGINT)
}

// conn connects to a service.
func (s *stack) conn(t *testing.T, name string) *grpc.ClientConn {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[name]; c != nil {
		return c
	}
	c, err := grpc.NewClient(s.profile.Addresses[name], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(bounded))
	require.NoError(t, err)
	s.conns[name] = c
	return c
}

// bounded gives a call without a deadline one, so that no test hangs.
func bounded(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	return invoke(ctx, method, request, reply, conn, options...)
}

// hashOf is how a token stands in the token file.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// serviceToken is a token that stands for a service.
func serviceToken(name string) string { return "e2e-service-" + name }

// userEntry makes a user of one tenant.
func userEntry(token, tenant string, permissions ...string) tokenEntry {
	return tokenEntry{SHA256: hashOf(token), Subject: "user of " + token, Tenants: map[string][]string{tenant: permissions}}
}

// grant adds entries to the token file, which the services read again when it changes.
func (s *stack) grant(t *testing.T, entries ...tokenEntry) {
	t.Helper()
	s.changeTokens(t, func(list []any) []any {
		for _, entry := range entries {
			list = append(list, entry)
		}
		return list
	})
}

// withdraw takes a token out of the token file.
func (s *stack) withdraw(t *testing.T, token string) {
	t.Helper()
	s.changeTokens(t, func(list []any) []any {
		var kept []any
		for _, entry := range list {
			if fields, ok := entry.(map[string]any); !ok || fields["sha256"] != hashOf(token) {
				kept = append(kept, entry)
			}
		}
		return kept
	})
}

func (s *stack) changeTokens(t *testing.T, change func([]any) []any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, "tokens.json")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var file struct {
		Tokens []any `json:"tokens"`
	}
	require.NoError(t, json.Unmarshal(data, &file))
	file.Tokens = change(file.Tokens)
	data, err = json.Marshal(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".e2e", data, 0o600))
	require.NoError(t, os.Rename(path+".e2e", path))
}

// probes ask each service for something small that a user with every permission may ask for.
var probes = map[string]string{
	"command":     "/robson.command.v1.MonitorService/GetProgress",
	"eventlog":    eventlogv1.ReadService_GetHead_FullMethodName,
	"projector":   projectorv1.StateService_GetTenant_FullMethodName,
	"snapshotter": snapshotterv1.ReadService_GetSchedule_FullMethodName,
	"replayer":    replayerv1.RebuildService_ListRuns_FullMethodName,
	"connector":   "/robson.connector.v1.PaperService/GetMarket",
}

// awaitToken waits until every service knows a token.
func (s *stack) awaitToken(t *testing.T, token string) {
	t.Helper()
	waiting := maps.Clone(probes)
	u := &user{t: t, stack: s, token: token, base: context.WithoutCancel(t.Context())}
	eventually(t, "the services know a new token", settleMax, func() string {
		for service := range waiting {
			if code := u.probe(service); code == codes.Unauthenticated || code == codes.Unavailable {
				return service + " does not know it: " + code.String()
			}
			delete(waiting, service)
		}
		return ""
	})
}

// probe asks a service for something small and tells the code.
func (u *user) probe(service string) codes.Code {
	return status.Code(u.stack.conn(u.t, service).Invoke(u.ctx(), probes[service], &eventlogv1.GetHeadRequest{}, &eventlogv1.GetHeadResponse{}))
}

// eventually looks again and again until nothing is waited for any more; look says what is.
func eventually(t *testing.T, what string, most time.Duration, look func() (waiting string)) {
	t.Helper()
	ticker := time.NewTicker(lookPause)
	defer ticker.Stop()
	over := time.After(most)
	for {
		waiting := look()
		if waiting == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-over:
			require.FailNow(t, what+": not within "+most.String(), waiting)
		}
	}
}
