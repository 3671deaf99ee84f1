package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
)

// Reactor tells how far the process manager has come with a tenant's log.
type Reactor interface {
	Progress(tenant uuid.UUID) (reacted int64, busy int)
}

// Pricer tells how far the stop monitor, or the detector, has come with a tenant's markets.
type Pricer interface {
	Prices(tenant uuid.UUID) []*commandv1.PriceProgress
}

// Alerter tells what is being retried for a tenant.
type Alerter interface {
	List(tenant uuid.UUID) []string
}

// Monitor tells how far the process manager, the stop monitor and the detector have come.
type Monitor struct {
	commandv1.UnimplementedMonitorServiceServer
	reactor Reactor
	stops   Pricer
	scout   Pricer
	alerter Alerter
}

// NewMonitor makes the monitor service.
func NewMonitor(reactor Reactor, stops, scout Pricer, alerter Alerter) *Monitor {
	return &Monitor{reactor: reactor, stops: stops, scout: scout, alerter: alerter}
}

// Register adds the service to a gRPC server.
func (m *Monitor) Register(registrar grpc.ServiceRegistrar) {
	commandv1.RegisterMonitorServiceServer(registrar, m)
}

// GetProgress implements commandv1.MonitorServiceServer.
func (m *Monitor) GetProgress(ctx context.Context, _ *commandv1.GetProgressRequest) (*commandv1.GetProgressResponse, error) {
	tenant := identity.Tenant(ctx)
	// The prices first: what they led to is then within the position that is told.
	prices, watched := m.stops.Prices(tenant), m.scout.Prices(tenant)
	reacted, busy := m.reactor.Progress(tenant)
	return &commandv1.GetProgressResponse{
		ReactedPosition: reacted, BusyPositions: int32(busy), // bounded by the positions that are open
		Prices: prices, DetectorPrices: watched, Alerts: m.alerter.List(tenant),
	}, nil
}
