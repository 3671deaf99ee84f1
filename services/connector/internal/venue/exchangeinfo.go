package venue

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// symbolsMax bounds what an exchangeInfo document may list; Binance lists some 3500.
const symbolsMax = 10_000

type infoDocument struct {
	Symbols []infoSymbol `json:"symbols"`
}

type infoSymbol struct {
	Symbol          string            `json:"symbol"`
	Status          string            `json:"status"`
	BaseAsset       string            `json:"baseAsset"`
	QuoteAsset      string            `json:"quoteAsset"`
	BasePrecision   int32             `json:"baseAssetPrecision"`
	QuotePrecision  int32             `json:"quoteAssetPrecision"`
	IsMarginAllowed bool              `json:"isMarginTradingAllowed"`
	Filters         []json.RawMessage `json:"filters"`
}

type infoFilter struct {
	Type             string          `json:"filterType"`
	MinPrice         decimal.Decimal `json:"minPrice"`
	MaxPrice         decimal.Decimal `json:"maxPrice"`
	TickSize         decimal.Decimal `json:"tickSize"`
	MinQty           decimal.Decimal `json:"minQty"`
	MaxQty           decimal.Decimal `json:"maxQty"`
	StepSize         decimal.Decimal `json:"stepSize"`
	MinNotional      decimal.Decimal `json:"minNotional"`
	MaxNotional      decimal.Decimal `json:"maxNotional"`
	ApplyToMarket    bool            `json:"applyToMarket"`
	ApplyMinToMarket bool            `json:"applyMinToMarket"`
	ApplyMaxToMarket bool            `json:"applyMaxToMarket"`
	MaxNumOrders     int             `json:"maxNumOrders"`
	MaxNumAlgoOrders int             `json:"maxNumAlgoOrders"`
}

// ParseExchangeInfo reads the instruments of a Binance exchangeInfo document, ordered by symbol. Filters that do not concern Robson's
// orders are passed over. Odd tells of each symbol by whose rules no order could be measured, for want of PRICE_FILTER or LOT_SIZE say: it
// is left out, and the others stand.
func ParseExchangeInfo(document []byte) (instruments []Instrument, odd []error, err error) {
	var info infoDocument
	if err := json.Unmarshal(document, &info); err != nil {
		return nil, nil, fmt.Errorf("read exchange info: %w", err)
	}
	if len(info.Symbols) == 0 {
		return nil, nil, errors.New("read exchange info: it lists no symbols")
	}
	if len(info.Symbols) > symbolsMax {
		return nil, nil, fmt.Errorf("read exchange info: %d symbols, at most %d are taken", len(info.Symbols), symbolsMax)
	}
	for _, s := range info.Symbols {
		instrument, err := s.instrument()
		if err != nil {
			odd = append(odd, fmt.Errorf("symbol %q: %w", s.Symbol, err))
			continue
		}
		instruments = append(instruments, instrument)
	}
	if len(instruments) == 0 {
		return nil, nil, fmt.Errorf("read exchange info: none of its symbols can be traded: %w", errors.Join(odd...))
	}
	slices.SortFunc(instruments, func(a, b Instrument) int { return strings.Compare(a.Symbol, b.Symbol) })
	for n := 1; n < len(instruments); n++ {
		if instruments[n].Symbol == instruments[n-1].Symbol {
			return nil, nil, fmt.Errorf("read exchange info: symbol %q is listed twice", instruments[n].Symbol)
		}
	}
	return instruments, odd, nil
}

func (s infoSymbol) instrument() (Instrument, error) {
	if s.Symbol == "" || s.BaseAsset == "" || s.QuoteAsset == "" {
		return Instrument{}, fmt.Errorf("symbol, baseAsset and quoteAsset must be set")
	}
	out := Instrument{
		Symbol: s.Symbol, BaseAsset: s.BaseAsset, QuoteAsset: s.QuoteAsset, Status: s.Status,
		BasePrecision: s.BasePrecision, QuotePrecision: s.QuotePrecision, MarginAllowed: s.IsMarginAllowed,
	}
	seen := map[string]bool{}
	for _, raw := range s.Filters {
		var f infoFilter
		if err := json.Unmarshal(raw, &f); err != nil {
			return Instrument{}, fmt.Errorf("filter %s: %w", raw, err)
		}
		seen[f.Type] = true
		out.apply(f)
	}
	for _, needed := range []string{"PRICE_FILTER", "LOT_SIZE"} {
		if !seen[needed] {
			return Instrument{}, fmt.Errorf("filter %s is missing", needed)
		}
	}
	return out, out.Validate()
}

func (i *Instrument) apply(f infoFilter) {
	switch f.Type {
	case "PRICE_FILTER":
		i.Price = PriceFilter{Min: f.MinPrice, Max: f.MaxPrice, Tick: f.TickSize}
	case "LOT_SIZE":
		i.Lot = LotFilter{Min: f.MinQty, Max: f.MaxQty, Step: f.StepSize}
	case "MARKET_LOT_SIZE":
		i.MarketLot = LotFilter{Min: f.MinQty, Max: f.MaxQty, Step: f.StepSize}
	case "NOTIONAL":
		i.Notional = NotionalFilter{
			Min: f.MinNotional, Max: f.MaxNotional,
			ApplyMinToMarket: f.ApplyMinToMarket, ApplyMaxToMarket: f.ApplyMaxToMarket,
		}
	case "MIN_NOTIONAL":
		i.Notional = NotionalFilter{Min: f.MinNotional, ApplyMinToMarket: f.ApplyToMarket}
	case "MAX_NUM_ORDERS":
		i.MaxOrders = f.MaxNumOrders
	case "MAX_NUM_ALGO_ORDERS":
		i.MaxAlgoOrders = f.MaxNumAlgoOrders
	}
}

// Validate refuses rules that no order could be measured by.
func (i Instrument) Validate() error {
	if !i.Price.Tick.IsPositive() {
		return fmt.Errorf("tick size %s: must be above zero", i.Price.Tick)
	}
	if !i.Lot.Step.IsPositive() {
		return fmt.Errorf("lot step %s: must be above zero", i.Lot.Step)
	}
	if i.BasePrecision < 0 || i.BasePrecision > 18 || i.QuotePrecision < 0 || i.QuotePrecision > 18 {
		return fmt.Errorf("precision must lie within 0 and 18")
	}
	for _, v := range []decimal.Decimal{
		i.Price.Min, i.Price.Max, i.Lot.Min, i.Lot.Max,
		i.MarketLot.Min, i.MarketLot.Max, i.MarketLot.Step, i.Notional.Min, i.Notional.Max,
	} {
		if v.IsNegative() {
			return fmt.Errorf("bound %s: must not be negative", v)
		}
	}
	return nil
}
