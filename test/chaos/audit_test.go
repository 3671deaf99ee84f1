package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/test/internal/wire"
)

const (
	// pageSize is how much is read at once.
	pageSize = 1000
	// askersMax ask for receipts at a time.
	askersMax = 8
	// resentMax bounds how many commands of a tenant an audit sends again.
	resentMax = 3000
	// auditCallMax bounds one call of an audit: nothing is broken any more, and the machine may be busy with other things.
	auditCallMax = 20 * time.Second
	// resentAtOnce is how many of them one batch carries.
	resentAtOnce = 100
)

// audit follows a tenant's log from its first event and holds it against the ledger. It goes on where it was.
type audit struct {
	rig    *rig
	tenant *tenant
	rand   *rand.Rand

	position int64
	eventID  string
	ingested int64
	hash     string
	seqs     map[string]int64
	// runs counts the events of each command; command is that of the last event.
	runs    map[string]int
	command string
	fold    *fold
	// asked is how many acknowledgements were asked for one by one.
	asked int
}

func newAudit(r *rig, t *tenant, seed uint64) *audit {
	return &audit{
		rig: r, tenant: t, rand: rand.New(rand.NewPCG(seed, uint64(len(t.id)))),
		hash: strings.Repeat("0", 64), seqs: map[string]int64{}, runs: map[string]int{}, fold: newFold(),
	}
}

// whole holds the log against everything that clients were told: each acknowledged append is in it once, with its receipt;
// nothing else is; numbers have no gaps; the chain is whole; projections are the fold; and what is sent again is recognised.
// No client appends meanwhile.
func (a *audit) whole(ctx context.Context) error {
	for _, check := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"log", a.follow}, {"acknowledged", a.acknowledged}, {"receipts", a.receipts}, {"projections", a.projections}, {"sent again", a.resent},
	} {
		if err := check.do(ctx); err != nil {
			return fmt.Errorf("tenant %s: %s: %w", a.tenant.id, check.name, err)
		}
	}
	return nil
}

// replica is any of them.
func (a *audit) replica() *replica { return a.rig.replicas[a.rand.IntN(len(a.rig.replicas))] }

// follow reads what the log has that was not read yet.
func (a *audit) follow(ctx context.Context) error {
	for {
		page, err := a.replica().read.ReadLog(as(ctx, asConnector, a.tenant.id, false), &eventlogv1.ReadLogRequest{FromPosition: a.position + 1, PageSize: pageSize})
		if err != nil {
			return fmt.Errorf("read from %d: %w", a.position+1, err)
		}
		for _, e := range page.GetEvents() {
			if err := a.next(e); err != nil {
				return fmt.Errorf("position %d: %w", a.position+1, err)
			}
		}
		if page.GetNextPosition() == 0 {
			if page.GetLastPosition() != a.position {
				return fmt.Errorf("the log ends at %d, and its events at %d", page.GetLastPosition(), a.position)
			}
			return nil
		}
	}
}

// next takes the next event of the log.
func (a *audit) next(e *eventv1.Event) error {
	seq, ingested := a.seqs[e.GetStreamKey()]+1, e.GetIngestedAt().AsTime().UnixMicro()
	switch {
	case e.GetTenantId() != a.tenant.id:
		return fmt.Errorf("the event is of tenant %s", e.GetTenantId())
	case e.GetPosition() != a.position+1:
		return fmt.Errorf("the next event has position %d", e.GetPosition())
	case e.GetSeq() != seq:
		return fmt.Errorf("stream %s goes on with seq %d instead of %d", e.GetStreamKey(), e.GetSeq(), seq)
	case e.GetEventId() <= a.eventID:
		return fmt.Errorf("event id %s comes after %s", e.GetEventId(), a.eventID)
	case ingested < a.ingested:
		return fmt.Errorf("it was taken in before the one before it")
	case e.GetPrevHash() != a.hash:
		return fmt.Errorf("it carries %s as the hash of the one before it, which is %s", e.GetPrevHash(), a.hash)
	}
	if err := wire.Check(e); err != nil {
		return err
	}
	if e.GetCommandId() != a.command && a.runs[e.GetCommandId()] > 0 {
		return fmt.Errorf("command %s is in the log a second time", e.GetCommandId())
	}
	if err := a.expected(e, a.runs[e.GetCommandId()]); err != nil {
		return err
	}
	a.runs[e.GetCommandId()]++
	a.position, a.eventID, a.ingested, a.hash, a.command = e.GetPosition(), e.GetEventId(), ingested, e.GetHash(), e.GetCommandId()
	a.seqs[e.GetStreamKey()] = seq
	return a.fold.apply(e)
}

