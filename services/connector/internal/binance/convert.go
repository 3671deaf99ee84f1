package binance

import (
	"encoding/json"
	"errors"
	"time"

	lib "github.com/adshao/go-binance/v2"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// errContent is an answer of the right form that says what cannot be.
var errContent = errors.New("the answer says what cannot be")

// numbers reads decimals and remembers whether one could not be read.
type numbers struct{ err error }

// read takes an absent number for zero.
func (n *numbers) read(text string) decimal.Decimal {
	if text == "" {
		return decimal.Zero
	}
	value, err := decimal.NewFromString(text)
	if err != nil {
		n.err = errContent
	}
	return value
}

func instant(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func orderOf(row *lib.Order) (venue.Order, error) {
	var n numbers
	if row == nil || row.OrderID <= 0 || row.Symbol == "" || row.Status == "" {
		return venue.Order{}, errContent
	}
	return venue.Order{
		Symbol: row.Symbol, OrderID: venue.OrderID(row.OrderID), ClientOrderID: venue.ClientOrderID(row.ClientOrderID),
		Status: venue.OrderStatus(row.Status), Side: venue.Side(row.Side), Type: venue.OrderType(row.Type),
		TimeInForce: venue.TimeInForce(row.TimeInForce), Quantity: n.read(row.OrigQuantity), Price: n.read(row.Price),
		StopPrice: n.read(row.StopPrice), Executed: n.read(row.ExecutedQuantity), CumQuote: n.read(row.CummulativeQuoteQuantity),
		CreatedAt: instant(row.Time), UpdatedAt: instant(row.UpdateTime),
	}, n.err
}

func tradeOf(row *lib.TradeV3) (venue.Trade, error) {
	var n numbers
	if row == nil || row.OrderID <= 0 || row.Symbol == "" {
		return venue.Trade{}, errContent
	}
	side := venue.Sell
	if row.IsBuyer {
		side = venue.Buy
	}
	return venue.Trade{
		Symbol: row.Symbol, TradeID: venue.TradeID(row.ID), OrderID: venue.OrderID(row.OrderID), Side: side, Price: n.read(row.Price),
		Quantity: n.read(row.Quantity), QuoteQuantity: n.read(row.QuoteQuantity), Fee: n.read(row.Commission), FeeAsset: row.CommissionAsset,
		IsMaker: row.IsMaker, Time: instant(row.Time),
	}, n.err
}

// placedOf reads the answer to an order. One that speaks of another order is no answer.
func placedOf(body []byte, order venue.NewOrder, r *lib.CreateOrderResponse) (venue.Placed, error) {
	if r == nil || r.OrderID <= 0 || r.Symbol != order.Symbol || r.ClientOrderID != string(order.ClientOrderID) || r.Status == "" {
		return venue.Placed{}, errContent
	}
	var n numbers
	at := instant(r.TransactTime)
	out := venue.Placed{Order: venue.Order{
		Symbol: r.Symbol, OrderID: venue.OrderID(r.OrderID), ClientOrderID: order.ClientOrderID, Status: venue.OrderStatus(r.Status),
		Side: order.Side, Type: order.Type, TimeInForce: venue.TimeInForce(r.TimeInForce), Quantity: n.read(r.OrigQuantity),
		Price: n.read(r.Price), StopPrice: order.StopPrice, Executed: n.read(r.ExecutedQuantity), CumQuote: n.read(r.CummulativeQuoteQuantity),
		CreatedAt: at, UpdatedAt: at, ExpiryReason: expiryReasonOf(body),
	}}
	for _, fill := range r.Fills {
		if fill.TradeID <= 0 {
			out.Trades = nil // it does not tell which they are: they are asked for
			break
		}
		price, quantity := n.read(fill.Price), n.read(fill.Quantity)
		out.Trades = append(out.Trades, venue.Trade{
			Symbol: r.Symbol, TradeID: venue.TradeID(fill.TradeID), OrderID: out.Order.OrderID, Side: order.Side, Price: price, Quantity: quantity,
			QuoteQuantity: price.Mul(quantity), Fee: n.read(fill.Commission), FeeAsset: fill.CommissionAsset, Time: at,
		})
	}
	return out, n.err
}

// canceledOf reads the answer to a cancel. It does not tell when the order was made.
func canceledOf(body []byte, cancel venue.CancelOrder, r *lib.CancelOrderResponse) (venue.Order, error) {
	if r == nil || r.OrderID <= 0 || r.Symbol != cancel.Symbol || r.OrigClientOrderID != string(cancel.ClientOrderID) || r.Status == "" {
		return venue.Order{}, errContent
	}
	var more struct {
		StopPrice string `json:"stopPrice"`
	}
	if err := json.Unmarshal(body, &more); err != nil {
		return venue.Order{}, errContent
	}
	var n numbers
	return venue.Order{
		Symbol: r.Symbol, OrderID: venue.OrderID(r.OrderID), ClientOrderID: cancel.ClientOrderID, Status: venue.OrderStatus(r.Status),
		Side: venue.Side(r.Side), Type: venue.OrderType(r.Type), TimeInForce: venue.TimeInForce(r.TimeInForce), Quantity: n.read(r.OrigQuantity),
		Price: n.read(r.Price), StopPrice: n.read(more.StopPrice), Executed: n.read(r.ExecutedQuantity), CumQuote: n.read(r.CummulativeQuoteQuantity),
		UpdatedAt: instant(r.TransactTime), CanceledBy: venue.CanceledByUs, CancelID: venue.ClientOrderID(r.ClientOrderID),
	}, n.err
}

type orderKey struct {
	symbol string
	id     int64
}

// expiry is what the library leaves out of an order.
type expiry struct {
	Symbol  string `json:"symbol"`
	OrderID int64  `json:"orderId"`
	Reason  string `json:"expiryReason"`
}

func expiryReasonOf(body []byte) string {
	var row expiry
	_ = json.Unmarshal(body, &row) // the library has read it
	return row.Reason
}

func expiryReasonsOf(body []byte) map[orderKey]string {
	var rows []expiry
	_ = json.Unmarshal(body, &rows) // the library has read it
	out := map[orderKey]string{}
	for _, row := range rows {
		if row.Reason != "" {
			out[orderKey{row.Symbol, row.OrderID}] = row.Reason
		}
	}
	return out
}
