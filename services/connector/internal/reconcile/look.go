package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// orderTypes are the events that touch an order.
var orderTypes = []string{"ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED", "ORDER_CANCELED", "ORDER_EXPIRED", "ORDER_REJECTED"}

// localOrders are our orders that have not ended, those that something happened to since the run before, and those of which something
// is open.
func (r *run) localOrders(ctx context.Context) (map[string]*projectorv1.Order, error) {
	live, err := r.ledger.LiveOrders(ctx, r.account.String())
	if err != nil {
		return nil, err
	}
	out := map[string]*projectorv1.Order{}
	for _, row := range live {
		out[row.GetOrderId()] = row
	}
	events, asOf, err := r.ledger.EventsAfter(ctx, r.account.String(), r.logFrom, orderTypes...)
	if err != nil {
		return nil, err
	}
	var more []string
	for _, e := range events {
		key, err := event.ParseStreamKey(e.GetStreamKey())
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.GetEventId(), err)
		}
		if key.Kind == event.KindOrder {
			more = append(more, key.ID.String())
		}
	}
	for _, d := range r.open {
		if d.GetOrderId() != "" {
			more = append(more, d.GetOrderId())
		}
	}
	for _, id := range more {
		if out[id] != nil {
			continue
		}
		row, err := r.ledger.Order(ctx, id, asOf)
		switch {
		case fault.Is(err, fault.NotFound): // the venue has it under a name of ours, and our book does not
		case err != nil:
			return nil, err
		default:
			out[id] = row
		}
	}
	return out, nil
}

// symbolsOf are the symbols in which the account may have traded: those of our orders and held positions, of what is open
// at the venue, and every pair of two assets that the account holds. What an account has of an asset it bought or
// brought; a pair whose assets are both held, or owed, is where it can have traded them.
func (r *run) symbolsOf(ctx context.Context, local map[string]*projectorv1.Order) ([]string, error) {
	set := map[string]bool{}
	for _, row := range local {
		set[row.GetSymbol()] = true
	}
	positions, err := r.ledger.HeldPositions(ctx, r.account.String(), 0)
	if err != nil {
		return nil, err
	}
	for _, p := range positions {
		set[p.GetSymbol()] = true
	}
	open, err := r.lines.Trading.OpenOrders(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("open orders: %w", err)
	}
	for _, o := range open {
		set[o.Symbol] = true
	}
	var sheet venue.BalanceSheet
	if r.lines.Ref.MarginSymbol == "" { // its pair is known
		sheet, err = r.lines.Wallets.Balances(ctx)
		if err != nil {
			return nil, fmt.Errorf("balances: %w", err)
		}
	}
	if err := r.addPairs(ctx, set, sheet); err != nil {
		return nil, err
	}
	delete(set, "")
	return slices.Sorted(maps.Keys(set)), nil
}

// addPairs adds every pair of two assets that the account holds by a sheet, or held; a margin account has but one.
func (r *run) addPairs(ctx context.Context, set map[string]bool, sheet venue.BalanceSheet) error {
	if r.lines.Ref.MarginSymbol != "" {
		set[r.lines.Ref.MarginSymbol] = true
		return nil
	}
	held := map[string]bool{r.row.GetQuoteAsset(): true}
	for _, b := range sheet.Balances {
		held[b.Asset] = true
	}
	known, err := r.ledger.Balances(ctx, r.account.String())
	if err != nil {
		return err
	}
	for _, b := range known {
		held[b.GetAsset()] = true // also one that is all gone by now
	}
	instruments, err := r.lines.Market.Instruments(ctx)
	if err != nil {
		return fmt.Errorf("instruments: %w", err)
	}
	for _, i := range instruments {
		if held[i.BaseAsset] && held[i.QuoteAsset] {
			set[i.Symbol] = true
		}
	}
	return nil
}