// expected says whether somebody was told of an event, or may not have been.
func (a *audit) expected(e *eventv1.Event, n int) error {
	known, discrepancy, maybe := a.tenant.ledger.about(e.GetCommandId())
	switch {
	case known != nil:
		all := append(append([]*eventlogv1.EventReceipt{}, known.receipt.GetEvents()...), known.receipt.GetRaised()...)
		if n >= len(all) {
			return fmt.Errorf("command %s has more than the %d events of its receipt", e.GetCommandId(), len(all))
		}
		return sameEvent(all[n], e)
	case discrepancy != "":
		if got := e.GetPayload().GetDiscrepancyDetected().GetDiscrepancyId(); got != discrepancy || n > 0 {
			return fmt.Errorf("a differing report was told %s, and the log has %q", discrepancy, got)
		}
		return nil
	case maybe:
		return nil
	default:
		return fmt.Errorf("nobody was told of command %s", e.GetCommandId())
	}
}

// sameEvent says in what an event is not what a receipt said.
func sameEvent(r *eventlogv1.EventReceipt, e *eventv1.Event) error {
	if r.GetEventId() != e.GetEventId() || r.GetPosition() != e.GetPosition() || r.GetStreamKey() != e.GetStreamKey() || r.GetSeq() != e.GetSeq() || r.GetEventType() != e.GetEventType() {
		return fmt.Errorf("the receipt said %v", r)
	}
	return nil
}

// acknowledged holds that all events of each receipt were met, and each differing report.
func (a *audit) acknowledged(context.Context) error {
	for _, k := range a.tenant.ledger.acks.after(0) {
		if want := len(k.receipt.GetEvents()) + len(k.receipt.GetRaised()); a.runs[k.request.GetCommandId()] != want {
			return fmt.Errorf("command %s was acknowledged with %d events, and the log has %d: %v", k.request.GetCommandId(), want, a.runs[k.request.GetCommandId()], k.receipt)
		}
	}
	for command, discrepancy := range a.tenant.ledger.differences() {
		if a.runs[command] != 1 {
			return fmt.Errorf("discrepancy %s was told, and the log has %d such events", discrepancy, a.runs[command])
		}
	}
	return nil
}

// receipts asks for what was acknowledged since the last time, one by one.
func (a *audit) receipts(ctx context.Context) error {
	acks := a.tenant.ledger.acks.after(a.asked)
	a.asked += len(acks)
	asked, errs := make(chan *ack), make([]error, askersMax)
	var group sync.WaitGroup
	for i := range errs {
		replica := a.rig.replicas[i%len(a.rig.replicas)]
		group.Go(func() {
			for k := range asked {
				errs[i] = errors.Join(errs[i], a.receipt(ctx, replica, k))
			}
		})
	}
	for _, k := range acks {
		asked <- k
	}
	close(asked)
	group.Wait()
	return errors.Join(errs...)
}

