package binance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	lib "github.com/adshao/go-binance/v2"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// rateAge is how old a fee rate may become: it changes by the day, and is an estimate in any case.
const rateAge = 10 * time.Minute

type rateKey struct {
	account venue.AccountKey
	symbol  string
}

type rate struct {
	at    time.Time
	taker decimal.Decimal
}

// rates are the fee rates that were asked for.
type rates struct {
	mu    sync.Mutex
	known map[rateKey]rate
}

func (r *rates) get(key rateKey, now time.Time) (decimal.Decimal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held, ok := r.known[key]
	return held.taker, ok && now.Sub(held.at) < rateAge
}

func (r *rates) put(key rateKey, value rate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[rateKey]rate{}
	}
	r.known[key] = value
}

// commissions are the parts of a fee; the library leaves the special one out.
type commissions struct {
	Symbol                 string
	Standard, Special, Tax commission
}

type commission struct {
	Taker, Buyer, Seller decimal.Decimal
}

func (c commission) taker() decimal.Decimal { return c.Taker.Add(decimal.Max(c.Buyer, c.Seller)) }

func (c *commissions) UnmarshalJSON(body []byte) error {
	var parts struct {
		Symbol   string      `json:"symbol"`
		Standard *commission `json:"standardCommission"`
		Special  commission  `json:"specialCommission"`
		Tax      commission  `json:"taxCommission"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return fmt.Errorf("read commissions: %w", err)
	}
	if parts.Standard == nil {
		return errContent
	}
	*c = commissions{Symbol: parts.Symbol, Standard: *parts.Standard, Special: parts.Special, Tax: parts.Tax}
	return nil
}

// TakerRate is the rate of the fee for an order that takes, of all its parts, before any discount.
func (a *account) TakerRate(ctx context.Context, symbol string) (decimal.Decimal, error) {
	key := rateKey{a.ref.Key, symbol}
	if taker, fresh := a.venue.rates.get(key, a.venue.clock.Now()); fresh {
		return taker, nil
	}
	c, err := a.ask(ctx, opRate, weightRate, asking, func(ctx context.Context, client *lib.Client) error {
		_, err := client.NewGetCommissionRatesService().Symbol(symbol).Do(ctx, a.venue.window())
		return err
	})
	if err != nil {
		return decimal.Zero, symbolError(err)
	}
	var parts commissions
	if err := json.Unmarshal(c.body, &parts); err != nil || parts.Symbol != symbol {
		return decimal.Zero, unreadable(c)
	}
	taker := parts.Standard.taker().Add(parts.Special.taker()).Add(parts.Tax.taker())
	a.venue.rates.put(key, rate{at: a.venue.clock.Now(), taker: taker})
	return taker, nil
}

// Balances lists every asset that is held, by asset.
func (a *account) Balances(ctx context.Context) (venue.BalanceSheet, error) {
	// The time is read before the question: what the stream tells of a later moment is newer than the answer may be.
	now, err := a.venue.Time(ctx)
	if err != nil {
		return venue.BalanceSheet{}, err
	}
	var held *lib.Account
	c, err := a.ask(ctx, venue.OpBalances, weightAccount, asking, func(ctx context.Context, client *lib.Client) (err error) {
		held, err = client.NewGetAccountService().OmitZeroBalances(true).Do(ctx, a.venue.window())
		return err
	})
	if err != nil {
		return venue.BalanceSheet{}, err
	}
	var n numbers
	sheet := venue.BalanceSheet{Time: now}
	for _, row := range held.Balances {
		balance := venue.Balance{Wallet: venue.SpotWallet, Asset: row.Asset, Free: n.read(row.Free), Locked: n.read(row.Locked)}
		if row.Asset == "" {
			return venue.BalanceSheet{}, unreadable(c)
		}
		if !balance.Free.IsZero() || !balance.Locked.IsZero() {
			sheet.Balances = append(sheet.Balances, balance)
		}
	}
	if n.err != nil || held.AccountType == "" {
		return venue.BalanceSheet{}, unreadable(c)
	}
	slices.SortFunc(sheet.Balances, func(x, y venue.Balance) int { return cmp.Compare(x.Asset, y.Asset) })
	return sheet, nil
}

// Margin judges an isolated margin account, which this is none.
func (a *account) Margin(context.Context) (venue.MarginState, error) {
	return venue.MarginState{}, venue.ErrNoMargin
}
