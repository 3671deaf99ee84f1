package binance_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
	"github.com/robson/robson/services/connector/internal/binance"
	"github.com/robson/robson/services/connector/internal/venue"
)

// TestSecrets_are_told_nowhere fails requests in every way and looks through all errors and logs.
func TestSecrets_are_told_nowhere(t *testing.T) {
	t.Parallel()
	b := open(t, brief)
	var said strings.Builder
	note := func(err error) { fmt.Fprintf(&said, "%v\n%+v\n%#v\n", err, err, err) }
	for _, kind := range []string{
		simexchange.DropBefore, simexchange.AcceptThenDrop, simexchange.AcceptThenTimeout, simexchange.AcceptThenError, simexchange.BadBody,
		simexchange.Reject,
	} {
		for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodGet} {
			b.fault(simexchange.Fault{Kind: kind, Method: method, Account: "one"})
		}
		_, err := b.account.Trading.Place(t.Context(), b.market("s-"+kind, "0.01"))
		note(err)
		_, err = b.account.Trading.Cancel(t.Context(), venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "never"})
		note(err)
		_, err = b.account.Trading.QueryOrder(t.Context(), "BTCUSDT", "never")
		note(err)
		b.exchange.ClearFaults()
	}
	b.fault(simexchange.Fault{Kind: simexchange.SubscribeReject, Event: "subscribe"})
	note(b.account.Reports.Follow(t.Context(), 0, func(context.Context, []venue.Report) error { return nil }))
	order := b.market("last", "0.01")
	b.exchange.Close()
	_, err := b.account.Trading.Place(t.Context(), order)
	note(err)
	note(b.account.Reports.Follow(t.Context(), 0, func(context.Context, []venue.Report) error { return nil }))
	credentials := binance.Credentials{APIKey: b.keys.Key, Secret: b.keys.Secret, Type: "HMAC"}
	fmt.Fprintf(&said, "%v %+v %#v %s", credentials, credentials, credentials, credentials)
	all := said.String() + b.log.String()
	for _, secret := range []string{b.keys.Key, b.keys.Secret, "signature=", "timestamp="} {
		require.NotContains(t, all, secret)
	}
}

// TestKeys_of_every_type sign requests and subscriptions.
func TestKeys_of_every_type(t *testing.T) {
	t.Parallel()
	seed, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for kind, key := range map[string]struct{ private, public any }{
		"RSA": {seed, seed.Public()}, "ED25519": {edwards, edwards.Public()},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			private, err := x509.MarshalPKCS8PrivateKey(key.private)
			require.NoError(t, err)
			public, err := x509.MarshalPKIXPublicKey(key.public)
			require.NoError(t, err)
			credentials := &binance.Credentials{Type: kind, Secret: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}
			b := open(t, func(c *binance.Config) { c.Credentials = late{credentials} })
			keys, err := b.exchange.AddAccount(simexchange.Account{
				Name: "two", Balances: map[string]string{"USDT": "100000"},
				PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
			})
			require.NoError(t, err)
			credentials.APIKey = keys.Key
			placed, err := b.account.Trading.Place(t.Context(), b.market("k-1", "0.01"))
			require.NoError(t, err)
			require.Equal(t, venue.StatusFilled, placed.Order.Status)
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			err = b.account.Reports.Follow(ctx, 0, func(context.Context, []venue.Report) error { return context.Canceled })
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, ctx.Err(), "it was the handing over that ended it")
			credentials.Secret = "no key " + credentials.Secret[40:]
			_, err = b.account.Trading.Place(t.Context(), b.market("k-2", "0.01"))
			require.ErrorIs(t, err, venue.ErrNotSent)
			require.NotContains(t, err.Error(), credentials.Secret[40:80])
		})
	}
}

// late gives a key that is known only when it is asked for.
type late struct{ key *binance.Credentials }

func (l late) Credentials(context.Context, venue.AccountKey) (binance.Credentials, error) {
	return *l.key, nil
}
