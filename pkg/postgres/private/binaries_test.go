package private

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeBin is a bin directory whose postgres says it has a version.
func fakeBin(t *testing.T, root, name, says string) string {
	t.Helper()
	dir := filepath.Join(root, name, "bin")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	script := "#!/bin/sh\necho '" + says + "'\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "postgres"), []byte(script), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "initdb"), nil, 0o600))
	return dir
}

func TestChoose(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fakeBin(t, root, "9.6", "postgres (PostgreSQL) 9.6.24")
	fakeBin(t, root, "14", "postgres (PostgreSQL) 14.1")
	v15 := fakeBin(t, root, "15", "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)")
	v17 := fakeBin(t, root, "17", "postgres (PostgreSQL) 17beta1")
	fakeBin(t, root, "99", "something else")
	dirs := globbedDirs([]string{filepath.Join(root, "*", "bin")})

	for name, tc := range map[string]struct {
		major int
		want  string
	}{
		"the newest when any will do":   {0, v17},
		"the one a cluster was made by": {15, v15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := choose(t.Context(), dirs, tc.major)
			require.NoError(t, err)
			require.Equal(t, tc.want, b.Dir)
		})
	}
	t.Run("too old is not found", func(t *testing.T) {
		t.Parallel()
		_, err := choose(t.Context(), dirs, 14)
		require.ErrorIs(t, err, ErrForeignVersion)
		_, err = choose(t.Context(), nil, 0)
		require.ErrorIs(t, err, ErrNoBinaries)
		require.ErrorContains(t, err, "apt-get install postgresql-15")
	})
}

func TestFind_ByVariable(t *testing.T) {
	root := t.TempDir()
	v15 := fakeBin(t, root, "15", "postgres (PostgreSQL) 15.14")
	t.Setenv(BinVariable, v15)
	b, err := Find(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, Binaries{Dir: v15, Major: 15}, b)

	_, err = Find(t.Context(), 16)
	require.ErrorIs(t, err, ErrForeignVersion)

	t.Setenv(BinVariable, root)
	_, err = Find(t.Context(), 0)
	require.ErrorContains(t, err, BinVariable)
}

func TestBinaries_SaysWhatToInstall(t *testing.T) {
	t.Setenv(BinVariable, "")
	t.Setenv(RepositoryVariable, "http://127.0.0.1:1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := binaries(ctx, Config{}.withDefaults(), 9)
	require.ErrorIs(t, err, ErrForeignVersion)
}

func TestFetch_TellsWhatFailed(t *testing.T) {
	t.Setenv(RepositoryVariable, "http://127.0.0.1:1")
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch) // where the library leaves its log
	err := unpack(t.Context(), scratch)
	require.ErrorContains(t, err, "unable to connect")
	require.NoDirExists(t, filepath.Join(scratch, "pg"))
}
