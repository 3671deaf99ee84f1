package snapshot

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/robson/robson/pkg/projection"
)

// View is a snapshot that was verified. It gives rows by key and decompresses no more than the blocks that they are in, of which
// it keeps some. It is safe for concurrent use.
type View struct {
	meta  Meta
	index *index
	own   int64
	size  int64
	// frames are the compressed blocks; of a snapshot that is not compressed, the blocks' texts.
	frames [][]byte
	packed bool
	recent recent
}

// Open verifies a snapshot's stored bytes against what is expected of it. The error is *Unfit. Whether the log has the expected
// chain hash at the position is for who has the log to ask: see Expected. The view keeps the bytes, which must not be changed.
func Open(stored []byte, expected Expected) (*View, error) {
	if expected.RulesVersion != projection.RulesVersion {
		return nil, unfit(ReasonRules, "it was folded by the rules of version %d, these are those of version %d", expected.RulesVersion, projection.RulesVersion)
	}
	if expected.Length < 0 || expected.Length > TextMax {
		return nil, unfit(ReasonLength, "a text of %d bytes cannot be", expected.Length)
	}
	v := &View{meta: expected.Meta, size: int64(len(stored)), packed: bytes.HasPrefix(stored, magic)}
	last, err := v.cut(stored, expected)
	if err != nil {
		return nil, err
	}
	if hash := sha256.Sum256(last); hash != expected.Hash {
		return nil, unfit(ReasonHash, "its last line hashes to %x, and hashed to %x", hash, expected.Hash)
	}
	if err := v.read(last, expected); err != nil {
		return nil, err
	}
	if v.packed {
		return v, nil
	}
	return v, v.cutPlain(stored[:len(stored)-len(last)])
}

// cut finds the last line, and the frames of a compressed snapshot.
func (v *View) cut(stored []byte, expected Expected) (last []byte, err error) {
	if !v.packed {
		if int64(len(stored)) != expected.Length {
			return nil, unfit(ReasonLength, "its text has %d bytes, and had %d", len(stored), expected.Length)
		}
		if !bytes.HasSuffix(stored, []byte("\n")) {
			return nil, unfit(ReasonFormat, "its last line has no end")
		}
		return stored[bytes.LastIndexByte(stored[:len(stored)-1], '\n')+1:], nil
	}
	frames, err := framesOf(stored)
	if err != nil {
		return nil, err
	}
	v.frames, last = frames[:len(frames)-1], frames[len(frames)-1]
	var header zstd.Header
	if err := header.Decode(last); err != nil {
		return nil, unfit(ReasonCompression, "%s", err)
	}
	if !header.HasFCS || header.FrameContentSize > uint64(expected.Length) {
		return nil, unfit(ReasonLength, "its last line is longer than its text of %d bytes", expected.Length)
	}
	v.size += int64(header.FrameContentSize)
	return unzipped(last, int64(header.FrameContentSize))
}

// read holds the last line against what is expected. Its hash has been found right, so that whatever does not fit here was written
// so.
func (v *View) read(last []byte, expected Expected) error {
	x, well := parseIndex(last)
	if !well {
		return unfit(ReasonFormat, "its last line does not say what it is of")
	}
	if x.Format != formatVersion {
		return unfit(ReasonFormat, "it is of format %d", x.Format)
	}
	own, rows, length, ok := x.counts()
	if !ok {
		return unfit(ReasonFormat, "it has %d rows and says %d and %d", rows, own, x.Context)
	}
	if total := length + int64(len(last)); total != expected.Length {
		return unfit(ReasonLength, "its text has %d bytes, and had %d", total, expected.Length)
	}
	if v.packed && len(v.frames) != len(x.Blocks) {
		return unfit(ReasonFormat, "it has %d blocks and says %d", len(v.frames), len(x.Blocks))
	}
	if !x.isOf(expected.Meta) {
		return unfit(ReasonMismatch, "it is of %s:%s of tenant %s at position %d by rules %d after %s", x.Scope, x.ScopeID, x.TenantID, x.AsOf, x.RulesVersion, x.ChainHash)
	}
	v.index, v.own = x, own
	return nil
}

// cutPlain cuts text that is not compressed into its blocks, and verifies them at once: they are few.
func (v *View) cutPlain(text []byte) error {
	for i := range v.index.Blocks {
		size := v.index.Blocks[i].Bytes // They add up to the length, as read found.
		v.frames, text = append(v.frames, text[:size]), text[size:]
		if _, err := v.block(i); err != nil {
			return err
		}
	}
	return nil
}

// Meta is what the snapshot is of.
func (v *View) Meta() Meta { return v.meta }

// Rows counts the rows: the scope's own, and those of its context.
func (v *View) Rows() (own, context int64) { return v.own, v.index.Context }

