package server

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	"github.com/robson/robson/services/connector/internal/follower"
	"github.com/robson/robson/services/connector/internal/venue"
)

var _ connectorv1.MarketServiceServer = (*Market)(nil)

// Market is the MarketService.
type Market struct {
	connectorv1.UnimplementedMarketServiceServer
	deps    Deps
	streams slots
}

// NewMarket makes the service.
func NewMarket(deps Deps, config Config) (*Market, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Market{deps: deps, streams: newSlots(config.StreamsMax, "streams of prices are open")}, nil
}

// GetInstrument implements connectorv1.MarketServiceServer.
func (s *Market) GetInstrument(ctx context.Context, in *connectorv1.GetInstrumentRequest) (*connectorv1.GetInstrumentResponse, error) {
	_, lines, err := s.deps.lines(ctx, in.GetAccountId())
	if err != nil {
		return nil, err
	}
	instrument, err := lines.Market.Instrument(ctx, in.GetSymbol())
	if err != nil {
		return nil, venueFault("look at "+in.GetSymbol(), err)
	}
	last, err := lines.Market.LastPrice(ctx, in.GetSymbol())
	if err != nil {
		return nil, venueFault("look at the price of "+in.GetSymbol(), err)
	}
	taker, err := lines.Wallets.TakerRate(ctx, in.GetSymbol())
	if err != nil {
		return nil, venueFault("look at the account's fees", err)
	}
	return &connectorv1.GetInstrumentResponse{
		Instrument: instrumentOf(instrument), LastPrice: money.Format(last.Price), MarketTime: timestamppb.New(last.MarketTime),
		Sequence: last.Sequence, TakerFeeRate: money.Format(taker),
	}, nil
}

func instrumentOf(i venue.Instrument) *connectorv1.Instrument {
	return &connectorv1.Instrument{
		Symbol: i.Symbol, BaseAsset: i.BaseAsset, QuoteAsset: i.QuoteAsset, Trading: i.Status == venue.StatusTrading,
		StepSize: money.Format(i.Lot.Step), MinQuantity: money.Format(i.Lot.Min), MaxQuantity: money.Format(i.Lot.Max),
		TickSize: money.Format(i.Price.Tick), MinNotional: money.Format(i.Notional.Min), MaxNotional: money.Format(i.Notional.Max),
		MinNotionalAppliesToMarket: i.Notional.ApplyMinToMarket,
		MarketStepSize:             money.Format(i.MarketLot.Step), MarketMaxQuantity: money.Format(i.MarketLot.Max),
	}
}

// errStopping ends the streams of a service that stops; their callers go on elsewhere, or here when it is back.
var errStopping = fault.New(fault.Unavailable, "STOPPING", "the connector is stopping")

// StreamPrices implements connectorv1.MarketServiceServer. A receiver that is slow holds nothing up: the venue keeps what
// it has not taken yet, as far back as it keeps prices.
func (s *Market) StreamPrices(in *connectorv1.StreamPricesRequest, stream connectorv1.MarketService_StreamPricesServer) error {
	giveBack, err := s.streams.take()
	if err != nil {
		return err
	}
	defer giveBack()
	_, lines, err := s.deps.lines(stream.Context(), in.GetAccountId())
	if err != nil {
		return err
	}
	if _, err := lines.Market.Instrument(stream.Context(), in.GetSymbol()); err != nil {
		return venueFault("follow "+in.GetSymbol(), err)
	}
	ctx, stop := s.untilStopping(stream.Context())
	defer stop()
	err = lines.Market.FollowPrices(ctx, in.GetSymbol(), in.GetAfterSequence(), func(_ context.Context, prices []venue.Price) error {
		for _, p := range prices {
			if err := stream.Send(priceOf(p)); err != nil {
				return fault.Wrap(err, fault.Unavailable, "CONNECTION_LOST", "send prices")
			}
		}
		return nil
	})
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("stream prices of %s: %w", in.GetSymbol(), cause)
	}
	return venueFault("follow "+in.GetSymbol(), err)
}

// untilStopping gives a context that ends when the service is told to stop, too.
func (s *Market) untilStopping(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.deps.Stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(errEnded)
		<-watched
	}
}

var errEnded = errors.New("the stream has ended")

func priceOf(p venue.Price) *connectorv1.StreamPricesResponse {
	return &connectorv1.StreamPricesResponse{
		Sequence: p.Sequence, Price: money.Format(p.Price), MarketTime: timestamppb.New(p.MarketTime), Gap: p.Gap,
	}
}

// SampleBalances implements connectorv1.MarketServiceServer.
func (s *Market) SampleBalances(ctx context.Context, in *connectorv1.SampleBalancesRequest) (*connectorv1.SampleBalancesResponse, error) {
	id, lines, err := s.deps.lines(ctx, in.GetAccountId())
	if err != nil {
		return nil, err
	}
	sampled, err := follower.SampleBalances(ctx, s.deps.Ledger, id, lines)
	if err != nil {
		return nil, fmt.Errorf("sample balances of account %s: %w", id, err)
	}
	return &connectorv1.SampleBalancesResponse{Assets: int32(sampled.Assets), Position: sampled.Position}, nil
}
