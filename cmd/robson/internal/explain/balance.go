package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// SamplesDefault is how many samples of a balance an answer has where nobody says.
const SamplesDefault = 20

// walletSpot is the wallet of a spot account; that of an isolated pair is isolatedPrefix and the symbol.
const (
	walletSpot     = "spot"
	isolatedPrefix = "isolated:"
)

// Balance is how an asset of a wallet came to be what it is.
type Balance struct {
	// Free, Locked and Borrowed are what the venue last told, at SampledAt.
	Free      string    `json:"free"`
	Locked    string    `json:"locked"`
	Borrowed  string    `json:"borrowed,omitempty"`
	SampledAt time.Time `json:"sampled_at"`
	// Spans are what lies between a sample and the next, newest last; the first begins at nothing or at an older sample.
	Spans []Span `json:"spans"`
	// After is what was recorded after the last sample.
	After []Move `json:"after"`
}

// Span leads to a sample: what was recorded since the one before it, and whether that explains the change. Records are taken
// in the order of the log; a report that came late counts where it came.
type Span struct {
	Sample Sample `json:"sample"`
	// Before is the total of the sample before; empty if that is not here.
	Before string `json:"before,omitempty"`
	Moves  []Move `json:"moves"`
	// Change is the total less Before, Explained the sum of the moves, Unexplained what is left; empty without a Before.
	Change      string `json:"change,omitempty"`
	Explained   string `json:"explained,omitempty"`
	Unexplained string `json:"unexplained,omitempty"`
}

// Sample is what the venue said.
type Sample struct {
	Position  int64     `json:"position"`
	Free      string    `json:"free"`
	Locked    string    `json:"locked"`
	Total     string    `json:"total"`
	Source    string    `json:"source"`
	SampledAt time.Time `json:"sampled_at"`
}

// Move is a record that changes the total.
type Move struct {
	Position int64           `json:"position"`
	Delta    decimal.Decimal `json:"delta"`
	What     string          `json:"what"`
}

// BalanceParams name a balance, and say how many samples are wanted.
type BalanceParams struct {
	AccountID, Wallet, Asset string
	SamplesMax               int
}

// BalanceOf explains an asset of a wallet by its newest samples and what lies between them.
func BalanceOf(ctx context.Context, r Reader, p BalanceParams) (*Explanation, error) {
	account, err := canonicalID("account_id", p.AccountID)
	if err != nil {
		return nil, err
	}
	p.AccountID = account
	row, err := r.Balance(ctx, p.AccountID, p.Wallet, p.Asset)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "NOT_FOUND", "there is no balance of %s in wallet %s of account %s: no sample of it is in this tenant's log", p.Asset, p.Wallet, p.AccountID)
	}
	if err != nil {
		return nil, fmt.Errorf("find the balance: %w", err)
	}
	b := newBook()
	quote, err := quoteAsset(ctx, r, p.AccountID)
	if err != nil {
		return nil, err
	}
	if quote == "" {
		b.note("account %s is not registered here: what trades did cannot be told by asset", p.AccountID)
	}
	told, err := scanBalance(ctx, r, b, p)
	if err != nil {
		return nil, err
	}
	x := &Explanation{
		Subject: Subject{Kind: KindBalance, AccountID: p.AccountID, Wallet: p.Wallet, Asset: p.Asset}, About: About{AccountID: p.AccountID},
		Commands: []Command{}, Decisions: []Decision{}, Chain: Chain{Lines: []Line{}}, Venue: []int64{},
		Balance: &Balance{Free: row.GetFree(), Locked: row.GetLocked(), Borrowed: row.GetBorrowed(), SampledAt: row.GetSampledAt().AsTime()},
		Outcome: fmt.Sprintf("%s free, %s locked, as the venue told at %s", row.GetFree(), row.GetLocked(), row.GetSampledAt().AsTime().UTC().Format(time.RFC3339)),
	}
	of := wallet{BalanceParams: p, quote: quote}
	x.Balance.lay(told, of)
	for _, e := range told {
		if _, moves := of.move(e); moves || of.sample(e) != nil {
			x.Events = append(x.Events, e)
			x.Venue = append(x.Venue, e.GetPosition())
		}
	}
	x.close(b)
	return x, nil
}

