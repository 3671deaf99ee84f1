package venue

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// The codes and texts of Binance's refusals that filters give.
const (
	CodeFilterFailure = -1013
	CodePrecision     = -1111
)

// CheckPrecision refuses numbers with more decimals than the instrument has.
func (i Instrument) CheckPrecision(o NewOrder) error {
	for _, p := range []struct {
		name   string
		value  decimal.Decimal
		places int32
	}{{"quantity", o.Quantity, i.BasePrecision}, {"price", o.Price, i.QuotePrecision}, {"stopPrice", o.StopPrice, i.QuotePrecision}} {
		if !p.value.Equal(p.value.Truncate(p.places)) {
			return &RejectedError{
				Operation: OpPlace, Code: CodePrecision, HTTPStatus: 400,
				Message: fmt.Sprintf("Parameter '%s' has too much precision.", p.name),
			}
		}
	}
	return nil
}

// CheckFilters refuses an order that breaks the instrument's filters, in the order in which Binance tests them.
// Last is the last price, which values market orders.
func (i Instrument) CheckFilters(o NewOrder, last decimal.Decimal) error {
	switch {
	case o.Type.HasPrice() && !i.Price.admits(o.Price), o.Type.IsStop() && !i.Price.admits(o.StopPrice):
		return filterFailure("PRICE_FILTER")
	case !i.Lot.admits(o.Quantity):
		return filterFailure("LOT_SIZE")
	case o.Type == Market && !i.MarketLot.admits(o.Quantity):
		return filterFailure("MARKET_LOT_SIZE")
	case !i.Notional.admits(o, last):
		return filterFailure("NOTIONAL")
	default:
		return nil
	}
}

func filterFailure(name string) error {
	return &RejectedError{Operation: OpPlace, Code: CodeFilterFailure, Message: "Filter failure: " + name, HTTPStatus: 400}
}

func (f PriceFilter) admits(price decimal.Decimal) bool {
	return within(price, f.Min, f.Max) && IsMultiple(price, f.Tick)
}

// Binance takes quantity modulo step, not relative to the least quantity.
func (f LotFilter) admits(quantity decimal.Decimal) bool {
	return within(quantity, f.Min, f.Max) && IsMultiple(quantity, f.Step)
}

func (f NotionalFilter) admits(o NewOrder, last decimal.Decimal) bool {
	price := last
	switch {
	case o.Type.HasPrice():
		price = o.Price
	case o.Type == StopLoss:
		price = o.StopPrice
	}
	notional := price.Mul(o.Quantity)
	low, high := f.Min, f.Max
	if o.Type == Market && !f.ApplyMinToMarket {
		low = decimal.Zero
	}
	if o.Type == Market && !f.ApplyMaxToMarket {
		high = decimal.Zero
	}
	return within(notional, low, high)
}

func within(value, low, high decimal.Decimal) bool {
	return value.GreaterThanOrEqual(low) && (high.IsZero() || value.LessThanOrEqual(high))
}

// FilterFailure builds the refusal of a filter that counts orders, which only the venue can test.
func FilterFailure(name string) error { return filterFailure(name) }
