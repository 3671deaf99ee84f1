package connector

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instrument is how the connector makes one; metricName is how an alert rule writes what comes of it.
var (
	instrument = regexp.MustCompile(`\.(\w+)\("(robson\.[a-z_.]+)", metric\.WithUnit\("([^"]+)"\)`)
	metricName = regexp.MustCompile(`\brobson_[a-z_]+\b`)
)

// exported is the name under which the Prometheus exporter shows an instrument.
func exported(kind, name, unit string) string {
	out := strings.ReplaceAll(name, ".", "_")
	switch unit {
	case "s":
		out += "_seconds"
	case "By":
		out += "_bytes"
	}
	if strings.HasSuffix(kind, "Counter") {
		out += "_total"
	}
	return out
}

// TestAlertsNameMetricsThatExist: an alert about a metric that nobody makes never goes off.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range instrument.FindAllStringSubmatch(string(source), -1) {
			made[exported(found[1], found[2], found[3])] = true
		}
		return err
	}))
	require.NotEmpty(t, made)
	rules, err := filepath.Glob("../../deploy/alerts/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, rules)
	for _, path := range rules {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, name := range metricName.FindAllString(string(text), -1) {
			require.True(t, made[name], "%s: %s is no metric of the connector: %v", path, name, made)
		}
	}
}
