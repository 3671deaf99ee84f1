package projection_test

import (
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
)

var nilID = uuid.Nil

func uuidOf(t *testing.T, text string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(text)
	require.NoError(t, err)
	return id
}

// get reads a row that must exist.
func get[T any](t *testing.T, log *projectiontest.Log, key projection.Key) *T {
	t.Helper()
	row, err := log.State.Get(key)
	require.NoError(t, err)
	typed, ok := any(row).(*T)
	require.True(t, ok, "%s is a %T", key, row)
	return typed
}

func typeName(row projection.Row) string { return reflect.TypeOf(row).String() }
