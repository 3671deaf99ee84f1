package fact

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// sampleNamespace derives sample ids.
var sampleNamespace = uuid.MustParse("4f0b0c1e-8a55-5c0f-9a5e-0c7ad6a1f2b3")

// Sample is one look at an account's balances: a poll, or a report of the venue. Its Run makes it distinct.
type Sample struct {
	Account uuid.UUID
	Run     string
	At      time.Time
	Source  eventv1.SampleSource
	Origin  Origin
}

// StreamRun names the sample that a report of the venue's stream is.
func StreamRun(cursor venue.Cursor) string { return "stream/" + strconv.FormatInt(int64(cursor), 10) }

// Sampled says what an asset amounts to.
func Sampled(s Sample, b venue.Balance) Fact {
	id := uuid.NewSHA1(sampleNamespace, fmt.Appendf(nil, "%s/%s/%s/%s", s.Account, s.Run, b.Wallet, b.Asset))
	payload := &eventv1.BalanceSampled{
		SampleId: id.String(), AccountId: s.Account.String(), Wallet: b.Wallet, Asset: b.Asset,
		Free: money.Format(b.Free), Locked: money.Format(b.Locked), Total: money.Format(b.Free.Add(b.Locked)),
		Borrowed: amountOrNone(b.Borrowed), Interest: amountOrNone(b.Interest),
		SampledAt: timestamppb.New(s.At), Source: s.Source,
	}
	return Fact{Stream: accountStream(s.Account), Payload: payload, OccurredAt: s.At, Origin: s.Origin}
}

// Judged says how the venue judges a margin account. A status that is not known here is told as the worst: somebody must look.
func Judged(s Sample, m venue.MarginState) Fact {
	status, known := marginStatuses[m.Status]
	if !known {
		status = eventv1.MarginStatus_MARGIN_STATUS_FORCE_LIQUIDATION
	}
	return Fact{Stream: accountStream(s.Account), OccurredAt: m.Time, Origin: s.Origin, Payload: &eventv1.MarginLevelSampled{
		SampleId:  uuid.NewSHA1(sampleNamespace, fmt.Appendf(nil, "%s/%s/margin/%s", s.Account, s.Run, m.Symbol)).String(),
		AccountId: s.Account.String(), Symbol: m.Symbol, MarginLevel: money.Format(m.Level), MarginRatio: money.Format(m.Ratio), Status: status,
		IndexPrice: money.Format(m.IndexPrice), LiquidatePrice: money.Format(m.LiquidatePrice),
		Borrowed: money.Format(m.Borrowed), Interest: money.Format(m.Interest), SampledAt: timestamppb.New(m.Time),
	}}
}

var marginStatuses = map[venue.MarginStatus]eventv1.MarginStatus{
	venue.MarginExcessive: eventv1.MarginStatus_MARGIN_STATUS_EXCESSIVE, venue.MarginNormal: eventv1.MarginStatus_MARGIN_STATUS_NORMAL,
	venue.MarginCall: eventv1.MarginStatus_MARGIN_STATUS_MARGIN_CALL, venue.MarginPreLiquidation: eventv1.MarginStatus_MARGIN_STATUS_PRE_LIQUIDATION,
	venue.MarginForceLiquidation: eventv1.MarginStatus_MARGIN_STATUS_FORCE_LIQUIDATION,
}

func amountOrNone(amount decimal.Decimal) string {
	if amount.IsZero() {
		return ""
	}
	return money.Format(amount)
}

// Moved says that money came or went, or was taken hold of.
func Moved(account uuid.UUID, m venue.Movement, at time.Time) Fact {
	kind := eventv1.AdjustmentKind_ADJUSTMENT_KIND_UNKNOWN
	switch m.Kind {
	case venue.Deposit:
		kind = eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT
	case venue.Withdrawal:
		kind = eventv1.AdjustmentKind_ADJUSTMENT_KIND_WITHDRAWAL
	case venue.ExternalLock:
		kind = eventv1.AdjustmentKind_ADJUSTMENT_KIND_EXTERNAL_LOCK
	}
	return Fact{Stream: accountStream(account), OccurredAt: at, Payload: &eventv1.BalanceAdjusted{
		AccountId: account.String(), Wallet: m.Wallet, Asset: m.Asset, Delta: money.Format(m.Delta), Kind: kind,
		ClearedAt: timestamppb.New(at),
	}}
}

