// Package peer connects to the services that the command service talks to, each as its users here need it.
package peer

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/logclient"
	"github.com/robson/robson/pkg/rpc"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Log is the event log.
type Log struct {
	*logclient.Client
	eventlogv1.ReadServiceClient
	eventlogv1.WorkerServiceClient
}

// Connector is the way to the venues.
type Connector struct {
	connectorv1.ExecutionServiceClient
	connectorv1.MarketServiceClient
}

// Addresses say where the services are: host:port or any gRPC target.
type Addresses struct {
	Eventlog  string
	Projector string
	Connector string
}

// Peers are the other services.
type Peers struct {
	Log       Log
	State     projectorv1.StateServiceClient
	Connector Connector

	conns []*grpc.ClientConn
}

// Dial makes the connections; they connect when first used, and again whenever they are lost. Nobody need be there yet.
func Dial(ctx context.Context, clk clock.Clock, addresses Addresses, token string) (*Peers, error) {
	p := &Peers{}
	for _, target := range []rpc.ClientConfig{
		{Address: addresses.Eventlog, Token: token, ByTenant: true},
		{Address: addresses.Projector, Token: token},
		{Address: addresses.Connector, Token: token},
	} {
		conn, err := rpc.Dial(target)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.conns = append(p.conns, conn)
	}
	eventlog, projector, connector := p.conns[0], p.conns[1], p.conns[2]
	appends, err := logclient.New(ctx, clk, eventlog, logclient.Config{})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.Log = Log{
		Client:              appends,
		ReadServiceClient:   eventlogv1.NewReadServiceClient(eventlog),
		WorkerServiceClient: eventlogv1.NewWorkerServiceClient(eventlog),
	}
	p.State = projectorv1.NewStateServiceClient(projector)
	p.Connector = Connector{
		ExecutionServiceClient: connectorv1.NewExecutionServiceClient(connector),
		MarketServiceClient:    connectorv1.NewMarketServiceClient(connector),
	}
	return p, nil
}

// Close ends the connections.
func (p *Peers) Close() error {
	if p.Log.Client != nil {
		p.Log.Client.Close()
	}
	var all error
	for _, conn := range p.conns {
		all = errors.Join(all, conn.Close())
	}
	return all
}
