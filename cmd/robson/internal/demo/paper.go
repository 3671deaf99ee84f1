package demo

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/market"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// paperStage is the paper venue, steered by its RPCs.
type paperStage struct {
	paper         connectorv1.PaperServiceClient
	firstSequence int64
}

func (p *paperStage) second() string { return "margin" }

func (p *paperStage) shorts() bool { return true }

func (p *paperStage) scenes(d *Demo) []scene {
	return []scene{{"a short on borrowed coins, left by command", d.short}}
}

func (p *paperStage) check(ctx context.Context, d *Demo) error { return d.checkPayouts(ctx) }

func (p *paperStage) read(ctx context.Context, d *Demo) (string, error) { return d.source.read(ctx) }

func (p *paperStage) open(ctx context.Context, d *Demo) error {
	state, err := retry(ctx, d, "load "+symbolBTC, func(ctx context.Context) (*connectorv1.MarketState, error) { return p.loadKlines(ctx, d) })
	if fault.Is(err, fault.Refused) {
		return fmt.Errorf("%w: an earlier run was cut short; `robson positions list` shows what it left, `robson panic --account-id ACCOUNT` closes it", err)
	}
	p.firstSequence = state.GetSequence()
	return err
}

func (p *paperStage) accounts(ctx context.Context, d *Demo) (spot, margin string, err error) {
	fingerprint := func(name string) string { return "paper-" + d.id("fingerprint/"+name).String() }
	spot, err = d.registerAccount(ctx, accountPlan{name: "spot", product: eventv1.Product_PRODUCT_SPOT, fingerprint: fingerprint("spot")})
	if err != nil {
		return "", "", err
	}
	margin, err = d.registerAccount(ctx, accountPlan{
		name: "margin", product: eventv1.Product_PRODUCT_ISOLATED_MARGIN, marginSymbol: symbolBTC, fingerprint: fingerprint("margin"),
	})
	if err != nil {
		return "", "", err
	}
	for _, to := range []struct{ account, wallet string }{{spot, walletSpot}, {margin, walletIsolated}} {
		if err := p.deposit(ctx, d, to.account, to.wallet); err != nil {
			return "", "", err
		}
	}
	return spot, margin, nil
}

func (p *paperStage) advance(ctx context.Context, d *Demo, tick int) error {
	sequence := p.firstSequence + int64(tick)
	response, err := retry(ctx, d, "advance the market", func(ctx context.Context) (*connectorv1.AdvanceMarketResponse, error) {
		return p.paper.AdvanceMarket(ctx, &connectorv1.AdvanceMarketRequest{Symbol: symbolBTC, ToSequence: sequence})
	})
	if err != nil {
		return err
	}
	if got := response.GetMarket(); got.GetSequence() != sequence || got.GetPrice() != d.world.prices[tick].String() {
		return fmt.Errorf("the market stands at tick %d, price %s; tick %d, price %s was asked for", got.GetSequence(), got.GetPrice(), sequence, d.world.prices[tick])
	}
	return nil
}

// behind asks the connector, which knows how far it has reported and where the market stands.
func (p *paperStage) behind(ctx context.Context, d *Demo, monitor []*commandv1.PriceProgress) (string, error) {
	market, err := retry(ctx, d, "look at the market", func(ctx context.Context) (*connectorv1.GetMarketResponse, error) {
		return p.paper.GetMarket(ctx, &connectorv1.GetMarketRequest{Symbol: symbolBTC})
	})
	if err != nil {
		return "", err
	}
	if n := market.GetUnreported(); n > 0 {
		return fmt.Sprintf("%d reports of the venue are not in the log yet", n), nil
	}
	for _, at := range monitor {
		if at.GetSymbol() == symbolBTC && at.GetSequence() < market.GetMarket().GetSequence() {
			return fmt.Sprintf("the stop monitor is at tick %d of %d", at.GetSequence(), market.GetMarket().GetSequence()), nil
		}
	}
	return "", nil
}

// deposit puts paper money into a wallet.
func (p *paperStage) deposit(ctx context.Context, d *Demo, account, wallet string) error {
	response, err := retry(ctx, d, "deposit", func(ctx context.Context) (*connectorv1.DepositResponse, error) {
		return p.paper.Deposit(ctx, &connectorv1.DepositRequest{DepositId: d.id("deposit/" + wallet).String(), AccountId: account, Wallet: wallet, Asset: assetUSDT, Amount: depositText})
	})
	if err != nil {
		return err
	}
	d.say("%s %s in wallet %s", response.GetFree(), assetUSDT, wallet)
	return nil
}

// loadKlines sends the bars. The ladder of depth is so thin that the planned long is filled in parts.
func (p *paperStage) loadKlines(ctx context.Context, d *Demo) (*connectorv1.MarketState, error) {
	part := money.Format(d.world.plan.long.quantity().Div(decimal.New(partsOfLong, 0)).Truncate(quantityPlaces))
	return market.Load(ctx, p.paper, &connectorv1.MarketHeader{
		Symbol: symbolBTC, Source: &connectorv1.MarketHeader_Klines{Klines: &connectorv1.KlineSource{Origin: d.source.origin}},
		Depth: []*connectorv1.DepthLevel{{Quantity: part, OffsetTicks: 0}, {Quantity: part, OffsetTicks: 100}, {Quantity: depthRest, OffsetTicks: 250}},
	}, d.source.klines)
}

// standingPrice gives the second symbol a market and tells its price. Where somebody trades on the one it has, that will do.
func (p *paperStage) standingPrice(ctx context.Context, d *Demo) (decimal.Decimal, error) {
	state, err := retry(ctx, d, "load "+symbolETH, func(ctx context.Context) (*connectorv1.MarketState, error) {
		return p.loadStandingMarket(ctx, d)
	})
	if fault.Is(err, fault.Refused) {
		var there *connectorv1.GetMarketResponse
		there, err = retry(ctx, d, "look at "+symbolETH, func(ctx context.Context) (*connectorv1.GetMarketResponse, error) {
			return p.paper.GetMarket(ctx, &connectorv1.GetMarketRequest{Symbol: symbolETH})
		})
		state = there.GetMarket()
	}
	if err != nil {
		return decimal.Zero, err
	}
	price, err := money.Parse(state.GetPrice())
	if err != nil {
		return decimal.Zero, fmt.Errorf("price of %s: %w", symbolETH, err)
	}
	return price, nil
}

// loadStandingMarket gives the second symbol a price that the demo does not move, at the time it is in the first's market.
func (p *paperStage) loadStandingMarket(ctx context.Context, d *Demo) (*connectorv1.MarketState, error) {
	return market.Load(ctx, p.paper, &connectorv1.MarketHeader{Symbol: symbolETH, Source: &connectorv1.MarketHeader_Synthetic{Synthetic: &connectorv1.SyntheticSource{
		Seed: syntheticSeed, StartPrice: "205.5", StartTime: timestamppb.New(d.marketTime(d.world.tick)), TickMs: 900_000, Ticks: 100, StepMax: 10,
	}}}, nil)
}
