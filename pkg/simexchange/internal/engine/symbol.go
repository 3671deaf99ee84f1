package engine

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Symbol is what is traded and the filters that orders must pass. A zero bound or step is no bound.
type Symbol struct {
	Name, Base, Quote, Status string
	Tick, PriceMin, PriceMax  decimal.Decimal
	Step, QtyMin, QtyMax      decimal.Decimal
	MarketStep, MarketQtyMax  decimal.Decimal
	NotionalMin, NotionalMax  decimal.Decimal
	OrdersMax, AlgoOrdersMax  int
	// Margin says whether there are isolated margin accounts of the pair.
	Margin bool
	// Spread is how many ticks the ask stands above the bid.
	Spread int64
	// Ladder is the depth on each side, from the best price on. Empty: everything fills at the best price.
	Ladder []Level
	// TickVolume bounds what a resting order fills per tick; zero bounds nothing.
	TickVolume decimal.Decimal
}

// Level is liquidity at a distance from the best price.
type Level struct {
	Quantity decimal.Decimal
	Offset   int64 // ticks
}

// Validate says what is wrong with the symbol.
func (s Symbol) Validate() error {
	if s.Name == "" || s.Base == "" || s.Quote == "" {
		return fmt.Errorf("symbol %q: name, base and quote must be given", s.Name)
	}
	if !s.Tick.IsPositive() || !s.Step.IsPositive() {
		return fmt.Errorf("symbol %s: tick %s and step %s must be above zero", s.Name, s.Tick, s.Step)
	}
	last := int64(-1)
	for _, l := range s.Ladder {
		if !l.Quantity.IsPositive() || l.Offset <= last {
			return fmt.Errorf("symbol %s: ladder levels must have quantity and growing offsets", s.Name)
		}
		last = l.Offset
	}
	if s.Spread < 0 {
		return fmt.Errorf("symbol %s: a spread of %d ticks", s.Name, s.Spread)
	}
	return nil
}

// check is nil if the request passes the filters at the last price.
func (s *Symbol) check(r *Request, last decimal.Decimal) *Rejection {
	if s.Status != "TRADING" {
		return ErrMarketClosed
	}
	limited := (&Order{Type: r.Type}).limited()
	if limited {
		if fail := s.checkPrice(r.Price); fail != nil {
			return fail
		}
	}
	if (&Order{Type: r.Type}).conditional() {
		if fail := s.checkPrice(r.StopPrice); fail != nil {
			return fail
		}
	}
	price := last
	if limited {
		price = r.Price
	}
	if !r.QuoteQuantity.IsZero() {
		return s.checkNotional(r.QuoteQuantity)
	}
	if fail := s.checkQuantity(r.Type, r.Quantity); fail != nil {
		return fail
	}
	return s.checkNotional(price.Mul(r.Quantity))
}

func (s *Symbol) checkPrice(p decimal.Decimal) *Rejection {
	if !p.IsPositive() {
		return ErrPrice
	}
	if outside(p, s.PriceMin, s.PriceMax) || !p.Mod(s.Tick).IsZero() {
		return filterFailure("PRICE_FILTER")
	}
	return nil
}

func (s *Symbol) checkQuantity(kind string, q decimal.Decimal) *Rejection {
	if !q.IsPositive() {
		return ErrQuantity
	}
	if outside(q, s.QtyMin, s.QtyMax) || !q.Mod(s.Step).IsZero() {
		return filterFailure("LOT_SIZE")
	}
	market := kind == Market || kind == StopLoss || kind == TakeProfit
	if market && (outside(q, decimal.Zero, s.MarketQtyMax) || s.MarketStep.IsPositive() && !q.Mod(s.MarketStep).IsZero()) {
		return filterFailure("MARKET_LOT_SIZE")
	}
	return nil
}

func (s *Symbol) checkNotional(n decimal.Decimal) *Rejection {
	if outside(n, s.NotionalMin, s.NotionalMax) {
		return filterFailure("NOTIONAL")
	}
	return nil
}

func outside(v, low, high decimal.Decimal) bool {
	return v.LessThan(low) || high.IsPositive() && v.GreaterThan(high)
}
