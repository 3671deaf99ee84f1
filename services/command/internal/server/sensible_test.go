package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestServer_OpenPosition_holds_the_signal_against_the_market has S1, long at 95000 with its stop at 93500, meet markets
// elsewhere: an order at the market pays the market's price, whatever the signal says.
func TestServer_OpenPosition_holds_the_signal_against_the_market(t *testing.T) {
	t.Parallel()
	const long, short = eventv1.PositionSide_POSITION_SIDE_LONG, eventv1.PositionSide_POSITION_SIDE_SHORT
	for name, c := range map[string]struct {
		side         eventv1.PositionSide
		stop, market string
		limit        bool
		field        string // that is refused; empty: accepted
	}{
		"there":                           {long, "93500", "95000", false, ""},
		"nearer to the stop":              {long, "93500", "93501", false, ""},
		"a fifth further":                 {long, "93500", "95300", false, ""},
		"more than a fifth further":       {long, "93500", "95300.01", false, "entry_price"},
		"at the stop":                     {long, "93500", "93500", false, "technical_stop"},
		"beyond the stop":                 {long, "93500", "90000", false, "technical_stop"},
		"a short, there":                  {short, "96500", "95000", false, ""},
		"a short, further":                {short, "96500", "94699.99", false, "entry_price"},
		"a short, beyond":                 {short, "96500", "97000", false, "technical_stop"},
		"no price yet":                    {long, "93500", "", false, ""},
		"a limit order waits for a price": {long, "93500", "99000", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.market.price = c.market
			request := b.s1()
			request.Side, request.TechnicalStop, request.DryRun = c.side, c.stop, true
			if c.side == short {
				b.state.view.Account.Product = eventv1.Product_PRODUCT_ISOLATED_MARGIN
				b.state.view.Account.MarginSymbol = "BTCUSDT"
			}
			if c.limit {
				request.OrderType = eventv1.OrderType_ORDER_TYPE_LIMIT
			}
			_, err := b.OpenPosition(b.call(t), request)
			if c.field == "" {
				require.NoError(t, err)
				return
			}
			field(t, err, c.field)
			require.Empty(t, b.log.appends)
		})
	}
}

// TestServer_Panic_knows_the_symbol refuses a slip of the pen, and asks nobody where positions are.
func TestServer_Panic_knows_the_symbol(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.accountID(), Symbol: "BTCUST"})
	field(t, err, "symbol")
	require.Empty(t, b.log.appends)
	_, err = b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.accountID(), Symbol: "BTCUSDT"})
	require.NoError(t, err)
}