// OwnOf counts the scope's rows of a table.
func (v *View) OwnOf(table string) int64 { return v.index.Own[table] }

// Owns says whether a row is the scope's. The error is *Unfit.
func (v *View) Owns(key projection.Key) (bool, error) {
	b, at, err := v.locate(nameOf(key))
	if err != nil || b == nil {
		return false, err
	}
	line, err := b.line(at)
	return line.Own, err
}

// Size is about how many bytes of memory the view takes, once it has been looked into.
func (v *View) Size() int64 { return v.size + recentMax*(blockSize+blockSize/8) }

// Live gives the rows that are not over: see isLive.
func (v *View) Live() ([]projection.Row, error) {
	return v.rows(0, v.index.Live, func(Line) bool { return true })
}

// Get gives a row, of the scope or of its context; nil for any other. The error is *Unfit: a line was written so that it cannot
// be read, or not in its place.
func (v *View) Get(key projection.Key) (projection.Row, error) {
	b, at, err := v.locate(nameOf(key))
	if err != nil || b == nil {
		return nil, err
	}
	_, row, err := v.decode(b, at)
	return row, err
}

// locate finds a row's block and its place there; nil where there is none such.
func (v *View) locate(name keyName) (*block, int, error) {
	if !v.index.Filter.mayHave(name) {
		return nil, 0, nil
	}
	for _, part := range [][2]int{{0, v.index.Live}, {v.index.Live, len(v.index.Blocks)}} {
		from, to := part[0], part[1]
		after := sort.Search(to-from, func(i int) bool { return v.index.Blocks[from+i].First.compare(name) > 0 })
		if after == 0 {
			continue
		}
		b, err := v.block(from + after - 1)
		if err != nil {
			return nil, 0, err
		}
		at, found, err := b.search(name)
		if err != nil {
			return nil, 0, err
		}
		if found {
			return b, at, nil
		}
	}
	return nil, 0, nil
}

// compare orders names as keys are ordered.
func (n keyName) compare(other keyName) int {
	if c := strings.Compare(n[0], other[0]); c != 0 {
		return c
	}
	return strings.Compare(n[1], other[1])
}

// decode reads a row of a block.
func (v *View) decode(b *block, at int) (Line, projection.Row, error) {
	line, err := b.line(at)
	if err != nil {
		return line, nil, err
	}
	row, err := projection.ParseRow(line.Table, line.JSON)
	if err != nil {
		return line, nil, unfit(ReasonFormat, "row %s/%s: %s", line.Table, line.ID, err)
	}
	if key := row.Key(); line.compare(key.Table, key.ID()) != 0 || row.Tenant() != v.meta.TenantID {
		return line, nil, unfit(ReasonFormat, "row %s/%s is %s of tenant %s", line.Table, line.ID, key, row.Tenant())
	}
	return line, row, nil
}

// Lines gives every row in the order in which they are written, without decoding any, until each returns an error. The error is
// that one, or *Unfit. A line must not be kept.
func (v *View) Lines(each func(Line) error) error {
	return v.every(0, len(v.index.Blocks), func(b *block, at int) error {
		line, err := b.line(at)
		if err != nil {
			return err
		}
		return each(line)
	})
}

// every goes over the rows of some blocks.
func (v *View) every(from, to int, each func(b *block, at int) error) error {
	for i := from; i < to; i++ {
		b, err := v.unpack(i)
		if err != nil {
			return err
		}
		for at := range b.lines {
			if err := each(b, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// All gives every row, those of the context too. It makes a View the base of a projection.ScopeFold.
func (v *View) All() ([]projection.Row, error) {
	return v.rows(0, len(v.index.Blocks), func(Line) bool { return true })
}

// Own gives the scope's rows, sorted by key.
func (v *View) Own() ([]projection.Row, error) {
	rows, err := v.rows(0, len(v.index.Blocks), func(l Line) bool { return l.Own })
	slices.SortFunc(rows, func(a, b projection.Row) int { return a.Key().Compare(b.Key()) })
	return rows, err
}

func (v *View) rows(from, to int, wanted func(Line) bool) ([]projection.Row, error) {
	var rows []projection.Row
	for i := from; i < to; i++ {
		rows = slices.Grow(rows, int(v.index.Blocks[i].Rows))
	}
	err := v.every(from, to, func(b *block, at int) error {
		line, row, err := v.decode(b, at)
		if err == nil && wanted(line) {
			rows = append(rows, row)
		}
		return err
	})
	return rows, err
}

// Fold begins to fold a tail on the snapshot: events after its position.
func (v *View) Fold() (*projection.ScopeFold, error) {
	return projection.NewScopeFold(v.meta.Scope, v)
}
