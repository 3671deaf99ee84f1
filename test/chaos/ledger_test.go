package chaos_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"

	"google.golang.org/protobuf/proto"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// shelf is a list that many add to and pick from.
type shelf[T any] struct {
	mu    sync.Mutex
	items []T
}

func (s *shelf[T]) add(items ...T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, items...)
}

// pick takes one at random; not ok if there is none.
func (s *shelf[T]) pick(r *rand.Rand) (item T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 {
		return item, false
	}
	return s.items[r.IntN(len(s.items))], true
}

// after are those that were added after the first n.
func (s *shelf[T]) after(n int) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[n:len(s.items):len(s.items)]
}

// ack is an append that was acknowledged.
type ack struct {
	request *eventlogv1.AppendRequest
	// user says that it was made on behalf of one, by the command service; otherwise by the connector.
	user bool
	// receipt is what the first acknowledgement said, without its being a duplicate.
	receipt *eventlogv1.AppendResponse
}

// service is who made it.
func (a *ack) service() string {
	if a.user {
		return asCommand
	}
	return asConnector
}

// ledger is what a tenant's clients were told. It is all that a client has to go by.
type ledger struct {
	// acks are in the order in which they came.
	acks shelf[*ack]

	mu    sync.Mutex
	known map[string]*ack
	// maybe are commands of which nobody knows: refused, or given up, after a call whose outcome was not told.
	maybe map[string]bool
	// differing are the commands under which differing reports were recorded, with the discrepancy that was told.
	differing map[string]string
}

func newLedger() *ledger {
	return &ledger{known: map[string]*ack{}, maybe: map[string]bool{}, differing: map[string]string{}}
}

// note takes an acknowledgement. An error says in what it is not that of the first one.
func (l *ledger) note(request *eventlogv1.AppendRequest, user bool, told *eventlogv1.AppendResponse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	receipt := plain(told)
	if first, known := l.known[request.GetCommandId()]; known {
		return sameReceipt(first.receipt, told)
	}
	a := &ack{request: request, user: user, receipt: receipt}
	l.known[request.GetCommandId()] = a
	l.acks.add(a)
	return nil
}

// doubt notes a command of which nobody knows.
func (l *ledger) doubt(command string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.maybe[command] = true
}

// differ notes that a differing report was recorded.
func (l *ledger) differ(command, discrepancy string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.differing[command] = discrepancy
}

// about is what is known of a command; discrepancy is that which a differing report of a fact was told.
func (l *ledger) about(command string) (a *ack, discrepancy string, maybe bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[command], l.differing[command], l.maybe[command]
}

// differences are the differing reports, by command.
func (l *ledger) differences() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.differing)
}

// plain is a receipt without what differs between the first sender's and another's.
func plain(told *eventlogv1.AppendResponse) *eventlogv1.AppendResponse {
	receipt := proto.CloneOf(told)
	receipt.Duplicate, receipt.DiscrepancyId = false, ""
	return receipt
}

// sameReceipt says in what a receipt differs from the first one.
func sameReceipt(first, told *eventlogv1.AppendResponse) error {
	if again := plain(told); !proto.Equal(first, again) {
		return fmt.Errorf("command %s has two receipts:\n%v\n%v", first.GetCommandId(), first, again)
	}
	return nil
}
