package paper

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// What operators do to the outside world. Each may be repeated but LoadMarket and CancelByExchange, which after a lost
// answer are *venue.UncertainError.

// MarketState tells where a symbol's market stands.
func (v *Venue) MarketState(ctx context.Context, symbol string) (engine.MarketState, error) {
	return do(ctx, v.node, callMarket, symbolIn{symbol})
}

// LoadMarket gives a symbol a path of prices and does its first tick.
func (v *Venue) LoadMarket(ctx context.Context, symbol string, book engine.BookConfig, source feed.Source, origin string) (engine.MarketState, error) {
	return do(ctx, v.node, callLoad, loadIn{symbol, book, source, origin})
}

// Advance moves a symbol's market on to a sequence.
func (v *Venue) Advance(ctx context.Context, symbol string, to int64) (engine.MarketState, error) {
	return do(ctx, v.node, callAdvance, advanceIn{symbol, to})
}

// SetPace lets a symbol's market run by itself; 0 stops it.
func (v *Venue) SetPace(ctx context.Context, symbol string, pace time.Duration) (engine.MarketState, error) {
	return do(ctx, v.node, callPace, paceIn{symbol, pace})
}

// Deposit puts money into a wallet; the same id again does nothing.
func (v *Venue) Deposit(ctx context.Context, ref venue.AccountRef, id, wallet, asset string, amount decimal.Decimal) (venue.Balance, error) {
	return do(ctx, v.node, callDeposit, depositIn{ref, id, wallet, asset, amount})
}

// Configure sets an account's fees, leverage and interest.
func (v *Venue) Configure(ctx context.Context, config engine.AccountConfig) error {
	_, err := do(ctx, v.node, callConfigure, config)
	return err
}

// AccountConfig gives an account's settings.
func (v *Venue) AccountConfig(ctx context.Context, ref venue.AccountRef) (engine.AccountConfig, error) {
	return do(ctx, v.node, callConfig, accountIn{ref})
}

// SetInstruments lists more instruments or changes rules.
func (v *Venue) SetInstruments(ctx context.Context, instruments []venue.Instrument) error {
	_, err := do(ctx, v.node, callSetInstruments, instrumentsIn{instruments})
	return err
}

// SetFaults replaces the faults that meet an account's requests.
func (v *Venue) SetFaults(ctx context.Context, key venue.AccountKey, faults []engine.Fault) error {
	_, err := do(ctx, v.node, callFaults, faultsIn{key, faults})
	return err
}

// ListOrders lists an account's orders as the venue knows them, oldest first, after the one with a number.
func (v *Venue) ListOrders(ctx context.Context, ref venue.AccountRef, symbol string, after int64, limit int) ([]engine.Listed, error) {
	return do(ctx, v.node, callList, listIn{ref, symbol, after, limit})
}

// CancelByExchange ends an open order for reasons of the venue's own.
func (v *Venue) CancelByExchange(ctx context.Context, ref venue.AccountRef, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	return do(ctx, v.node, callExchangeCancel, orderIn{ref, symbol, id})
}

// Cursors gives the cursor of the newest report of each account whose key has a prefix.
func (v *Venue) Cursors(ctx context.Context, prefix string) (map[venue.AccountKey]venue.Cursor, error) {
	return do(ctx, v.node, callCursors, prefixIn{prefix})
}
