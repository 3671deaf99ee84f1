package paper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// call is one request of the venue, which the holder runs itself and the others send to it.
type call[In, Out any] struct {
	name string
	// changes: after a lost answer nobody knows whether it was done, so it is never sent again.
	changes bool
	run     func(context.Context, *engine.Engine, In) (Out, error)
}

type remoteCall func(context.Context, *engine.Engine, *json.Decoder) (json.RawMessage, error)

func (c call[In, Out]) remote() (string, remoteCall) {
	return c.name, func(ctx context.Context, e *engine.Engine, body *json.Decoder) (json.RawMessage, error) {
		var in In
		if err := body.Decode(&in); err != nil {
			return nil, fmt.Errorf("read request %s: %w", c.name, err)
		}
		out, err := c.run(ctx, e, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}
}

func newBody(in []byte) io.Reader { return bytes.NewReader(in) }

// retryPause is how long a request waits before it looks again for a holder.
const retryPause = 5 * time.Millisecond

// do runs a call here or at the holder. It waits for a holder until ctx ends; then ErrNotSent.
func do[In, Out any](ctx context.Context, n *Node, c call[In, Out], in In) (Out, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.config.CallTimeout)
		defer cancel()
	}
	var none Out
	body := sync.OnceValues(func() ([]byte, error) { return json.Marshal(in) }) // only another process needs it
	for {
		out, err := once(ctx, n, c, in, body)
		var gone *lostError
		switch {
		case errors.As(err, &gone) && c.changes:
			return none, uncertain(c.name[1:], err)
		case errors.As(err, &gone), errors.Is(err, errNotHandedOver):
			if clock.Sleep(ctx, n.clock, retryPause) != nil {
				return none, errors.Join(fmt.Errorf("%s: %w: %w", c.name, venue.ErrNotSent, err), n.failure())
			}
		default:
			return out, err
		}
	}
}

func once[In, Out any](ctx context.Context, n *Node, c call[In, Out], in In, body func() ([]byte, error)) (Out, error) {
	var out Out
	if e := n.current(); e != nil {
		out, err := c.run(ctx, e, in)
		if errors.Is(err, engine.ErrBroken) {
			return out, &lostError{cause: err}
		}
		return out, err
	}
	written, err := body()
	if err != nil {
		return out, fmt.Errorf("write request %s: %w", c.name, err)
	}
	return out, n.client.do(ctx, c.name, written, &out)
}

// The arguments and answers of the calls.
type (
	none     struct{}
	symbolIn struct {
		Symbol string `json:"symbol"`
	}
	accountIn struct {
		Ref venue.AccountRef `json:"ref"`
	}
	placeIn struct {
		Ref   venue.AccountRef `json:"ref"`
		Order venue.NewOrder   `json:"order"`
	}
	cancelIn struct {
		Ref    venue.AccountRef  `json:"ref"`
		Cancel venue.CancelOrder `json:"cancel"`
	}
	orderIn struct {
		Ref    venue.AccountRef    `json:"ref"`
		Symbol string              `json:"symbol"`
		ID     venue.ClientOrderID `json:"id"`
	}
	tradesIn struct {
		Ref    venue.AccountRef `json:"ref"`
		Symbol string           `json:"symbol"`
		ID     venue.OrderID    `json:"id"`
	}
	pageIn struct {
		Ref    venue.AccountRef `json:"ref"`
		Symbol string           `json:"symbol"`
		From   int64            `json:"from"`
		Limit  int              `json:"limit"`
	}
	reportsIn struct {
		Ref   venue.AccountRef `json:"ref"`
		After venue.Cursor     `json:"after"`
		// Wait bounds the wait for a first one; 0: answer at once.
		Wait time.Duration `json:"wait"`
	}
	reportsOut struct {
		Reports []venue.Report `json:"reports"`
		Gap     bool           `json:"gap"`
		// Newest is the cursor of the account's newest report.
		Newest venue.Cursor `json:"newest"`
	}
	pricesIn struct {
		Symbol string        `json:"symbol"`
		After  int64         `json:"after"`
		Wait   time.Duration `json:"wait"`
	}
	depositIn struct {
		Ref    venue.AccountRef `json:"ref"`
		ID     string           `json:"id"`
		Wallet string           `json:"wallet"`
		Asset  string           `json:"asset"`
		Amount decimal.Decimal  `json:"amount"`
	}
	loadIn struct {
		Symbol string            `json:"symbol"`
		Book   engine.BookConfig `json:"book"`
		Source feed.Source       `json:"source"`
		Origin string            `json:"origin"`
	}
	advanceIn struct {
		Symbol string `json:"symbol"`
		To     int64  `json:"to"`
	}
	paceIn struct {
		Symbol string        `json:"symbol"`
		Pace   time.Duration `json:"pace"`
	}
	faultsIn struct {
		Key    venue.AccountKey `json:"key"`
		Faults []engine.Fault   `json:"faults"`
	}
	listIn struct {
		Ref    venue.AccountRef `json:"ref"`
		Symbol string           `json:"symbol"`
		After  int64            `json:"after"`
		Limit  int              `json:"limit"`
	}
	instrumentsIn struct {
		Instruments []venue.Instrument `json:"instruments"`
	}
	prefixIn struct {
		Prefix string `json:"prefix"`
	}
)
