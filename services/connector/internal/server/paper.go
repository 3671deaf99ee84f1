package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/money"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/venue"
)

var _ connectorv1.PaperServiceServer = (*Paper)(nil)

// Paper is the PaperService.
type Paper struct {
	connectorv1.UnimplementedPaperServiceServer
	deps   Deps
	config Config
	loads  slots
}

// NewPaper makes the service.
func NewPaper(deps Deps, config Config) (*Paper, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Paper{deps: deps, config: config, loads: newSlots(config.LoadsMax, "markets are being loaded")}, nil
}

// venueFault gives a venue's error a kind for callers, what only the paper venue says too.
func venueFault(doing string, err error) error {
	switch {
	case errors.Is(err, engine.ErrOpenOrders):
		return fault.Wrap(err, fault.Refused, "OPEN_ORDERS", "%s", doing)
	case errors.Is(err, engine.ErrAccount):
		return fault.Wrap(err, fault.Refused, "ACCOUNT_REFUSED", "%s", doing)
	case errors.Is(err, engine.ErrInvalid), errors.Is(err, engine.ErrAmount):
		return fault.Wrap(err, fault.Invalid, "REFUSED_BY_VENUE", "%s", doing)
	default:
		return line.Fault(doing, err) //nolint:wrapcheck // it says what was being done
	}
}

// paperLines finds an account of the call's tenant at the paper venue. fault.Refused for one that another venue serves: its money
// and its faults are not ours to make.
func (s *Paper) paperLines(ctx context.Context, accountID string) (line.Lines, error) {
	_, lines, err := s.deps.lines(ctx, accountID)
	if err != nil {
		return line.Lines{}, err
	}
	if lines.Venue != paper.Name {
		return line.Lines{}, fault.New(fault.Refused, "NOT_ON_PAPER", "account %s is served by %s: the paper venue knows nothing of it", accountID, lines.Venue)
	}
	return lines, nil
}

// GetMarket implements connectorv1.PaperServiceServer.
func (s *Paper) GetMarket(ctx context.Context, in *connectorv1.GetMarketRequest) (*connectorv1.GetMarketResponse, error) {
	market, err := s.deps.Paper.MarketState(ctx, in.GetSymbol())
	if err != nil {
		return nil, venueFault("look at the market of "+in.GetSymbol(), err)
	}
	unreported, err := s.unreported(ctx)
	if err != nil {
		return nil, err
	}
	return &connectorv1.GetMarketResponse{Market: marketOf(market), Unreported: unreported}, nil
}

// checkpointReads is how many checkpoints are read at a time.
const checkpointReads = 8

