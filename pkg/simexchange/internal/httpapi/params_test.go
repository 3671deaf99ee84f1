package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse_query_wins_and_payload_is_unsigned(t *testing.T) {
	t.Parallel()
	p, err := Parse("symbol=A&signature=ff", "symbol=B&side=BUY")
	require.NoError(t, err)
	require.Equal(t, "A", p.Text("symbol"))
	require.Equal(t, "BUY", p.Text("side"))
	require.Equal(t, "symbol=Asymbol=B&side=BUY", p.Payload)
	require.Equal(t, "ff", p.Signature)
}

func TestParams_Order_refuses(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"side=BUY&type=MARKET":                                                   "Mandatory parameter 'symbol'",
		"symbol=S&side=BUY&type=MARKET":                                          "Mandatory parameter 'quantity'",
		"symbol=S&side=BUY&type=LIMIT&quantity=1&price=1":                        "Mandatory parameter 'timeInForce'",
		"symbol=S&side=BUY&type=MARKET&quantity=1e3":                             "Illegal characters found in parameter 'quantity'",
		"symbol=S&side=BUY&type=MARKET&quantity=0.000000001":                     "has too much precision",
		"symbol=S&side=BUY&type=MARKET&quantity=1&price=1":                       "'price' sent when not required",
		"symbol=S&side=BUY&type=MARKET&quantity=1&newClientOrderId=a.b":          "Illegal characters found in parameter 'newClientOrderId'",
		"symbol=S&side=SELL&type=STOP_LOSS_LIMIT&quantity=1&price=1":             "Mandatory parameter",
		"symbol=S&side=SELL&type=LIMIT_MAKER&quantity=1&price=1&quoteOrderQty=1": "'quoteOrderQty' sent when not required",
	} {
		p, err := Parse(query, "")
		require.NoError(t, err)
		_, err = p.Order(func() string { return "made" })
		require.ErrorContains(t, err, want, query)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=2&limit=5", "orderId=4&signature=aa")
	f.Add("%zz", "a=%")
	f.Fuzz(func(t *testing.T, query, body string) {
		p, err := Parse(query, body)
		if err != nil {
			return
		}
		if r, err := p.Order(func() string { return "made" }); err == nil && (r.Quantity.IsNegative() || r.Price.IsNegative() || r.ClientOrderID == "") {
			t.Fatalf("%+v", r)
		}
		if ref, err := p.ref(); err == nil && ref.ID < 0 {
			t.Fatalf("%+v", ref)
		}
		if s, err := p.span("fromId"); err == nil && (s.limit < 1 || s.limit > 1000) {
			t.Fatalf("%+v", s)
		}
	})
}
