// Package ledger is the connector's way to our own side of the world: it reads the state from the projector and writes
// to the event log, always for the tenant of the context.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
)

// Appender writes to the log.
type Appender interface {
	Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error)
	AppendBatch(ctx context.Context, in *eventlogv1.AppendBatchRequest, opts ...grpc.CallOption) (*eventlogv1.AppendBatchResponse, error)
}

// Reader reads the log.
type Reader interface {
	GetEvent(ctx context.Context, in *eventlogv1.GetEventRequest, opts ...grpc.CallOption) (*eventlogv1.GetEventResponse, error)
	ReadStream(ctx context.Context, in *eventlogv1.ReadStreamRequest, opts ...grpc.CallOption) (*eventlogv1.ReadStreamResponse, error)
	ListTenants(ctx context.Context, in *eventlogv1.ListTenantsRequest, opts ...grpc.CallOption) (*eventlogv1.ListTenantsResponse, error)
	QueryEvents(ctx context.Context, in *eventlogv1.QueryEventsRequest, opts ...grpc.CallOption) (*eventlogv1.QueryEventsResponse, error)
}

// State reads the current state.
type State interface {
	GetAccount(ctx context.Context, in *projectorv1.GetAccountRequest, opts ...grpc.CallOption) (*projectorv1.GetAccountResponse, error)
	ListAccounts(ctx context.Context, in *projectorv1.ListAccountsRequest, opts ...grpc.CallOption) (*projectorv1.ListAccountsResponse, error)
	GetOrder(ctx context.Context, in *projectorv1.GetOrderRequest, opts ...grpc.CallOption) (*projectorv1.GetOrderResponse, error)
	ListOrders(ctx context.Context, in *projectorv1.ListOrdersRequest, opts ...grpc.CallOption) (*projectorv1.ListOrdersResponse, error)
	GetIntent(ctx context.Context, in *projectorv1.GetIntentRequest, opts ...grpc.CallOption) (*projectorv1.GetIntentResponse, error)
	Book
}

// Book reads what a reconciliation holds against the venue's.
type Book interface {
	ListIntents(ctx context.Context, in *projectorv1.ListIntentsRequest, opts ...grpc.CallOption) (*projectorv1.ListIntentsResponse, error)
	ListFills(ctx context.Context, in *projectorv1.ListFillsRequest, opts ...grpc.CallOption) (*projectorv1.ListFillsResponse, error)
	ListPositions(ctx context.Context, in *projectorv1.ListPositionsRequest, opts ...grpc.CallOption) (*projectorv1.ListPositionsResponse, error)
	ListBalances(ctx context.Context, in *projectorv1.ListBalancesRequest, opts ...grpc.CallOption) (*projectorv1.ListBalancesResponse, error)
	ListMarginLoans(ctx context.Context, in *projectorv1.ListMarginLoansRequest, opts ...grpc.CallOption) (*projectorv1.ListMarginLoansResponse, error)
	ListDiscrepancies(ctx context.Context, in *projectorv1.ListDiscrepanciesRequest, opts ...grpc.CallOption) (*projectorv1.ListDiscrepanciesResponse, error)
}

// Workers keeps checkpoints and leases.
type Workers interface {
	GetCheckpoint(ctx context.Context, in *eventlogv1.GetCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.GetCheckpointResponse, error)
	SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.SaveCheckpointResponse, error)
	AcquireLease(ctx context.Context, in *eventlogv1.AcquireLeaseRequest, opts ...grpc.CallOption) (*eventlogv1.AcquireLeaseResponse, error)
	ReleaseLease(ctx context.Context, in *eventlogv1.ReleaseLeaseRequest, opts ...grpc.CallOption) (*eventlogv1.ReleaseLeaseResponse, error)
}

// Deps are the services behind a ledger.
type Deps struct {
	Appender Appender
	Reader   Reader
	State    State
	Workers  Workers
}

// Config bounds what the ledger does.
type Config struct {
	// BatchMax is how many facts go into one request. Default 200.
	BatchMax int
	// RetriesMax is how often facts are offered again when the log cannot take them now. Default 5.
	RetriesMax int
	// RetryDelay is the first pause between two offers; it doubles. Default 20 ms.
	RetryDelay time.Duration
}

func (c Config) withDefaults() Config {
	if c.BatchMax == 0 {
		c.BatchMax = 200
	}
	if c.RetriesMax == 0 {
		c.RetriesMax = 5
	}
	if c.RetryDelay == 0 {
		c.RetryDelay = 20 * time.Millisecond
	}
	return c
}

// Ledger reads and writes our own side. It is safe for concurrent use.
type Ledger struct {
	Deps
	clock  clock.Clock
	config Config
	meters *metrics
	onFill func(ctx context.Context, account string)
}

// New makes a ledger.
func New(clk clock.Clock, deps Deps, config Config) (*Ledger, error) {
	meters, err := newMetrics()
	if err != nil {
		return nil, err
	}
	return &Ledger{Deps: deps, clock: clk, config: config.withDefaults(), meters: meters, onFill: func(context.Context, string) {}}, nil
}

