package projection

import (
	"github.com/google/uuid"
)

// ReadKind is a kind of row that a decision can rest on, numbered as in the append contract.
type ReadKind int32

// The kinds of rows that a decision can rest on.
const (
	ReadPosition    ReadKind = 1
	ReadOrder       ReadKind = 2
	ReadAccountRisk ReadKind = 3
	ReadStrategy    ReadKind = 4
)

// ReadKey names the row that a decision read; false for a kind that does not exist.
func ReadKey(kind ReadKind, id uuid.UUID) (Key, bool) {
	switch kind {
	case ReadPosition:
		return PositionKey(id), true
	case ReadOrder:
		return OrderKey(id), true
	case ReadAccountRisk:
		return RiskKey(id, uuid.Nil), true
	case ReadStrategy:
		return StrategyKey(id), true
	}
	return Key{}, false
}

// ChangedSince tells at which position a row was last changed, and whether that is after the position at which a
// decision read it. A row that does not exist counts as changed at 0. An account's risk row moves only with what weighs
// on risk: a sample of its balances disturbs nobody.
func ChangedSince(view View, key Key, decidedAt int64) (position int64, changed bool, err error) {
	row, err := view.Get(key)
	if err != nil || row == nil {
		return 0, false, err
	}
	position = row.Changed().LastPosition
	return position, position > decidedAt, nil
}
