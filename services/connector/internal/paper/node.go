package paper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/journal"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Config says where the venue lives.
type Config struct {
	// Dir is its data directory; made when it is not there.
	Dir string
	// TakeOver is how often a process that does not hold the venue tries to. Default 100 ms.
	TakeOver time.Duration
	// CallTimeout bounds a request that has no deadline of its own. Default 10 s.
	CallTimeout time.Duration
	// Timing bounds the life of a request; the same for all who share the venue. Default engine.DefaultTiming.
	Timing venue.Timing
}

func (c *Config) setDefaults() {
	if c.TakeOver == 0 {
		c.TakeOver = 100 * time.Millisecond
	}
	if c.CallTimeout == 0 {
		c.CallTimeout = 10 * time.Second
	}
	if c.Timing == (venue.Timing{}) {
		c.Timing = engine.DefaultTiming
	}
}

// Node is this process's access to the paper venue: it runs the engine or asks the process that does.
type Node struct {
	config Config
	log    *slog.Logger
	clock  clock.Clock
	client *client

	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	engine *engine.Engine // set while this process holds the venue
	failed error          // why it could not open the venue, if it could not
}

// New makes an access to the venue in config.Dir. It does nothing before Start.
func New(log *slog.Logger, clk clock.Clock, config Config) (*Node, error) {
	if config.Dir == "" {
		return nil, errors.New("paper venue: the data directory is not named")
	}
	config.setDefaults()
	return &Node{config: config, log: log, clock: clk, client: newClient(config.Dir)}, nil
}

// Start begins to try for the venue. It returns at once; requests wait until someone holds it.
func (n *Node) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.done != nil {
		return nil
	}
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	n.done = make(chan struct{})
	go n.run(ctx)
	return nil
}

// Started says whether Start was called.
func (n *Node) Started() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.done != nil
}

// Stop gives the venue back, if this process holds it, and waits for that.
func (n *Node) Stop() {
	n.mu.Lock()
	stop, done := n.stop, n.done
	n.mu.Unlock()
	if done == nil {
		return
	}
	stop()
	<-done
}

// Holds says whether this process runs the engine.
func (n *Node) Holds() bool { return n.current() != nil }

func (n *Node) current() *engine.Engine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.engine
}

func (n *Node) set(e *engine.Engine, failed error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.engine, n.failed = e, failed
}

// failure tells why nobody answers: this process's own reason, as far as it has one.
func (n *Node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// run tries for the venue and holds it as long as it can.
func (n *Node) run(ctx context.Context) {
	defer close(n.done)
	for {
		err := n.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, journal.ErrLocked) {
			if n.failure() == nil {
				n.log.ErrorContext(ctx, "paper venue cannot be held", "dir", n.config.Dir, "error", err)
			}
			n.set(nil, err)
		}
		if clock.Sleep(ctx, n.clock, n.config.TakeOver) != nil {
			return
		}
	}
}

// hold opens the venue, serves it and lets its markets run, until ctx ends or the engine breaks.
func (n *Node) hold(ctx context.Context) (err error) {
	e, err := engine.Open(n.config.Dir, n.clock, n.config.Timing)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	server, err := listen(ctx, n.config.Dir, e)
	if err != nil {
		return err
	}
	n.set(e, nil) // before anyone is answered: who was, finds that this process holds the venue
	go server.serve()
	n.log.InfoContext(ctx, "paper venue held by this process", "dir", n.config.Dir)
	defer server.close()
	defer n.set(nil, nil)
	if err := e.RunMarkets(ctx); err != nil {
		return fmt.Errorf("run paper markets: %w", err)
	}
	return nil
}
