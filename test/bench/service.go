package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// serveMax is how long a service may take until it serves.
const serveMax = 30 * time.Second

// service is one of Robson's on a database, and its client.
type service struct {
	process *process
	client  *client
	address string
}

// serve starts the event log alone, with tokens of its own.
func serve(ctx context.Context, cfg *config, dir, databaseURL string) (*service, error) {
	tokens, tokenFile, err := mintTokens(dir, "")
	if err != nil {
		return nil, err
	}
	return launch(ctx, cfg, "eventlog", databaseURL, tokens, "--token-file", tokenFile)
}

// launch starts a service on a database.
func launch(ctx context.Context, cfg *config, name, databaseURL string, tokens map[string]string, flags ...string) (*service, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s := &service{address: address}
	args := append([]string{"serve", name, "--listen", address, "--log-level", "warn"}, flags...)
	if s.process, err = start(ctx, databaseIn(databaseURL), "", cfg.binary, args...); err != nil {
		return nil, err
	}
	if s.client, err = dial(address, tokens); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	waiting, cancel := context.WithTimeout(ctx, serveMax)
	defer cancel()
	if err := s.await(waiting); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.stop())
	}
	return s, nil
}

// await returns when the service serves.
func (s *service) await(ctx context.Context) error {
	health := healthv1.NewHealthClient(s.client.conns[0])
	for {
		answer, err := health.Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err == nil && answer.GetStatus() == healthv1.HealthCheckResponse_SERVING {
			return nil
		}
		if wait(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("it does not serve: %w", errors.Join(err, context.Cause(ctx)))
		}
	}
}

func (s *service) pid() int { return s.process.cmd.Process.Pid }

// stop drains and ends it.
func (s *service) stop() error {
	if s.client != nil {
		s.client.close()
	}
	return s.process.stop()
}

// mintTokens makes the services' tokens, that of a user who may do everything for a tenant if one is named, and the token file
// that holds their hashes.
func mintTokens(dir, tenant string) (tokens map[string]string, path string, err error) {
	type entry struct {
		SHA256  string              `json:"sha256"`
		Service string              `json:"service,omitempty"`
		Subject string              `json:"subject,omitempty"`
		Tenants map[string][]string `json:"tenants,omitempty"`
	}
	var entries []entry
	tokens = map[string]string{}
	mint := func(name string, e entry) {
		tokens[name] = "robson_" + rand.Text()
		sum := sha256.Sum256([]byte(tokens[name]))
		e.SHA256 = hex.EncodeToString(sum[:])
		entries = append(entries, e)
	}
	for _, name := range []string{asConnector, asCommand, asSnapshotter, asReplayer} {
		mint(name, entry{Service: name})
	}
	if tenant != "" {
		mint(benchUser, entry{Subject: benchUser, Tenants: map[string][]string{tenant: {"read", "operate", "audit"}}})
	}
	data, err := json.Marshal(map[string]any{"tokens": entries})
	if err != nil {
		return nil, "", fmt.Errorf("write token file: %w", err)
	}
	path = filepath.Join(dir, "tokens-"+rand.Text()+".json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return nil, "", fmt.Errorf("write token file: %w", err)
	}
	return tokens, path, nil
}

// freeAddress is a port that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }() // it only told a port
	return listener.Addr().String(), nil
}
