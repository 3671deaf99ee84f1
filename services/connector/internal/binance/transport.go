package binance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/robson/robson/services/connector/internal/venue"
)

const (
	// bodyMax bounds an answer; exchangeInfo of all symbols has some 15 MB.
	bodyMax     = 64 << 20
	dialTimeout = 5 * time.Second
)

var errNoCall = errors.New("a request without a record")

// transport lets requests out, each once, and records what came back.
type transport struct {
	base   *http.Transport
	budget *budget
}

func newTransport(b *budget) *transport {
	base := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one, by its documentation
	base.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	base.TLSHandshakeTimeout = dialTimeout
	base.MaxIdleConnsPerHost = 16
	return &transport{base: base, budget: b}
}

// RoundTrip is for the library's clients, whose requests carry a call.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	c := callOf(ctx)
	if c == nil {
		return nil, errNoCall
	}
	spent, err := t.budget.take(ctx, c)
	if err != nil {
		c.refusal = err
		return nil, err
	}
	defer spent.settle()
	request = request.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { c.connected = true },
	}))
	if !c.stamp.IsZero() {
		err = stampAndSign(request, c.credentials, c.stamp)
	} else {
		_, err = bodyOf(request)
	}
	if err != nil {
		c.refusal = fmt.Errorf("%s: %w: %w", c.operation, venue.ErrNotSent, err)
		return nil, c.refusal
	}
	response, err := t.base.RoundTrip(request)
	if err != nil {
		c.cut = err
		return nil, fmt.Errorf("send: %w", err)
	}
	return t.record(c, response, spent)
}

// record keeps an answer, whole, and gives it on.
func (t *transport) record(c *call, response *http.Response, spent *spending) (*http.Response, error) {
	c.status, c.header = response.StatusCode, response.Header
	c.body, c.cut = io.ReadAll(io.LimitReader(response.Body, bodyMax))
	if err := response.Body.Close(); c.cut == nil && err != nil {
		c.cut = err
	}
	spent.answered(response.Header)
	code, _ := codeOf(c.body)
	switch {
	case code == codeTooManyOrders:
		t.budget.shutOrders(c.account, retryAfter(response.Header, ordersPause))
	case response.StatusCode == http.StatusTooManyRequests, response.StatusCode == http.StatusTeapot,
		code == codeTooManyRequests:
		t.budget.shut(retryAfter(response.Header, limitPause))
	}
	if c.cut != nil {
		return nil, fmt.Errorf("read the answer: %w", c.cut)
	}
	response.Body = io.NopCloser(bytes.NewReader(c.body))
	return response, nil
}

const (
	// codeTooManyRequests is for our address, codeTooManyOrders for one account.
	codeTooManyRequests = -1003
	codeTooManyOrders   = -1015
	// limitPause and ordersPause are how long to be silent where the venue did not say: the intervals by which it counts.
	limitPause  = time.Minute
	ordersPause = 10 * time.Second
	// pauseMax is the longest ban that Binance gives.
	pauseMax = 72 * time.Hour
)

// retryAfter is how long the venue wants silence.
func retryAfter(header http.Header, unsaid time.Duration) time.Duration {
	seconds, err := strconv.ParseInt(header.Get("Retry-After"), 10, 64)
	if err != nil || seconds < 0 {
		return unsaid
	}
	return min(time.Duration(min(seconds, int64(pauseMax/time.Second)))*time.Second, pauseMax)
}

func usedWeight(header http.Header) (int64, bool) {
	used, err := strconv.ParseInt(header.Get("X-Mbx-Used-Weight-1m"), 10, 64)
	return used, err == nil && used >= 0
}
