package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/testkit"
)

// TestDemo plays the demo whole: on recorded hours, on recorded minutes, and on what stands in for them.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"btcusdt-1h-2020-04-30.json", "btcusdt-1m-2020-05-06.json"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			path := testkit.MarketData(t, file)
			code, out, errOut := run(t, "demo", "--market-data", path, "--database-url", testkit.EmptyDatabase(t).URL())
			require.Zero(t, code, "%s\n%s", out, errOut)
			for _, shown := range []string{
				"filled in 3 parts", "is in the log once", "refused, and recorded as decision", "left by ", "decided anew on the state the other left",
				"canceled; the position is closed: entry_failed", "sold with borrowed coins", "POSITION_CLOSED", "and so it stands on the position",
				"duplicates recognised 1", "refused by risk gates 1", "hash chain: ", "tables = fold: all ", "all held: ",
			} {
				require.Contains(t, out, shown)
			}
			require.NotContains(t, out, "decided anew after a conflict 0")
		})
	}
}