// Lent says that a loan was taken or given back. Order is the order whose side effect it was; Nil: none, or not known.
func Lent(account uuid.UUID, l venue.Loan, order uuid.UUID, at time.Time, origin Origin) Fact {
	orderID, via := "", eventv1.BorrowVia_BORROW_VIA_EXPLICIT
	if order != uuid.Nil {
		orderID = order.String()
	}
	if order != uuid.Nil || l.SideEffect {
		via = eventv1.BorrowVia_BORROW_VIA_ORDER_SIDE_EFFECT
	}
	f := Fact{Stream: accountStream(account), OccurredAt: at, Origin: origin}
	tranID := strconv.FormatInt(l.TranID, 10)
	if l.Kind == venue.Borrow {
		f.Payload = &eventv1.MarginBorrowed{
			AccountId: account.String(), Symbol: l.Symbol, Asset: l.Asset, Amount: money.Format(l.Amount),
			TranId: tranID, OrderId: orderID, Via: via,
		}
		return f
	}
	f.Payload = &eventv1.MarginRepaid{
		AccountId: account.String(), Symbol: l.Symbol, Asset: l.Asset, Amount: money.Format(l.Amount),
		Principal: money.Format(l.Principal), Interest: money.Format(l.Interest), TranId: tranID, OrderId: orderID,
	}
	return f
}

// UnknownOrder says that the account has an order which is none of ours: it is never adopted and never canceled.
func UnknownOrder(account uuid.UUID, o venue.Order, at time.Time) Fact {
	entity := fmt.Sprintf("exchange_order:%s/%d", o.Symbol, o.OrderID)
	identity := fmt.Sprintf("DISCREPANCY_DETECTED/%s/unknown_order/%s", account, entity)
	return record(accountStream(account), &eventv1.DiscrepancyDetected{
		DiscrepancyId: event.FactCommandID("discrepancy_id:" + identity).String(), AccountId: account.String(),
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER, Entity: entity, Severity: eventv1.Severity_SEVERITY_WARNING,
		Resolution: eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR,
		Actual: map[string]string{
			"symbol": o.Symbol, "exchange_order_id": exchangeID(o), "client_order_id": string(o.ClientOrderID),
			"side": string(o.Side), "quantity": money.Format(o.Quantity),
		},
	}, at, Origin{}, identity)
}

// UnknownTrade says that an order which is none of ours has traded: it moves the account's balances, and no position.
func UnknownTrade(account uuid.UUID, o venue.Order, trade venue.Trade, at time.Time) Fact {
	entity := fmt.Sprintf("exchange_trade:%s/%d/%d", trade.Symbol, trade.OrderID, trade.TradeID)
	identity := fmt.Sprintf("DISCREPANCY_DETECTED/%s/unknown_trade/%s", account, entity)
	return record(accountStream(account), &eventv1.DiscrepancyDetected{
		DiscrepancyId: event.FactCommandID("discrepancy_id:" + identity).String(), AccountId: account.String(),
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_TRADE, Entity: entity, Severity: eventv1.Severity_SEVERITY_WARNING,
		Resolution: eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR,
		Actual: map[string]string{
			"symbol": trade.Symbol, "exchange_order_id": exchangeID(o), "exchange_trade_id": strconv.FormatInt(int64(trade.TradeID), 10),
			"client_order_id": string(o.ClientOrderID), "side": string(trade.Side), "price": money.Format(trade.Price),
			"quantity": money.Format(trade.Quantity), "quote_quantity": money.Format(trade.QuoteQuantity), "fee": money.Format(trade.Fee), "fee_asset": trade.FeeAsset,
		},
	}, at, Origin{}, identity)
}

// Connected says that the account's stream stands.
func Connected(account uuid.UUID, environment eventv1.Environment, c venue.Connected, reconnects int, at time.Time) Fact {
	return record(accountStream(account), &eventv1.ExchangeConnected{
		AccountId: account.String(), Environment: environment, Channel: eventv1.Channel_CHANNEL_USER_STREAM,
		ConnectionId: c.ConnectionID, ReconnectCount: int32(reconnects),
	}, at, Origin{}, "EXCHANGE_CONNECTED/"+account.String()+"/"+c.ConnectionID)
}

// Disconnected says that the account's stream broke.
func Disconnected(account uuid.UUID, connectionID, reason string, planned bool, at time.Time) Fact {
	return record(accountStream(account), &eventv1.ExchangeDisconnected{
		AccountId: account.String(), Channel: eventv1.Channel_CHANNEL_USER_STREAM, ConnectionId: connectionID,
		Reason: reason, Planned: planned,
	}, at, Origin{}, "EXCHANGE_DISCONNECTED/"+account.String()+"/"+connectionID)
}
