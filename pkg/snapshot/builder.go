package snapshot

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"

	"github.com/klauspost/compress/zstd"

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
	defer b.close()
	for _, r := range merged(cut) {
		if err := b.add(r); err != nil {
			return nil, err
		}
	}
	return b.seal()
}

// markedRow is a row with its key, which takes time to make, and whose it is.
type markedRow struct {
	key  projection.Key
	mark string
	row  projection.Row
}

// merged brings the rows into the order in which they are written.
func merged(cut projection.Cut) []markedRow {
	rows := make([]markedRow, 0, len(cut.Own)+len(cut.Context))
	for _, row := range cut.Own {
		rows = append(rows, markedRow{row.Key(), markOwn, row})
	}
	for _, row := range cut.Context {
		rows = append(rows, markedRow{row.Key(), markContext, row})
	}
	slices.SortFunc(rows, func(a, b markedRow) int { return a.key.Compare(b.key) })
	return rows
}

// builder writes the lines, hashes them, and compresses them once they are many.
type builder struct {
	meta         Meta
	cfg          Config
	hash         hash.Hash
	length       int64
	own, context int64
	last         projection.Key
	line         []byte
	// out is the text while it is short, and what zip makes of it from then on.
	out bytes.Buffer
	zip *zstd.Encoder
}

func newBuilder(meta Meta, cfg Config) (*builder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &builder{meta: meta, cfg: cfg.withDefaults(), hash: sha256.New()}, nil
}

func (b *builder) add(r markedRow) error {
	if b.own+b.context > 0 && b.last.Compare(r.key) >= 0 {
		return fmt.Errorf("write snapshot: row %s comes twice", r.key)
	}
	b.last = r.key
	if r.mark == markOwn {
		b.own++
	} else {
		b.context++
	}
	b.line = appendLine(b.line[:0], r.key, r.mark, projection.RowJSON(r.row))
	return b.write(b.line)
}

// write takes a line in.
func (b *builder) write(line []byte) error {
	b.length += int64(len(line))
	if b.length > b.cfg.TextMax {
		return &TooLarge{b.meta.Scope, b.cfg.TextMax}
	}
	b.hash.Write(line)
	if b.zip == nil && b.length >= b.cfg.CompressFrom {
		if err := b.compress(); err != nil {
			return err
		}
	}
	if b.zip == nil {
		b.out.Write(line)
		return nil
	}
	if _, err := b.zip.Write(line); err != nil {
		return fmt.Errorf("compress snapshot: %w", err)
	}
	return nil
}

// compress begins to compress, with what is written already.
func (b *builder) compress() error {
	text := bytes.Clone(b.out.Bytes())
	b.out.Reset()
	zip, err := zstd.NewWriter(&b.out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(windowMax))
	if err != nil {
		return fmt.Errorf("compress snapshot: %w", err)
	}
	b.zip = zip
	if _, err := zip.Write(text); err != nil {
		return fmt.Errorf("compress snapshot: %w", err)
	}
	return nil
}

// windowMax bounds what a compressor and a reader hold of the text behind them.
const windowMax = 4 << 20

func (b *builder) seal() (*Sealed, error) {
	last, err := trailerOf(b.meta, b.own, b.context).line()
	if err != nil {
		return nil, err
	}
	if err := b.write(last); err != nil {
		return nil, err
	}
	if b.zip != nil {
		if err := b.zip.Close(); err != nil {
			return nil, fmt.Errorf("compress snapshot: %w", err)
		}
	}
	return &Sealed{
		Meta: b.meta, Hash: [32]byte(b.hash.Sum(nil)), Length: b.length, Own: b.own, Context: b.context, Stored: b.out.Bytes(),
	}, nil
}

// close ends a compressor that was given up.
func (b *builder) close() {
	if b.zip != nil {
		_ = b.zip.Close() // A second time where it was sealed, which does nothing.
	}
}
