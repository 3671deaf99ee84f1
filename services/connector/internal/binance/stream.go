package binance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	libws "github.com/adshao/go-binance/v2/common/websocket"
	"github.com/google/uuid"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Streams, as metrics name them.
const (
	streamUser   = "user"
	streamMarket = "market"
)

// frame is a message of the WS API: the answer to our subscription, or an event.
type frame struct {
	ID     string `json:"id"`
	Status int    `json:"status"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"msg"`
	} `json:"error"`
	Event json.RawMessage `json:"event"`
}

// Follow hands over what happens to the account. Binance does not replay: each line begins with a gap.
func (a *account) Follow(ctx context.Context, after venue.Cursor, handle func(context.Context, []venue.Report) error) error {
	return a.follow(ctx, after, handle, a.subscribeRequest, noLendings{})
}

// Follow hands over what happens to an isolated margin account, and the loans that its stream does not tell of.
func (p *pair) Follow(ctx context.Context, after venue.Cursor, handle func(context.Context, []venue.Report) error) error {
	return p.follow(ctx, after, handle, p.listenRequest, p.lendingsAfter(after))
}

// asked is what is asked for beside a stream.
type asked interface {
	told(reports []venue.Report)
	news(ctx context.Context, t *translator) []venue.Report
	receive(ctx context.Context, line *socket) ([][]byte, error)
}

// noLendings is for accounts that owe nothing.
type noLendings struct{}

func (noLendings) told([]venue.Report)                              {}
func (noLendings) news(context.Context, *translator) []venue.Report { return nil }

func (noLendings) receive(ctx context.Context, line *socket) ([][]byte, error) {
	return line.receive(ctx)
}

func (a *account) follow(
	ctx context.Context, after venue.Cursor, handle func(context.Context, []venue.Report) error, request joining, beside asked,
) error {
	line, subscription, err := a.subscribe(ctx, request)
	if err != nil {
		return a.interrupted(ctx, err)
	}
	defer line.close()
	follower := &translator{wallet: a.ref.Wallet(), after: after, report: a.skipped(ctx)}
	connected := venue.Report{Cursor: after, Time: a.venue.clock.Now(), Connected: &venue.Connected{Gap: true, ConnectionID: subscription.id}}
	if err := handle(ctx, []venue.Report{connected}); err != nil {
		return err
	}
	messages := subscription.rest
	for {
		reports, ended := follower.translate(messages)
		beside.told(reports)
		reports = append(reports, beside.news(ctx, follower)...)
		if len(reports) > 0 {
			if err := handle(ctx, reports); err != nil {
				return err
			}
		}
		if ended != nil {
			return a.interrupted(ctx, ended)
		}
		if messages, err = beside.receive(ctx, line); err != nil {
			return a.interrupted(ctx, err)
		}
	}
}

// interrupted counts a line that ended without anybody here having wanted it.
func (a *account) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.venue.meters.broke(ctx, streamUser)
	return fmt.Errorf("follow account: %w", err)
}

func (a *account) skipped(ctx context.Context) func(kind string) {
	return func(kind string) {
		a.venue.log.WarnContext(ctx, "event of the account stream is not known here", "account_key", string(a.ref.Key), "event", kind)
	}
}

// subscription is one that stands.
type subscription struct {
	id string
	// rest came with the confirmation.
	rest [][]byte
}

// subscribe opens a line and waits until the venue has confirmed that events come over it: only what is asked for from then on misses
// nothing.
func (a *account) subscribe(ctx context.Context, request joining) (*socket, subscription, error) {
	// That there is no key is known before anything is opened.
	if _, err := a.signed(ctx, opSubscribe, 0, asking); err != nil {
		return nil, subscription{}, err
	}
	line, err := a.venue.dial(ctx, streamUser, a.venue.cfg.WSAPIURL)
	if err != nil {
		return nil, subscription{}, err
	}
	made, err := a.confirm(ctx, line, request)
	if err != nil {
		line.close()
		return nil, subscription{}, err
	}
	return line, made, nil
}

// confirm asks for the account's events over a line and waits for the answer.
func (a *account) confirm(ctx context.Context, line *socket, request joining) (made subscription, err error) {
	made.id = uuid.NewString()
	message, err := request(ctx, made.id)
	if err != nil {
		return made, err
	}
	if err := line.send(message); err != nil {
		return made, err
	}
	waiting, cancel := context.WithTimeout(ctx, a.venue.cfg.RequestTimeout)
	defer cancel()
	for {
		messages, err := line.receive(waiting)
		if err != nil {
			return made, fmt.Errorf("no answer to the subscription: %w", err)
		}
		for n, message := range messages {
			confirmed, err := a.answer(made.id, message)
			if err != nil {
				return made, err
			}
			if confirmed {
				made.rest = messages[n+1:]
				return made, nil
			}
		}
	}
}

// answer says whether a message confirms a subscription, or the error by which it is refused.
func (a *account) answer(id string, message []byte) (confirmed bool, err error) {
	var f frame
	if err := json.Unmarshal(message, &f); err != nil {
		return false, fmt.Errorf("%w: %w", errRefused, errUnreadable)
	}
	switch {
	case f.ID != id && f.Error == nil:
		return false, nil
	case f.Status == 200:
		return true, nil
	}
	code, text := 0, ""
	if f.Error != nil {
		code, text = f.Error.Code, f.Error.Message[:min(len(f.Error.Message), messageMax)]
	}
	if code == codeTimestamp {
		a.venue.time.forget()
	}
	return false, fmt.Errorf("%w: %w", errRefused, venue.Classify(venue.Answer{Operation: opSubscribe, HTTPStatus: f.Status, Code: code, Message: text}))
}

// joining makes the request that joins an account's user stream.
type joining func(ctx context.Context, id string) ([]byte, error)

// subscribeRequest signs a subscription, by the method that any type of key may use, with the stamp of now.
func (a *account) subscribeRequest(ctx context.Context, id string) ([]byte, error) {
	c, err := a.signed(ctx, opSubscribe, 0, asking)
	if err != nil {
		return nil, err
	}
	stamp := c.stamp.UnixMilli()
	signature, err := sign(c.credentials, fmt.Sprintf("apiKey=%s&timestamp=%d", c.credentials.APIKey, stamp))
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(libws.WsApiRequest{
		Id: id, Method: libws.UserDataStreamSubscribeSignatureSpotWsApiMethod,
		Params: map[string]any{"apiKey": c.credentials.APIKey, "timestamp": stamp, "signature": signature},
	})
	if err != nil {
		return nil, errSigning
	}
	return request, nil
}

// marketStream is the stream of a symbol's trades, marketAddress where it is.
func marketStream(symbol string) string { return strings.ToLower(symbol) + "@trade" }

func (v *Venue) marketAddress(symbol string) string {
	return v.cfg.StreamURL + "/ws/" + marketStream(symbol)
}
