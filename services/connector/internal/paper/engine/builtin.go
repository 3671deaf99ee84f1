package engine

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// builtinInstruments are those a new venue lists: Binance's rules of 2025. Others come with an exchangeInfo document.
func builtinInstruments() []venue.Instrument {
	num := decimal.RequireFromString
	usdt := func(base, step, lotMax, priceMax string) venue.Instrument {
		return venue.Instrument{
			Symbol: base + "USDT", BaseAsset: base, QuoteAsset: "USDT", Status: venue.StatusTrading,
			BasePrecision: 8, QuotePrecision: 8, MarginAllowed: true,
			Price: venue.PriceFilter{Min: num("0.01"), Max: num(priceMax), Tick: num("0.01")},
			Lot:   venue.LotFilter{Min: num(step), Max: num(lotMax), Step: num(step)},
			// Binance's own market lot filter has step 0: the lot step holds.
			MarketLot: venue.LotFilter{},
			Notional:  venue.NotionalFilter{Min: num("5"), Max: num("9000000"), ApplyMinToMarket: true},
			MaxOrders: 200, MaxAlgoOrders: 5,
		}
	}
	return []venue.Instrument{
		usdt("BTC", "0.00001", "9000", "1000000"),
		usdt("ETH", "0.0001", "9000", "1000000"),
	}
}
