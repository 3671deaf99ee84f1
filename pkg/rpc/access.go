package rpc

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// Authenticator finds whom a token stands for.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (identity.Identity, error)
}

// openServices need no token: health, for those who watch the process; reflection, which tells only the public contract.
var openServices = map[string]bool{
	"grpc.health.v1.Health":                    true,
	"grpc.reflection.v1.ServerReflection":      true,
	"grpc.reflection.v1alpha.ServerReflection": true,
}

// accessTable is what each RPC's contract declares.
type accessTable map[string]*optionsv1.Access

// declaredAccess reads the contracts of all registered services. A method without a declaration is an error, so that
// none is ever served by oversight.
func declaredAccess(services map[string]grpc.ServiceInfo) (accessTable, error) {
	table := accessTable{}
	for name, info := range services {
		if openServices[name] {
			for _, m := range info.Methods {
				table["/"+name+"/"+m.Name] = &optionsv1.Access{Open: true}
			}
			continue
		}
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("contract of %s: %w", name, err)
		}
		methods := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			access, _ := proto.GetExtension(methods.Get(i).Options(), optionsv1.E_Access).(*optionsv1.Access)
			if access == nil {
				return nil, fmt.Errorf("the contract of %s declares no access", methods.Get(i).FullName())
			}
			table["/"+name+"/"+string(methods.Get(i).Name())] = access
		}
	}
	return table, nil
}

// admit verifies the caller by the call's metadata and chooses the tenant; the context it gives carries both.
func (t accessTable) admit(ctx context.Context, md metadata.MD, method string, auth Authenticator) (context.Context, error) {
	access, declared := t[method]
	if !declared {
		return nil, fault.New(fault.Denied, "ACCESS_UNDECLARED", "nobody may call %s", method)
	}
	if access.GetOpen() {
		return ctx, nil
	}
	caller, err := authenticate(ctx, md, auth)
	if err != nil {
		return nil, err
	}
	asked, err := askedTenant(md)
	if err != nil {
		return nil, err
	}
	ctx = identity.With(ctx, caller)
	if access.GetCrossTenant() {
		return ctx, caller.Allowed(access, uuid.Nil)
	}
	tenant, err := caller.Choose(asked)
	if err != nil {
		return nil, err
	}
	if err := caller.Allowed(access, tenant); err != nil {
		return nil, err
	}
	return identity.WithTenant(ctx, tenant), nil
}

// authenticate reads the bearer token and, from services only, for whom they call.
func authenticate(ctx context.Context, md metadata.MD, auth Authenticator) (identity.Identity, error) {
	const scheme = "bearer "
	values := md.Get(identity.HeaderAuthorization)
	if len(values) != 1 || len(values[0]) <= len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_MISSING", "send a token: metadata %s: Bearer <token>", identity.HeaderAuthorization)
	}
	caller, err := auth.Authenticate(ctx, values[0][len(scheme):])
	if err != nil {
		return identity.Identity{}, err
	}
	if behalf := md.Get(identity.HeaderOnBehalfOf); len(behalf) > 0 {
		if !caller.IsService() || len(behalf) > 1 {
			return identity.Identity{}, fault.New(fault.Denied, "ON_BEHALF_NOT_ALLOWED", "only a service may call on behalf of one user")
		}
		caller.OnBehalfOf = behalf[0]
	}
	return caller, nil
}

// askedTenant reads which tenant the caller names; Nil if none.
func askedTenant(md metadata.MD) (uuid.UUID, error) {
	values := md.Get(identity.HeaderTenant)
	if len(values) == 0 {
		return uuid.Nil, nil
	}
	tenant, err := uuid.Parse(values[0])
	if err != nil || len(values) > 1 || tenant == uuid.Nil {
		return uuid.Nil, fault.InvalidField("metadata "+identity.HeaderTenant, "must be one UUID, found %q", strings.Join(values, ", "))
	}
	return tenant, nil
}
