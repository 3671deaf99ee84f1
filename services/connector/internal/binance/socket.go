package binance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/robson/robson/pkg/clock"
)

const (
	// messageBytesMax bounds a message of a stream.
	messageBytesMax = 1 << 20
	// waitingMax bounds the messages that came and are not handled yet. Beyond, the line is given up: what is missed then is asked for.
	waitingMax   = 16384
	writeTimeout = 5 * time.Second
)

// What ends a line.
var (
	errSilent   = errors.New("the stream fell silent")
	errBroken   = errors.New("the stream broke")
	errBacklog  = errors.New("more came over the stream than was handled")
	errRefused  = errors.New("the venue refused the subscription")
	errEnded    = errors.New("the venue ended the stream")
	errNoStream = errors.New("no stream of the venue could be opened")
)

// socket is a line to one of the venue's streams. A goroutine of its own reads it, so that pings are answered while messages are handled.
type socket struct {
	stream  string
	conn    *websocket.Conn
	clock   clock.Clock
	silence time.Duration
	heard   atomic.Int64
	arrived chan struct{} // has room for one: there is something
	done    chan struct{}

	mu      sync.Mutex
	waiting [][]byte
	err     error
}

// dial opens a line. It ends with ctx, or when nothing was heard for as long as silence.
func (v *Venue) dial(ctx context.Context, stream, address string) (*socket, error) {
	dialer := websocket.Dialer{HandshakeTimeout: 2 * dialTimeout, Proxy: v.rest.base.Proxy}
	conn, response, err := dialer.DialContext(ctx, address, nil)
	if response != nil {
		_ = response.Body.Close() // it is part of the handshake
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoStream, err)
	}
	conn.SetReadLimit(messageBytesMax)
	s := &socket{
		stream: stream, conn: conn, clock: v.clock, silence: v.cfg.Silence,
		arrived: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.heard.Store(v.clock.Now().UnixNano())
	v.meters.opened(s)
	go func() {
		defer close(s.done)
		defer v.meters.closed(s)
		s.listen()
	}()
	return s, nil
}

func (s *socket) heardAt() time.Time { return time.Unix(0, s.heard.Load()) }

// close ends the line and waits until nothing of it runs.
func (s *socket) close() {
	_ = s.conn.Close() // it is given up whatever it says
	<-s.done
}

func (s *socket) send(message []byte) error {
	if err := s.conn.SetWriteDeadline(s.clock.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if err := s.conn.WriteMessage(websocket.TextMessage, message); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// listen reads until the line ends.
func (s *socket) listen() {
	var silent atomic.Bool
	hush := func() func() {
		return s.clock.AfterFunc(s.silence, func() {
			silent.Store(true)
			_ = s.conn.Close() // that is what ends the reading
		})
	}
	stop := hush()
	defer func() { stop() }()
	alive := func() {
		stop()
		s.heard.Store(s.clock.Now().UnixNano())
		stop = hush()
	}
	pong := s.conn.PingHandler()
	s.conn.SetPingHandler(func(data string) error {
		alive()
		return pong(data)
	})
	for {
		_, message, err := s.conn.ReadMessage()
		switch {
		case err != nil && silent.Load():
			s.end(fmt.Errorf("%w: for %s", errSilent, s.silence))
			return
		case err != nil:
			s.end(fmt.Errorf("%w: %w", errBroken, err))
			return
		}
		alive()
		if !s.keep(message) {
			_ = s.conn.Close() // it is given up whatever it says
			return
		}
	}
}

func (s *socket) keep(message []byte) bool {
	s.mu.Lock()
	full := len(s.waiting) >= waitingMax
	if full {
		s.err = errBacklog
	} else {
		s.waiting = append(s.waiting, message)
	}
	s.mu.Unlock()
	s.wake()
	return !full
}

func (s *socket) end(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.wake()
}

func (s *socket) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// receive waits for messages and gives all that wait, or what ended the line once all before it was given.
func (s *socket) receive(ctx context.Context) ([][]byte, error) {
	for {
		s.mu.Lock()
		messages, err := s.waiting, s.err
		s.waiting = nil
		s.mu.Unlock()
		switch {
		case len(messages) > 0:
			return messages, nil
		case err != nil:
			return nil, err
		}
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
