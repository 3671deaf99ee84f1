package client

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/fault"
)

// connection is a connection to a service that says which one it is when nobody answers there.
type connection struct {
	*grpc.ClientConn
	service, address string
}

// Invoke makes a call.
func (c *connection) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	return c.explain(c.ClientConn.Invoke(ctx, method, request, response, options...))
}

// NewStream opens a stream.
func (c *connection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.ClientConn.NewStream(ctx, desc, method, options...)
	return stream, c.explain(err)
}

// explain tells a service that could not be reached from one that answered: only the latter gives a reason.
func (c *connection) explain(err error) error {
	if !fault.Is(err, fault.Unavailable) || fault.ReasonOf(err) != "" {
		return err
	}
	return &UnreachableError{Service: c.service, Address: c.address, cause: err}
}

// UnreachableError is a service at whose address nobody answers.
type UnreachableError struct {
	Service, Address string
	cause            error
}

// Error says who did not answer, and what to do.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s at %s: is the stack running? `robson up` starts one", e.Service, e.Address)
}

// Unwrap gives what the transport said, its kind and its status.
func (e *UnreachableError) Unwrap() error { return e.cause }
