// Package simexchange is a spot exchange that speaks Binance's REST and WebSocket protocols on loopback, so that any Binance client can be
// pointed at it. It matches against recorded or seeded prices, in exact decimals, and does what its fault plan says on its bad days.
//
// A test uses it so:
//
//	exchange, err := simexchange.New(simexchange.Config{Prices: map[string]string{"BTCUSDT": "60000"}})
//	require.NoError(t, err)
//	t.Cleanup(exchange.Close)
//	keys, err := exchange.AddAccount(simexchange.Account{Name: "one", Balances: map[string]string{"USDT": "10000"}})
//	client := binance.NewClient(keys.Key, keys.Secret)
//	client.BaseURL = exchange.URL()
//	// Once per process, before any socket is opened: the library keeps these for all clients.
//	binance.BaseWsApiMainURL = exchange.WSAPI()
//	binance.BaseWsMainURL, binance.BaseCombinedMainURL = exchange.Streams(), exchange.CombinedStreams()
//	_, err = exchange.AddFault(simexchange.Fault{Kind: simexchange.AcceptThenTimeout, Method: "POST", Account: "one"})
//
// Many accounts share one exchange: each trades against a ladder of its own, so that what happens to one does not depend on the others.
// Orders, Trades, Balances and Requests tell what is so, whatever the faults have hidden. The prices move only by SetPrice, Step and the
// Pace of the configuration. Restart cuts every connection and keeps the state.
//
// What it does not do: order lists, iceberg and trailing orders, amendments, cross margin.
package simexchange
