package binance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/robson/robson/services/connector/internal/venue"
)

// messageMax bounds what is kept of a venue's words.
const messageMax = 256

// Words for what was seen instead of an answer. The library's errors are not told on: they quote signed addresses.
var (
	errNoConnection = errors.New("no connection to the venue")
	errNoAnswer     = errors.New("no answer in time")
	errCut          = errors.New("the connection was cut")
	errUnreadable   = errors.New("the answer cannot be read")
)

// judge says what a caller may conclude from a request: nil only of an answer that was read.
func judge(ctx context.Context, c *call, err error) error {
	switch {
	case c.refusal != nil:
		return c.refusal
	case c.status == 0 && err == nil:
		return fmt.Errorf("%s: %w", c.operation, venue.ErrNotSent)
	case c.status == 0 && !c.connected:
		return notSent(ctx, c)
	case c.cut != nil:
		return cutOff(ctx, c)
	case c.status != http.StatusOK:
		code, message := codeOf(c.body)
		return venue.Classify(venue.Answer{
			Operation: c.operation, HTTPStatus: c.status, Code: code, Message: message, RetryAfter: pauseOf(c, code),
		})
	case err != nil:
		return unreadable(c)
	default:
		return nil
	}
}

// notSent is for what never had a connection, or failed before one was asked for.
func notSent(ctx context.Context, c *call) error {
	why := errNoConnection
	if c.cut == nil {
		why = errors.New("the request could not be made")
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w: %w: %w", c.operation, venue.ErrNotSent, why, ctx.Err())
	}
	return fmt.Errorf("%s: %w: %w", c.operation, venue.ErrNotSent, why)
}

func cutOff(ctx context.Context, c *call) error {
	out := &venue.UncertainError{Operation: c.operation, Cause: venue.CauseConnReset, HTTPStatus: c.status, Err: errCut}
	var timeout net.Error
	if errors.As(c.cut, &timeout) && timeout.Timeout() || errors.Is(c.cut, context.Canceled) || errors.Is(c.cut, context.DeadlineExceeded) {
		out.Cause, out.Err = venue.CauseTimeout, errNoAnswer
	}
	if ctx.Err() != nil {
		out.Err = fmt.Errorf("%w: %w", out.Err, ctx.Err())
	}
	return out
}

func unreadable(c *call) error {
	return &venue.UncertainError{Operation: c.operation, Cause: venue.CauseBadBody, HTTPStatus: c.status, Err: errUnreadable}
}

func pauseOf(c *call, code int) time.Duration {
	unsaid := limitPause
	if code == codeTooManyOrders {
		unsaid = ordersPause
	}
	return retryAfter(c.header, unsaid)
}

// codeOf reads an error of the venue; code 0 if there is none.
func codeOf(body []byte) (code int, message string) {
	var answer struct {
		Code    int    `json:"code"`
		Message string `json:"msg"`
	}
	if len(body) == 0 || body[0] != '{' || json.Unmarshal(body, &answer) != nil {
		return 0, ""
	}
	return answer.Code, answer.Message[:min(len(answer.Message), messageMax)]
}
