package projection

import (
	"sync"
)

// Scratch is a Memory for who folds a log and keeps no row on the way: a row that it gave is valid until the next event is
// folded into it. What replaced rows took is used again for the rows that replace them, which saves most of what folding
// allocates. Once folding is over its rows stay as they are. Its zero value is the state before the first event.
type Scratch struct {
	Memory
}

// Put implements State.
func (s *Scratch) Put(row Row) { s.put(row.Key(), row) }

func (s *Scratch) put(key Key, row Row) {
	replaced := s.rows[key]
	s.Memory.put(key, row)
	if replaced != nil && replaced != row {
		recycle(replaced)
	}
}

// Rows that nobody holds any more, of the tables whose rows change most. No row points into another (a test looks), so that
// whoever took over an amount or a text from a row is not touched by what becomes of it.
var (
	spareOrders    sync.Pool
	sparePositions sync.Pool
	spareRisks     sync.Pool
	spareIntents   sync.Pool
)

// recycle keeps a row that nobody holds for a clone to come.
func recycle(row Row) {
	switch r := row.(type) {
	case *Order:
		*r = Order{}
		spareOrders.Put(r)
	case *Position:
		*r = Position{}
		sparePositions.Put(r)
	case *Risk:
		*r = Risk{}
		spareRisks.Put(r)
	case *Intent:
		*r = Intent{}
		spareIntents.Put(r)
	}
}

// spare is a row to write a clone into.
func spare[T any]() *T {
	var pool *sync.Pool
	switch any((*T)(nil)).(type) {
	case *Order:
		pool = &spareOrders
	case *Position:
		pool = &sparePositions
	case *Risk:
		pool = &spareRisks
	case *Intent:
		pool = &spareIntents
	default:
		return new(T)
	}
	if row, ok := pool.Get().(*T); ok {
		return row
	}
	return new(T)
}
