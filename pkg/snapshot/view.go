package snapshot

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/robson/robson/pkg/projection"
)

// View is a snapshot that was verified. It gives rows by key and decodes no others. It is not for several goroutines at once.
type View struct {
	meta  Meta
	text  []byte
	lines [][]byte
	// own counts the rows of the scope.
	own     int64
	decoded map[projection.Key]projection.Row
}

// Open verifies a snapshot's stored bytes against what is expected of it. The error is *Unfit. Whether the log has the expected
// chain hash at the position is for who has the log to ask: see Expected.
func Open(stored []byte, expected Expected) (*View, error) {
	if expected.RulesVersion != projection.RulesVersion {
		return nil, unfit(ReasonRules, "it was folded by the rules of version %d, these are those of version %d", expected.RulesVersion, projection.RulesVersion)
	}
	text, err := decompressed(stored, expected.Length)
	if err != nil {
		return nil, err
	}
	if int64(len(text)) != expected.Length {
		return nil, unfit(ReasonLength, "its text has %d bytes, and had %d", len(text), expected.Length)
	}
	if hash := sha256.Sum256(text); hash != expected.Hash {
		return nil, unfit(ReasonHash, "its text hashes to %x, and hashed to %x", hash, expected.Hash)
	}
	v := &View{meta: expected.Meta, text: text, decoded: map[projection.Key]projection.Row{}}
	if err := v.parse(expected); err != nil {
		return nil, err
	}
	return v, nil
}

var magic = []byte{0x28, 0xb5, 0x2f, 0xfd} // How zstd begins; text begins with a bracket.

// decompressed gives the text of stored bytes, which may be any bytes at all. No more than is expected is ever held, or than a
// compressor looks behind: that much a reader must allow, or it refuses what is smaller.
func decompressed(stored []byte, length int64) ([]byte, error) {
	if length < 0 || length > TextMax {
		return nil, unfit(ReasonLength, "a text of %d bytes cannot be", length)
	}
	if !bytes.HasPrefix(stored, magic) {
		return stored, nil
	}
	reader, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(uint64(length), windowMax)), zstd.WithDecoderMaxWindow(windowMax))
	if err != nil {
		return nil, unfit(ReasonCompression, "%s", err)
	}
	defer reader.Close()
	text, err := reader.DecodeAll(stored, make([]byte, 0, length))
	if err != nil {
		return nil, unfit(ReasonCompression, "%s", err)
	}
	return text, nil
}

// parse finds the lines, and holds the last one against what is expected. The hash has been found right, so that whatever does
// not fit here was written so.
func (v *View) parse(expected Expected) error {
	v.lines = make([][]byte, 0, bytes.Count(v.text, []byte{'\n'}))
	for rest := v.text; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return unfit(ReasonFormat, "its last line has no end")
		}
		v.lines = append(v.lines, rest[:end])
		rest = rest[end+1:]
	}
	if len(v.lines) == 0 {
		return unfit(ReasonFormat, "it is empty")
	}
	last, well := parseTrailer(v.lines[len(v.lines)-1])
	v.lines = v.lines[:len(v.lines)-1]
	switch {
	case !well:
		return unfit(ReasonFormat, "its last line does not say what it is of")
	case last.Format != formatVersion:
		return unfit(ReasonFormat, "it is of format %d", last.Format)
	case last.Own < 0 || last.Context < 0 || last.Own+last.Context != int64(len(v.lines)):
		return unfit(ReasonFormat, "it has %d rows and says %d and %d", len(v.lines), last.Own, last.Context)
	}
	v.own = last.Own
	if wanted := trailerOf(expected.Meta, last.Own, last.Context); last != wanted {
		return unfit(ReasonMismatch, "it is of %s:%s of tenant %s at position %d by rules %d after %s", last.Scope, last.ScopeID, last.TenantID, last.AsOf, last.RulesVersion, last.ChainHash)
	}
	return nil
}

// Meta is what the snapshot is of.
func (v *View) Meta() Meta { return v.meta }

// Text is the whole snapshot as text, for who writes it into a file. It must not be changed.
func (v *View) Text() []byte { return v.text }

// Rows counts the rows: the scope's own, and those of its context.
func (v *View) Rows() (own, context int64) { return v.own, int64(len(v.lines)) - v.own }

