package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	"github.com/robson/robson/test/internal/simulated"
)

// Where prices stand when a life begins.
const (
	btc, pricesAtFirst = "BTCUSDT", "BTCUSDT=95000,BNBUSDT=600"
	exchangeToken      = "chaos"
)

// Short deadlines for the connector. An order that the exchange does not know is given up after window, processing and margin.
const (
	sendTimeout, askMax, sweepEvery             = time.Second, time.Second, 500 * time.Millisecond
	receiveWindow, venueProcessing, clockMargin = 2 * time.Second, 1500 * time.Millisecond, time.Second
	leaseTime                                   = 3 * time.Second
)

// deadlines tells them to the connector.
func deadlines() (flags []string) {
	for _, d := range []struct {
		flag string
		is   time.Duration
	}{
		{"--send-timeout", sendTimeout},
		{"--ask-first", 100 * time.Millisecond},
		{"--ask-max", askMax},
		{"--sweep-every", sweepEvery},
		{"--recv-window", receiveWindow},
		{"--venue-processing", venueProcessing},
		{"--clock-margin", clockMargin},
		{"--young", 1500 * time.Millisecond},
		{"--sample-every", 5 * time.Second},
		{"--lease", leaseTime},
		{"--stream-silence", 5 * time.Second},
	} {
		flags = append(flags, d.flag, d.is.String())
	}
	return flags
}

// desk is a rig on which orders are traded over a simulated exchange.
type desk struct {
	*rig
	exchange           *simulated.Exchange
	keys               string
	connector, command *server
}

// newDesk starts everything.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{rig: newRig(t, workDir(t), 1)}
	d.startExchange(t)
	d.keys = filepath.Join(d.dir, "keys")
	require.NoError(t, os.Mkdir(d.keys, 0o700))
	projector := []string{"--projector-address", d.projector.address, "--data-dir", d.dir}
	d.connector = d.serve(t, asConnector, asConnector, append(append(projector,
		"--binance-environment", "sim", "--binance-url", d.exchange.URL, "--keys-dir", d.keys), deadlines()...)...)
	d.command = d.serve(t, asCommand, asCommand, append(projector, "--connector-address", d.connector.address)...)
	for _, s := range []*server{d.connector, d.command} {
		require.NoError(t, s.ready(t.Context()))
	}
	_, err := insist(t.Context(), commandv1.NewSetupServiceClient(d.command.conn).CreateTenant, &commandv1.CreateTenantRequest{Name: "desk"})
	require.NoError(t, err)
	return d
}

// startExchange runs a robson simexchange that lets many accounts ask from one address.
func (d *desk) startExchange(t *testing.T) {
	t.Helper()
	p, err := start(d.dir, "exchange", d.binary, "--output", "json", "simexchange", "--token", exchangeToken, "--price", pricesAtFirst,
		"--weight-max", "10000000", "--ping-every", "1s")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.stop()) })
	d.exchange = &simulated.Exchange{Token: exchangeToken}
	require.NoError(t, await(t.Context(), "the exchange tells where it is", readyMax, func() error {
		var at struct{ Rest string }
		line, _, _ := strings.Cut(p.said(), "\n")
		if err := json.Unmarshal([]byte(line), &at); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		d.exchange.URL = at.Rest
		return nil
	}))
}

// asUser is the context of a call that a user makes.
func asUser(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+operator)
}

// insist makes a user's call until it is answered. It goes by one command id: it is done once, however often it is made.
func insist[Request, Response any](
	ctx context.Context, call func(context.Context, *Request, ...grpc.CallOption) (*Response, error), request *Request,
) (response *Response, err error) {
	ctx = metadata.AppendToOutgoingContext(asUser(ctx), "x-robson-command-id", uuid.NewString())
	var answer error
	waited := await(ctx, "a call is answered", knownMax, func() error {
		ctx, cancel := context.WithTimeout(ctx, patientMax)
		defer cancel()
		response, answer = call(ctx, request)
		if isOpen(answer) || status.Code(answer) == codes.Aborted {
			return answer
		}
		return nil
	})
	return response, errors.Join(waited, answer)
}
