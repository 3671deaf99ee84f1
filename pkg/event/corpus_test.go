package event_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
)

// stored is one file of the corpus: a payload as some version of Robson stored it. The file holds those bytes and nothing
// else, and is never changed.
type stored struct {
	path    string
	typ     event.Type
	version int32
	bytes   []byte
}

// corpusName is v<schema version>/<TYPE>.json, or <TYPE>.<n>.json where fields were added within the version.
var corpusName = regexp.MustCompile(`^testdata/corpus/v([1-9][0-9]*)/([A-Z_]+)(\.[2-9])?\.json$`)

// corpus reads all that was ever stored.
func corpus(t testing.TB) []stored {
	t.Helper()
	paths, err := filepath.Glob("testdata/corpus/*/*")
	require.NoError(t, err)
	files := make([]stored, len(paths))
	for i, path := range paths {
		parts := corpusName.FindStringSubmatch(filepath.ToSlash(path))
		require.NotNil(t, parts, "%s is no file of the corpus", path)
		version, err := strconv.ParseInt(parts[1], 10, 32)
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		files[i] = stored{path: path, typ: event.Type(parts[2]), version: int32(version), bytes: data}
	}
	return files
}

// TestCorpus_is_read_for_ever: what was stored once is read by every later version, and what this version would store is
// what it has stored.
func TestCorpus_is_read_for_ever(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t) {
		m, err := event.Decode(file.typ, file.version, file.bytes)
		require.NoError(t, err, file.path)
		descriptor, err := event.OfMessage(m)
		require.NoError(t, err)
		require.Equal(t, file.typ, descriptor.Type)
		if file.version == descriptor.Version {
			again, err := event.Canonical(m)
			require.NoError(t, err, file.path)
			require.Equal(t, string(file.bytes), string(again), file.path)
		}
	}
}

// TestCorpus_holds_every_field_of_every_version: there is a file for each version of each type, and one in which every
// field that the contract has today is set.
func TestCorpus_holds_every_field_of_every_version(t *testing.T) {
	t.Parallel()
	if *update {
		extendCorpus(t)
	}
	files := corpus(t)
	for _, descriptor := range event.All() {
		full, err := event.Canonical(populated(t, descriptor))
		require.NoError(t, err)
		versions, whole := map[int32]bool{}, false
		for _, file := range files {
			if file.typ == descriptor.Type {
				versions[file.version] = true
				whole = whole || file.version == descriptor.Version && string(file.bytes) == string(full)
			}
		}
		for version := int32(1); version <= descriptor.Version; version++ {
			require.True(t, versions[version], "%s: nothing is kept of version %d", descriptor.Type, version)
		}
		require.True(t, whole, "%s: the fields have changed; keep the new shape: go test ./pkg/event -run TestCorpus -update", descriptor.Type)
	}
}

// extendCorpus adds what is not there yet.
func extendCorpus(t *testing.T) {
	t.Helper()
	for _, descriptor := range event.All() {
		full, err := event.Canonical(populated(t, descriptor))
		require.NoError(t, err)
		base := fmt.Sprintf("testdata/corpus/v%d/%s", descriptor.Version, descriptor.Type)
		require.NoError(t, os.MkdirAll(filepath.Dir(base), 0o755))
		for n := 1; n <= 9; n++ {
			path := base + ".json"
			if n > 1 {
				path = fmt.Sprintf("%s.%d.json", base, n)
			}
			data, err := os.ReadFile(path)
			if err == nil && string(data) == string(full) {
				break
			}
			if os.IsNotExist(err) {
				require.NoError(t, os.WriteFile(path, full, 0o644))
				break
			}
			require.NoError(t, err)
		}
	}
}
