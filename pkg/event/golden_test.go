package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// update writes golden files anew: go test ./pkg/event -update. What is stored in a log is never written anew: the
// corpus only grows.
var update = flag.Bool("update", false, "write the golden files and docs/event-taxonomy.md anew")

// golden compares a value, as indented JSON, with a file of testdata/golden, byte for byte.
func golden(t *testing.T, name string, value any) {
	t.Helper()
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(value))
	goldenFile(t, filepath.Join("testdata", "golden", name), buffer.Bytes())
}

// goldenFile compares text with a file.
func goldenFile(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "%s is another one; if that is meant: go test ./pkg/event -update", path)
}
