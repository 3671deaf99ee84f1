package store

import "github.com/google/uuid"

// LockKey is the tenant's advisory lock.
func LockKey(tenant uuid.UUID) int64 { return lockKey(tenant) }