// receipt asks for one command, and for its first event.
func (a *audit) receipt(ctx context.Context, replica *replica, k *ack) error {
	ctx, cancel := context.WithTimeout(as(ctx, asCommand, a.tenant.id, false), auditCallMax)
	defer cancel()
	out, err := replica.read.GetCommand(ctx, &eventlogv1.GetCommandRequest{CommandId: k.request.GetCommandId()})
	if err != nil {
		return fmt.Errorf("command %s: %w", k.request.GetCommandId(), err)
	}
	if err := sameReceipt(k.receipt, out.GetReceipt()); err != nil {
		return err
	}
	if string(out.GetRequestDigest()) != string(k.request.GetRequestDigest()) {
		return fmt.Errorf("command %s has another digest", k.request.GetCommandId())
	}
	first := k.receipt.GetEvents()[0]
	found, err := replica.read.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: first.GetEventId()})
	if err != nil {
		return fmt.Errorf("event %s: %w", first.GetEventId(), err)
	}
	if sent := k.request.GetStreams()[0].GetEvents()[0].GetPayload(); !proto.Equal(sent, found.GetEvent().GetPayload()) {
		return fmt.Errorf("event %s was sent as %v and is %v", first.GetEventId(), sent, found.GetEvent().GetPayload())
	}
	return sameEvent(first, found.GetEvent())
}

// projections holds the projector's rows against the fold.
func (a *audit) projections(ctx context.Context) error {
	rows, err := a.rig.projected(ctx, a.tenant.id, a.position)
	if err != nil {
		return err
	}
	return a.fold.differences(rows)
}

// resent sends a random half of all acknowledged commands again: each is recognised, and the log does not move.
func (a *audit) resent(ctx context.Context) error {
	var services [2][]*ack
	acks := a.tenant.ledger.acks.after(0)
	for _, i := range a.rand.Perm(len(acks))[:min(len(acks)/2, resentMax)] {
		n := 0
		if acks[i].user {
			n = 1
		}
		services[n] = append(services[n], acks[i])
	}
	for _, some := range services {
		for len(some) > 0 {
			n := min(len(some), resentAtOnce)
			if err := a.resendBatch(ctx, some[:n]); err != nil {
				return err
			}
			some = some[n:]
		}
	}
	before := a.position
	if err := a.follow(ctx); err != nil {
		return err
	}
	if before != a.position {
		// What nobody knows of may still come in; follow has let nothing else pass. Projections are then compared again.
		return a.projections(ctx)
	}
	return nil
}

// resendBatch sends commands of one service again.
func (a *audit) resendBatch(ctx context.Context, acks []*ack) error {
	requests := make([]*eventlogv1.AppendRequest, len(acks))
	for i, k := range acks {
		requests[i] = k.request
	}
	out, err := a.replica().log.AppendBatch(as(ctx, acks[0].service(), a.tenant.id, acks[0].user), &eventlogv1.AppendBatchRequest{Appends: requests})
	if err != nil {
		return err
	}
	for i, result := range out.GetResults() {
		if err := resultError(result); err != nil {
			return fmt.Errorf("command %s: %w", requests[i].GetCommandId(), err)
		}
		if !result.GetReceipt().GetDuplicate() {
			return fmt.Errorf("command %s was acknowledged and is taken in once more", requests[i].GetCommandId())
		}
		if err := sameReceipt(acks[i].receipt, result.GetReceipt()); err != nil {
			return err
		}
	}
	return nil
}

// proven asks the log to prove itself, with the head that was found here.
func (a *audit) proven(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(as(ctx, asReplayer, a.tenant.id, false), readyMax)
	defer cancel()
	known := []*eventlogv1.KnownHead{{Position: a.position, Hash: a.hash, EventId: a.eventID}}
	stream, err := eventlogv1.NewAuditServiceClient(a.replica().conn).VerifyChain(ctx, &eventlogv1.VerifyChainRequest{KnownHeads: known})
	if err != nil {
		return err
	}
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("VerifyChain ended without a verdict: %w", err)
		}
		if err != nil {
			return err
		}
		if verdict := out.GetVerdict(); verdict != nil {
			if !verdict.GetWhole() {
				return fmt.Errorf("tenant %s: VerifyChain finds %v", a.tenant.id, verdict)
			}
			return nil
		}
	}
}
