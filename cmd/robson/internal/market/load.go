package market

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
)

// chunkSize is how many bars go in one message.
const chunkSize = 500

// Load gives a symbol of the paper venue the path that the header describes; bars follow it, for a header that says so.
func Load(ctx context.Context, paper connectorv1.PaperServiceClient, header *connectorv1.MarketHeader, klines []Kline) (*connectorv1.MarketState, error) {
	stream, err := paper.LoadMarket(ctx)
	if err != nil {
		return nil, err
	}
	parts := []*connectorv1.LoadMarketRequest{{Part: &connectorv1.LoadMarketRequest_Header{Header: header}}}
	for from := 0; from < len(klines); from += chunkSize {
		chunk := &connectorv1.KlineChunk{}
		for _, k := range klines[from:min(from+chunkSize, len(klines))] {
			chunk.Klines = append(chunk.Klines, k.proto())
		}
		parts = append(parts, &connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Klines{Klines: chunk}})
	}
	for _, part := range parts {
		if err := stream.Send(part); errors.Is(err, io.EOF) {
			break // The call has been answered: the answer says what came of it.
		} else if err != nil {
			return nil, err
		}
	}
	response, err := stream.CloseAndRecv()
	return response.GetMarket(), err
}

func (k Kline) proto() *connectorv1.Kline {
	return &connectorv1.Kline{
		OpenTime: timestamppb.New(k.OpenTime), CloseTime: timestamppb.New(k.CloseTime),
		Open: k.Open.String(), High: k.High.String(), Low: k.Low.String(), Close: k.Close.String(), Volume: k.Volume.String(),
	}
}
