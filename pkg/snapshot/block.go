package snapshot

import (
	"bytes"
	"sync"
)

// block is the text of one, cut into its lines.
type block struct {
	text  []byte
	lines [][]byte
}

// line cuts a line into its parts.
func (b *block) line(at int) (Line, error) {
	l, ok := cutLine(b.lines[at])
	if !ok {
		return l, unfit(ReasonFormat, "a row is not written as rows are")
	}
	return l, nil
}

// search finds a key's line.
func (b *block) search(key keyName) (at int, found bool, err error) {
	low, high := 0, len(b.lines)
	for low < high {
		middle := int(uint(low+high) >> 1)
		line, err := b.line(middle)
		if err != nil {
			return 0, false, err
		}
		switch order := line.compare(key[0], key[1]); {
		case order == 0:
			return middle, true, nil
		case order < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false, nil
}

// unpack gives a block, verified.
func (v *View) unpack(i int) (*block, error) {
	entry := &v.index.Blocks[i]
	text := v.frames[i]
	if v.packed {
		var err error
		if text, err = unzipped(text, entry.Bytes); err != nil {
			return nil, err
		}
	}
	if int64(len(text)) != entry.Bytes || !entry.hashed(text) {
		return nil, unfit(ReasonHash, "block %d is not what was hashed", i+1)
	}
	b := &block{text: text, lines: make([][]byte, 0, entry.Rows)}
	for rest := text; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return nil, unfit(ReasonFormat, "the last line of block %d has no end", i+1)
		}
		b.lines = append(b.lines, rest[:end])
		rest = rest[end+1:]
	}
	if int64(len(b.lines)) != entry.Rows {
		return nil, unfit(ReasonFormat, "block %d has %d rows and says %d", i+1, len(b.lines), entry.Rows)
	}
	return b, nil
}

// block gives a block, from memory if it was wanted not long ago.
func (v *View) block(i int) (*block, error) {
	if b := v.recent.get(i); b != nil {
		return b, nil
	}
	b, err := v.unpack(i)
	if err == nil {
		v.recent.put(i, b)
	}
	return b, err
}

// recentMax is how many blocks a view keeps: a tail goes back to some rows of each table.
const recentMax = 8

// recent are the blocks that were wanted last, the newest first.
type recent struct {
	mu   sync.Mutex
	kept []kept
}

type kept struct {
	at    int
	block *block
}

func (r *recent) get(at int) *block {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, k := range r.kept {
		if k.at == at {
			copy(r.kept[1:i+1], r.kept[:i])
			r.kept[0] = k
			return k.block
		}
	}
	return nil
}

func (r *recent) put(at int, b *block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) < recentMax {
		r.kept = append(r.kept, kept{})
	}
	copy(r.kept[1:], r.kept[:len(r.kept)-1])
	r.kept[0] = kept{at, b}
}
