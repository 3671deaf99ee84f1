package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/robson/robson/pkg/projection"
)

// Config holds the limits of writing. Its zero value works.
type Config struct {
	// CompressFrom is from how many bytes of text on it is compressed. Default CompressFromDefault.
	CompressFrom int64
	// TextMax bounds the text. Default and most: TextMax.
	TextMax int64
}

func (c Config) withDefaults() Config {
	if c.CompressFrom == 0 {
		c.CompressFrom = CompressFromDefault
	}
	if c.TextMax == 0 {
		c.TextMax = TextMax
	}
	return c
}

// Validate says what is wrong with the limits.
func (c Config) Validate() error {
	c = c.withDefaults()
	if c.CompressFrom < 1 || c.TextMax < 1 || c.TextMax > TextMax {
		return fmt.Errorf("snapshot config: CompressFrom %d must be at least 1, and TextMax %d from 1 to %d", c.CompressFrom, c.TextMax, TextMax)
	}
	return nil
}

// Encode writes a scope's part of a state, which is true at the position that meta says. The same state gives the same bytes of
// text, in whatever order the rows come. The error is *TooLarge, or a failure of the compressor.
func Encode(meta Meta, cut projection.Cut, cfg Config) (*Sealed, error) {
	b, err := newBuilder(meta, cfg)
	if err != nil {
		return nil, err
	}
	for _, r := range merged(cut) {
		if err := b.add(r); err != nil {
			return nil, err
		}
	}
	return b.seal()
}

// markedRow is a row with its key, which takes time to make, whose it is, and whether it is live.
type markedRow struct {
	key  projection.Key
	mark string
	live bool
	row  projection.Row
}

// merged brings the rows into the order in which they are written: those that are live, then those that are over, each by key.
func merged(cut projection.Cut) []markedRow {
	rows := make([]markedRow, 0, len(cut.Own)+len(cut.Context))
	for _, row := range cut.Own {
		rows = append(rows, markedRow{row.Key(), markOwn, isLive(row), row})
	}
	for _, row := range cut.Context {
		rows = append(rows, markedRow{row.Key(), markContext, isLive(row), row})
	}
	slices.SortFunc(rows, func(a, b markedRow) int {
		switch {
		case a.live == b.live:
			return a.key.Compare(b.key)
		case a.live:
			return -1
		}
		return 1
	})
	return rows
}

// blockSize is how much text a block has: the row that reaches it is its last. A look into a snapshot decompresses so much.
const blockSize = 64 << 10

// builder writes the lines into blocks, hashes them, and compresses them once they are many.
type builder struct {
	meta   Meta
	cfg    Config
	index  index
	length int64
	keys   []keyName
	last   markedRow
	// block is the text of the one that is being written, and entry what is said of it.
	block []byte
	entry blockEntry
	// plain is all text while it is short; then frames has it.
	plain   []byte
	frames  []byte
	lengths []uint32
}

func newBuilder(meta Meta, cfg Config) (*builder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &builder{meta: meta, cfg: cfg.withDefaults(), index: index{Blocks: []blockEntry{}, Own: map[string]int64{}}}
	b.index.of(meta)
	return b, nil
}

func (b *builder) add(r markedRow) error {
	if len(b.keys) > 0 && b.last.live == r.live && b.last.key.Compare(r.key) >= 0 {
		return fmt.Errorf("write snapshot: row %s comes twice", r.key)
	}
	if b.last.live && !r.live && len(b.block) > 0 {
		if err := b.endBlock(); err != nil {
			return err
		}
	}
	b.last = r
	name := nameOf(r.key)
	b.keys = append(b.keys, name)
	if r.mark == markOwn {
		b.index.Own[r.key.Table]++
	} else {
		b.index.Context++
	}
	if b.entry.Rows == 0 {
		b.entry.First = name
	}
	b.entry.Rows++
	before := len(b.block)
	b.block = appendLine(b.block, r.key, r.mark, projection.RowJSON(r.row))
	if err := b.grow(len(b.block) - before); err != nil {
		return err
	}
	if len(b.block) < blockSize {
		return nil
	}
	return b.endBlock()
}

// grow counts text.
func (b *builder) grow(bytes int) error {
	b.length += int64(bytes)
	if b.length > b.cfg.TextMax {
		return &TooLarge{b.meta.Scope, b.cfg.TextMax}
	}
	return nil
}

// endBlock hashes a block and takes it in.
func (b *builder) endBlock() error {
	hash := sha256.Sum256(b.block)
	b.entry.Bytes, b.entry.Hash = int64(len(b.block)), hex.EncodeToString(hash[:])
	b.index.Blocks = append(b.index.Blocks, b.entry)
	if b.last.live {
		b.index.Live = len(b.index.Blocks)
	}
	b.entry = blockEntry{}
	err := b.write(b.block)
	b.block = b.block[:0]
	return err
}

// write takes a block or the last line in: as text while it is short, compressed from then on.
func (b *builder) write(text []byte) error {
	if b.lengths == nil && int64(len(b.plain)+len(text)) < b.cfg.CompressFrom {
		b.plain = append(b.plain, text...)
		return nil
	}
	for len(b.plain) > 0 { // The blocks that are text still; all but the last line have an entry.
		at := len(b.lengths)
		size := b.index.Blocks[at].Bytes
		if err := b.zip(b.plain[:size]); err != nil {
			return err
		}
		b.plain = b.plain[size:]
	}
	return b.zip(text)
}

func (b *builder) zip(text []byte) error {
	before := len(b.frames)
	frames, err := zipped(b.frames, text)
	if err != nil {
		return fmt.Errorf("compress snapshot: %w", err)
	}
	b.frames = frames
	b.lengths = append(b.lengths, uint32(len(frames)-before))
	return nil
}

func (b *builder) seal() (*Sealed, error) {
	if len(b.block) > 0 {
		if err := b.endBlock(); err != nil {
			return nil, err
		}
	}
	b.index.Filter = newFilter(len(b.keys))
	for _, key := range b.keys {
		b.index.Filter.add(key)
	}
	last, err := b.index.line()
	if err != nil {
		return nil, err
	}
	if err := b.grow(len(last)); err != nil {
		return nil, err
	}
	if err := b.write(last); err != nil {
		return nil, err
	}
	stored := b.plain
	if b.lengths != nil {
		stored = sealed(b.frames, b.lengths)
	}
	own := int64(len(b.keys)) - b.index.Context
	return &Sealed{Meta: b.meta, Hash: sha256.Sum256(last), Length: b.length, Own: own, Context: b.index.Context, Stored: stored}, nil
}
