package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A snapshot file is one frame whose sequence is that of the last record it holds.

func writeSnapshot(dir string, generation, seq int64, state []byte) error {
	if len(state) > RecordSizeMax {
		return fmt.Errorf("snapshot of %d bytes: at most %d", len(state), RecordSizeMax)
	}
	aside := snapshotPath(dir, generation) + ".new"
	file, err := os.OpenFile(aside, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create snapshot: %w", err)
	}
	_, err = file.Write(appendFrame(nil, seq, state))
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	if err := os.Rename(aside, snapshotPath(dir, generation)); err != nil {
		return fmt.Errorf("publish snapshot: %w", err)
	}
	return syncDir(dir)
}

func readSnapshot(path string) (seq int64, state []byte, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, fmt.Errorf("read snapshot: %w", err)
	}
	seq, state, err = readFrame(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return 0, nil, fmt.Errorf("read snapshot %s: %w", filepath.Base(path), err)
	}
	return seq, state, nil
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open journal directory: %w", err)
	}
	if err := errors.Join(handle.Sync(), handle.Close()); err != nil {
		return fmt.Errorf("sync journal directory: %w", err)
	}
	return nil
}

// recover finds the newest generation whose snapshot is complete and loads it. Without any it begins generation 0,
// which has no snapshot.
func (j *Journal) recover(load Loader) error {
	generations, err := snapshotGenerations(j.dir)
	if err != nil {
		return err
	}
	if len(generations) > 0 {
		j.generation = generations[len(generations)-1]
		seq, state, err := readSnapshot(snapshotPath(j.dir, j.generation))
		if err != nil {
			return err
		}
		if err := load.Snapshot(state); err != nil {
			return fmt.Errorf("load snapshot %d: %w", j.generation, err)
		}
		j.written = seq
	}
	j.file, err = os.OpenFile(journalPath(j.dir, j.generation), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if err := j.replay(load.Record); err != nil {
		return errors.Join(err, j.file.Close())
	}
	for _, old := range generations[:max(0, len(generations)-1)] {
		if err := removeGeneration(j.dir, old); err != nil {
			return errors.Join(err, j.file.Close())
		}
	}
	if j.generation > 0 {
		if err := removeGeneration(j.dir, 0); err != nil {
			return errors.Join(err, j.file.Close())
		}
	}
	return syncDir(j.dir)
}

func snapshotGenerations(dir string) ([]int64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "snapshot-*"))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var generations []int64
	for _, name := range names {
		digits := strings.TrimPrefix(filepath.Base(name), "snapshot-")
		generation, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			continue // one written aside and never published
		}
		generations = append(generations, generation)
	}
	slices.Sort(generations)
	return generations, nil
}

func removeGeneration(dir string, generation int64) error {
	for _, path := range []string{journalPath(dir, generation), snapshotPath(dir, generation)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove compacted journal: %w", err)
		}
	}
	return nil
}
