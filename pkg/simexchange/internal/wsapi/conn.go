package wsapi

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/robson/robson/pkg/clock"
)

const (
	queueMax   = 8192
	messageMax = 64 << 10
	writeMax   = 10 * time.Second
)

// conn is one WebSocket.
type conn struct {
	socket *websocket.Conn
	queue  chan []byte
	gone   chan struct{}
	once   sync.Once

	mu     sync.Mutex
	silent bool // half open: reads and writes nothing, and does not say so
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (c *conn) end() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.socket.Close() // it is given up whatever it says
	})
}

func (c *conn) hang() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = true
}

func (c *conn) hangs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent
}

// send queues a message; a full queue ends the connection.
func (c *conn) send(message any) {
	text, err := json.Marshal(message)
	if err != nil || c.hangs() {
		return
	}
	select {
	case c.queue <- text:
	case <-c.gone:
	default:
		c.end()
	}
}

// finish sends what is queued and then ends the connection.
func (c *conn) finish() {
	select {
	case c.queue <- nil:
	case <-c.gone:
	default:
		c.end()
	}
}

// write is the writer: it ends when the connection does.
func (c *conn) write(clk clock.Clock, pingEvery time.Duration) {
	defer c.end()
	ticker := clk.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		kind, text := websocket.TextMessage, []byte(nil)
		select {
		case text = <-c.queue:
			if text == nil {
				return
			}
		case <-ticker.C():
			kind = websocket.PingMessage
		case <-c.gone:
			return
		}
		if c.hangs() {
			<-c.gone
			return
		}
		if err := c.socket.SetWriteDeadline(clock.System().Now().Add(writeMax)); err != nil {
			return
		}
		if err := c.socket.WriteMessage(kind, text); err != nil {
			return
		}
	}
}

// read is the reader: it hands over each message until the connection ends.
func (c *conn) read(take func([]byte)) {
	defer c.end()
	c.socket.SetReadLimit(messageMax)
	for {
		_, message, err := c.socket.ReadMessage()
		if err != nil {
			return
		}
		if c.hangs() {
			<-c.gone
			return
		}
		take(message)
	}
}
