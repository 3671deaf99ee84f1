package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/test/internal/rendezvous"
)

// client appends as Robson's services do: it sends again, to another replica, until it knows what became of an append.
// A client belongs to one goroutine.
type client struct {
	replicas []*replica
	rand     *rand.Rand
	// anywhere makes it choose replicas at random; otherwise a tenant's appends go to one as long as that answers.
	anywhere bool
	codes    *tally
	// limit bounds each call; 0: callMax. Past it the client does not know what became of it and asks again.
	limit time.Duration
}

// bounded is a call's context.
func (c *client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.limit > 0 {
		return context.WithTimeout(ctx, c.limit)
	}
	return context.WithTimeout(ctx, callMax)
}

// tally counts the codes that calls ended with.
type tally struct {
	mu     sync.Mutex
	counts map[codes.Code]int
}

func newTally() *tally { return &tally{counts: map[codes.Code]int{}} }

func (t *tally) note(code codes.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[code]++
}

// choose ranks the replicas for a tenant, best first.
func (c *client) choose(tenant string) []*replica {
	ranked := slices.Clone(c.replicas)
	if c.anywhere {
		c.rand.Shuffle(len(ranked), func(i, j int) { ranked[i], ranked[j] = ranked[j], ranked[i] })
		return ranked
	}
	slices.SortFunc(ranked, func(a, b *replica) int {
		if rendezvous.Rank(tenant, a.address) > rendezvous.Rank(tenant, b.address) {
			return -1
		}
		return 1
	})
	return ranked
}

// isOpen says whether an error leaves open what became of the append, or asks to come again.
func isOpen(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return true
	default:
		return false
	}
}

// told is how an append ended.
type told struct {
	receipt *eventlogv1.AppendResponse
	// refused is why it is not in the log.
	refused error
	// doubtful says that an earlier call ended without telling: a refusal may then have come too early.
	doubtful bool
}

// settle sends an append until it is acknowledged or refused. Any other end is an error. An acknowledgement is in the ledger.
func (c *client) settle(ctx context.Context, t *tenant, request *eventlogv1.AppendRequest, user bool) (told, error) {
	return c.settleAfter(ctx, t, request, user, false)
}

// settleAfter is settle for an append that was sent before, without its being known what became of it.
func (c *client) settleAfter(ctx context.Context, t *tenant, request *eventlogv1.AppendRequest, user, doubtful bool) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, knownMax)
	defer cancel()
	out := told{doubtful: doubtful}
	for try := 0; ; try++ {
		replicas := c.choose(t.id)
		receipt, err := c.call(ctx, replicas[try%len(replicas)], t.id, request, user)
		switch {
		case err == nil:
			out.receipt = receipt
			return out, t.ledger.note(request, user, receipt)
		case !isOpen(err):
			out.refused = err
			return out, c.refusal(t, request, out)
		}
		out.doubtful = true
		if pause(ctx, c.rand, err) != nil {
			return out, fmt.Errorf("what became of command %s is not known after %s: %w", request.GetCommandId(), knownMax, err)
		}
	}
}

// refusal accepts a refusal that the contract names.
func (c *client) refusal(t *tenant, request *eventlogv1.AppendRequest, out told) error {
	switch status.Code(out.refused) {
	case codes.Aborted, codes.FailedPrecondition:
		if out.doubtful {
			t.ledger.doubt(request.GetCommandId())
		}
		return nil
	default:
		return fmt.Errorf("command %s: %w", request.GetCommandId(), out.refused)
	}
}

// call makes one call.
func (c *client) call(ctx context.Context, to *replica, tenant string, request *eventlogv1.AppendRequest, user bool) (*eventlogv1.AppendResponse, error) {
	ctx, cancel := c.bounded(as(ctx, serviceFor(user), tenant, user))
	defer cancel()
	receipt, err := to.log.Append(ctx, request)
	c.codes.note(status.Code(err))
	return receipt, err
}

