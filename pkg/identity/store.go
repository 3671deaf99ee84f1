package identity

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
)

// reloadInterval is how often, at most, the token file is looked at for changes.
const reloadInterval = 2 * time.Second

// Store authenticates tokens by a token file, which it reads again when it changes: a token taken out is refused within
// reloadInterval. A changed file that cannot be read leaves the old tokens in force and is logged.
type Store struct {
	path   string
	clock  clock.Clock
	logger *slog.Logger

	mu       sync.RWMutex
	byHash   map[string]Identity
	modified time.Time
	size     int64
	checked  time.Time
}

// Open reads a token file.
func Open(path string, c clock.Clock, logger *slog.Logger) (*Store, error) {
	s := &Store{path: path, clock: c, logger: logger}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.checked = c.Now()
	return s, nil
}

// load reads the file.
func (s *Store) load() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("read token file: %w", err)
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("read token file: %w", err)
	}
	byHash, err := parseFile(data)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byHash, s.modified, s.size = byHash, info.ModTime(), info.Size()
	return nil
}

// refresh reads the file again if it has changed.
func (s *Store) refresh(ctx context.Context) {
	s.mu.Lock()
	now := s.clock.Now()
	if now.Sub(s.checked) < reloadInterval {
		s.mu.Unlock()
		return
	}
	s.checked = now
	modified, size := s.modified, s.size
	s.mu.Unlock()

	info, err := os.Stat(s.path)
	if err == nil && info.ModTime().Equal(modified) && info.Size() == size {
		return
	}
	if err == nil {
		err = s.load()
	}
	if err != nil {
		s.logger.ErrorContext(ctx, "token file not read again; the old tokens stay in force", "error", err)
		return
	}
	s.logger.InfoContext(ctx, "token file read again")
}

// Authenticate finds whom a token stands for. The look-up is by the token's hash, so its time tells nothing of tokens
// that are in force. The answer does not say whether the token is unknown, withdrawn or empty.
func (s *Store) Authenticate(ctx context.Context, token string) (Identity, error) {
	s.refresh(ctx)
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, known := s.byHash[HashToken(token)]
	if !known {
		return Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
	return i, nil
}
