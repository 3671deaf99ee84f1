package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// connections is how many the callers share: one gRPC connection is a bottleneck of its own.
	connections = 4
	// messageBytesMax lets a page of 1000 events through.
	messageBytesMax = 64 << 20
)

// The services for which the bench calls, and the user for whom tenants are made.
const (
	asConnector   = "connector"
	asCommand     = "command"
	asSnapshotter = "snapshotter"
	asReplayer    = "replayer"
	benchUser     = "bench"
)

// client calls an event log as Robson's services do.
type client struct {
	conns []*grpc.ClientConn
	// tokens of the services.
	tokens map[string]string
}

func dial(address string, tokens map[string]string) (*client, error) {
	c := &client{tokens: tokens}
	for range connections {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)))
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", address, err)
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *client) close() {
	for _, conn := range c.conns {
		_ = conn.Close() // nothing is under way
	}
}

// writer is a worker's append client; workers are spread over the connections.
func (c *client) writer(worker int) eventlogv1.AppendServiceClient {
	return eventlogv1.NewAppendServiceClient(c.conns[worker%len(c.conns)])
}

// reader is a worker's read client.
func (c *client) reader(worker int) eventlogv1.ReadServiceClient {
	return eventlogv1.NewReadServiceClient(c.conns[worker%len(c.conns)])
}

// as is a call's context of a service that acts for a tenant.
func (c *client) as(ctx context.Context, service, tenantID string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", "Bearer "+c.tokens[service], "x-robson-tenant-id", tenantID))
}

// asUser is as, for a user.
func (c *client) asUser(ctx context.Context, tenantID string) context.Context {
	return metadata.AppendToOutgoingContext(c.as(ctx, asCommand, tenantID), "x-robson-on-behalf-of", benchUser)
}

// appendOne makes one append.
func appendOne(ctx context.Context, log eventlogv1.AppendServiceClient, in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	out, err := log.Append(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	return out, nil
}

// appendBatch makes many, and counts one that failed as the failure of all: a load is to have none.
func appendBatch(ctx context.Context, log eventlogv1.AppendServiceClient, appends []*eventlogv1.AppendRequest) (events int, err error) {
	out, err := log.AppendBatch(ctx, &eventlogv1.AppendBatchRequest{Appends: appends})
	if err != nil {
		return 0, fmt.Errorf("append batch: %w", err)
	}
	for i, result := range out.GetResults() {
		if err := resultError(result); err != nil {
			return 0, fmt.Errorf("append %d of a batch: %w", i, err)
		}
		events += len(result.GetReceipt().GetEvents())
	}
	return events, nil
}

// resultError is why an append of a batch or a stream failed; nil if it did not.
func resultError(result *eventlogv1.AppendResult) error {
	if failed := result.GetError(); failed != nil {
		return status.Error(codes.Code(failed.GetCode()), failed.GetMessage())
	}
	return nil
}
