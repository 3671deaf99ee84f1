// Package logclienttest serves streams of appends for event logs that tests make up.
package logclienttest

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/logclient"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// ServeStream answers each append of a stream by a call, one after the other.
func ServeStream(
	stream grpc.BidiStreamingServer[eventlogv1.AppendStreamRequest, eventlogv1.AppendStreamResponse],
	call func(context.Context, *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error),
) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		result := logclient.ResultOf(call(stream.Context(), in.GetAppend()))
		if err := stream.Send(&eventlogv1.AppendStreamResponse{Tag: in.GetTag(), Result: result}); err != nil {
			return err
		}
	}
}
