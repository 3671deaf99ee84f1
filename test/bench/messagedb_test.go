package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessageFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := messageFiles(dir)
	require.ErrorContains(t, err, "is it installed?")
	var want []string
	for _, part := range messageParts {
		require.NoError(t, os.Mkdir(filepath.Join(dir, part), 0o755))
		for _, name := range []string{"a.sql", "b.sql"} {
			want = append(want, filepath.Join(dir, part, name))
			require.NoError(t, os.WriteFile(want[len(want)-1], nil, 0o600))
		}
	}
	got, err := messageFiles(dir)
	require.NoError(t, err)
	require.Equal(t, want, got)
}