// quoteAsset is the quote asset that an account was registered with; empty if it was not.
func quoteAsset(ctx context.Context, r Reader, account string) (string, error) {
	found, err := r.Query(ctx, &eventlogv1.EventFilter{AccountId: account, EventTypes: []string{"ACCOUNT_REGISTERED"}}, eventlogv1.Direction_DIRECTION_BACKWARDS, 1)
	if err != nil {
		return "", fmt.Errorf("find the account: %w", err)
	}
	if len(found.Events) == 0 {
		return "", nil
	}
	return found.Events[0].GetPayload().GetAccountRegistered().GetQuoteAsset(), nil
}

// balanceTypes are the events that tell or move a balance.
var balanceTypes = []string{"BALANCE_SAMPLED", "BALANCE_ADJUSTED", "FILL_RECEIVED", "MARGIN_TRANSFERRED", "MARGIN_BORROWED", "MARGIN_REPAID"}

// scanBalance finds the account's events back to one sample more than is wanted, oldest first.
func scanBalance(ctx context.Context, r Reader, b *book, p BalanceParams) (Events, error) {
	found, err := r.Query(ctx, &eventlogv1.EventFilter{AccountId: p.AccountID, EventTypes: balanceTypes}, eventlogv1.Direction_DIRECTION_BACKWARDS, scanMax)
	if err != nil {
		return nil, fmt.Errorf("find what moved the balance: %w", err)
	}
	b.asOf = max(b.asOf, found.AsOf)
	samples := 0
	for i, e := range found.Events {
		if (wallet{BalanceParams: p}).sample(e) == nil {
			continue
		}
		samples++
		if samples > p.SamplesMax {
			b.note("older samples, before position %d, are not here", e.GetPosition())
			found.Events, found.More = found.Events[:i+1], false
			break
		}
	}
	if found.More {
		b.note("only the newest %d events of the account were looked through", scanMax)
	}
	slices.Reverse(found.Events)
	return found.Events, nil
}

// wallet knows what an event does to a balance.
type wallet struct {
	BalanceParams
	quote string
}

// sample is the sample of the balance that an event holds; nil for none.
func (w wallet) sample(e *eventv1.Event) *eventv1.BalanceSampled {
	s := e.GetPayload().GetBalanceSampled()
	if s.GetWallet() != w.Wallet || s.GetAsset() != w.Asset {
		return nil
	}
	return s
}

// lay puts the events, oldest first, into spans.
func (b *Balance) lay(events Events, w wallet) {
	b.Spans, b.After = []Span{}, []Move{}
	var before *decimal.Decimal
	for _, e := range events {
		s := w.sample(e)
		if s == nil {
			if move, moves := w.move(e); moves {
				b.After = append(b.After, move)
			}
			continue
		}
		total := amount(s.GetTotal())
		span := Span{Moves: b.After, Sample: Sample{
			Position: e.GetPosition(), Free: s.GetFree(), Locked: s.GetLocked(), Total: s.GetTotal(),
			Source: enumText(s.GetSource().String(), "SAMPLE_SOURCE_"), SampledAt: s.GetSampledAt().AsTime(),
		}}
		if before != nil {
			span.compare(*before, total)
		}
		b.After, before = []Move{}, &total
		b.Spans = append(b.Spans, span)
	}
	// One sample more was found, to compare the first with.
	b.Spans = b.Spans[max(0, len(b.Spans)-w.SamplesMax):]
}

// compare tells the change since the sample before, and how much of it the moves explain.
func (s *Span) compare(before, total decimal.Decimal) {
	explained := decimal.Zero
	for _, m := range s.Moves {
		explained = explained.Add(m.Delta)
	}
	change := total.Sub(before)
	s.Before, s.Change = money.Format(before), money.Format(change)
	s.Explained, s.Unexplained = money.Format(explained), money.Format(change.Sub(explained))
}