// OnFill names who is told of each fill of an account that comes into the log, by whichever way. It must not wait, and is named before
// anything is recorded.
func (l *Ledger) OnFill(tell func(ctx context.Context, account string)) { l.onFill = tell }

// taken notes that the log has taken a record.
func (l *Ledger) taken(ctx context.Context, request *eventlogv1.AppendRequest, duplicate bool) {
	l.meters.recorded(ctx, duplicate)
	if duplicate {
		return
	}
	for _, stream := range request.GetStreams() {
		for _, e := range stream.GetEvents() {
			if fill := e.GetPayload().GetFillReceived(); fill != nil {
				l.onFill(ctx, fill.GetAccountId())
			}
		}
	}
}

// Record brings facts into the log, each once, in their order as far as it can be kept, and gives the last position
// written or seen. Facts that the log cannot take now are offered again; any other refusal is returned and nothing is
// skipped: what was not recorded is brought again by whoever brought it.
func (l *Ledger) Record(ctx context.Context, facts ...fact.Fact) (int64, error) {
	var position int64
	for len(facts) > 0 {
		size := min(len(facts), l.config.BatchMax)
		reached, err := l.recordBatch(ctx, facts[:size])
		if err != nil {
			return position, err
		}
		position, facts = max(position, reached), facts[size:]
	}
	return position, nil
}

func (l *Ledger) recordBatch(ctx context.Context, facts []fact.Fact) (int64, error) {
	appends := make([]*eventlogv1.AppendRequest, 0, len(facts))
	for _, f := range facts {
		request, err := f.Append()
		if err != nil {
			return 0, err
		}
		appends = append(appends, request)
	}
	var position int64
	delay := l.config.RetryDelay
	for try := 0; ; try++ {
		left, reached, err := l.offer(ctx, appends)
		position = max(position, reached)
		if err == nil {
			return position, nil
		}
		if try == l.config.RetriesMax || !passes(err) {
			return position, fmt.Errorf("record %d of %d facts: %w", len(left), len(facts), err)
		}
		if err := clock.Sleep(ctx, l.clock, delay); err != nil {
			return position, err
		}
		appends, delay = left, 2*delay
	}
}

// Receipt is what the log says of one record.
type Receipt struct {
	// EventID is the event's, of the first record if this one is a duplicate of it.
	EventID   string
	Position  int64
	Duplicate bool
}

// RecordOne brings one event into the log, as Record does, and tells which event it is there.
func (l *Ledger) RecordOne(ctx context.Context, f fact.Fact) (Receipt, error) {
	request, err := f.Append()
	if err != nil {
		return Receipt{}, err
	}
	delay := l.config.RetryDelay
	for try := 0; ; try++ {
		response, err := l.Appender.Append(ctx, request)
		switch {
		case err == nil && len(response.GetEvents()) == 0:
			return Receipt{}, fmt.Errorf("record %s: a receipt without an event", f.Stream)
		case err == nil:
			l.taken(ctx, request, response.GetDuplicate())
			return Receipt{EventID: response.GetEvents()[0].GetEventId(), Position: lastPosition(response), Duplicate: response.GetDuplicate()}, nil
		case try == l.config.RetriesMax || !passes(err):
			return Receipt{}, fmt.Errorf("record one for %s: %w", f.Stream, err)
		}
		if err := clock.Sleep(ctx, l.clock, delay); err != nil {
			return Receipt{}, err
		}
		delay *= 2
	}
}

// offer sends appends and gives those that were not taken, with the first reason.
func (l *Ledger) offer(ctx context.Context, appends []*eventlogv1.AppendRequest) (left []*eventlogv1.AppendRequest, position int64, err error) {
	if len(appends) == 1 {
		receipt, err := l.Appender.Append(ctx, appends[0])
		if err != nil {
			return appends, 0, err
		}
		l.taken(ctx, appends[0], receipt.GetDuplicate())
		return nil, lastPosition(receipt), nil
	}
	response, err := l.Appender.AppendBatch(ctx, &eventlogv1.AppendBatchRequest{Appends: appends})
	if err != nil {
		return appends, 0, err
	}
	if len(response.GetResults()) != len(appends) {
		return appends, 0, fmt.Errorf("append %d facts: %d answers", len(appends), len(response.GetResults()))
	}
	for n, result := range response.GetResults() {
		if failed := result.GetError(); failed != nil {
			left = append(left, appends[n])
			if err == nil || passes(err) {
				err = rpc.FaultOf(status.FromProto(&spb.Status{Code: failed.GetCode(), Message: failed.GetMessage(), Details: failed.GetDetails()}))
			}
			continue
		}
		l.taken(ctx, appends[n], result.GetReceipt().GetDuplicate())
		position = max(position, lastPosition(result.GetReceipt()))
	}
	return left, position, err
}

// passes says whether an error is one that goes away by itself.
func passes(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Exhausted, fault.Conflict:
		return true
	default:
		code := status.Code(err)
		return code == codes.Unavailable || code == codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded)
	}
}

func lastPosition(receipt *eventlogv1.AppendResponse) int64 {
	var last int64
	for _, e := range receipt.GetEvents() {
		last = max(last, e.GetPosition())
	}
	for _, e := range receipt.GetRaised() {
		last = max(last, e.GetPosition())
	}
	return last
}
