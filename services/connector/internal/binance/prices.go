package binance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/venue"
)

// priceFollower hands over one symbol's prices over as many lines as it takes.
type priceFollower struct {
	venue  *Venue
	symbol string
	after  int64
	handle func(context.Context, []venue.Price) error
	// failed is what handle returned: it ends the following, unlike what happens to a line.
	failed error
}

// FollowPrices hands over the prices of a symbol after a sequence, over lines that are opened again when they break.
func (v *Venue) FollowPrices(ctx context.Context, symbol string, after int64, handle func(context.Context, []venue.Price) error) error {
	if _, err := v.Instrument(ctx, symbol); err != nil {
		return err
	}
	f := &priceFollower{venue: v, symbol: symbol, after: after, handle: handle}
	pause := v.cfg.RetryDelay
	for {
		before := f.after
		err := f.line(ctx)
		switch {
		case f.failed != nil:
			return f.failed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		v.meters.broke(ctx, streamMarket)
		v.log.WarnContext(ctx, "price stream interrupted", "symbol", symbol, "error", err)
		if f.after != before {
			pause = v.cfg.RetryDelay
		}
		if err := clock.Sleep(ctx, v.clock, pause); err != nil {
			return err
		}
		pause = min(2*pause, v.cfg.RetryDelayMax)
	}
}

// line follows over one line: first the newest price, which may lie beyond some that were missed, then what is streamed.
func (f *priceFollower) line(ctx context.Context) error {
	line, err := f.venue.dial(ctx, streamMarket, f.venue.marketAddress(f.symbol))
	if err != nil {
		return err
	}
	defer line.close()
	messages, err := f.confirm(ctx, line)
	if err != nil {
		return err
	}
	last, first, err := f.venue.lastPrice(ctx, f.symbol)
	switch {
	case errors.Is(err, venue.ErrNoPrice): // the stream will tell the first
	case err != nil:
		return err
	default:
		last.Gap = f.after > 0 && first > f.after+1
		if err := f.give(ctx, []venue.Price{last}); err != nil {
			return err
		}
	}
	for {
		prices, err := f.read(messages)
		if err != nil {
			return err
		}
		if err := f.give(ctx, prices); err != nil {
			return err
		}
		if messages, err = line.receive(ctx); err != nil {
			return err
		}
	}
}

// confirm waits until the venue has confirmed that trades come over a line, and gives what came behind that. Only a price that is asked
// for from then on lets none fall between it and the first that is streamed.
func (f *priceFollower) confirm(ctx context.Context, line *socket) ([][]byte, error) {
	const id = 1
	request, err := json.Marshal(map[string]any{"method": "SUBSCRIBE", "params": []string{marketStream(f.symbol)}, "id": id})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if err := line.send(request); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, f.venue.cfg.RequestTimeout)
	defer cancel()
	for {
		messages, err := line.receive(waiting)
		if err != nil {
			return nil, fmt.Errorf("no answer to the subscription: %w", err)
		}
		for n, message := range messages {
			var answer struct {
				ID    int             `json:"id"`
				Error json.RawMessage `json:"error"`
			}
			if err := json.Unmarshal(message, &answer); err != nil {
				return nil, fmt.Errorf("%w: %w", errRefused, errUnreadable)
			}
			if len(answer.Error) > 0 {
				return nil, errRefused
			}
			if answer.ID == id {
				return messages[n+1:], nil
			}
		}
	}
}

func (f *priceFollower) read(messages [][]byte) ([]venue.Price, error) {
	var prices []venue.Price
	known := f.after
	for _, message := range messages {
		var trade lib.WsTradeEvent
		if err := json.Unmarshal(message, &trade); err != nil {
			return nil, fmt.Errorf("read a trade: %w", errUnreadable)
		}
		if trade.Event != "trade" || trade.Symbol != f.symbol {
			continue
		}
		price, err := f.venue.price(f.symbol, trade.TradeID, trade.Price, trade.TradeTime)
		if err != nil {
			return nil, err
		}
		if price.Sequence > known {
			price.Gap = known > 0 && price.Sequence > known+1
			known = price.Sequence
			prices = append(prices, price)
		}
	}
	return prices, nil
}

// give hands over what is new.
func (f *priceFollower) give(ctx context.Context, prices []venue.Price) error {
	if len(prices) == 0 || prices[len(prices)-1].Sequence <= f.after {
		return nil
	}
	if f.failed = f.handle(ctx, prices); f.failed != nil {
		return f.failed
	}
	f.after = prices[len(prices)-1].Sequence
	return nil
}