// unreported adds up what the venue has said of the tenant's accounts and the log has not.
func (s *Paper) unreported(ctx context.Context) (int64, error) {
	prefix := line.KeyPrefix(identity.Tenant(ctx))
	cursors, err := s.deps.Paper.Cursors(ctx, prefix)
	if err != nil {
		return 0, venueFault("look at the accounts' reports", err)
	}
	counts := make(chan int64, len(cursors))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checkpointReads)
	for key, newest := range cursors {
		account, err := uuid.Parse(strings.TrimPrefix(string(key), prefix))
		if err != nil {
			return 0, fault.Wrap(err, fault.Corrupt, "ACCOUNT_KEY", "account %q of the paper venue", key)
		}
		group.Go(func() error {
			n, err := s.deps.Follower.Unreported(ctx, account, newest)
			counts <- n
			return err //nolint:wrapcheck // it names the account
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("count what is not reported yet: %w", err)
	}
	close(counts)
	var sum int64
	for n := range counts {
		sum += n
	}
	return sum, nil
}

// marketOf is where a market stands, in the contract's words. One that never had a price has neither price nor time.
func marketOf(m engine.MarketState) *connectorv1.MarketState {
	out := &connectorv1.MarketState{
		Symbol: m.Symbol, Sequence: m.Last.Sequence, TicksLeft: m.Left, Origin: m.Origin, TickIntervalMs: m.Pace.Milliseconds(),
	}
	if m.Left < 0 {
		out.TicksLeft = math.MaxInt64 // a path without end
	}
	if m.Last.Sequence > 0 {
		out.Price, out.MarketTime = money.Format(m.Last.Price), timestamppb.New(m.Last.MarketTime)
	}
	return out
}

// AdvanceMarket implements connectorv1.PaperServiceServer.
func (s *Paper) AdvanceMarket(ctx context.Context, in *connectorv1.AdvanceMarketRequest) (*connectorv1.AdvanceMarketResponse, error) {
	market, err := s.deps.Paper.Advance(ctx, in.GetSymbol(), in.GetToSequence())
	if err != nil {
		return nil, venueFault("advance the market of "+in.GetSymbol(), err)
	}
	if market.Last.Sequence == 0 {
		return nil, fault.New(fault.Refused, "NO_MARKET", "%s has no market yet: load one", in.GetSymbol())
	}
	return &connectorv1.AdvanceMarketResponse{Market: marketOf(market)}, nil
}

// SetPace implements connectorv1.PaperServiceServer.
func (s *Paper) SetPace(ctx context.Context, in *connectorv1.SetPaceRequest) (*connectorv1.SetPaceResponse, error) {
	market, err := s.deps.Paper.SetPace(ctx, in.GetSymbol(), time.Duration(in.GetTickIntervalMs())*time.Millisecond)
	if err != nil {
		return nil, venueFault("set the pace of "+in.GetSymbol(), err)
	}
	return &connectorv1.SetPaceResponse{Market: marketOf(market)}, nil
}

// Deposit implements connectorv1.PaperServiceServer.
func (s *Paper) Deposit(ctx context.Context, in *connectorv1.DepositRequest) (*connectorv1.DepositResponse, error) {
	lines, err := s.paperLines(ctx, in.GetAccountId())
	if err != nil {
		return nil, err
	}
	if err := s.checkWallet(ctx, lines, in); err != nil {
		return nil, err
	}
	amount, err := money.Parse(in.GetAmount())
	if err != nil {
		return nil, fault.InvalidField("amount", "must be an amount: %v", err)
	}
	balance, err := s.deps.Paper.Deposit(ctx, lines.Ref, in.GetDepositId(), in.GetWallet(), in.GetAsset(), amount)
	if errors.Is(err, engine.ErrAmount) {
		return nil, fault.InvalidField("amount", "%v", err)
	}
	if err != nil {
		return nil, venueFault("deposit", err)
	}
	return &connectorv1.DepositResponse{Free: money.Format(balance.Free)}, nil
}

// checkWallet refuses a wallet that the account does not have, or an asset that has no place in it.
func (s *Paper) checkWallet(ctx context.Context, lines line.Lines, in *connectorv1.DepositRequest) error {
	symbol, isolated := strings.CutPrefix(in.GetWallet(), "isolated:")
	switch {
	case !isolated:
		return nil
	case lines.Ref.Product != venue.IsolatedMargin:
		return fault.InvalidField("wallet", "must be spot: it is a spot account")
	case lines.Ref.MarginSymbol != symbol:
		return fault.InvalidField("wallet", "must be spot or isolated:%s: it is an account for %s", lines.Ref.MarginSymbol, lines.Ref.MarginSymbol)
	}
	instrument, err := lines.Market.Instrument(ctx, symbol)
	if err != nil {
		return venueFault("look at "+symbol, err)
	}
	if in.GetAsset() != instrument.BaseAsset && in.GetAsset() != instrument.QuoteAsset {
		return fault.InvalidField("asset", "must be %s or %s in %s", instrument.BaseAsset, instrument.QuoteAsset, in.GetWallet())
	}
	return nil
}

var faultKinds = map[connectorv1.FaultKind]engine.FaultKind{
	connectorv1.FaultKind_FAULT_KIND_DROP_BEFORE:          engine.FaultDropBefore,
	connectorv1.FaultKind_FAULT_KIND_ACCEPT_THEN_TIMEOUT:  engine.FaultAcceptThenTimeout,
	connectorv1.FaultKind_FAULT_KIND_ACCEPT_THEN_5XX:      engine.FaultAcceptThen5xx,
	connectorv1.FaultKind_FAULT_KIND_REJECT:               engine.FaultReject,
	connectorv1.FaultKind_FAULT_KIND_QUERY_LAG:            engine.FaultQueryLag,
	connectorv1.FaultKind_FAULT_KIND_CANCEL_AFTER_PARTIAL: engine.FaultCancelAfterPartial,
}

// SetFaults implements connectorv1.PaperServiceServer.
func (s *Paper) SetFaults(ctx context.Context, in *connectorv1.SetFaultsRequest) (*connectorv1.SetFaultsResponse, error) {
	faults := make([]engine.Fault, 0, len(in.GetFaults()))
	for n, f := range in.GetFaults() {
		kind, known := faultKinds[f.GetKind()]
		if !known {
			return nil, fault.InvalidField(fmt.Sprintf("faults[%d].kind", n), "%s is not known here", f.GetKind())
		}
		one := engine.Fault{Kind: kind, Operation: f.GetOperation(), Count: int(f.GetCount()), Code: int(f.GetCode())}
		if kind != engine.FaultReject && one.Code != 0 {
			return nil, fault.InvalidField(fmt.Sprintf("faults[%d].code", n), "belongs to REJECT only")
		}
		if err := one.Validate(); err != nil {
			return nil, fault.InvalidField(fmt.Sprintf("faults[%d]", n), "%v", err)
		}
		faults = append(faults, one)
	}
	lines, err := s.paperLines(ctx, in.GetAccountId())
	if err != nil {
		return nil, err
	}
	if err := s.deps.Paper.SetFaults(ctx, lines.Ref.Key, faults); err != nil {
		return nil, venueFault("set faults", err)
	}
	return &connectorv1.SetFaultsResponse{}, nil
}

// pageDefault is how many orders a page has where the caller does not say.
const pageDefault = 100

// ListOrders implements connectorv1.PaperServiceServer. A page token is the number of the page's last order.
func (s *Paper) ListOrders(ctx context.Context, in *connectorv1.ListOrdersRequest) (*connectorv1.ListOrdersResponse, error) {
	var after int64
	if token := in.GetPageToken(); token != "" {
		var err error
		after, err = strconv.ParseInt(token, 10, 64)
		if err != nil || after < 1 {
			return nil, fault.InvalidField("page_token", "must be that of the page before, found %q", token)
		}
	}
	size := int(in.GetPageSize())
	if size == 0 {
		size = pageDefault
	}
	lines, err := s.paperLines(ctx, in.GetAccountId())
	if err != nil {
		return nil, err
	}
	listed, err := s.deps.Paper.ListOrders(ctx, lines.Ref, in.GetSymbol(), after, size+1)
	if err != nil {
		return nil, venueFault("list orders", err)
	}
	out := &connectorv1.ListOrdersResponse{}
	if len(listed) > size {
		listed = listed[:size]
		out.NextPageToken = strconv.FormatInt(listed[size-1].Number, 10)
	}
	for _, l := range listed {
		out.Orders = append(out.Orders, venueOrder(l))
	}
	return out, nil
}

func venueOrder(l engine.Listed) *connectorv1.VenueOrder {
	o := l.Order
	return &connectorv1.VenueOrder{
		Symbol: o.Symbol, ExchangeOrderId: strconv.FormatInt(int64(o.OrderID), 10), ClientOrderId: string(o.ClientOrderID),
		Side:      eventv1.Side(eventv1.Side_value["SIDE_"+string(o.Side)]),
		OrderType: eventv1.OrderType(eventv1.OrderType_value["ORDER_TYPE_"+string(o.Type)]),
		Status:    string(o.Status), Quantity: money.Format(o.Quantity), FilledQuantity: money.Format(o.Executed),
		CumQuote: money.Format(o.CumQuote), PlacedCount: l.Placed,
	}
}
