package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// writers are at one stream at once.
	writers = 6
	// unknownMax bounds the operations of which nobody asks what became of them: each may have taken effect at any time
	// since, and the checker tries them all.
	unknownMax = 8
	// linearPace is the longest wait between two operations of a writer.
	linearPace = 40 * time.Millisecond
	// checkMax bounds the checker.
	checkMax = time.Minute
)

// action is what an operation does to the stream.
type action struct {
	kind actionKind
	// expects is the seq that an appendExact expects.
	expects int64
}

type actionKind int

const (
	appendAny actionKind = iota
	appendExact
	readHead
)

// effect is what an operation was told.
type effect struct {
	kind effectKind
	// seq is the appended event's, or the stream's last one that was found.
	seq int64
}

type effectKind int

const (
	unknown effectKind = iota
	done
	conflict
)

// streamModel is a stream as one sees it who looks at one thing at a time: its state is the last seq.
var streamModel = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		last, in, out := state.(int64), input.(action), output.(effect)
		takes := in.kind == appendAny || in.kind == appendExact && in.expects == last
		switch {
		case in.kind == readHead:
			return out.seq == last, last
		case out.kind == unknown && takes: // not having happened at all is having happened at the end
			return true, last + 1
		case out.kind == unknown:
			return true, last
		case out.kind == conflict:
			return !takes && out.seq == last, last
		default:
			return takes && out.seq == last+1, last + 1
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// linear is writers and readers at one new stream, and what they were told.
type linear struct {
	tenant  *tenant
	account string
	begin   time.Time
	last    atomic.Int64 // the newest seq that anybody has heard of
	unknown atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation

	stopped chan struct{}
	running sync.WaitGroup
	errs    []error
}

// startLinear lets the writers loose.
func startLinear(ctx context.Context, replicas []*replica, t *tenant, seed uint64) *linear {
	l := &linear{tenant: t, account: uuid.NewString(), begin: now(), stopped: make(chan struct{}), errs: make([]error, writers)}
	for i := range writers {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		c := &client{replicas: replicas, rand: r, anywhere: true, codes: newTally()}
		l.running.Go(func() { l.errs[i] = l.live(ctx, c, i) })
	}
	return l
}

func (l *linear) live(ctx context.Context, c *client, writer int) error {
	for {
		if err := l.operate(ctx, c, writer); err != nil {
			return err
		}
		timer := time.NewTimer(some(c.rand, 0, linearPace))
		select {
		case <-timer.C:
		case <-l.stopped:
			timer.Stop()
			return nil
		}
	}
}

// operate does one operation and notes when it began, when it ended and what was told.
func (l *linear) operate(ctx context.Context, c *client, writer int) error {
	in := action{kind: actionKind(c.rand.IntN(3)), expects: l.last.Load()}
	call := now().Sub(l.begin)
	var out effect
	var err error
	if in.kind == readHead {
		out, err = l.look(ctx, c)
	} else {
		out, err = l.append(ctx, c, in)
	}
	if err != nil {
		return err
	}
	if in.kind == readHead && out.kind == unknown {
		return nil // it says nothing
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, porcupine.Operation{ClientId: writer, Input: in, Call: call.Nanoseconds(), Output: out, Return: now().Sub(l.begin).Nanoseconds()})
	return nil
}

func (l *linear) stream() string { return "account:" + l.account }

// look reads the stream's head.
func (l *linear) look(ctx context.Context, c *client) (effect, error) {
	ctx, cancel := context.WithTimeout(as(ctx, asConnector, l.tenant.id, false), callMax)
	defer cancel()
	out, err := c.choose(l.tenant.id)[0].read.ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: l.stream(), Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: 1})
	if err != nil {
		return effect{kind: unknown}, closed(err)
	}
	l.heard(out.GetLastSeq())
	return effect{kind: done, seq: out.GetLastSeq()}, nil
}

// append makes one append. Where its outcome was not told, it mostly asks on, which is one longer operation; some are left
// unknown.
func (l *linear) append(ctx context.Context, c *client, in action) (effect, error) {
	expected := anyStream
	if in.kind == appendExact {
		expected = exactly(in.expects)
	}
	request := sampledPlainly(c.rand, l.account, expected)
	receipt, err := c.call(ctx, c.choose(l.tenant.id)[0], l.tenant.id, request, false)
	if err != nil && isOpen(err) {
		if l.unknown.Add(1) <= unknownMax {
			l.tenant.ledger.doubt(request.GetCommandId())
			return effect{kind: unknown}, nil
		}
		out, err := c.settleAfter(ctx, l.tenant, request, false, true)
		if err != nil {
			return effect{}, err
		}
		if out.refused != nil {
			return l.conflicted(out.refused, true)
		}
		return l.appended(out.receipt), nil
	}
	if err != nil {
		return l.conflicted(err, false)
	}
	return l.appended(receipt), l.tenant.ledger.note(request, false, receipt)
}

func (l *linear) appended(receipt *eventlogv1.AppendResponse) effect {
	seq := receipt.GetEvents()[0].GetSeq()
	l.heard(receipt.GetEvents()[len(receipt.GetEvents())-1].GetSeq())
	return effect{kind: done, seq: seq}
}

// conflicted reads which seq was found. Where an earlier call is in doubt it may yet take effect: nothing is known then.
func (l *linear) conflicted(err error, doubtful bool) (effect, error) {
	if status.Code(err) != codes.Aborted {
		return effect{}, err
	}
	if doubtful {
		return effect{kind: unknown}, nil
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			found, parseErr := strconv.ParseInt(info.GetMetadata()["found"], 10, 64)
			l.heard(found)
			return effect{kind: conflict, seq: found}, parseErr
		}
	}
	return effect{}, fmt.Errorf("a conflict does not say what was found: %w", err)
}

func (l *linear) heard(seq int64) {
	for {
		last := l.last.Load()
		if seq <= last || l.last.CompareAndSwap(last, seq) {
			return
		}
	}
}

// stop ends the operations and says whether there is an order in which they make sense one at a time.
func (l *linear) stop() (operations int, err error) {
	close(l.stopped)
	l.running.Wait()
	if err := errors.Join(l.errs...); err != nil {
		return 0, err
	}
	end := now().Sub(l.begin).Nanoseconds()
	for i := range l.history {
		if l.history[i].Output.(effect).kind == unknown {
			l.history[i].Return = end // it may take effect until the end
		}
	}
	result := porcupine.CheckOperationsTimeout(streamModel, l.history, checkMax)
	if result != porcupine.Ok {
		return len(l.history), fmt.Errorf("stream %s is not linearizable (%s): %d operations", l.stream(), result, len(l.history))
	}
	return len(l.history), nil
}