func serviceFor(user bool) string {
	if user {
		return asCommand
	}
	return asConnector
}

// pause waits before another try: as long as the service advises, or a little, with jitter.
func pause(ctx context.Context, r *rand.Rand, err error) error {
	least := retryDelay(err)
	timer := time.NewTimer(least + some(r, 5*time.Millisecond, 40*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retryDelay is what an error advises; 0 for nothing.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// settleBatch sends facts as one batch, and each that has no receipt then alone.
func (c *client) settleBatch(ctx context.Context, t *tenant, requests []*eventlogv1.AppendRequest) error {
	out, err := c.callBatch(ctx, c.choose(t.id)[0], t.id, requests, false)
	if err != nil && !isOpen(err) {
		return fmt.Errorf("batch: %w", err)
	}
	for i, request := range requests {
		var result *eventlogv1.AppendResult
		if err == nil {
			result = out.GetResults()[i]
		}
		if err := c.finish(ctx, t, request, result); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) callBatch(ctx context.Context, to *replica, tenant string, requests []*eventlogv1.AppendRequest, user bool) (*eventlogv1.AppendBatchResponse, error) {
	ctx, cancel := c.bounded(as(ctx, serviceFor(user), tenant, user))
	defer cancel()
	out, err := to.log.AppendBatch(ctx, &eventlogv1.AppendBatchRequest{Appends: requests})
	c.codes.note(status.Code(err))
	return out, err
}

// finish takes the result of one append of a batch or stream; where there is none that settles it, it is sent alone.
func (c *client) finish(ctx context.Context, t *tenant, request *eventlogv1.AppendRequest, result *eventlogv1.AppendResult) error {
	if receipt := result.GetReceipt(); receipt != nil {
		return t.ledger.note(request, false, receipt)
	}
	if err := resultError(result); err != nil && !isOpen(err) {
		return fmt.Errorf("command %s: %w", request.GetCommandId(), err)
	}
	_, err := c.settleAfter(ctx, t, request, false, true)
	return err
}

// resultError is why an append of a batch or a stream failed; nil if it did not, or if there is no result.
func resultError(result *eventlogv1.AppendResult) error {
	failed := result.GetError()
	if failed == nil {
		return nil
	}
	s := status.New(codes.Code(failed.GetCode()), failed.GetMessage()).Proto()
	s.Details = failed.GetDetails()
	return status.FromProto(s).Err()
}

// settleStream sends facts by one stream without waiting for answers, and each that has no receipt then alone.
func (c *client) settleStream(ctx context.Context, t *tenant, requests []*eventlogv1.AppendRequest) error {
	results, err := c.callStream(ctx, c.choose(t.id)[0], t.id, requests)
	if err != nil && !isOpen(err) {
		return fmt.Errorf("stream: %w", err)
	}
	for i, request := range requests {
		if err := c.finish(ctx, t, request, results[uint64(i)]); err != nil {
			return err
		}
	}
	return nil
}

// callStream gives the results by tag, as far as there are any before the stream breaks.
func (c *client) callStream(ctx context.Context, to *replica, tenant string, requests []*eventlogv1.AppendRequest) (map[uint64]*eventlogv1.AppendResult, error) {
	ctx, cancel := c.bounded(as(ctx, asConnector, tenant, false))
	defer cancel()
	results := map[uint64]*eventlogv1.AppendResult{}
	stream, err := to.log.AppendStream(ctx)
	if err != nil {
		c.codes.note(status.Code(err))
		return results, err
	}
	for tag, request := range requests {
		if err := stream.Send(&eventlogv1.AppendStreamRequest{Tag: uint64(tag), Append: request}); err != nil {
			break // why is told by Recv
		}
	}
	if err := stream.CloseSend(); err != nil {
		return results, err
	}
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return results, nil
		}
		if err != nil {
			c.codes.note(status.Code(err))
			return results, err
		}
		results[out.GetTag()] = out.GetResult()
	}
}
