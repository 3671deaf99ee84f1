package cli

import (
	"io"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// TestTree holds every command to what a person may expect of it: a line of help, an example where there are flags that must
// be given, and help on every flag.
func TestTree(t *testing.T) {
	t.Parallel()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		require.NotEmpty(t, cmd.Short, path)
		require.True(t, cmd.Runnable(), path)
		required := false
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			require.NotEmpty(t, f.Usage, "%s --%s", path, f.Name)
			required = required || f.Annotations[cobra.BashCompOneRequiredFlag] != nil
		})
		if required && cmd.Name() != "get" {
			require.NotEmpty(t, cmd.Example, path)
		}
		for _, child := range cmd.Commands() {
			visit(child)
		}
	}
	visit(rootCommand(newApp(io.Discard, io.Discard)))
}

func TestTypos(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		want     int
	}{{"", "", 0}, {"open", "open", 0}, {"opne", "open", 2}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}} {
		require.Equal(t, c.want, typos(c.from, c.to), "%s to %s", c.from, c.to)
	}
}

func TestCounted(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 events", counted(0, "events"))
	require.Equal(t, "1 event", counted(1, "events"))
	require.Equal(t, "1 strategy", counted(1, "strategies"))
	require.Equal(t, "1 discrepancy", counted(1, "discrepancies"))
	require.Equal(t, "2 times", counted(2, "times"))
}
