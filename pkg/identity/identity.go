// Package identity knows who calls: a user with permissions on tenants, or one of Robson's own services. It is the first
// wall between tenants; the database's row-level security is the second.
package identity

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// Metadata names of identity.
const (
	// HeaderAuthorization carries "Bearer <token>".
	HeaderAuthorization = "authorization"
	// HeaderTenant chooses among the tenants that a user's token holds, or says for whom a service calls.
	HeaderTenant = "x-robson-tenant-id"
	// HeaderOnBehalfOf names the verified user for whom a service calls. Only services may send it.
	HeaderOnBehalfOf = "x-robson-on-behalf-of"
)

// Identity is a verified caller.
type Identity struct {
	// Subject is the user's name; empty for a service.
	Subject string
	// Service is the service's name; empty for a user.
	Service string
	// Grants are a user's permissions by tenant.
	Grants map[uuid.UUID][]optionsv1.Permission
	// OnBehalfOf is the user for whom a service calls; empty when it acts by itself.
	OnBehalfOf string
}

// IsService says whether one of our own services calls.
func (i Identity) IsService() bool { return i.Service != "" }

// Name is who calls, for logs and for actor_id.
func (i Identity) Name() string {
	switch {
	case i.OnBehalfOf != "":
		return i.OnBehalfOf
	case i.Service != "":
		return i.Service
	default:
		return i.Subject
	}
}

// Choose gives the tenant of a call: the one asked for, if the identity holds it; the only one, if none is asked for.
// Services may act for any tenant and must say for which.
func (i Identity) Choose(asked uuid.UUID) (uuid.UUID, error) {
	if i.IsService() {
		if asked == uuid.Nil {
			return uuid.Nil, fault.InvalidField("metadata "+HeaderTenant, "a service must say for which tenant it calls")
		}
		return asked, nil
	}
	if asked == uuid.Nil {
		if len(i.Grants) == 1 {
			for tenant := range i.Grants {
				return tenant, nil
			}
		}
		return uuid.Nil, fault.InvalidField("metadata "+HeaderTenant, "your token holds %d tenants: say which one is meant", len(i.Grants))
	}
	if _, held := i.Grants[asked]; !held {
		// The same answer whether the tenant exists or not.
		return uuid.Nil, fault.New(fault.Denied, "TENANT_NOT_HELD", "your token does not hold tenant %s", asked)
	}
	return asked, nil
}

// Allowed says whether the identity may make a call that declares this access, for this tenant (Nil where the call
// names none: then a user needs the permission for any tenant).
func (i Identity) Allowed(access *optionsv1.Access, tenant uuid.UUID) error {
	if i.IsService() {
		if slices.Contains(access.GetServices(), i.Service) {
			return nil
		}
		return fault.New(fault.Denied, "SERVICE_NOT_ALLOWED", "the service %s may not make this call", i.Service)
	}
	needed := access.GetPermission()
	if needed == optionsv1.Permission_PERMISSION_UNSPECIFIED {
		return fault.New(fault.Denied, "SERVICES_ONLY", "only Robson's own services may make this call")
	}
	for held, permissions := range i.Grants {
		if (tenant == uuid.Nil || held == tenant) && slices.Contains(permissions, needed) {
			return nil
		}
	}
	return fault.New(fault.Denied, "PERMISSION_MISSING", "your token lacks the permission %q for this call", PermissionText(needed)).
		With("permission", PermissionText(needed))
}

type identityKey struct{}

type tenantKey struct{}

// With gives a context a verified caller.
func With(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// From gives the verified caller; ok is false outside of a call.
func From(ctx context.Context) (i Identity, ok bool) {
	i, ok = ctx.Value(identityKey{}).(Identity)
	return i, ok
}

// WithTenant gives a context the tenant it is about: for a server's handlers the chosen one, for a service's own
// outbound calls the one it works for.
func WithTenant(ctx context.Context, tenant uuid.UUID) context.Context {
	return context.WithValue(ctx, tenantKey{}, tenant)
}

// Tenant gives the tenant a context is about; Nil if it is about none.
func Tenant(ctx context.Context) uuid.UUID {
	tenant, _ := ctx.Value(tenantKey{}).(uuid.UUID)
	return tenant
}
