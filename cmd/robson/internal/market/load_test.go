package market_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/cmd/robson/internal/market"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
)

// answered is a venue that ends the call at the first message, and its own stream: what a send meets, and the answer.
type answered struct {
	connectorv1.PaperServiceClient
	grpc.ClientStreamingClient[connectorv1.LoadMarketRequest, connectorv1.LoadMarketResponse]
	sendErr, answerErr error
}

func (a *answered) LoadMarket(context.Context, ...grpc.CallOption) (grpc.ClientStreamingClient[connectorv1.LoadMarketRequest, connectorv1.LoadMarketResponse], error) {
	return a, nil
}

func (a *answered) Send(*connectorv1.LoadMarketRequest) error { return a.sendErr }

func (a *answered) CloseAndRecv() (*connectorv1.LoadMarketResponse, error) {
	if a.answerErr != nil {
		return nil, a.answerErr
	}
	return &connectorv1.LoadMarketResponse{Market: &connectorv1.MarketState{Symbol: "BTCUSDT"}}, nil
}

// TestLoad_takes_the_answer has the answer of a call that ended while bars were being sent decide, and only it.
func TestLoad_takes_the_answer(t *testing.T) {
	t.Parallel()
	refused, broken := errors.New("refused"), errors.New("broken")
	for name, c := range map[string]struct {
		venue *answered
		want  error
	}{
		"all sent":               {&answered{}, nil},
		"answered while sending": {&answered{sendErr: io.EOF}, nil},
		"refused while sending":  {&answered{sendErr: io.EOF, answerErr: refused}, refused},
		"could not send":         {&answered{sendErr: broken}, broken},
		"refused after all bars": {&answered{answerErr: refused}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, err := market.Load(t.Context(), c.venue, &connectorv1.MarketHeader{}, make([]market.Kline, 3))
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "BTCUSDT", state.GetSymbol())
		})
	}
}
