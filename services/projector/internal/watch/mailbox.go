package watch

import (
	"sync"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// point is where a watcher, or a feed, is.
type point struct{ position, generation int64 }

// group is what one look found. Watchers share its rows, which nobody changes.
type group struct {
	// upTo: every change up to it has been told, by this group and those before it.
	upTo point
	// at is the position of the snapshot that the rows come from, upTo or later.
	at   int64
	rows map[string][]projection.Row
	// reset says that the rows cannot be told one by one: each watcher reads its own anew.
	reset bool
}

// groupsMax bounds the groups that wait, those without a row for the watcher too.
const groupsMax = 256

// errTooSlow is told by the watcher, who knows up to which point he was told everything.
var errTooSlow = fault.New(fault.Exhausted, "WATCHER_TOO_SLOW", "more changes wait than there is room for: watch again after the point that you were told")

// mailbox holds the groups that wait for a watcher.
type mailbox struct {
	table string
	most  int
	// news has room for one: it says that there is something to take.
	news chan struct{}

	mu     sync.Mutex
	groups []*group
	rows   int
	failed error
}

func newMailbox(table string, most int) *mailbox {
	return &mailbox{table: table, most: most, news: make(chan struct{}, 1)}
}

// put adds a group, and never waits: where there is no room the watcher is sent away, and what waited is forgotten.
func (m *mailbox) put(g *group) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		return
	}
	m.rows += len(g.rows[m.table])
	m.groups = append(m.groups, g)
	if m.rows > m.most || len(m.groups) > groupsMax {
		m.failed, m.groups = errTooSlow, nil
	}
	m.ring()
}

// fail ends the watcher with a reason; the first one counts. What waits is told before.
func (m *mailbox) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = err
	}
	m.ring()
}

func (m *mailbox) ring() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// take gives what waits. The error comes when nothing waits any more.
func (m *mailbox) take() ([]*group, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	groups := m.groups
	m.groups, m.rows = nil, 0
	if len(groups) == 0 {
		return nil, m.failed
	}
	if m.failed != nil {
		m.ring()
	}
	return groups, nil
}
