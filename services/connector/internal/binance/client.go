package binance

import (
	"context"
	"fmt"
	"net/http"
	"time"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Operations that only this venue names.
const (
	opTime        = "time"
	opInstruments = "instruments"
	opPrice       = "last_price"
	opRate        = "taker_rate"
	opSubscribe   = "subscribe"
)

// codeTimestamp is -1021: the request's timestamp is outside of the window.
const codeTimestamp = -1021

// call is a request on its way: what it is, who signs it, and what came of it.
type call struct {
	operation string
	weight    int64
	class     class
	account   venue.AccountKey
	// signed requests carry credentials and stamp.
	credentials Credentials
	stamp       time.Time

	// What the transport saw.
	refusal   error // it was not let out
	connected bool  // it had a connection: it may have left
	status    int
	header    http.Header
	body      []byte
	cut       error // the answer did not come, or not whole
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// client is a library client for one request. Its secret is none: the transport signs.
func (v *Venue) client(c *call) *lib.Client {
	client := lib.NewClient(c.credentials.APIKey, "")
	client.BaseURL = v.cfg.RESTURL
	client.HTTPClient = &http.Client{
		Transport: v.rest,
		// A redirection is no answer, and would carry the request elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client
}

// window is the library's option for how late a request may come.
func (v *Venue) window() lib.RequestOption {
	return lib.WithRecvWindow(v.cfg.Timing.ReceiveWindow.Milliseconds())
}

// do makes one request and gives the record of it, with what the caller may conclude from a failure.
func (v *Venue) do(ctx context.Context, c *call, send func(context.Context, *lib.Client) error) error {
	began := v.clock.Now()
	sending, cancel := context.WithTimeout(context.WithValue(ctx, callKey{}, c), v.cfg.RequestTimeout)
	defer cancel()
	err := judge(ctx, c, send(sending, v.client(c)))
	v.meters.done(ctx, c, v.clock.Now().Sub(began), err)
	if code, _ := codeOf(c.body); c.status >= http.StatusBadRequest && code == codeTimestamp {
		v.log.WarnContext(ctx, "clocks differ from the venue's, comparing them again", "operation", c.operation)
		v.time.forget()
	}
	return err
}

// read asks a question, and once more if only the clocks were wrong: asking twice does no harm.
func (v *Venue) read(ctx context.Context, c *call, send func(context.Context, *lib.Client) error) error {
	err := v.do(ctx, c, send)
	if code, _ := codeOf(c.body); err == nil || code != codeTimestamp || c.status < http.StatusBadRequest {
		return err
	}
	again := &call{operation: c.operation, weight: c.weight, class: c.class, account: c.account, credentials: c.credentials}
	if !c.stamp.IsZero() {
		if again.stamp, err = v.time.now(ctx); err != nil {
			return err
		}
	}
	err = v.do(ctx, again, send)
	*c = *again
	return err
}

// signed prepares a request of an account, stamped with now. That it has no key is known before anything leaves.
func (a *account) signed(ctx context.Context, operation string, weight int64, of class) (*call, error) {
	stamp, err := a.venue.time.now(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: the venue's time is not known: %w", operation, venue.ErrNotSent, err)
	}
	return a.stamped(ctx, operation, weight, of, stamp)
}

func (a *account) stamped(ctx context.Context, operation string, weight int64, of class, stamp time.Time) (*call, error) {
	credentials, err := a.venue.cfg.Credentials.Credentials(ctx, a.ref.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", operation, venue.ErrNotSent, err)
	}
	return &call{operation: operation, weight: weight, class: of, account: a.ref.Key, credentials: credentials, stamp: stamp}, nil
}

// ask makes a signed request that changes nothing.
func (a *account) ask(ctx context.Context, operation string, weight int64, of class, send func(context.Context, *lib.Client) error) (*call, error) {
	c, err := a.signed(ctx, operation, weight, of)
	if err != nil {
		return nil, err
	}
	return c, a.venue.read(ctx, c, send)
}