// symbol looks through a symbol's orders and trades, from a little before where the run before went on from.
func (r *run) symbol(ctx context.Context, symbol string, local map[string]*projectorv1.Order) ([]finding, error) {
	seen := &symbolRange{}
	r.symbols[symbol] = seen
	orders, err := r.listOrders(ctx, symbol, seen)
	if err != nil {
		return nil, err
	}
	trades, err := r.listTrades(ctx, symbol, seen)
	if err != nil {
		return nil, err
	}
	byOrder := map[venue.OrderID][]venue.Trade{}
	for _, trade := range trades {
		byOrder[trade.OrderID] = append(byOrder[trade.OrderID], trade)
	}
	for _, id := range slices.Sorted(maps.Keys(byOrder)) {
		if _, ok := orders[id]; ok {
			continue
		}
		at, err := r.orderAt(ctx, symbol, id)
		switch {
		case lags(err) && r.lags == lagsMax:
			r.leave(seen, byOrder[id][0])
		case err != nil:
			return nil, err
		default:
			orders[id] = at
		}
	}
	var found []finding
	for _, id := range slices.Sorted(maps.Keys(orders)) {
		more, err := r.venueOrder(ctx, orders[id], byOrder[id], local)
		if err != nil {
			return nil, fmt.Errorf("order %d: %w", id, err)
		}
		found = append(found, more...)
	}
	return found, nil
}

// lagsMax is how often a run waits for a venue that lists a trade before its order.
const lagsMax = 3

// reasonLags is the reason of a look that the venue's own lists do not allow yet.
const reasonLags = "VENUE_LAGS"

func lags(err error) bool {
	failed := fault.As(err)
	return failed != nil && failed.Reason == reasonLags
}

// leave leaves a trade whose order the venue does not show to the next run, which lists it again.
func (r *run) leave(seen *symbolRange, trade venue.Trade) {
	seen.nextTrade = min(seen.nextTrade, trade.TradeID)
	r.skipped++
	r.note("%s: the venue lists trade %d of order %d, and not the order: left to the next run", trade.Symbol, trade.TradeID, trade.OrderID)
}

// orderAt finds the order that an id of the venue's names.
func (r *run) orderAt(ctx context.Context, symbol string, id venue.OrderID) (venue.Order, error) {
	page, err := r.lines.Trading.Orders(ctx, symbol, id, 1)
	if err != nil {
		return venue.Order{}, fmt.Errorf("order %d: %w", id, err)
	}
	if len(page) == 0 || page[0].OrderID != id {
		return venue.Order{}, fault.New(fault.Unavailable, reasonLags, "the venue lists a trade of order %s/%d, and not the order yet", symbol, id)
	}
	return page[0], nil
}

// listed pages through what a venue lists from an id on. It gives the id from which the next run is to go on: overlap
// entries before the last, so that what the venue shows late is seen.
func listed[T any](from int64, overlap int, id func(T) int64, page func(from int64) ([]T, error)) (all []T, next int64, err error) {
	next = from
	for at := from; ; {
		some, err := page(at)
		if err != nil {
			return nil, 0, err
		}
		fresh := some
		if len(all) > 0 { // the page begins with the last id of the page before
			fresh = slices.DeleteFunc(slices.Clone(some), func(t T) bool {
				return id(t) == at && slices.ContainsFunc(all[max(0, len(all)-2):], func(old T) bool { return fmt.Sprint(old) == fmt.Sprint(t) })
			})
		}
		all = append(all, fresh...)
		if len(some) < venue.PageMax || len(fresh) == 0 {
			if len(all) > overlap {
				next = max(next, id(all[len(all)-1-overlap]))
			}
			return all, next, nil
		}
		at = id(all[len(all)-1])
	}
}

