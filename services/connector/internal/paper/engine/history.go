package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Trades lists an account's trades of a symbol from an id on, by id, at most limit.
func (e *Engine) Trades(ref venue.AccountRef, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	var out []venue.Trade
	err := e.page(venue.OpListTrades, ref, symbol, limit, func(account *accountState) {
		for _, trades := range account.Trades {
			for _, trade := range trades {
				if trade.Symbol == symbol && trade.TradeID >= from {
					out = append(out, trade)
				}
			}
		}
		slices.SortFunc(out, func(a, b venue.Trade) int {
			return cmp.Or(cmp.Compare(a.TradeID, b.TradeID), cmp.Compare(a.OrderID, b.OrderID))
		})
		out = slices.Clip(out[:min(limit, len(out))])
	})
	return out, err
}

// Orders lists an account's orders of a symbol from an id on, by id, at most limit.
func (e *Engine) Orders(ref venue.AccountRef, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	var out []venue.Order
	err := e.page(venue.OpListOrders, ref, symbol, limit, func(account *accountState) {
		for _, o := range account.Orders {
			if o.Symbol == symbol && o.OrderID >= from {
				out = append(out, o.Order)
			}
		}
		slices.SortFunc(out, func(a, b venue.Order) int { return cmp.Compare(a.OrderID, b.OrderID) })
		out = slices.Clip(out[:min(limit, len(out))])
	})
	return out, err
}

func (e *Engine) page(operation string, ref venue.AccountRef, symbol string, limit int, collect func(*accountState)) error {
	if limit < 1 || limit > venue.PageMax {
		return fmt.Errorf("%w: %s: limit %d: 1 to %d", ErrInvalid, operation, limit, venue.PageMax)
	}
	return e.view(func(s *state) error {
		if _, err := s.symbol(symbol); err != nil {
			return err
		}
		account, err := s.find(operation, ref)
		if err == nil {
			collect(account)
		}
		return err
	})
}
