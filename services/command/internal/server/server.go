package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// State is the current state, as the projector serves it. Get calls answer fault.NotFound for what the tenant has not.
type State interface {
	GetTenant(ctx context.Context, in *projectorv1.GetTenantRequest, opts ...grpc.CallOption) (*projectorv1.GetTenantResponse, error)
	GetAccount(ctx context.Context, in *projectorv1.GetAccountRequest, opts ...grpc.CallOption) (*projectorv1.GetAccountResponse, error)
	GetStrategy(ctx context.Context, in *projectorv1.GetStrategyRequest, opts ...grpc.CallOption) (*projectorv1.GetStrategyResponse, error)
	GetPosition(ctx context.Context, in *projectorv1.GetPositionRequest, opts ...grpc.CallOption) (*projectorv1.GetPositionResponse, error)
	GetSignal(ctx context.Context, in *projectorv1.GetSignalRequest, opts ...grpc.CallOption) (*projectorv1.GetSignalResponse, error)
	GetOrder(ctx context.Context, in *projectorv1.GetOrderRequest, opts ...grpc.CallOption) (*projectorv1.GetOrderResponse, error)
	GetDecisionView(ctx context.Context, in *projectorv1.GetDecisionViewRequest, opts ...grpc.CallOption) (*projectorv1.GetDecisionViewResponse, error)
}

// Market tells a symbol's rules, last price and the venue's time.
type Market interface {
	GetInstrument(ctx context.Context, in *connectorv1.GetInstrumentRequest, opts ...grpc.CallOption) (*connectorv1.GetInstrumentResponse, error)
}

// Deps are the services that the command service talks to.
type Deps struct {
	Appender Appender
	Commands CommandReader
	State    State
	Market   Market
}

// Config are the server's named choices. Its zero value works.
type Config struct {
	// ConflictRetriesMax is how often a decision is taken anew when what it read has changed; default 5.
	ConflictRetriesMax int
	// ConflictRetryDelay is the first delay between tries, doubling and jittered; default 5 ms.
	ConflictRetryDelay time.Duration
	// EntryValidity is how long an entry may wait to be sent, by the venue's clock; default 1 hour.
	EntryValidity time.Duration
}

func (c Config) defaulted() Config {
	if c.ConflictRetriesMax == 0 {
		c.ConflictRetriesMax = 5
	}
	if c.ConflictRetryDelay == 0 {
		c.ConflictRetryDelay = 5 * time.Millisecond
	}
	if c.EntryValidity == 0 {
		c.EntryValidity = time.Hour
	}
	return c
}

// Server takes commands: it decides each on one view of the state and appends what it decided together with what it
// read, so that a decision on changed state never stands.
type Server struct {
	commandv1.UnimplementedSetupServiceServer
	commandv1.UnimplementedTradingServiceServer

	committer committer
	state     State
	market    Market
	config    Config
}

// New makes a server.
func New(c clock.Clock, deps Deps, config Config) (*Server, error) {
	config = config.defaulted()
	if config.ConflictRetriesMax < 0 || config.ConflictRetryDelay < 0 || config.EntryValidity < 0 {
		return nil, errors.New("command config: limits and delays of decisions must not be below zero")
	}
	metrics, err := newMetrics()
	if err != nil {
		return nil, err
	}
	return &Server{
		committer: committer{
			clock: c, appender: deps.Appender, commands: deps.Commands, metrics: metrics,
			retriesMax: config.ConflictRetriesMax, retryDelay: config.ConflictRetryDelay,
		},
		state: deps.State, market: deps.Market, config: config,
	}, nil
}

// Register adds the services to a gRPC server.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	commandv1.RegisterSetupServiceServer(registrar, s)
	commandv1.RegisterTradingServiceServer(registrar, s)
}
