package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
)

// index is the last line: what the snapshot is of, and where its rows are. Its fields are in the order of their names.
type index struct {
	AsOf         int64                `json:"as_of_position"`
	Blocks       []blockEntry         `json:"blocks"`
	ChainHash    string               `json:"chain_hash"`
	Context      int64                `json:"context"`
	Filter       filter               `json:"filter"`
	Format       int                  `json:"format"`
	Live         int                  `json:"live_blocks"`
	Own          map[string]int64     `json:"own"`
	RulesVersion int32                `json:"rules_version"`
	Scope        projection.ScopeKind `json:"scope"`
	ScopeID      uuid.UUID            `json:"scope_id"`
	TenantID     uuid.UUID            `json:"tenant_id"`
}

// keyName is a key: its table and its id.
type keyName [2]string

func nameOf(key projection.Key) keyName { return keyName{key.Table, key.ID()} }

// blockEntry is what the last line says of a block.
type blockEntry struct {
	Bytes int64   `json:"bytes"`
	First keyName `json:"first"`
	Rows  int64   `json:"rows"`
	Hash  string  `json:"sha256"`
}

// hashed says whether text is the block's.
func (b *blockEntry) hashed(text []byte) bool {
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:]) == b.Hash
}

// of fills in what the snapshot is of.
func (x *index) of(m Meta) {
	x.Format, x.AsOf, x.ChainHash, x.RulesVersion = formatVersion, m.AsOf, hex.EncodeToString(m.ChainHash[:]), m.RulesVersion
	x.Scope, x.ScopeID, x.TenantID = m.Scope.Kind, m.Scope.ID, m.TenantID
}

// isOf says whether the snapshot is of that.
func (x *index) isOf(m Meta) bool {
	var y index
	y.of(m)
	return x.AsOf == y.AsOf && x.ChainHash == y.ChainHash && x.RulesVersion == y.RulesVersion && x.Scope == y.Scope &&
		x.ScopeID == y.ScopeID && x.TenantID == y.TenantID
}

func (x *index) line() ([]byte, error) {
	line, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("write the last line of a snapshot: %w", err)
	}
	return append(line, '\n'), nil
}

// parseIndex reads what line wrote, and nothing else.
func parseIndex(line []byte) (*index, bool) {
	x := &index{}
	if json.Unmarshal(line, x) != nil {
		return x, false
	}
	again, err := x.line()
	return x, err == nil && bytes.Equal(again, line)
}

// counts adds up the rows of the scope, and those of all blocks. False: it says what cannot be.
func (x *index) counts() (own, rows, length int64, ok bool) {
	for _, n := range x.Own {
		if n < 1 {
			return 0, 0, 0, false
		}
		own += n
	}
	for i := range x.Blocks {
		b := &x.Blocks[i]
		if b.Rows < 1 || b.Bytes < 1 || b.Bytes > TextMax || len(b.Hash) != 2*sha256.Size {
			return 0, 0, 0, false
		}
		rows += b.Rows
		length += b.Bytes
	}
	return own, rows, length, x.Context >= 0 && own+x.Context == rows && x.Live >= 0 && x.Live <= len(x.Blocks)
}
