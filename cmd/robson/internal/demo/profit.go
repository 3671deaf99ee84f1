package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// fills are a position's trades, in the order in which they came.
func (d *Demo) fills(ctx context.Context, position string) ([]*projectorv1.Fill, error) {
	response, err := retry(ctx, d, "list fills", func(ctx context.Context) (*projectorv1.ListFillsResponse, error) {
		return d.state.ListFills(ctx, &projectorv1.ListFillsRequest{PositionId: position, PageSize: fillsMax})
	})
	if err != nil {
		return nil, err
	}
	if response.GetNextPageToken() != "" {
		return nil, fmt.Errorf("position %s has more than %d fills", position, fillsMax)
	}
	slices.Reverse(response.GetFills())
	return response.GetFills(), nil
}

// fillsMax is more than any scene has.
const fillsMax = 1000

// showProfit computes a position's P&L from its fills and holds it against what is stored.
func (d *Demo) showProfit(ctx context.Context, id string) error {
	position, err := d.position(ctx, id, 0)
	if err != nil {
		return err
	}
	fills, err := d.fills(ctx, id)
	if err != nil {
		return err
	}
	table := screen.NewTable(screen.Text("SIDE"), screen.Decimal("QUANTITY"), screen.Decimal("PRICE"), screen.Decimal("QUOTE"), screen.Decimal("FEE"), screen.Text("IN"), screen.Decimal("FEE IN USDT"))
	s := sums{short: position.GetSide() == eventv1.PositionSide_POSITION_SIDE_SHORT, base: baseBTC}
	for _, f := range fills {
		if err := s.add(f); err != nil {
			return err
		}
		table.Add(enumWord(f.GetSide().String(), "SIDE_"), f.GetFillQuantity(), f.GetFillPrice(), f.GetQuoteQuantity(), f.GetFee(), f.GetFeeAsset(), f.GetFeeQuote())
	}
	table.Write(d.out)
	return s.check(d, position)
}

// sums are what the P&L is made of.
type sums struct {
	short bool
	base  string
	// entered and left are quantities; paid and got what was paid or got for them, quote.
	entered, entryQuote, left, exitQuote decimal.Decimal
	// lost is what fees took of the quantity that a short bought back, and lostQuote what that had cost.
	lost, lostQuote decimal.Decimal
	fees            decimal.Decimal
}

// add takes one fill.
func (s *sums) add(f *projectorv1.Fill) error {
	var err error
	amount := func(text string) decimal.Decimal {
		value, parseErr := money.Parse(text)
		err = errors.Join(err, parseErr)
		return value
	}
	quantity, price, fee, feeQuote := amount(f.GetFillQuantity()), amount(f.GetFillPrice()), amount(f.GetFee()), amount(f.GetFeeQuote())
	s.fees = s.fees.Add(feeQuote)
	if (f.GetSide() == eventv1.Side_SIDE_SELL) == s.short {
		s.entered, s.entryQuote = s.entered.Add(quantity), s.entryQuote.Add(quantity.Mul(price))
		return err
	}
	s.left, s.exitQuote = s.left.Add(quantity), s.exitQuote.Add(quantity.Mul(price))
	if s.short && f.GetFeeAsset() == s.base {
		s.lost, s.lostQuote = s.lost.Add(fee), s.lostQuote.Add(fee.Mul(price))
	}
	return err
}

// check prints the sums and holds them against the position.
func (s *sums) check(d *Demo, p *projectorv1.Position) error {
	gross := s.gross(d)
	net := gross.Sub(s.fees)
	d.say("net   = %s - fees %s = %s", screen.Round(money.Format(gross)), money.Format(s.fees), screen.Round(money.Format(net)))
	for _, c := range []struct {
		name, stored string
		computed     decimal.Decimal
	}{{"gross", p.GetRealizedPnl(), gross}, {"fees", p.GetTotalFees(), s.fees}, {"net", p.GetNetPnl(), net}} {
		if c.stored != money.Format(c.computed) {
			return fmt.Errorf("the position's %s is %s, the fills give %s", c.name, c.stored, money.Format(c.computed))
		}
	}
	d.say("and so it stands on the position, to the last of 18 places")
	return nil
}

// gross is what was got less what was paid for the quantity that both entered and left; multiplied before divided.
func (s *sums) gross(d *Demo) decimal.Decimal {
	text := func(v decimal.Decimal) string { return money.Format(v) }
	if !s.short {
		gross := s.exitQuote.Sub(money.Div18(s.left.Mul(s.entryQuote), s.entered))
		d.say("bought %s for %s, sold %s for %s", text(s.entered), text(s.entryQuote), text(s.left), text(s.exitQuote))
		d.say("gross = %s - %s x %s / %s = %s", text(s.exitQuote), text(s.left), text(s.entryQuote), text(s.entered), screen.Round(text(gross)))
		return gross
	}
	back := s.left.Sub(s.lost)
	gross := money.Div18(back.Mul(s.entryQuote), s.entered).Sub(s.exitQuote.Sub(s.lostQuote))
	d.say("sold %s for %s, bought %s for %s, of which fees took %s worth %s", text(s.entered), text(s.entryQuote), text(s.left), text(s.exitQuote), text(s.lost), text(s.lostQuote))
	d.say("gross = %s x %s / %s - (%s - %s) = %s", text(back), text(s.entryQuote), text(s.entered), text(s.exitQuote), text(s.lostQuote), screen.Round(text(gross)))
	return gross
}

// checkMoney holds what an account has against what its positions earned. What a long could not sell for being less than a
// step is still held, and was paid for; what a short could not buy back is still owed, and was paid out.
func (d *Demo) checkMoney(account, told string, positions []*projectorv1.Position) error {
	net, dust := decimal.Zero, decimal.Zero
	for _, p := range positions {
		amounts, err := parseAll(p.GetNetPnl(), p.GetDustQuantity(), p.GetEntryCost(), p.GetEntryQuantity())
		if err != nil {
			return fmt.Errorf("position %s: %w", p.GetPositionId(), err)
		}
		net = net.Add(amounts[0])
		if amounts[3].IsZero() {
			continue
		}
		cost := money.Div18(amounts[1].Mul(amounts[2]), amounts[3])
		if p.GetSide() == eventv1.PositionSide_POSITION_SIDE_SHORT {
			cost = cost.Neg()
		}
		dust = dust.Add(cost)
	}
	amounts, err := parseAll(depositText, told)
	if err != nil {
		return fmt.Errorf("balance of %s: %w", account, err)
	}
	// Quotients were rounded at 18 places; the venue pays in 8.
	due := amounts[0].Add(net).Sub(dust).RoundBank(moneyPlaces)
	d.say("%s: deposit %s + net %s - dust at cost %s = %s", account, depositText, screen.Round(money.Format(net)), screen.Round(money.Format(dust)), money.Format(due))
	if !due.Equal(amounts[1]) {
		return fmt.Errorf("the venue says that %s has %s %s, its positions leave %s", account, told, assetUSDT, money.Format(due))
	}
	return nil
}

// moneyPlaces are those of the venue's amounts.
const moneyPlaces = 8

// parseAll reads amounts; an empty one is none.
func parseAll(texts ...string) ([]decimal.Decimal, error) {
	amounts := make([]decimal.Decimal, len(texts))
	for i, text := range texts {
		if text == "" {
			continue
		}
		var err error
		amounts[i], err = money.Parse(text)
		if err != nil {
			return nil, err
		}
	}
	return amounts, nil
}
