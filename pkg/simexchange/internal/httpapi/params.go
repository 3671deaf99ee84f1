package httpapi

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
)

// bodyMax bounds the body of a request.
const bodyMax = 64 << 10

var (
	errMalformed = &engine.Rejection{Code: -1100, Text: "Illegal characters found in a parameter."}
	amount       = regexp.MustCompile(`^([0-9]{1,20})(\.[0-9]{1,20})?$`)
	clientID     = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,36}$`)
)

// Params are the parameters of a request, from its query and its body; the query wins.
type Params struct {
	values    url.Values
	Payload   string // what was signed
	Signature string
}

// Read takes the parameters of a request. The body is read by hand: a DELETE has one too, which ParseForm leaves alone.
func Read(r *http.Request) (Params, string, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyMax+1))
	if err != nil || len(body) > bodyMax {
		return Params{}, "", errMalformed
	}
	p, err := Parse(r.URL.RawQuery, string(body))
	return p, string(body), err
}

// Parse takes parameters apart.
func Parse(query, body string) (Params, error) {
	fromQuery, err := url.ParseQuery(query)
	if err != nil {
		return Params{}, errMalformed
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return Params{}, errMalformed
	}
	for name, v := range fromQuery {
		values[name] = v
	}
	return Params{values: values, Payload: unsigned(query) + unsigned(body), Signature: values.Get("signature")}, nil
}

// unsigned is an encoded string without its signature.
func unsigned(encoded string) string {
	parts := strings.Split(encoded, "&")
	kept := parts[:0]
	for _, part := range parts {
		if !strings.HasPrefix(part, "signature=") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}

// Text is a parameter, empty if absent.
func (p Params) Text(name string) string { return p.values.Get(name) }

func missing(name string) error {
	return &engine.Rejection{Code: -1102, Text: "Mandatory parameter '" + name + "' was not sent, was empty/null, or malformed."}
}

func (p Params) must(name string) (string, error) {
	if v := p.Text(name); v != "" {
		return v, nil
	}
	return "", missing(name)
}

// amount is a decimal parameter, zero if absent.
func (p Params) amount(name string) (decimal.Decimal, error) {
	text := p.Text(name)
	if text == "" {
		return decimal.Zero, nil
	}
	if !amount.MatchString(text) {
		return decimal.Zero, &engine.Rejection{Code: -1100, Text: "Illegal characters found in parameter '" + name + "'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."}
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Zero, missing(name)
	}
	if d.Exponent() < -8 && !d.Equal(d.Truncate(8)) {
		return decimal.Zero, &engine.Rejection{Code: -1111, Text: "Parameter '" + name + "' has too much precision."}
	}
	return d, nil
}

// number is an integer parameter, fallback if absent.
func (p Params) number(name string, fallback int64) (int64, error) {
	text := p.Text(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, missing(name)
	}
	return n, nil
}

// limit is how many things are asked for.
func (p Params) limit() (int, error) {
	n, err := p.number("limit", 500)
	if err == nil && (n < 1 || n > 1000) {
		err = missing("limit")
	}
	return int(n), err
}

// Order is the order that parameters ask for. made names an order that has no client id.
func (p Params) Order(made func() string) (engine.Request, error) {
	r := engine.Request{
		Symbol: p.Text("symbol"), Side: p.Text("side"), Type: p.Text("type"), TimeInForce: p.Text("timeInForce"),
		ClientOrderID: p.Text("newClientOrderId"), STP: p.Text("selfTradePreventionMode"),
		SideEffect: p.Text("sideEffectType"),
	}
	for _, name := range []string{"symbol", "side", "type"} {
		if _, err := p.must(name); err != nil {
			return r, err
		}
	}
	if r.ClientOrderID == "" {
		r.ClientOrderID = made()
	}
	if !clientID.MatchString(r.ClientOrderID) {
		return r, &engine.Rejection{Code: -1100, Text: "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."}
	}
	var err error
	for _, amount := range []struct {
		name string
		to   *decimal.Decimal
	}{{"quantity", &r.Quantity}, {"quoteOrderQty", &r.QuoteQuantity}, {"price", &r.Price}, {"stopPrice", &r.StopPrice}} {
		if *amount.to, err = p.amount(amount.name); err != nil {
			return r, err
		}
	}
	return r, p.complete(r)
}

// complete says what an order of its type lacks, or has too much.
func (p Params) complete(r engine.Request) error {
	need := map[string][]string{
		engine.Limit: {"timeInForce", "quantity", "price"}, engine.LimitMaker: {"quantity", "price"},
		engine.StopLoss: {"quantity", "stopPrice"}, engine.TakeProfit: {"quantity", "stopPrice"},
		engine.StopLossLimit:   {"timeInForce", "quantity", "price", "stopPrice"},
		engine.TakeProfitLimit: {"timeInForce", "quantity", "price", "stopPrice"},
	}
	for _, name := range need[r.Type] {
		if _, err := p.must(name); err != nil {
			return err
		}
	}
	tooMuch := func(name string) error {
		return &engine.Rejection{Code: -1106, Text: "Parameter '" + name + "' sent when not required."}
	}
	if r.Type != engine.Market && !r.QuoteQuantity.IsZero() {
		return tooMuch("quoteOrderQty")
	}
	if r.Type == engine.Market {
		switch {
		case p.Text("price") != "":
			return tooMuch("price")
		case p.Text("timeInForce") != "":
			return tooMuch("timeInForce")
		case r.Quantity.IsZero() == r.QuoteQuantity.IsZero():
			return missing("quantity")
		}
	}
	return nil
}

// ref names the order that a query or a cancel is about.
func (p Params) ref() (engine.Ref, error) {
	symbol, err := p.must("symbol")
	if err != nil {
		return engine.Ref{}, err
	}
	id, err := p.number("orderId", 0)
	if err != nil {
		return engine.Ref{}, err
	}
	ref := engine.Ref{Symbol: symbol, ID: id, ClientOrderID: p.Text("origClientOrderId")}
	if ref.ID == 0 && ref.ClientOrderID == "" {
		return ref, &engine.Rejection{Code: -1102, Text: "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"}
	}
	return ref, nil
}
