package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

type memory struct {
	snapshot string
	records  []string
}

func (m *memory) loader() Loader {
	return Loader{
		Snapshot: func(state []byte) error { m.snapshot = string(state); return nil },
		Record:   func(_ int64, body []byte) error { m.records = append(m.records, string(body)); return nil },
	}
}

func open(t *testing.T, dir string) (*Journal, *memory) {
	t.Helper()
	m := &memory{}
	j, err := Open(dir, m.loader())
	require.NoError(t, err)
	return j, m
}

func write(t *testing.T, j *Journal, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		seq, err := j.Append([]byte(body))
		require.NoError(t, err)
		require.NoError(t, j.Sync(seq))
	}
}

func TestJournal_Remembers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	j, m := open(t, dir)
	require.Empty(t, m.records)
	write(t, j, "one", "two")
	require.NoError(t, j.Close())

	j, m = open(t, dir)
	require.Equal(t, []string{"one", "two"}, m.records)
	write(t, j, "three")
	require.NoError(t, j.Compact([]byte("state of three")))
	require.Zero(t, j.Size())
	write(t, j, "four")
	require.NoError(t, j.Close())

	j, m = open(t, dir)
	require.Equal(t, "state of three", m.snapshot)
	require.Equal(t, []string{"four"}, m.records)
	seq, err := j.Append([]byte("five"))
	require.NoError(t, err)
	require.EqualValues(t, 5, seq)
	require.NoError(t, j.Close())
	names, err := filepath.Glob(filepath.Join(dir, "*-*"))
	require.NoError(t, err)
	require.Len(t, names, 2, "the old generation is removed")
}

func TestOpen_Locked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	_, err := Open(dir, (&memory{}).loader())
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, j.Close())
	j, _ = open(t, dir)
	require.NoError(t, j.Close())
}

func TestOpen_TornTail(t *testing.T) {
	t.Parallel()
	whole := appendFrame(appendFrame(nil, 1, []byte("one")), 2, []byte("second record"))
	first := len(appendFrame(nil, 1, []byte("one")))
	for cut := first; cut < len(whole); cut++ {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(journalPath(dir, 0), whole[:cut], 0o600))
		j, m := open(t, dir)
		require.Equal(t, []string{"one"}, m.records, "cut at %d", cut)
		write(t, j, "again")
		require.NoError(t, j.Close())
		j, m = open(t, dir)
		require.Equal(t, []string{"one", "again"}, m.records)
		require.NoError(t, j.Close())
	}
	t.Run("pages never written", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(journalPath(dir, 0), append(whole[:first:first], make([]byte, 4096)...), 0o600))
		j, m := open(t, dir)
		require.Equal(t, []string{"one"}, m.records)
		require.NoError(t, j.Close())
	})
	t.Run("last body garbled", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		garbled := append([]byte(nil), whole...)
		garbled[len(garbled)-1] ^= 1
		require.NoError(t, os.WriteFile(journalPath(dir, 0), garbled, 0o600))
		j, m := open(t, dir)
		require.Equal(t, []string{"one"}, m.records)
		require.NoError(t, j.Close())
	})
}

func TestOpen_Damage(t *testing.T) {
	t.Parallel()
	whole := appendFrame(appendFrame(appendFrame(nil, 1, []byte("one")), 2, []byte("two")), 3, []byte("three"))
	for offset := range len(appendFrame(nil, 1, []byte("one"))) {
		dir := t.TempDir()
		damaged := append([]byte(nil), whole...)
		damaged[offset] ^= 0x40
		require.NoError(t, os.WriteFile(journalPath(dir, 0), damaged, 0o600))
		_, err := Open(dir, (&memory{}).loader())
		require.Error(t, err, "byte %d", offset)
		require.NoError(t, os.WriteFile(journalPath(dir, 0), whole, 0o600))
		j, m := open(t, dir) // the lock was given back
		require.Len(t, m.records, 3)
		require.NoError(t, j.Close())
	}
	t.Run("a record is missing", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(journalPath(dir, 0), appendFrame(appendFrame(nil, 1, []byte("one")), 3, nil), 0o600))
		_, err := Open(dir, (&memory{}).loader())
		require.ErrorContains(t, err, "record 3 where 2 belongs")
	})
	t.Run("the snapshot is damaged", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		frame := appendFrame(nil, 7, []byte("state"))
		frame[len(frame)-1] ^= 1
		require.NoError(t, os.WriteFile(snapshotPath(dir, 1), frame, 0o600))
		_, err := Open(dir, (&memory{}).loader())
		require.Error(t, err)
	})
	t.Run("the loader refuses", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(journalPath(dir, 0), whole, 0o600))
		refusal := errors.New("no such effect")
		_, err := Open(dir, Loader{Record: func(int64, []byte) error { return refusal }})
		require.ErrorIs(t, err, refusal)
	})
}

// A crash can come at each step of Compact; whatever is left opens as the old pair or as the new one.
func TestOpen_CrashWhileCompacting(t *testing.T) {
	t.Parallel()
	records := appendFrame(appendFrame(nil, 1, []byte("one")), 2, []byte("two"))
	steps := []func(dir string) error{
		func(dir string) error { return os.WriteFile(journalPath(dir, 1), nil, 0o600) },
		func(dir string) error { return os.WriteFile(snapshotPath(dir, 1)+".new", []byte("half"), 0o600) },
		func(dir string) error {
			return os.WriteFile(snapshotPath(dir, 1), appendFrame(nil, 2, []byte("both")), 0o600)
		},
	}
	for done := range steps {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(journalPath(dir, 0), records, 0o600))
		for _, step := range steps[:done+1] {
			require.NoError(t, step(dir))
		}
		j, m := open(t, dir)
		if done < 2 {
			require.Equal(t, []string{"one", "two"}, m.records)
		} else {
			require.Equal(t, "both", m.snapshot)
			require.Empty(t, m.records)
		}
		seq, err := j.Append([]byte("three"))
		require.NoError(t, err)
		require.EqualValues(t, 3, seq)
		require.NoError(t, j.Close())
	}
}

func TestJournal_BrokenStaysBroken(t *testing.T) {
	t.Parallel()
	j, _ := open(t, t.TempDir())
	require.NoError(t, j.file.Close())
	_, first := j.Append([]byte("x"))
	require.Error(t, first)
	_, second := j.Append([]byte("y"))
	require.Equal(t, first, second)
	require.Error(t, j.Sync(1))
	require.Error(t, j.Compact(nil))
	require.Error(t, j.Close())
}

func TestJournal_RecordTooLarge(t *testing.T) {
	t.Parallel()
	j, _ := open(t, t.TempDir())
	_, err := j.Append(make([]byte, RecordSizeMax+1))
	require.ErrorContains(t, err, "at most")
	write(t, j, "small enough")
	require.NoError(t, j.Close())
}

func TestJournal_ConcurrentSync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	var group sync.WaitGroup
	for n := range 64 {
		group.Go(func() {
			seq, err := j.Append(fmt.Appendf(nil, "record %d", n))
			if err == nil {
				err = j.Sync(seq)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.NoError(t, j.Close())
	j, m := open(t, dir)
	require.Len(t, m.records, 64)
	require.NoError(t, j.Close())
}
