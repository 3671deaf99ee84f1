// Package e2e talks to the binary and its RPCs only, as a user does.
package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

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

// stack is a running `robson up`.
type stack struct {
	t       *testing.T
	dir     string
	command *exec.Cmd
	output  *strings.Builder
	profile profile
	conns   map[string]*grpc.ClientConn
}

// startStack runs `robson up` in a directory of its own and waits until it is ready.
func startStack(t *testing.T) *stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "robson-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &stack{t: t, dir: dir, conns: map[string]*grpc.ClientConn{}}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("robson up said:\n%s", s.output)
		}
		require.NoError(t, os.RemoveAll(dir))
	})
	s.up()
	return s
}

// up starts the process.
func (s *stack) up() {
	s.t.Helper()
	require.NoError(s.t, os.RemoveAll(filepath.Join(s.dir, "ready")))
	ports := []string{"--command-listen", "127.0.0.1:0", "--eventlog-listen", "127.0.0.1:0", "--projector-listen", "127.0.0.1:0", "--connector-listen", "127.0.0.1:0"}
	if s.profile.Addresses != nil {
		// A restart keeps its addresses, as a deployment would.
		ports = nil
		for name, address := range s.profile.Addresses {
			ports = append(ports, "--"+name+"-listen", address)
		}
	}
	s.output = &strings.Builder{}
	s.command = exec.Command(binary(s.t), append([]string{"--data-dir", s.dir, "--log-level", "warn", "up"}, ports...)...)
	pipe, err := s.command.StdoutPipe()
	require.NoError(s.t, err)
	s.command.Stderr = os.Stderr
	require.NoError(s.t, s.command.Start())
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		buffer := make([]byte, 4096)
		for {
			n, err := pipe.Read(buffer)
			s.output.Write(buffer[:n])
			if strings.Contains(s.output.String(), "ready.") || err != nil {
				return
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(2 * time.Minute):
		s.t.Fatal("robson up is not ready after two minutes")
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "client.json"))
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(data, &s.profile))
}

// kill ends the process as a crash does.
func (s *stack) kill() {
	s.t.Helper()
	require.NoError(s.t, s.command.Process.Signal(syscall.SIGKILL))
	_ = s.command.Wait() // it was killed: its status says so
	s.command = nil
}

// stop ends the process as Ctrl-C does.
func (s *stack) stop() {
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	if s.command == nil {
		return
	}
	_ = s.command.Process.Signal(syscall.SIGINT)
	_ = s.command.Wait()
}

// conn connects to a service.
func (s *stack) conn(name string) *grpc.ClientConn {
	s.t.Helper()
	if c := s.conns[name]; c != nil {
		return c
	}
	c, err := grpc.NewClient(s.profile.Addresses[name], grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	s.conns[name] = c
	return c
}

// as is a context of a caller with a token.
func as(t *testing.T, token string, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), append([]string{"authorization", "Bearer " + token}, pairs...)...)
}

// owner is a context of the stack's owner.
func (s *stack) owner(pairs ...string) context.Context { return as(s.t, s.profile.Token, pairs...) }

// command is a context of the owner that names a command.
func (s *stack) named(command uuid.UUID) context.Context {
	return s.owner("x-robson-command-id", command.String())
}

func (s *stack) setup() commandv1.SetupServiceClient {
	return commandv1.NewSetupServiceClient(s.conn("command"))
}

func (s *stack) trading() commandv1.TradingServiceClient {
	return commandv1.NewTradingServiceClient(s.conn("command"))
}

func (s *stack) log() eventlogv1.ReadServiceClient {
	return eventlogv1.NewReadServiceClient(s.conn("eventlog"))
}

func (s *stack) state() projectorv1.StateServiceClient {
	return projectorv1.NewStateServiceClient(s.conn("projector"))
}

func (s *stack) paper() connectorv1.PaperServiceClient {
	return connectorv1.NewPaperServiceClient(s.conn("connector"))
}

// head is the last position of the log.
func (s *stack) head() int64 {
	s.t.Helper()
	response, err := s.log().GetHead(s.owner(), &eventlogv1.GetHeadRequest{})
	require.NoError(s.t, err)
	return response.GetPosition()
}

// account makes the tenant, if need be, and a spot account with paper money on a standing market.
func (s *stack) account() string {
	s.t.Helper()
	if _, err := s.state().GetTenant(s.owner(), &projectorv1.GetTenantRequest{}); err != nil {
		_, err := s.setup().CreateTenant(s.named(uuid.New()), &commandv1.CreateTenantRequest{Name: "e2e"})
		require.NoError(s.t, err)
	}
	registered, err := s.setup().RegisterAccount(s.named(uuid.New()), &commandv1.RegisterAccountRequest{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: "e2e", QuoteAsset: "USDT", ApiKeyFingerprint: uuid.NewString(), Permissions: []string{"trade"},
		RiskLimits: &eventv1.RiskLimits{RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "300", MaxDrawdown: "1000", MonthlyBudgetPercent: "4", CapitalBase: "10000", MaxOpenPositions: 3},
	})
	require.NoError(s.t, err)
	_, err = s.paper().Deposit(s.owner(), &connectorv1.DepositRequest{DepositId: uuid.NewString(), AccountId: registered.GetAccountId(), Wallet: "spot", Asset: "USDT", Amount: "50000"})
	require.NoError(s.t, err)
	return registered.GetAccountId()
}