func (r *run) listOrders(ctx context.Context, symbol string, seen *symbolRange) (map[venue.OrderID]venue.Order, error) {
	from, err := r.ledger.Checkpoint(ctx, ordersName(r.account, symbol))
	if err != nil {
		return nil, err
	}
	orders, next, err := listed(from, r.config.Overlap, func(o venue.Order) int64 { return int64(o.OrderID) }, func(at int64) ([]venue.Order, error) {
		return r.lines.Trading.Orders(ctx, symbol, venue.OrderID(at), venue.PageMax)
	})
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	out := map[venue.OrderID]venue.Order{}
	for _, o := range orders {
		out[o.OrderID], seen.toOrder = o, max(seen.toOrder, o.OrderID)
	}
	seen.fromOrder, seen.nextOrder, seen.orders = venue.OrderID(from), venue.OrderID(next), len(out)
	return out, nil
}

func (r *run) listTrades(ctx context.Context, symbol string, seen *symbolRange) ([]venue.Trade, error) {
	from, err := r.ledger.Checkpoint(ctx, tradesName(r.account, symbol))
	if err != nil {
		return nil, err
	}
	trades, next, err := listed(from, r.config.Overlap, func(t venue.Trade) int64 { return int64(t.TradeID) }, func(at int64) ([]venue.Trade, error) {
		return r.lines.Trading.Trades(ctx, symbol, venue.TradeID(at), venue.PageMax)
	})
	if err != nil {
		return nil, fmt.Errorf("list trades: %w", err)
	}
	for _, t := range trades {
		seen.toTrade = max(seen.toTrade, t.TradeID)
	}
	passed, err := r.ledger.Checkpoint(ctx, passedName(r.account, symbol))
	if err != nil {
		return nil, err
	}
	seen.passed = venue.TradeID(passed)
	seen.fromTrade, seen.nextTrade, seen.trades = venue.TradeID(from), venue.TradeID(next), len(trades)
	return trades, nil
}

// venueOrder holds an order that the venue has against ours. One that is not ours is reported, with its trades.
func (r *run) venueOrder(ctx context.Context, at venue.Order, trades []venue.Trade, local map[string]*projectorv1.Order) ([]finding, error) {
	id, ours := event.ParseClientOrderID(string(at.ClientOrderID))
	if !ours {
		r.foreign = append(r.foreign, fact.UnknownOrder(r.account, at, at.CreatedAt))
		for _, trade := range trades {
			r.foreign = append(r.foreign, fact.UnknownTrade(r.account, at, trade, trade.Time))
		}
		return nil, nil
	}
	row := local[id.String()]
	delete(local, id.String())
	if row == nil {
		var err error
		row, err = r.ledger.Order(ctx, id.String(), 0)
		switch {
		case fault.Is(err, fault.NotFound):
			row = &projectorv1.Order{OrderId: id.String(), AccountId: r.account.String(), Symbol: at.Symbol, ClientOrderId: string(at.ClientOrderID), FilledQuantity: "0", CumQuote: "0"}
		case err != nil:
			return nil, err
		}
	}
	return r.order(ctx, row, at, trades)
}

// rest asks for our orders that were on no list.
func (r *run) rest(ctx context.Context, local map[string]*projectorv1.Order) ([]finding, error) {
	var found []finding
	rows := slices.SortedFunc(maps.Values(local), func(a, b *projectorv1.Order) int { return cmp.Compare(a.GetOrderId(), b.GetOrderId()) })
	for _, row := range rows {
		if !row.GetKnown() && row.GetExchangeOrderId() == "" {
			continue // an intent that ended unsent
		}
		asked, err := r.lines.Market.Time(ctx)
		if err != nil {
			return nil, fmt.Errorf("time of the venue: %w", err)
		}
		at, err := r.lines.Trading.QueryOrder(ctx, row.GetSymbol(), venue.ClientOrderID(row.GetClientOrderId()))
		var more []finding
		switch {
		case isMissing(err):
			more, err = r.absent(ctx, row, asked, errors.Is(err, venue.ErrOrderArchived))
		case err == nil:
			more, err = r.order(ctx, row, at, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("order %s: %w", row.GetOrderId(), err)
		}
		found = append(found, more...)
	}
	return found, nil
}
