package chaos_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// senders are the clients that send at once.
	senders = 64
	// sentBy is how many of them send each command.
	sentBy = 4
	// commandsShort and commandsLong are how many commands there are.
	commandsShort, commandsLong = 3_000, 100_000
	// tenantsOfOnce share them.
	tenantsOfOnce = 4
)

// sent is a command, and how often its sender was told that it was the first.
type sent struct {
	tenant  *tenant
	request *eventlogv1.AppendRequest
	firsts  atomic.Int32
}

// runOnce lets clients send an overlapping set of commands, each in an order of its own, through two replicas of which one is
// killed in the middle: law 4.
func runOnce(t *testing.T, r *rig, seed uint64) {
	n := commandsShort
	if *long {
		n = commandsLong
	}
	source := rand.New(rand.NewPCG(seed, 2))
	tenants, two := newTenants(t, r, tenantsOfOnce, seed), r.replicas[:2]
	commands, lists := make([]*sent, n), make([][]*sent, senders)
	for i := range commands {
		tenant := tenants[i%len(tenants)]
		account, _ := tenant.accounts.pick(source)
		commands[i] = &sent{tenant: tenant, request: sampled(source, account)}
		for _, sender := range source.Perm(senders)[:sentBy] {
			lists[sender] = append(lists[sender], commands[i])
		}
	}
	var group sync.WaitGroup
	var total atomic.Int64
	halfway := make(chan struct{})
	errs := make([]error, senders)
	began := now()
	for i, list := range lists {
		own := rand.New(rand.NewPCG(seed, uint64(100+i)))
		own.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
		c := &client{replicas: two, rand: own, anywhere: true, codes: newTally()}
		group.Go(func() {
			for _, s := range list {
				out, err := c.settle(t.Context(), s.tenant, s.request, false)
				if err = errors.Join(err, out.refused); err != nil {
					errs[i] = err
					return
				}
				if !out.receipt.GetDuplicate() {
					s.firsts.Add(1)
				}
				if total.Add(1) == int64(n*sentBy/2) {
					close(halfway)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-halfway:
		two[0].process.kill()
		require.NoError(t, errors.Join(two[0].start(), two[0].ready(t.Context())))
	case <-done:
	}
	<-done
	took := now().Sub(began)
	require.NoError(t, errors.Join(errs...))
	for _, s := range commands {
		require.LessOrEqual(t, s.firsts.Load(), int32(1), "two senders of command %s were told that they were the first", s.request.GetCommandId())
	}
	for _, tenant := range tenants {
		a := newAudit(r, tenant, seed)
		require.NoError(t, a.whole(t.Context()))
		require.Len(t, a.runs, len(tenant.ledger.acks.after(0)), "the log has the commands and nothing else")
	}
	t.Logf("%d commands, sent %d times by %d clients in %s: each is in the log once", n, total.Load(), senders, took.Round(time.Millisecond))
}
