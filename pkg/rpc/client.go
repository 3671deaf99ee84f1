package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/identity"
)

// ClientConfig says where a service is and who calls it.
type ClientConfig struct {
	// Address is host:port, or any gRPC target such as dns:///eventlog:7402, or several host:port of replicas separated by
	// commas.
	Address string
	// ByTenant sends the calls for one tenant to one replica, whichever can be reached; otherwise replicas take turns.
	ByTenant bool
	// Token is the caller's; required.
	Token string
	// Tenant is chosen where the call's context is about none; Nil: none.
	Tenant uuid.UUID
	// DeadlineDefault is what a unary call without a deadline gets; default 15 s.
	DeadlineDefault time.Duration
	// MessageBytesMax is the largest answer that is taken; default 64 MiB.
	MessageBytesMax int
	// TLS are the client's credentials; nil: plain text.
	TLS credentials.TransportCredentials
}

// Dial makes a connection that sends token, tenant and ids with each call and gives faults back. It connects when first
// used and again whenever it is lost. Reads are tried again where a service is unavailable; writes are their caller's to repeat.
func Dial(cfg ClientConfig, extra ...grpc.DialOption) (*grpc.ClientConn, error) {
	setDefault(&cfg.DeadlineDefault, 15*time.Second)
	setDefault(&cfg.MessageBytesMax, 64<<20)
	serviceConfig, err := cfg.serviceConfig()
	if err != nil {
		return nil, err
	}
	transport := cfg.TLS
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithPropagators(Propagator()))),
		grpc.WithChainUnaryInterceptor(cfg.unary),
		grpc.WithChainStreamInterceptor(cfg.stream),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// Names are not asked for a configuration of their own (a TXT record): ours holds, and where no name server answers,
		// as in a network of containers that leads nowhere, each connection would wait for the question to time out.
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MessageBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	}, extra...)
	target := cfg.Address
	if strings.Contains(target, ",") {
		list := listed(strings.Split(target, ","))
		target = list.Scheme() + ":///" + cfg.Address
		options = append(options, grpc.WithResolvers(list))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", cfg.Address, err)
	}
	return conn, nil
}

// outgoing puts token, tenant, user and ids on a call.
func (cfg ClientConfig) outgoing(ctx context.Context) context.Context {
	pairs := append(correlation.From(ctx).Pairs(), identity.HeaderAuthorization, "Bearer "+cfg.Token)
	tenant := identity.Tenant(ctx)
	if tenant == uuid.Nil {
		tenant = cfg.Tenant
	}
	if tenant != uuid.Nil {
		pairs = append(pairs, identity.HeaderTenant, tenant.String())
	}
	if caller, inCall := identity.From(ctx); inCall {
		// A service that handles a user's call calls on: the user's verified name goes with it.
		if user := userOf(caller); user != "" {
			pairs = append(pairs, identity.HeaderOnBehalfOf, user)
		}
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// userOf is the user at the start of a chain of calls; empty if a service acts by itself.
func userOf(caller identity.Identity) string {
	if caller.IsService() {
		return caller.OnBehalfOf
	}
	return caller.Subject
}

func (cfg ClientConfig) unary(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.DeadlineDefault)
		defer cancel()
	}
	return FromStatus(invoke(cfg.outgoing(ctx), method, request, response, conn, options...))
}

func (cfg ClientConfig) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(cfg.outgoing(ctx), desc, conn, method, options...)
	if err != nil {
		return nil, FromStatus(err)
	}
	return &faultStream{ClientStream: stream}, nil
}

// faultStream gives faults for what a stream answers. The end of a stream stays io.EOF.
type faultStream struct{ grpc.ClientStream }

func (s *faultStream) RecvMsg(m any) error { return FromStatus(s.ClientStream.RecvMsg(m)) }

// The policy of trying reads again.
const (
	retryAttempts = 4
	retryFirst    = "0.05s"
	retryLast     = "1s"
)

// serviceConfig says how replicas are chosen, and to try again what the contracts mark as NO_SIDE_EFFECTS.
func (cfg ClientConfig) serviceConfig() (string, error) {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var names []name
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				options, _ := m.Options().(*descriptorpb.MethodOptions)
				if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					names = append(names, name{Service: string(m.Parent().FullName()), Method: string(m.Name())})
				}
			}
		}
		return true
	})
	policy := "round_robin"
	if cfg.ByTenant {
		policy = byTenant
	}
	config := map[string]any{"loadBalancingConfig": []map[string]any{{policy: map[string]any{}}}}
	if len(names) > 0 {
		config["methodConfig"] = []map[string]any{{"name": names, "retryPolicy": map[string]any{
			"maxAttempts": retryAttempts, "initialBackoff": retryFirst, "maxBackoff": retryLast, "backoffMultiplier": 2, "retryableStatusCodes": []string{"UNAVAILABLE"},
		}}}
	}
	data, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("make service config: %w", err)
	}
	return string(data), nil
}
