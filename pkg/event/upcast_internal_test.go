package event

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// TestUpcasters_lead_from_every_version_to_todays: for each older version one step, each to the shape that the next one
// begins with, and the last to the payload that is written.
func TestUpcasters_lead_from_every_version_to_todays(t *testing.T) {
	t.Parallel()
	for _, d := range All() {
		require.Len(t, d.older, int(d.Version)-1, "%s: a step is missing for one of its older versions", d.Type)
		for i, step := range d.older {
			to := d.message
			if i+1 < len(d.older) {
				to = d.older[i+1].from
			}
			require.Equal(t, to.Descriptor().FullName(), step.to.Descriptor().FullName(), d.Type)
			require.NotEqual(t, step.from.Descriptor().FullName(), step.to.Descriptor().FullName(), d.Type)
			_, written := types().byName[step.from.Descriptor().FullName()]
			require.False(t, written, "%s: an older shape is not written any more", d.Type)
			lifted := step.lift(step.from.New().Interface())
			require.Equal(t, step.to.Descriptor().FullName(), lifted.ProtoReflect().Descriptor().FullName())
			require.True(t, proto.Equal(lifted, step.lift(step.from.New().Interface())), "it is pure")
		}
	}
	for typ := range upcasters {
		_, known := Lookup(typ)
		require.True(t, known, typ)
	}
}
