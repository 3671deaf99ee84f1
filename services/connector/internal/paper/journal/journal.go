package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Journal appends records to one directory. It is safe for concurrent use.
type Journal struct {
	dir  string
	lock *os.File

	mu         sync.Mutex // guards what follows
	file       *os.File
	generation int64
	written    int64 // sequence of the last record written
	size       int64 // bytes of the current file
	broken     error // the first failed write; nothing is written after it

	syncing sync.Mutex // held by the one that syncs for all who wait
	synced  int64      // last durable sequence; guarded by mu
}

// Loader takes in what a directory remembers: the snapshot first, if there is one, then each record after it.
type Loader struct {
	Snapshot func(state []byte) error
	Record   func(seq int64, body []byte) error
}

// Open takes the directory for this process (ErrLocked if another has it), hands what it remembers to the loader, and
// makes ready to append. It creates the directory when there is none.
func Open(dir string, load Loader) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make journal directory: %w", err)
	}
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, lock: held}
	if err := j.recover(load); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", dir, err), held.Close())
	}
	return j, nil
}

// Append writes a record and gives its sequence. It is durable once Sync(sequence) has returned.
// After a failed write the journal is broken: what is in memory may be ahead of what the disk will remember, so the
// owner must give up and open again.
func (j *Journal) Append(body []byte) (int64, error) {
	if len(body) > RecordSizeMax {
		return 0, fmt.Errorf("record of %d bytes: at most %d", len(body), RecordSizeMax)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return 0, j.broken
	}
	frame := appendFrame(make([]byte, 0, frameHeadSize+len(body)), j.written+1, body)
	if _, err := j.file.Write(frame); err != nil {
		j.broken = fmt.Errorf("write journal record %d: %w", j.written+1, err)
		return 0, j.broken
	}
	j.written++
	j.size += int64(len(frame))
	return j.written, nil
}

// Sync returns when the record with this sequence, and so all before it, would survive a power cut. Callers that wait at
// the same time share one sync.
func (j *Journal) Sync(seq int64) error {
	if done, err := j.isSynced(seq); done || err != nil {
		return err
	}
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if done, err := j.isSynced(seq); done || err != nil {
		return err
	}
	j.mu.Lock()
	file, upTo := j.file, j.written
	j.mu.Unlock()
	err := file.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		// After a failed fsync the kernel may have dropped the pages: what was written cannot be trusted any more.
		j.broken = fmt.Errorf("sync journal: %w", err)
		return j.broken
	}
	j.synced = max(j.synced, upTo)
	return nil
}

func (j *Journal) isSynced(seq int64) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced >= seq, j.broken
}

// Size is how many bytes the current file has: what Compact would fold into a snapshot.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Close syncs and gives the directory back.
func (j *Journal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	var syncErr error
	if j.broken == nil {
		syncErr = j.file.Sync()
		j.broken = errors.New("journal is closed")
	}
	return errors.Join(syncErr, j.file.Close(), j.lock.Close())
}

// Compact replaces all records so far by a snapshot of the state they make. The caller keeps others from appending
// meanwhile, so that the state is the one after the last record.
func (j *Journal) Compact(state []byte) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	next := j.generation + 1
	file, err := j.begin(next, j.written, state)
	if err != nil {
		j.broken = fmt.Errorf("compact journal: %w", err)
		return j.broken
	}
	old, oldGeneration := j.file, j.generation
	j.file, j.generation, j.size, j.synced = file, next, 0, j.written
	return errors.Join(old.Close(), removeGeneration(j.dir, oldGeneration))
}

// begin writes a snapshot and an empty journal of a new generation, both durable. The snapshot's name appears last: a
// journal without its snapshot is ignored by recover.
func (j *Journal) begin(generation, seq int64, state []byte) (*os.File, error) {
	file, err := os.OpenFile(journalPath(j.dir, generation), os.O_CREATE|os.O_RDWR|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err := writeSnapshot(j.dir, generation, seq, state); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func journalPath(dir string, generation int64) string {
	return filepath.Join(dir, fmt.Sprintf("journal-%012d", generation))
}

func snapshotPath(dir string, generation int64) string {
	return filepath.Join(dir, fmt.Sprintf("snapshot-%012d", generation))
}

// replay hands the records of the open file to the loader and cuts off a torn tail.
func (j *Journal) replay(load func(seq int64, body []byte) error) error {
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("size of journal: %w", err)
	}
	total, offset := info.Size(), int64(0)
	for {
		seq, body, err := readFrame(j.file, total-offset)
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errTorn) {
			if err := j.file.Truncate(offset); err != nil {
				return fmt.Errorf("cut torn record: %w", err)
			}
			break
		}
		if err != nil {
			return fmt.Errorf("at byte %d: %w", offset, err)
		}
		if seq != j.written+1 {
			return fmt.Errorf("at byte %d: record %d where %d belongs", offset, seq, j.written+1)
		}
		if err := load(seq, body); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		j.written = seq
		offset += frameHeadSize + int64(len(body))
	}
	j.size = offset
	j.synced = j.written
	return j.file.Sync()
}
