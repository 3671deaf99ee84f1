package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
)

// TableDigest sums up the rows of a table: how many, and the sum of the hashes that PostgreSQL makes of them.
type TableDigest struct {
	Rows int64
	// Sum is in decimal digits.
	Sum string
}

// Digest sums up rows by table. Equal rows have equal digests, wherever they lie and whoever wrote them.
type Digest map[string]TableDigest

// Rows is how many rows there are in all.
func (d Digest) Rows() int64 {
	rows := int64(0)
	for _, t := range d {
		rows += t.Rows
	}
	return rows
}

// Checksum is the digest in 64 hex digits.
func (d Digest) Checksum() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if t := d[name]; t.Rows != 0 {
			fmt.Fprintf(h, "%s %d %s\n", name, t.Rows, t.Sum)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// With is the digest with the rows of another one added, and those of a third taken away.
func (d Digest) With(added, removed Digest) Digest {
	sum := Digest{}
	for _, part := range []struct {
		digest Digest
		sign   int64
	}{{d, 1}, {added, 1}, {removed, -1}} {
		for name, t := range part.digest {
			have := sum[name]
			sum[name] = TableDigest{Rows: have.Rows + part.sign*t.Rows, Sum: plus(have.Sum, t.Sum, part.sign)}
		}
	}
	return sum
}

// plus is a + sign x b, in decimal digits.
func plus(a, b string, sign int64) string {
	x, y := new(big.Int), new(big.Int)
	x.SetString(a, 10) // What is no number counts as zero: an empty text is.
	y.SetString(b, 10)
	return x.Add(x, y.Mul(y, big.NewInt(sign))).String()
}
