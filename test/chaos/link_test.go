package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// state is what a link does with what passes.
type state int

const (
	// open passes everything on.
	open state = iota
	// cut has closed all connections and refuses new ones.
	cut
	// stalled keeps connections and passes nothing on; what was sent meanwhile passes when it is open again.
	stalled
)

// link is the network between one client and a server: it takes connections and passes them on. Its methods are safe for
// concurrent use.
type link struct {
	listener net.Listener
	closing  context.Context // the link's life
	close    context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	upstream string
	state    state
	delay    time.Duration
	// changed is closed when the state or the delay change.
	changed chan struct{}
	conns   map[net.Conn]struct{}
}

// newLink makes an open link to a server.
func newLink(ctx context.Context, upstream string) (*link, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l := &link{listener: listener, upstream: upstream, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	l.closing, l.close = context.WithCancel(context.WithoutCancel(ctx))
	l.running.Go(l.accept)
	return l, nil
}

// address is where it takes connections.
func (l *link) address() string { return l.listener.Addr().String() }

// set changes what the link does. A delay is added to each way.
func (l *link) set(s state, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.delay = s, delay
	if s == cut {
		l.drop()
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// lead makes it lead to another place; the connections to the one before are closed.
func (l *link) lead(upstream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.upstream = upstream
	l.drop()
}

// drop closes all connections.
func (l *link) drop() {
	for conn := range l.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as of a network that is gone
		}
		_ = conn.Close() // whoever reads from it notices
	}
}

// stop ends the link with its connections.
func (l *link) stop() {
	l.close()
	_ = l.listener.Close() // it takes no more
	l.set(cut, 0)
	l.running.Wait()
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		l.running.Go(func() { l.carry(near) })
	}
}

// carry passes one connection on until one of its sides ends.
func (l *link) carry(near net.Conn) {
	defer func() { _ = near.Close() }() // for the second time, mostly
	l.mu.Lock()
	upstream, refuses := l.upstream, l.state == cut
	l.mu.Unlock()
	if refuses {
		return
	}
	var dialer net.Dialer
	far, err := dialer.DialContext(l.closing, "tcp", upstream)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }() // as above
	if !l.keep(near, far) {
		return
	}
	defer l.forget(near, far)
	var ways sync.WaitGroup
	ways.Go(func() { l.pass(near, far) })
	ways.Go(func() { l.pass(far, near) })
	ways.Wait()
}

// keep notes a connection's two sides, unless the link was cut meanwhile.
func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == cut {
		return false
	}
	for _, conn := range conns {
		l.conns[conn] = struct{}{}
	}
	return true
}

func (l *link) forget(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		delete(l.conns, conn)
	}
}

// piece is what was read at once, and when it may go on.
type piece struct {
	data []byte
	due  time.Time
}

// pass carries bytes one way. Each piece waits for the delay that held when it came, and for the end of a stall; pieces wait
// beside each other, so that a delay does not narrow the link.
func (l *link) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }() // both sides end together
	const piecesMax, pieceBytes = 256, 32 << 10
	pieces, ended := make(chan piece, piecesMax), make(chan struct{})
	l.running.Go(func() {
		defer close(pieces)
		for {
			buffer := make([]byte, pieceBytes)
			n, err := from.Read(buffer)
			if n > 0 {
				l.mu.Lock()
				due := now().Add(l.delay)
				l.mu.Unlock()
				select {
				case pieces <- piece{buffer[:n], due}:
				case <-ended:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	defer close(ended)
	for p := range pieces {
		if !l.hold(p.due) {
			return
		}
		if _, err := to.Write(p.data); err != nil {
			return
		}
	}
}

// hold waits until a piece may go on; false if the link is cut.
func (l *link) hold(due time.Time) bool {
	for {
		l.mu.Lock()
		s, changed := l.state, l.changed
		l.mu.Unlock()
		var timer <-chan time.Time
		switch left := due.Sub(now()); {
		case s == cut:
			return false
		case s == open && left <= 0:
			return true
		case s == open:
			timer = time.After(left)
		}
		select {
		case <-changed:
		case <-timer:
		}
	}
}
