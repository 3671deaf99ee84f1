package projection

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// View gives the rows of one tenant's state.
type View interface {
	// Get gives a row, nil for a row that is known not to exist, and *Missing for a row that has not been loaded.
	// The row must not be changed.
	Get(key Key) (Row, error)
}

// State is a View that can be changed.
type State interface {
	View
	// Put replaces a row, or adds it. The row must not be changed afterwards.
	Put(row Row)
}

// keyed is a State that takes a row together with its key, which takes time to make.
type keyed interface {
	put(key Key, row Row)
}

// Missing tells which rows have to be loaded before the question can be answered. It is not a failure: Check and
// Fold are pure, so the caller loads the rows and asks again.
type Missing struct {
	// Keys are the rows, without repeats.
	Keys []Key
}

// Error implements error.
func (m *Missing) Error() string {
	names := make([]string, len(m.Keys))
	for i, key := range m.Keys {
		names[i] = key.String()
	}
	return "rows not loaded: " + strings.Join(names, ", ")
}

// Cache is a View of the rows that were loaded so far. Its zero value is empty and ready.
type Cache struct {
	rows map[Key]Row
}

// Load adds a row that was read; nil means that there is none such.
func (c *Cache) Load(key Key, row Row) {
	if c.rows == nil {
		c.rows = map[Key]Row{}
	}
	c.rows[key] = row
}

// Get implements View.
func (c *Cache) Get(key Key) (Row, error) {
	row, loaded := c.rows[key]
	if !loaded {
		return nil, &Missing{Keys: []Key{key}}
	}
	return row, nil
}

// Has says whether a row has been loaded, be it one that does not exist.
func (c *Cache) Has(key Key) bool {
	_, loaded := c.rows[key]
	return loaded
}

// Forget drops a row, which then has to be loaded again.
func (c *Cache) Forget(key Key) { delete(c.rows, key) }

// Missing lists those of keys that have not been loaded, sorted and without repeats.
func (c *Cache) Missing(keys []Key) []Key {
	var missing []Key
	for _, key := range keys {
		if _, loaded := c.rows[key]; !loaded {
			missing = append(missing, key)
		}
	}
	slices.SortFunc(missing, Key.Compare)
	return slices.Compact(missing)
}

// Len is the number of rows held, absent ones counted.
func (c *Cache) Len() int { return len(c.rows) }

// Overlay is a State that keeps changes apart from the View below it. Overlays nest: the changes of one append are
// merged into those of its batch, or discarded without touching them. An Overlay is not for use by several
// goroutines at once.
type Overlay struct {
	below   View
	changed map[Key]Row
}

// NewOverlay makes an overlay without changes.
func NewOverlay(below View) *Overlay {
	return &Overlay{below: below, changed: map[Key]Row{}}
}

// Get implements View.
func (o *Overlay) Get(key Key) (Row, error) {
	if row, ok := o.changed[key]; ok {
		return row, nil
	}
	return o.below.Get(key)
}

// Put implements State.
func (o *Overlay) Put(row Row) { o.put(row.Key(), row) }

func (o *Overlay) put(key Key, row Row) { o.changed[key] = row }

// Changed lists the keys of the rows that were put, by table, then key.
func (o *Overlay) Changed() []Key {
	return slices.SortedFunc(maps.Keys(o.changed), Key.Compare)
}

// Rows lists the rows that were put, by table, then key.
func (o *Overlay) Rows() []Row {
	keys := o.Changed()
	rows := make([]Row, len(keys))
	for i, key := range keys {
		rows[i] = o.changed[key]
	}
	return rows
}

// Discard forgets all changes.
func (o *Overlay) Discard() { clear(o.changed) }

// MergeInto puts all changes into another state, usually the one below, and forgets them here.
func (o *Overlay) MergeInto(state State) {
	below, isKeyed := state.(keyed)
	for key, row := range o.changed {
		if isKeyed {
			below.put(key, row)
		} else {
			state.Put(row)
		}
	}
	o.Discard()
}

// Memory is the whole state of a tenant. It never misses. Its zero value is the state before the first event.
type Memory struct {
	rows map[Key]Row
}

// Get implements View.
func (m *Memory) Get(key Key) (Row, error) { return m.rows[key], nil }

// Put implements State.
func (m *Memory) Put(row Row) { m.put(row.Key(), row) }

func (m *Memory) put(key Key, row Row) {
	if m.rows == nil {
		m.rows = map[Key]Row{}
	}
	m.rows[key] = row
}

// Rows lists all rows, by table, then key.
func (m *Memory) Rows() []Row {
	keys := slices.SortedFunc(maps.Keys(m.rows), Key.Compare)
	rows := make([]Row, len(keys))
	for i, key := range keys {
		rows[i] = m.rows[key]
	}
	return rows
}

// Len is the number of rows.
func (m *Memory) Len() int { return len(m.rows) }

// Render gives the canonical JSON of every row, by its key: what two states are compared by.
func (m *Memory) Render() map[Key]string {
	rendered := make(map[Key]string, len(m.rows))
	for key, row := range m.rows {
		rendered[key] = string(RowJSON(row))
	}
	return rendered
}

// Get gives a row as its own type, nil for one that is known not to exist, and *Missing for one that has not been loaded. The row
// must not be changed.
func Get[T any, P interface {
	*T
	Row
}](view View, key Key) (P, error) {
	row, err := view.Get(key)
	if err != nil || row == nil {
		return nil, err
	}
	typed, ok := row.(P)
	if !ok {
		return nil, fmt.Errorf("row %s is a %T", key, row)
	}
	return typed, nil
}
