package private

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// adopt takes over the server that a killed process left behind. It returns nil, without an error, when there is
// none any more: the way is free to launch one.
func adopt(ctx context.Context, cfg Config, p place) (*Server, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		pm, found, err := p.postmaster()
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, nil //nolint:nilnil // documented: nothing to adopt.
		}
		if !p.serves(ctx, pm.pid) {
			return nil, p.dropStale()
		}
		s, err := takeOver(ctx, cfg, p, pm)
		if err == nil {
			cfg.Logger.InfoContext(ctx, "adopted the postgres that an ended process left behind", "pid", pm.pid, "port", pm.port)
			return s, nil
		}
		// It is starting, recovering, or stopping; each ends by itself.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the server left behind (process %d, %q) neither answers nor ends: %w", pm.pid, pm.status, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// takeOver proves that the server answers for this cluster and watches it from now on.
func takeOver(ctx context.Context, cfg Config, p place, pm postmaster) (*Server, error) {
	password, err := p.readPassword()
	if err != nil {
		return nil, err
	}
	if pm.port == 0 {
		return nil, errors.New("no port yet")
	}
	if pm.status == "stopping" {
		return nil, errors.New("it is stopping")
	}
	if err := p.answers(ctx, pm.port, password); err != nil {
		return nil, err
	}
	watch, forget := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for alive(pm.pid) {
			select {
			case <-watch.Done():
				return
			case <-tick.C:
			}
		}
		close(ended)
	}()
	return &Server{
		cfg: cfg, place: p, pid: pm.pid, port: pm.port, password: password,
		adopted: true, ended: ended, forget: forget,
	}, nil
}

// dropStale removes the postmaster.pid of a server that is gone. The server would do so itself, but for two cases in
// which it takes another process for its predecessor and refuses to start: the process id is somebody else's by now,
// or its process was never reaped, as in a container whose first process does not care. Two servers on one cluster
// stay impossible: the server also looks for the shared memory of a predecessor or its children, which is found by
// the data directory and not by this file.
func (p place) dropStale() error {
	if err := os.Remove(filepath.Join(p.data(), "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale postmaster.pid: %w", err)
	}
	return nil
}

// Stop ends the server and gives up the directory: first it lets every session go at once (fast shutdown), and past
// StopTimeout it stops without a checkpoint, which the next start makes up for. A second call does nothing.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.once.Do(func() {
		err = s.stop(ctx)
		s.forget()
		err = errors.Join(err, giveUp(s.lock))
	})
	return err
}

// immediateTimeout bounds the wait for a server that was told to drop everything.
const immediateTimeout = 10 * time.Second

func (s *Server) stop(ctx context.Context) error {
	ended, err := s.stopBy(ctx, syscall.SIGINT, s.cfg.StopTimeout)
	if ended || err != nil {
		return err
	}
	// Whoever is out of patience gets the quick way; the wait for it has its own limit.
	ended, err = s.stopBy(context.WithoutCancel(ctx), syscall.SIGQUIT, immediateTimeout)
	if ended || err != nil {
		return err
	}
	return fmt.Errorf("postgres (process %d) does not stop: %s", s.pid, s.place.lastWord())
}

// stopBy sends a signal and says whether the server ended within the wait.
func (s *Server) stopBy(ctx context.Context, signal syscall.Signal, wait time.Duration) (bool, error) {
	select {
	case <-s.ended:
		return true, nil
	default:
	}
	if s.adopted && !s.place.serves(ctx, s.pid) {
		return true, nil // it ended since it was last looked at, and its id may be another's
	}
	if err := syscall.Kill(s.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return false, fmt.Errorf("stop postgres (process %d): %w", s.pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-s.ended:
		return true, nil
	case <-ctx.Done():
		return false, nil
	}
}
