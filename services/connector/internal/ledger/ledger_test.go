package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/ledgertest"
	"github.com/robson/robson/services/connector/internal/venue"
)

// script is an event log that answers appends one by one as a function says, and counts what it was asked.
type script struct {
	batches [][]string // command ids of each request
	answer  func(commandID string, request int) error
	whole   func(request int) error
}

func (s *script) ask(ids []string) (request int, err error) {
	s.batches = append(s.batches, ids)
	if s.whole != nil {
		err = s.whole(len(s.batches))
	}
	return len(s.batches), err
}

func (s *script) receipt(id string, request int) (*eventlogv1.AppendResponse, error) {
	if s.answer != nil {
		if err := s.answer(id, request); err != nil {
			return nil, err
		}
	}
	return &eventlogv1.AppendResponse{CommandId: id, Events: []*eventlogv1.EventReceipt{{Position: int64(request)}}}, nil
}

func (s *script) Append(_ context.Context, in *eventlogv1.AppendRequest, _ ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	request, err := s.ask([]string{in.GetCommandId()})
	if err != nil {
		return nil, err
	}
	return s.receipt(in.GetCommandId(), request)
}

func (s *script) AppendBatch(_ context.Context, in *eventlogv1.AppendBatchRequest, _ ...grpc.CallOption) (*eventlogv1.AppendBatchResponse, error) {
	var ids []string
	for _, a := range in.GetAppends() {
		ids = append(ids, a.GetCommandId())
	}
	request, err := s.ask(ids)
	if err != nil {
		return nil, err
	}
	out := &eventlogv1.AppendBatchResponse{}
	for _, id := range ids {
		receipt, err := s.receipt(id, request)
		if err != nil {
			st := rpc.Status(err).Proto()
			out.Results = append(out.GetResults(), &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Error{
				Error: &eventlogv1.AppendError{Code: st.GetCode(), Message: st.GetMessage(), Details: st.GetDetails()},
			}})
			continue
		}
		out.Results = append(out.GetResults(), &eventlogv1.AppendResult{Outcome: &eventlogv1.AppendResult_Receipt{Receipt: receipt}})
	}
	return out, nil
}

func newLedger(t *testing.T, s *script) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(clock.System(), ledger.Deps{Appender: s}, ledger.Config{BatchMax: 2, RetriesMax: 3, RetryDelay: time.Millisecond})
	require.NoError(t, err)
	return l
}

// facts are so many deposits, and the commands that name them.
func facts(t *testing.T, n int) ([]fact.Fact, []string) {
	t.Helper()
	var out []fact.Fact
	var ids []string
	for i := range n {
		f := fact.Moved(projectiontest.Spot, venue.Movement{Wallet: "spot", Asset: "USDT", Kind: venue.Deposit}, projectiontest.Start.Add(time.Duration(i)*time.Second))
		request, err := f.Append()
		require.NoError(t, err)
		out, ids = append(out, f), append(ids, request.GetCommandId())
	}
	return out, ids
}

func TestRecord_Batches(t *testing.T) {
	t.Parallel()
	s := &script{}
	told, ids := facts(t, 5)
	position, err := newLedger(t, s).Record(t.Context(), told...)
	require.NoError(t, err)
	require.EqualValues(t, 3, position)
	require.Equal(t, [][]string{ids[:2], ids[2:4], ids[4:]}, s.batches, "in their order, no more than fit")
	position, err = newLedger(t, s).Record(t.Context())
	require.NoError(t, err)
	require.Zero(t, position)
}

func TestRecord_Retries(t *testing.T) {
	t.Parallel()
	for name, passing := range map[string]error{
		"unavailable": fault.New(fault.Unavailable, "AWAY", "away"),
		"exhausted":   fault.New(fault.Exhausted, "FULL", "full"),
		"conflict":    fault.New(fault.Conflict, "HEAD", "moved"),
		"a deadline":  status.Error(codes.DeadlineExceeded, "late"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{whole: func(request int) error {
				if request < 3 {
					return passing
				}
				return nil
			}}
			told, ids := facts(t, 2)
			position, err := newLedger(t, s).Record(t.Context(), told...)
			require.NoError(t, err)
			require.EqualValues(t, 3, position)
			require.Equal(t, [][]string{ids, ids, ids}, s.batches)
		})
	}
	t.Run("only what was not taken", func(t *testing.T) {
		t.Parallel()
		told, ids := facts(t, 2)
		s := &script{answer: func(id string, request int) error {
			if id == ids[0] && request == 1 {
				return fault.New(fault.Unavailable, "AWAY", "away")
			}
			return nil
		}}
		_, err := newLedger(t, s).Record(t.Context(), told...)
		require.NoError(t, err)
		require.Equal(t, [][]string{ids, ids[:1]}, s.batches)
	})
	t.Run("not for ever", func(t *testing.T) {
		t.Parallel()
		s := &script{whole: func(int) error { return fault.New(fault.Unavailable, "AWAY", "away") }}
		told, _ := facts(t, 3)
		_, err := newLedger(t, s).Record(t.Context(), told...)
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.Len(t, s.batches, 4, "and what comes after is not offered")
	})
	t.Run("until the caller's time is over", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{whole: func(int) error {
			cancel()
			return fault.New(fault.Unavailable, "AWAY", "away")
		}}
		told, _ := facts(t, 1)
		_, err := newLedger(t, s).Record(ctx, told...)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, s.batches, 1)
	})
}