// Get gives a row, of the scope or of its context; nil for any other. The error is *Unfit: a line was written so that it cannot
// be read, or not in its place.
func (v *View) Get(key projection.Key) (projection.Row, error) {
	if row, known := v.decoded[key]; known {
		return row, nil
	}
	at, found, err := v.search(key)
	if err != nil || !found {
		return nil, err
	}
	_, row, err := v.decode(at)
	if err != nil {
		return nil, err
	}
	v.decoded[key] = row
	return row, nil
}

// search finds a key's line, looking at some twenty of a million.
func (v *View) search(key projection.Key) (at int, found bool, err error) {
	id, low, high := key.ID(), 0, len(v.lines)
	for low < high {
		middle := int(uint(low+high) >> 1)
		line, err := v.line(middle)
		if err != nil {
			return 0, false, err
		}
		switch order := line.compare(key.Table, id); {
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

// Line is a row that was not decoded.
type Line struct {
	// Table and ID are the row's key, as projection.Key has it.
	Table, ID string
	// Own says whether it is the scope's, or of its context.
	Own bool
	// JSON is the row as projection.RowJSON writes it. It must not be changed.
	JSON []byte
}

// compare orders lines as keys are ordered.
func (l Line) compare(table, id string) int {
	return cmp.Or(strings.Compare(l.Table, table), strings.Compare(l.ID, id))
}

// line cuts a line into its parts.
func (v *View) line(at int) (Line, error) {
	l, ok := cutLine(v.lines[at])
	if !ok {
		return l, unfit(ReasonFormat, "row %d is not written as rows are", at+1)
	}
	return l, nil
}

// cutLine is the inverse of appendLine.
func cutLine(line []byte) (l Line, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`["`))
	if !ok {
		return l, false
	}
	table, rest, ok := bytes.Cut(rest, []byte(`",`))
	if !ok {
		return l, false
	}
	id, rest, ok := cutText(rest)
	if !ok {
		return l, false
	}
	l.Table, l.ID = string(table), id
	row, own := bytes.CutPrefix(rest, []byte(","+markOwn+","))
	if !own {
		row, ok = bytes.CutPrefix(rest, []byte(","+markContext+","))
	}
	l.Own = own
	if !ok {
		return l, false
	}
	l.JSON, ok = bytes.CutSuffix(row, []byte("]"))
	return l, ok
}

// cutText cuts a JSON string off the front.
func cutText(data []byte) (text string, rest []byte, ok bool) {
	if len(data) == 0 || data[0] != '"' {
		return "", nil, false
	}
	escaped := false
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			if !escaped {
				return string(data[1:i]), data[i+1:], true
			}
			err := json.Unmarshal(data[:i+1], &text)
			return text, data[i+1:], err == nil
		}
	}
	return "", nil, false
}

// decode reads a row.
func (v *View) decode(at int) (Line, projection.Row, error) {
	line, err := v.line(at)
	if err != nil {
		return line, nil, err
	}
	row, err := projection.ParseRow(line.Table, line.JSON)
	if err != nil {
		return line, nil, unfit(ReasonFormat, "row %d: %s", at+1, err)
	}
	if key := row.Key(); line.compare(key.Table, key.ID()) != 0 || row.Tenant() != v.meta.TenantID {
		return line, nil, unfit(ReasonFormat, "row %d says that it is %s/%s and is %s of tenant %s", at+1, line.Table, line.ID, key, row.Tenant())
	}
	return line, row, nil
}

// Lines gives every row in order, without decoding any, until each returns an error. The error is that one, or *Unfit.
func (v *View) Lines(each func(Line) error) error {
	for at := range v.lines {
		line, err := v.line(at)
		if err != nil {
			return err
		}
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

// All gives every row, those of the context too. It makes a View the base of a projection.ScopeFold.
func (v *View) All() ([]projection.Row, error) {
	rows := make([]projection.Row, len(v.lines))
	for at := range v.lines {
		_, row, err := v.decode(at)
		if err != nil {
			return nil, err
		}
		rows[at] = row
	}
	return rows, nil
}

// Own gives the scope's rows, sorted by key.
func (v *View) Own() ([]projection.Row, error) {
	rows := make([]projection.Row, 0, v.own)
	for at := range v.lines {
		line, row, err := v.decode(at)
		if err != nil {
			return nil, err
		}
		if line.Own {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// Fold begins to fold a tail on the snapshot: events after its position.
func (v *View) Fold() (*projection.ScopeFold, error) {
	return projection.NewScopeFold(v.meta.Scope, v)
}
