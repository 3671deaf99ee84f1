package binance

import (
	"encoding/json"
	"fmt"
	"slices"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Events that the library has no name for.
const (
	eventTerminated lib.UserDataEventType = "eventStreamTerminated"
	eventShutdown   lib.UserDataEventType = "serverShutdown"
	eventLock       lib.UserDataEventType = "externalLockUpdate"
)

// userEvent tells what an event is and when it was.
type userEvent struct {
	Event lib.UserDataEventType `json:"e"`
	Time  int64                 `json:"E"`
}

// executionReport is the library's, with what it leaves out. Its placeholder keeps "e" from being read as "E", as Go's JSON would.
type executionReport struct {
	lib.WsOrderUpdate
	Event        string `json:"e"`
	Time         int64  `json:"E"`
	ExpiryReason string `json:"eR"`
}

// translator turns events into reports, whose cursors grow: by the event's time in milliseconds and a count within, so that they go on
// after a restart.
type translator struct {
	// wallet is where the account's money is.
	wallet string
	after  venue.Cursor
	report func(kind string)
}

// cursorsPerMilli is how many reports of one millisecond fit before the count runs into the next, which does no harm.
const cursorsPerMilli = 1000

func (t *translator) next(ms int64) venue.Cursor {
	t.after = max(t.after+1, venue.Cursor(ms*cursorsPerMilli))
	return t.after
}

// translate gives the reports of messages, and what ends the line after them.
func (t *translator) translate(messages [][]byte) (reports []venue.Report, ended error) {
	for _, message := range messages {
		var f frame
		if err := json.Unmarshal(message, &f); err != nil {
			return reports, fmt.Errorf("%w: a message: %w", errEnded, errUnreadable)
		}
		event := f.Event
		if len(event) == 0 {
			event = message // some notices come bare
		}
		report, known, err := t.event(event)
		if err != nil {
			return reports, err
		}
		if known {
			reports = append(reports, report)
		}
	}
	return reports, nil
}

func (t *translator) event(event []byte) (r venue.Report, known bool, err error) {
	var head userEvent
	if err := json.Unmarshal(event, &head); err != nil {
		return r, false, fmt.Errorf("%w: an event: %w", errEnded, errUnreadable)
	}
	switch head.Event {
	case eventTerminated, eventShutdown:
		return r, false, fmt.Errorf("%w: %s", errEnded, head.Event)
	case lib.UserDataEventTypeExecutionReport:
		r.Execution, known, err = t.execution(event)
	case lib.UserDataEventTypeOutboundAccountPosition:
		r.Position, err = t.position(event)
		known = err == nil
	case lib.UserDataEventTypeBalanceUpdate, eventLock:
		r.Movement, err = t.movement(head.Event, event)
		known = err == nil
	default:
		t.report(string(head.Event))
	}
	if err != nil {
		return venue.Report{}, false, fmt.Errorf("%w: %s: %w", errEnded, head.Event, err)
	}
	if known {
		r.Cursor, r.Time = t.next(head.Time), instant(head.Time)
	}
	return r, known, nil
}

// execution reads an executionReport. One of a kind that is not known is passed over and told of: what it changed is found by asking.
func (t *translator) execution(event []byte) (*venue.Execution, bool, error) {
	var u executionReport
	if err := json.Unmarshal(event, &u); err != nil {
		return nil, false, errUnreadable
	}
	kind, known := executionType(u)
	if !known {
		t.report("executionReport " + u.ExecutionType + " " + u.Status)
		return nil, false, nil
	}
	if u.Id <= 0 || u.Symbol == "" {
		return nil, false, errContent
	}
	var n numbers
	// Of a cancel, c names the request to cancel and C the order; of all else c names the order and C is empty.
	client, cancel := u.ClientOrderId, ""
	if u.OrigCustomOrderId != "" {
		client, cancel = u.OrigCustomOrderId, u.ClientOrderId
	}
	if kind != venue.ExecutionCanceled {
		cancel = ""
	}
	out := &venue.Execution{Type: kind, Order: venue.Order{
		Symbol: u.Symbol, OrderID: venue.OrderID(u.Id), ClientOrderID: venue.ClientOrderID(client), Status: venue.OrderStatus(u.Status),
		Side: venue.Side(u.Side), Type: venue.OrderType(u.Type), TimeInForce: venue.TimeInForce(u.TimeInForce), Quantity: n.read(u.Volume),
		Price: n.read(u.Price), StopPrice: n.read(u.StopPrice), Executed: n.read(u.FilledVolume), CumQuote: n.read(u.FilledQuoteVolume),
		CreatedAt: instant(u.CreateTime), UpdatedAt: instant(u.TransactionTime), ExpiryReason: u.ExpiryReason, CancelID: venue.ClientOrderID(cancel),
	}}
	if kind == venue.ExecutionTrade {
		if u.TradeId < 0 {
			return nil, false, errContent
		}
		out.Trade = &venue.Trade{
			Symbol: u.Symbol, TradeID: venue.TradeID(u.TradeId), OrderID: venue.OrderID(u.Id), Side: venue.Side(u.Side),
			Price: n.read(u.LatestPrice), Quantity: n.read(u.LatestVolume), QuoteQuantity: n.read(u.LatestQuoteVolume),
			Fee: n.read(u.FeeCost), FeeAsset: u.FeeAsset, IsMaker: u.IsMaker, Time: instant(u.TransactionTime),
		}
	}
	return out, true, n.err
}

// executionType reads x. Self-trade prevention reports as TRADE_PREVENTION what, if it ended the order, is an expiry.
func executionType(u executionReport) (venue.ExecutionType, bool) {
	kind := venue.ExecutionType(u.ExecutionType)
	if u.ExecutionType == "TRADE_PREVENTION" && venue.OrderStatus(u.Status) == venue.StatusExpiredInMatch {
		return venue.ExecutionExpired, true
	}
	known := slices.Contains([]venue.ExecutionType{
		venue.ExecutionNew, venue.ExecutionTrade, venue.ExecutionCanceled, venue.ExecutionExpired, venue.ExecutionRejected,
	}, kind)
	return kind, known && venue.OrderStatus(u.Status).IsKnown()
}

func (t *translator) position(event []byte) (*venue.AccountPosition, error) {
	var update lib.WsAccountUpdateList
	if err := json.Unmarshal(event, &update); err != nil {
		return nil, errUnreadable
	}
	var n numbers
	out := &venue.AccountPosition{}
	for _, row := range update.WsAccountUpdates {
		out.Balances = append(out.Balances, venue.Balance{Wallet: t.wallet, Asset: row.Asset, Free: n.read(row.Free), Locked: n.read(row.Locked)})
	}
	return out, n.err
}

// movement reads a balanceUpdate or an externalLockUpdate, which have the same fields. The venue gives them no name: asset, time and
// amount name them.
func (t *translator) movement(name lib.UserDataEventType, event []byte) (*venue.Movement, error) {
	var update lib.WsBalanceUpdate
	if err := json.Unmarshal(event, &update); err != nil {
		return nil, errUnreadable
	}
	var n numbers
	delta := n.read(update.Change)
	if n.err != nil || update.Asset == "" || delta.IsZero() {
		return nil, errContent
	}
	kind := venue.Deposit
	switch {
	case name == eventLock: // by how much the lock grew: so much less is free. The next sample tells both.
		kind, delta = venue.ExternalLock, delta.Neg()
	case delta.IsNegative():
		kind = venue.Withdrawal
	}
	return &venue.Movement{
		Wallet: t.wallet, Asset: update.Asset, Delta: delta, Kind: kind,
		Reference: fmt.Sprintf("%s/%s/%d/%s", name, update.Asset, update.TransactionTime, update.Change),
	}, nil
}