// move is what an event did to the balance; moves is false if it did nothing.
func (w wallet) move(e *eventv1.Event) (move Move, moves bool) {
	var delta decimal.Decimal
	var what string
	switch p := e.GetPayload(); {
	case p.GetBalanceAdjusted() != nil:
		a := p.GetBalanceAdjusted()
		if a.GetWallet() == w.Wallet && a.GetAsset() == w.Asset {
			delta, what = amount(a.GetDelta()), enumText(a.GetKind().String(), "ADJUSTMENT_KIND_")
		}
	case p.GetFillReceived() != nil:
		delta = w.fill(p.GetFillReceived())
		f := p.GetFillReceived()
		what = fmt.Sprintf("%s %s %s at %s, fee %s %s", enumText(f.GetSide().String(), "SIDE_"), f.GetFillQuantity(), f.GetSymbol(), f.GetFillPrice(), f.GetFee(), f.GetFeeAsset())
	default:
		delta, what = w.margin(e)
	}
	return Move{Position: e.GetPosition(), Delta: delta, What: what}, !delta.IsZero()
}

// fill is what a trade did to the asset: base and quote by its side, and the fee.
func (w wallet) fill(f *eventv1.FillReceived) decimal.Decimal {
	if w.Wallet != walletSpot && w.Wallet != isolatedPrefix+f.GetSymbol() {
		return decimal.Zero
	}
	delta := decimal.Zero
	if f.GetFeeAsset() == w.Asset {
		delta = delta.Sub(amount(f.GetFee()))
	}
	base, err := baseAsset(f.GetSymbol(), w.quote)
	if err != nil {
		return delta
	}
	bought, paid := amount(f.GetFillQuantity()), quoteOf(f).Neg()
	if f.GetSide() == eventv1.Side_SIDE_SELL {
		bought, paid = bought.Neg(), paid.Neg()
	}
	switch w.Asset {
	case base:
		delta = delta.Add(bought)
	case w.quote:
		delta = delta.Add(paid)
	}
	return delta
}

var errOtherQuote = errors.New("the symbol is not quoted in the account's quote asset")

// baseAsset is what a symbol trades, by the quote asset at its end.
func baseAsset(symbol, quote string) (string, error) {
	base, ends := strings.CutSuffix(symbol, quote)
	if !ends || base == "" || quote == "" {
		return "", errOtherQuote
	}
	return base, nil
}

// margin is what a transfer or a loan did to the asset.
func (w wallet) margin(e *eventv1.Event) (decimal.Decimal, string) {
	isolated := func(symbol, asset string) bool { return w.Wallet == isolatedPrefix+symbol && w.Asset == asset }
	switch p := e.GetPayload(); {
	case p.GetMarginBorrowed() != nil && isolated(p.GetMarginBorrowed().GetSymbol(), p.GetMarginBorrowed().GetAsset()):
		return amount(p.GetMarginBorrowed().GetAmount()), "borrowed"
	case p.GetMarginRepaid() != nil && isolated(p.GetMarginRepaid().GetSymbol(), p.GetMarginRepaid().GetAsset()):
		return amount(p.GetMarginRepaid().GetAmount()).Neg(), "repaid"
	case p.GetMarginTransferred() != nil && p.GetMarginTransferred().GetAsset() == w.Asset:
		t := p.GetMarginTransferred()
		into := t.GetDirection() == eventv1.TransferDirection_TRANSFER_DIRECTION_SPOT_TO_ISOLATED
		switch {
		case isolated(t.GetSymbol(), t.GetAsset()) && into, w.Wallet == walletSpot && !into:
			return amount(t.GetAmount()), "transferred in"
		case isolated(t.GetSymbol(), t.GetAsset()), w.Wallet == walletSpot:
			return amount(t.GetAmount()).Neg(), "transferred out"
		}
	}
	return decimal.Zero, ""
}
