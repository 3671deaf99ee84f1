package projection

import (
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// channelRest is the line that requests go by.
var channelRest = enumText(channels, eventv1.Channel_CHANNEL_REST)

// line is a copy of a line's row to change; a new one where nothing was told of it before.
func (c *change) line(account uuid.UUID, channel string) *ConnectorState {
	if known := get[ConnectorState](&c.reader, ConnectorKey(account, channel)); known != nil {
		return clone(known)
	}
	return &ConnectorState{TenantID: c.ev.TenantID, AccountID: account, Channel: channel}
}

// foldConnected notes a connection, unless a newer one was told of before: a connector that has moved on to its next
// connection may still report the last one.
func (c *change) foldConnected(p *eventv1.ExchangeConnected) {
	line, at := c.line(c.id("account_id", p.GetAccountId()), enumText(channels, p.GetChannel())), c.occurred()
	if line.movedAfter(at) {
		return
	}
	line.Environment, line.Connected, line.ConnectionID = enumText(environments, p.GetEnvironment()), true, maybeText(p.GetConnectionId())
	line.SubscriptionID, line.ReconnectCount, line.ConnectedAt = maybeNumber(p.SubscriptionId != nil, p.GetSubscriptionId()), p.GetReconnectCount(), &at
	offset := p.GetClockOffsetMs()
	line.ClockOffsetMS = &offset
	c.put(line)
}

// movedAfter reports whether the line has gone up or down after a time.
func (r *ConnectorState) movedAfter(at time.Time) bool {
	return r.ConnectedAt != nil && r.ConnectedAt.After(at) || r.DisconnectedAt != nil && r.DisconnectedAt.After(at)
}

// foldDisconnected notes the end of a connection. The end of another one than the newest leaves the line up: a planned
// change of connections opens the next one before it closes the last.
func (c *change) foldDisconnected(p *eventv1.ExchangeDisconnected) {
	line, at := c.line(c.id("account_id", p.GetAccountId()), enumText(channels, p.GetChannel())), c.occurred()
	if told := maybeMoment(p.GetLastEventTime()); told != nil {
		line.LastEventTime = newer(line.LastEventTime, *told)
	}
	if line.ConnectionID == nil || *line.ConnectionID == p.GetConnectionId() || !line.Connected && !line.movedAfter(at) {
		line.Connected, line.ConnectionID, line.DisconnectedAt = false, maybeText(p.GetConnectionId()), newer(line.DisconnectedAt, at)
		line.DisconnectReason, line.DisconnectPlanned = maybeText(p.GetReason()), p.GetPlanned()
	}
	c.put(line)
}

// foldRequestFailed counts a definitive failure, and shows the newest.
func (c *change) foldRequestFailed(p *eventv1.ExchangeRequestFailed) {
	line, at := c.line(c.id("account_id", p.GetAccountId()), channelRest), c.occurred()
	line.FailedCount++
	if p.GetRetryable() {
		line.RetryableFailedCount++
	}
	if line.LastErrorAt == nil || !line.LastErrorAt.After(at) {
		line.LastErrorAt, line.LastError, line.LastErrorOperation = &at, maybeText(p.GetMessage()), maybeText(p.GetOperation())
		line.LastErrorCode, line.LastErrorHTTPStatus = maybeNumber(p.ErrorCode != nil, p.GetErrorCode()), maybeNumber(p.HttpStatus != nil, p.GetHttpStatus())
	}
	c.put(line)
}

// foldUncertain counts a request of which nobody knows what became of it, and notes that on its order, where it names one:
// which order it was about may be unknown too.
func (c *change) foldUncertain(p *eventv1.ExchangeStateUncertain) {
	account := c.id("account_id", p.GetAccountId())
	line := c.line(account, channelRest)
	line.UncertainCount++
	line.LastUncertainAt = newer(line.LastUncertainAt, c.occurred())
	c.put(line)
	if p.GetOrderId() == "" {
		return
	}
	before, order := c.report(orderFact{
		orderID: c.id("order_id", p.GetOrderId()), accountID: account, clientOrderID: p.GetClientOrderId(),
	})
	switch p.GetRequest() {
	case eventv1.VenueRequest_VENUE_REQUEST_PLACE:
		order.UncertainPlace = true
	case eventv1.VenueRequest_VENUE_REQUEST_CANCEL:
		order.UncertainCancel = true
	case eventv1.VenueRequest_VENUE_REQUEST_QUERY, eventv1.VenueRequest_VENUE_REQUEST_OTHER, eventv1.VenueRequest_VENUE_REQUEST_UNSPECIFIED:
	}
	c.record(before, order)
}

// foldRateLimited notes until when the venue wants no request; the latest time holds.
func (c *change) foldRateLimited(p *eventv1.ExchangeRateLimited) {
	line := c.line(c.id("account_id", p.GetAccountId()), channelRest)
	line.RateLimitedCount++
	until := c.occurred()
	if wait := time.Duration(p.GetRetryAfterMs()) * time.Millisecond; wait > 0 {
		until = until.Add(wait)
	}
	if banned := maybeMoment(p.GetBannedUntil()); banned != nil && banned.After(until) {
		until = *banned
	}
	line.BlockedUntil = newer(line.BlockedUntil, until)
	c.put(line)
}
