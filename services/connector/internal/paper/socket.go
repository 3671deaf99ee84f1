package paper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/venue"
)

const (
	socketName = "venue.sock"
	// socketPathMax is what a unix socket address holds on every system we run on.
	socketPathMax = 100
	requestMax    = 128 << 20
	// headerTimeout ends a connection whose peer says nothing.
	headerTimeout = 10 * time.Second
)

// socketPath gives an address for the directory's socket, and what to close when it is no longer used. A path too long
// for an address is reached through the descriptor of its directory (Linux).
func socketPath(dir string) (string, func(), error) {
	path := filepath.Join(dir, socketName)
	if len(path) <= socketPathMax {
		return path, func() {}, nil
	}
	handle, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("open paper directory: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", handle.Fd(), socketName), func() { _ = handle.Close() }, nil
}

type server struct {
	listener net.Listener
	http     *http.Server
	release  func()
	stop     context.CancelFunc
	done     chan struct{}
}

// listen makes the socket that the other processes find; who calls waits for serve. The caller holds the directory, so a socket
// that is there is a dead holder's.
func listen(ctx context.Context, dir string, e *engine.Engine) (*server, error) {
	path, release, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		release()
		return nil, fmt.Errorf("remove socket of the former holder: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		release()
		return nil, fmt.Errorf("listen for other connectors: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		release()
		return nil, errors.Join(fmt.Errorf("protect socket: %w", err), listener.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	return &server{listener: listener, release: release, stop: stop, done: make(chan struct{}), http: &http.Server{
		Handler: handler(e), ReadHeaderTimeout: headerTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}}, nil
}

// serve answers the other processes until close.
func (s *server) serve() {
	defer close(s.done)
	_ = s.http.Serve(s.listener) // ends by close; a broken listener leaves the socket dead, and others take over
}

func (s *server) close() {
	s.stop()
	_ = s.http.Close() // what was on its way is lost, as when the process dies
	<-s.done
	s.release()
}

type reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *wireError      `json:"error,omitempty"`
}

func handler(e *engine.Engine) http.Handler {
	calls := remoteCalls()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, ok := calls[r.URL.Path]
		if !ok {
			http.Error(w, "no such call", http.StatusNotFound)
			return
		}
		result, err := call(r.Context(), e, json.NewDecoder(http.MaxBytesReader(w, r.Body, requestMax)))
		if errors.Is(err, engine.ErrBroken) {
			panic(http.ErrAbortHandler) // say nothing: the outcome is unknown
		}
		// A client that has gone does not read this, and learns as much.
		_ = json.NewEncoder(w).Encode(reply{Result: result, Error: encodeError(err)})
	})
}

type client struct{ http *http.Client }

// errNotHandedOver: no holder could be reached; the request was not sent.
var errNotHandedOver = errors.New("nobody holds the paper venue")

func newClient(dir string) *client {
	transport := &http.Transport{
		DisableCompression: true,
		// A connection per request: none is left over from a holder that has died.
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, release, err := socketPath(dir)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errNotHandedOver, err)
			}
			defer release()
			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errNotHandedOver, err)
			}
			return conn, nil
		},
	}
	return &client{http: &http.Client{Transport: transport}}
}

// do asks the holder. The error is errNotHandedOver, *lostError, or the holder's own.
func (c *client) do(ctx context.Context, name string, in []byte, out any) error {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://paper"+name, newBody(in))
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil && !connected.Load() {
		return fmt.Errorf("%w: %w", errNotHandedOver, err)
	}
	if err != nil {
		return &lostError{cause: err}
	}
	defer func() { _ = response.Body.Close() }()
	var answer reply
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		return &lostError{cause: fmt.Errorf("status %d: %w", response.StatusCode, errors.Join(err))}
	}
	if answer.Error != nil {
		return decodeError(answer.Error)
	}
	if err := json.Unmarshal(answer.Result, out); err != nil {
		return &lostError{cause: fmt.Errorf("read answer: %w", err)}
	}
	return nil
}

// lostError: the request was sent and no answer came.
type lostError struct{ cause error }

func (e *lostError) Error() string { return "answer of the paper venue lost: " + e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

func uncertain(operation string, err error) error {
	cause := venue.CauseConnReset
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		cause = venue.CauseTimeout
	}
	return &venue.UncertainError{Operation: operation, Cause: cause, Err: err}
}
