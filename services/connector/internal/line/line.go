// Package line leads from an account in our books to its venue, and brings a venue's picture of an order back as facts.
package line

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Desk knows which venue serves which account.
type Desk struct {
	paper venue.Venue
	live  []Live
}

// Live is a venue besides the paper venue: what it speaks to serves the accounts of one exchange in one environment.
type Live struct {
	Exchange    string
	Environment eventv1.Environment
	Venue       venue.Venue
}

// ExchangePaper is the exchange of accounts that are the paper venue's whatever else is served.
const ExchangePaper = "paper"

// NewDesk makes a desk. An account goes to the live venue of its exchange and environment. Other accounts of the sim environment
// are the paper venue's: those of the exchange paper always, those of another as long as no simulated exchange is served.
func NewDesk(paper venue.Venue, live ...Live) *Desk { return &Desk{paper: paper, live: live} }

// Lines are what an account has at its venue.
type Lines struct {
	venue.Account
	Market venue.MarketData
	Ref    venue.AccountRef
	// Venue is the stored name of the venue, e.g. binance or paper.
	Venue string
}

// For gives the lines of a tenant's account. fault.Refused for one that no venue of this connector serves.
func (d *Desk) For(tenant uuid.UUID, account *projectorv1.Account) (Lines, error) {
	serving := d.serving(account)
	if serving == nil {
		return Lines{}, fault.New(fault.Refused, "VENUE_NOT_SERVED", "account %s is of %s in environment %s; this connector serves %s",
			account.GetAccountId(), account.GetExchange(), environmentName(account.GetEnvironment()), d.served())
	}
	ref := Ref(tenant, account)
	return Lines{Account: serving.Account(ref), Market: serving.Market(), Ref: ref, Venue: serving.Name()}, nil
}

// serving is the venue of an account, nil if there is none here.
func (d *Desk) serving(account *projectorv1.Account) venue.Venue {
	for _, l := range d.live {
		if l.Exchange == account.GetExchange() && l.Environment == account.GetEnvironment() {
			return l.Venue
		}
	}
	if account.GetEnvironment() == eventv1.Environment_ENVIRONMENT_SIM {
		return d.paper
	}
	return nil
}

// served says what is served, and how more would be.
func (d *Desk) served() string {
	text := "sim, the paper venue"
	for _, l := range d.live {
		text += fmt.Sprintf(", and %s in environment %s", l.Exchange, environmentName(l.Environment))
	}
	return text + "; serve another by a connector with --binance-environment"
}

func environmentName(e eventv1.Environment) string {
	return strings.ToLower(strings.TrimPrefix(e.String(), "ENVIRONMENT_"))
}

// KeyPrefix begins the keys of a tenant's accounts at the venue: two tenants may have accounts of the same id.
func KeyPrefix(tenant uuid.UUID) string { return tenant.String() + "/" }

// Ref names an account to its venue.
func Ref(tenant uuid.UUID, account *projectorv1.Account) venue.AccountRef {
	ref := venue.AccountRef{Key: venue.AccountKey(KeyPrefix(tenant) + account.GetAccountId()), Product: venue.Spot}
	if account.GetProduct() == eventv1.Product_PRODUCT_ISOLATED_MARGIN {
		ref.Product, ref.MarginSymbol = venue.IsolatedMargin, account.GetMarginSymbol()
	}
	return ref
}

// ErrTradesMissing says that the venue does not show all trades of an order yet: its answers lag. Ask again.
var ErrTradesMissing = errors.New("the venue does not show all trades of the order yet")

// Trades gives the trades of an order as the venue now sees it; those that came with an answer are enough when they are
// all. ErrTradesMissing if they do not add up to what the order has executed.
func (l Lines) Trades(ctx context.Context, at venue.Order, known []venue.Trade) ([]venue.Trade, error) {
	if executed(known).Equal(at.Executed) {
		return known, nil
	}
	trades, err := l.Trading.OrderTrades(ctx, at.Symbol, at.OrderID)
	if err != nil {
		return known, fmt.Errorf("trades of order %s: %w", at.ClientOrderID, err)
	}
	if executed(trades).LessThan(at.Executed) {
		return trades, ErrTradesMissing
	}
	return trades, nil
}

func executed(trades []venue.Trade) decimal.Decimal {
	sum := decimal.Zero
	for _, trade := range trades {
		sum = sum.Add(trade.Quantity)
	}
	return sum
}

// Facts is all that a venue's picture of an order tells: that it is known, its trades, and its end.
func (l Lines) Facts(ctx context.Context, o fact.Order, at venue.Order, trades []venue.Trade, source fact.Source) ([]fact.Fact, error) {
	var facts []fact.Fact
	if at.Status != venue.StatusRejected {
		facts = append(facts, fact.Acked(o, at, source))
	}
	for _, trade := range trades {
		filled, err := l.Fill(ctx, o, trade, source)
		if err != nil {
			return nil, err
		}
		facts = append(facts, filled)
	}
	if ended, over := fact.Ended(o, at, source); over {
		facts = append(facts, ended)
	}
	return facts, nil
}

// Fill is what one trade tells, its fee valued where it can be.
func (l Lines) Fill(ctx context.Context, o fact.Order, trade venue.Trade, source fact.Source) (fact.Fact, error) {
	instrument, err := l.Market.Instrument(ctx, trade.Symbol)
	if err != nil {
		return fact.Fact{}, fmt.Errorf("value a fee: %w", err)
	}
	pricing := fact.Pricing{Instrument: instrument}
	if fact.NeedsThird(trade, instrument) {
		// Without a price the fee stays unvalued, and is listed as such.
		last, err := l.Market.LastPrice(ctx, trade.FeeAsset+instrument.QuoteAsset)
		if err == nil {
			pricing.Third = last.Price
		}
	}
	return fact.Filled(o, trade, pricing, source)
}
