package rpc

import (
	"hash/fnv"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/robson/robson/pkg/identity"
)

// byTenant is the load-balancing policy that sends the calls for one tenant to one replica, by rendezvous hashing: each
// tenant ranks the replicas by hash(tenant, replica) and takes the first that can be reached. When a replica comes or goes
// only its own tenants move. Two replicas that both get a tenant's calls are no harm, only slower.
const byTenant = "robson_by_tenant"

// gRPC's register of policies may only be written to before anybody connects.
func init() {
	balancer.Register(base.NewBalancerBuilder(byTenant, tenantPickerBuilder{}, base.Config{}))
}

type tenantPickerBuilder struct{}

// Build implements base.PickerBuilder.
func (tenantPickerBuilder) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	p := &tenantPicker{}
	for conn, about := range info.ReadySCs {
		p.replicas = append(p.replicas, replica{address: about.Address.Addr, conn: conn})
	}
	return p
}

type replica struct {
	address string
	conn    balancer.SubConn
}

// tenantPicker chooses among the replicas that can be reached.
type tenantPicker struct {
	replicas []replica
	turn     atomic.Uint64
}

// Pick implements balancer.Picker. Calls for no tenant take turns.
func (p *tenantPicker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	md, _ := metadata.FromOutgoingContext(info.Ctx)
	tenants := md.Get(identity.HeaderTenant)
	if len(tenants) == 0 {
		return balancer.PickResult{SubConn: p.replicas[p.turn.Add(1)%uint64(len(p.replicas))].conn}, nil
	}
	best, bestRank := p.replicas[0], uint64(0)
	for _, r := range p.replicas {
		if rank := rankOf(tenants[0], r.address); rank >= bestRank {
			best, bestRank = r, rank
		}
	}
	return balancer.PickResult{SubConn: best.conn}, nil
}

// rankOf is a replica's rank for a tenant. FNV spreads badly over strings that differ at their end only, so its sum is
// mixed once more.
func rankOf(tenant, address string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(tenant + "\x00" + address))
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// listed resolves a target that is a list of addresses.
func listed(addresses []string) *manual.Resolver {
	r := manual.NewBuilderWithScheme("robson-list")
	state := resolver.State{}
	for _, address := range addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	r.InitialState(state)
	return r
}