// One bad fact harms only itself: the others of its batch are recorded, and what comes after waits.
func TestRecord_OneBadFact(t *testing.T) {
	t.Parallel()
	told, ids := facts(t, 4)
	taken := map[string]bool{}
	s := &script{answer: func(id string, _ int) error {
		if id == ids[0] {
			return fault.New(fault.Invalid, "INVALID_FIELD", "no asset").WithField("asset", "must be there")
		}
		taken[id] = true
		return nil
	}}
	_, err := newLedger(t, s).Record(t.Context(), told...)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.Equal(t, "asset", fault.As(err).Fields[0].Path, "its reason comes whole")
	require.Equal(t, map[string]bool{ids[1]: true}, taken)
	require.Len(t, s.batches, 1, "it is not tried again")
}

func TestRecord_BrokenAnswer(t *testing.T) {
	t.Parallel()
	l, err := ledger.New(clock.System(), ledger.Deps{Appender: tooFew{}}, ledger.Config{})
	require.NoError(t, err)
	told, _ := facts(t, 2)
	_, err = l.Record(t.Context(), told...)
	require.ErrorContains(t, err, "0 answers")
}

type tooFew struct{}

func (tooFew) AppendBatch(context.Context, *eventlogv1.AppendBatchRequest, ...grpc.CallOption) (*eventlogv1.AppendBatchResponse, error) {
	return &eventlogv1.AppendBatchResponse{}, nil
}

func (tooFew) Append(context.Context, *eventlogv1.AppendRequest, ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	return nil, errors.New("not asked")
}

// pager answers lists in pages of one.
type pager struct {
	ledger.Reader
	ledger.State
	ids []string
}

func (p *pager) page(token string) (id, next string) {
	n := 0
	if token != "" {
		n = int(token[0] - '0')
	}
	if n+1 < len(p.ids) {
		next = fmt.Sprint(n + 1)
	}
	return p.ids[n], next
}

func (p *pager) ListTenants(_ context.Context, in *eventlogv1.ListTenantsRequest, _ ...grpc.CallOption) (*eventlogv1.ListTenantsResponse, error) {
	id, next := p.page(in.GetPageToken())
	return &eventlogv1.ListTenantsResponse{TenantIds: []string{id}, NextPageToken: next}, nil
}

func (p *pager) ListAccounts(_ context.Context, in *projectorv1.ListAccountsRequest, _ ...grpc.CallOption) (*projectorv1.ListAccountsResponse, error) {
	id, next := p.page(in.GetPageToken())
	return &projectorv1.ListAccountsResponse{Accounts: []*projectorv1.Account{{AccountId: id}}, NextPageToken: next}, nil
}

func (p *pager) ListOrders(_ context.Context, in *projectorv1.ListOrdersRequest, _ ...grpc.CallOption) (*projectorv1.ListOrdersResponse, error) {
	id, next := p.page(in.GetPageToken())
	return &projectorv1.ListOrdersResponse{Orders: []*projectorv1.Order{{OrderId: id}}, NextPageToken: next}, nil
}

func TestLists_AllPages(t *testing.T) {
	t.Parallel()
	p := &pager{ids: []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}}
	l, err := ledger.New(clock.System(), ledger.Deps{Reader: p, State: p}, ledger.Config{})
	require.NoError(t, err)
	tenants, err := l.Tenants(t.Context())
	require.NoError(t, err)
	require.Len(t, tenants, 3)
	accounts, err := l.Accounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, p.ids[2], accounts[2].GetAccountId())
	orders, err := l.LiveOrders(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, orders, 3)
	p.ids = []string{"x"}
	_, err = l.Tenants(t.Context())
	require.ErrorContains(t, err, `"x"`)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	books := ledgertest.New(t)
	l, ctx := books.Ledger(), identity.WithTenant(t.Context(), books.Tenant())
	none, err := l.Follow(ctx, "")
	require.NoError(t, err)
	require.Equal(t, fact.Origin{}, none)
	first := books.Events()[0]
	origin, err := l.Follow(ctx, first.GetEventId())
	require.NoError(t, err)
	require.Equal(t, fact.Origin{Trace: uuid.MustParse(first.GetTraceId()), Cause: first.GetEventId()}, origin)
	_, err = l.Follow(ctx, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestClaimed(t *testing.T) {
	t.Parallel()
	books := ledgertest.New(t)
	l, p := books.Ledger(), projectiontest.Long("p")
	order := fact.Order{ID: event.OrderID(p.EntryID(), 1), Account: projectiontest.Spot, Symbol: "BTCUSDT"}
	_, claimed, err := l.Claimed(t.Context(), order)
	require.NoError(t, err)
	require.False(t, claimed)
	books.Do(t, func(log *projectiontest.Log) error {
		if err := log.Opening(p); err != nil {
			return err
		}
		_, err := log.Append(log.Claim(p.EntryID(), 1))
		return err
	})
	known, claimed, err := l.Claimed(t.Context(), order)
	require.NoError(t, err)
	require.True(t, claimed)
	claim := books.Events("ORDER_SUBMITTED")[0]
	require.Equal(t, claim.GetEventId(), known.Origin.Cause)
	require.Equal(t, claim.GetTraceId(), known.Origin.Trace.String())
	require.Equal(t, p.EntryID(), known.Intent)
	require.NotEqual(t, uuid.Nil, known.Position)
	require.Equal(t, event.ClientOrderID(order.ID), string(known.ClientOrderID))

	row := ledger.OrderOf(&projectorv1.Order{OrderId: order.ID.String(), AccountId: order.Account.String(), Symbol: "BTCUSDT"})
	require.Equal(t, order, row)
}
