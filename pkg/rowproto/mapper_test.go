package rowproto

import (
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	type short struct {
		TenantID uuid.UUID `db:"tenant_id"`
	}
	type strange struct {
		TenantID uuid.UUID `db:"tenant_id"`
		Colour   string    `db:"colour"`
	}
	type unfit struct {
		TenantID float64 `db:"tenant_id"`
	}
	for name, c := range map[string]struct {
		row  reflect.Type
		want string
	}{
		"a field without a column":     {reflect.TypeFor[short](), "robson.projector.v1.Tenant has 7 fields, rowproto.short has 1 columns"},
		"a column without a field":     {reflect.TypeFor[strange](), "column colour of rowproto.strange has no field in robson.projector.v1.Tenant"},
		"a type that cannot be served": {reflect.TypeFor[unfit](), "column tenant_id of rowproto.unfit: a float64 cannot become a string field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile(c.row, (&projectorv1.Tenant{}).ProtoReflect().Type())
			require.EqualError(t, err, c.want)
		})
	}
}
