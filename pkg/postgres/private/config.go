package private

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"
)

// Config says where a private server lives. The zero value of every field but Dir works.
type Config struct {
	// Dir is the server's own directory; see the package comment. It is made when absent.
	Dir string
	// Port on 127.0.0.1. Default: a free one. A server that is adopted keeps the port it has.
	Port int
	// LoseDataOnPowerFailure turns fsync and full-page writes off: a crash of the machine (not of the server) may
	// leave the cluster in ruins. Commits mean the same as ever otherwise. For tests. Default off.
	LoseDataOnPowerFailure bool
	// ConnsMax is max_connections. Default 200: six services' pools, the CLI, and some tests at once.
	ConnsMax int
	// SharedBuffersMB is shared_buffers. Default 128.
	SharedBuffersMB int
	// StartTimeout bounds the start, crash recovery and the wait for a server that is just stopping. Default 60 s.
	StartTimeout time.Duration
	// StopTimeout bounds a fast shutdown; past it the server is stopped at once, and recovers at the next start.
	// Default 30 s.
	StopTimeout time.Duration
	// Logger hears what a person may want to know: adoption, another place, a download. Default: nobody.
	Logger *slog.Logger
}

const (
	connsMaxDefault        = 200
	sharedBuffersMBDefault = 128
	startTimeoutDefault    = 60 * time.Second
	stopTimeoutDefault     = 30 * time.Second
	portMax                = 65535
)

func (c Config) withDefaults() Config {
	if c.ConnsMax == 0 {
		c.ConnsMax = connsMaxDefault
	}
	if c.SharedBuffersMB == 0 {
		c.SharedBuffersMB = sharedBuffersMBDefault
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = startTimeoutDefault
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = stopTimeoutDefault
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Dir == "":
		return errors.New("private postgres: Dir is empty")
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("private postgres: Dir %q is not absolute", c.Dir)
	case c.Port < 0 || c.Port > portMax:
		return fmt.Errorf("private postgres: Port %d is not in 0..%d", c.Port, portMax)
	case c.ConnsMax < 1:
		return fmt.Errorf("private postgres: ConnsMax %d is under 1", c.ConnsMax)
	case c.SharedBuffersMB < 1:
		return fmt.Errorf("private postgres: SharedBuffersMB %d is under 1", c.SharedBuffersMB)
	case c.StartTimeout < 0 || c.StopTimeout < 0:
		return errors.New("private postgres: a timeout is negative")
	}
	return nil
}
