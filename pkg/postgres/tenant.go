package postgres

import "github.com/google/uuid"

// TenantLockKey is the advisory lock that a transaction takes before it changes a tenant's log or state: the first half of
// the tenant's id, which is random in the ids that we make. Two tenants that share it wait for each other and are otherwise not
// harmed.
func TenantLockKey(tenant uuid.UUID) int64 {
	var key int64
	for _, b := range tenant[:8] {
		key = key<<8 | int64(b)
	}
	return key
}
