package replay

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// Home keeps rows that a Machine has not touched for a while.
type Home interface {
	// Settle takes rows over, of which fresh are certain not to be there. Those it gives back must stay in memory. It runs beside
	// Load, and never twice at once.
	Settle(ctx context.Context, fresh, rows []projection.Row) (kept []projection.Row, err error)
	// Load reads rows by their keys; one that does not exist is left out.
	Load(ctx context.Context, keys []projection.Key) (map[projection.Key]projection.Row, error)
}

// MachineConfig bounds a Machine. The zero value of each field gets its default.
type MachineConfig struct {
	// RowsMax is how many rows a generation has; two are in memory, and one that is being settled. Some 1.5 kB each. Default 6 000.
	RowsMax int
	// KeptMax is how many rows may stay in memory because the home did not take them. Default 20 000.
	KeptMax int
	// AheadMax is how many events are looked through for more rows to load when one is missing. Default 256.
	AheadMax int
	// FromZero says that the machine folds from the first event: a row that it never made does not exist. Otherwise it is
	// looked for in the home.
	FromZero bool
}

func (c MachineConfig) withDefaults() MachineConfig {
	if c.RowsMax == 0 {
		c.RowsMax = 6_000
	}
	if c.KeptMax == 0 {
		c.KeptMax = 20_000
	}
	if c.AheadMax == 0 {
		c.AheadMax = 256
	}
	return c
}

// ErrTooManyKept ends a fold whose rows find no home.
var ErrTooManyKept = errors.New("more rows than are kept in memory find no home")

// slot is a row in memory; nil for one that is known not to exist. A dirty one is not what its home has.
type slot struct {
	row   projection.Row
	dirty bool
}

// generation is a set of rows that were touched in about the same time.
type generation map[projection.Key]slot

// Machine folds events in the order of their positions, with bounded memory. It is not for several goroutines at once.
type Machine struct {
	cfg        MachineConfig
	home       Home
	young, old generation
	settling   *settlement
	// kept are rows that the home did not take.
	kept generation
	made *keySet
	// waiting are events that were handed over and are not folded yet.
	waiting  []projection.Event
	position int64
	events   int64
}

// NewMachine makes a machine without rows.
func NewMachine(home Home, cfg MachineConfig) *Machine {
	cfg = cfg.withDefaults()
	return &Machine{cfg: cfg, home: home, young: generation{}, old: generation{}, kept: generation{}, made: newKeySet()}
}

// Move goes on with another home, which has the same rows.
func (m *Machine) Move(home Home) { m.home = home }

// Position is that of the last event folded.
func (m *Machine) Position() int64 { return m.position }

// Events is how many events were folded.
func (m *Machine) Events() int64 { return m.events + int64(len(m.waiting)) }

// Kept are the rows that the home did not take, once all is settled.
func (m *Machine) Kept() map[projection.Key]projection.Row {
	rows := make(map[projection.Key]projection.Row, len(m.kept))
	for key, s := range m.kept {
		rows[key] = s.row
	}
	return rows
}

// Rows is how many rows of each table were settled so far.
func (m *Machine) Rows() map[string]int64 { return m.made.counts }

// Made says whether a row was made and settled.
func (m *Machine) Made(key projection.Key) bool { return m.made.has(key) }

// Give puts a row into memory that is not what its home has; nil for one that does not exist.
func (m *Machine) Give(key projection.Key, row projection.Row) { m.young[key] = slot{row, true} }

// Touched are the rows in memory that are not what their home has.
func (m *Machine) Touched() map[projection.Key]projection.Row {
	rows := map[projection.Key]projection.Row{}
	for _, g := range []generation{m.kept, m.old, m.young} {
		for key, s := range g {
			if s.dirty {
				rows[key] = s.row
			}
		}
	}
	return rows
}

// Get implements projection.View.
func (m *Machine) Get(key projection.Key) (projection.Row, error) {
	if s, ok := m.young[key]; ok {
		return s.row, nil
	}
	if s, ok := m.find(key); ok {
		m.young[key] = s
		return s.row, nil
	}
	if m.cfg.FromZero && !m.made.has(key) {
		return nil, nil //nolint:nilnil // The View's contract: a row that does not exist.
	}
	return nil, &projection.Missing{Keys: []projection.Key{key}}
}

// find looks for a row that was touched longer ago.
func (m *Machine) find(key projection.Key) (slot, bool) {
	if s, ok := m.old[key]; ok {
		return s, true
	}
	if m.settling != nil {
		if s, ok := m.settling.rows[key]; ok {
			return s, true
		}
	}
	s, ok := m.kept[key]
	if ok {
		delete(m.kept, key)
	}
	return s, ok
}

// Put implements projection.State.
func (m *Machine) Put(row projection.Row) { m.young[row.Key()] = slot{row, true} }

// Fold takes the next event. It is folded now or with those after it, at the latest by Flush. The event may be reused;
// its payload may not.
func (m *Machine) Fold(ctx context.Context, ev *projection.Event) error {
	m.waiting = append(m.waiting, *ev)
	if len(m.waiting) < m.cfg.AheadMax {
		return nil
	}
	return m.Flush(ctx)
}

// Flush folds all events that were handed over.
func (m *Machine) Flush(ctx context.Context) error {
	for i := range m.waiting {
		if err := m.foldOne(ctx, m.waiting[i:]); err != nil {
			return err
		}
		m.position = m.waiting[i].Position
		m.events++
	}
	clear(m.waiting)
	m.waiting = m.waiting[:0]
	if len(m.young) >= m.cfg.RowsMax {
		return m.turn(ctx)
	}
	return nil
}

// roundsMax is how often the rules may ask for more rows for one event: they follow references a few steps far.
const roundsMax = 32

// foldOne folds the first of the events, loading what it and those after it want.
func (m *Machine) foldOne(ctx context.Context, events []projection.Event) error {
	for range roundsMax {
		_, err := projection.Fold(m, events[0])
		var missing *projection.Missing
		if !errors.As(err, &missing) {
			if err != nil {
				return fmt.Errorf("fold the event at position %d: %w", events[0].Position, err)
			}
			return nil
		}
		keys := missing.Keys
		for i := range events[1:] {
			keys = append(keys, projection.Wants(m, events[i+1])...)
		}
		if err := m.load(ctx, keys, events[0].Position); err != nil {
			return err
		}
	}
	return fault.Bug("the rules ask for more rows after %d rounds at position %d", roundsMax, events[0].Position)
}

// load reads rows from the home. A row from behind the fold is none of this machine's: its key was taken for another's.
func (m *Machine) load(ctx context.Context, keys []projection.Key, position int64) error {
	wanted := map[projection.Key]bool{}
	var list []projection.Key
	for _, key := range keys {
		if !wanted[key] {
			wanted[key] = true
			list = append(list, key)
		}
	}
	if m.settling != nil {
		// What is just being written may not be readable yet.
		if err := m.settled(ctx); err != nil {
			return err
		}
	}
	found, err := m.home.Load(ctx, list)
	if err != nil {
		return err
	}
	for _, key := range list {
		if _, known := m.young[key]; known {
			continue
		}
		row := found[key]
		if row != nil && m.cfg.FromZero && row.Changed().LastPosition >= position {
			row = nil
		}
		m.young[key] = slot{row: row}
	}
	return nil
}

// settlement is rows on their way home.
type settlement struct {
	rows generation
	done chan struct{}
	kept []projection.Row
	err  error
}

// turn lets the old generation go home, and makes the young one old.
func (m *Machine) turn(ctx context.Context) error {
	if err := m.settled(ctx); err != nil {
		return err
	}
	leaving := m.old
	m.old, m.young = m.young, make(generation, m.cfg.RowsMax)
	for key := range leaving {
		if _, touched := m.old[key]; touched {
			delete(leaving, key)
		}
	}
	m.settle(ctx, leaving)
	return nil
}

// settle begins to hand rows over, beside the fold. The context's end is waited for like any other.
func (m *Machine) settle(ctx context.Context, rows generation) {
	var fresh, again []projection.Row
	for key, s := range rows {
		if !s.dirty || s.row == nil {
			continue
		}
		if added := m.made.add(key); added && m.cfg.FromZero {
			fresh = append(fresh, s.row)
		} else {
			again = append(again, s.row)
		}
	}
	if len(fresh)+len(again) == 0 {
		return
	}
	s := &settlement{rows: rows, done: make(chan struct{})}
	m.settling = s
	home := m.home
	go func() {
		defer close(s.done)
		s.kept, s.err = home.Settle(ctx, fresh, again)
	}()
}

// settled waits until rows that are being handed over are.
func (m *Machine) settled(_ context.Context) error {
	s := m.settling
	if s == nil {
		return nil
	}
	<-s.done // Settle ends with its context.
	m.settling = nil
	if s.err != nil {
		return s.err
	}
	for _, row := range s.kept {
		key := row.Key()
		if _, touched := m.young[key]; touched {
			continue
		}
		if _, touched := m.old[key]; touched {
			continue
		}
		m.kept[key] = slot{row, true}
	}
	if len(m.kept) > m.cfg.KeptMax {
		return ErrTooManyKept
	}
	return nil
}

// Settle folds and hands over all there is, and waits for it. Rows that are still wanted stay in memory, as their home
// has them.
func (m *Machine) Settle(ctx context.Context) error {
	if err := m.Flush(ctx); err != nil {
		return err
	}
	if err := m.settled(ctx); err != nil {
		return err
	}
	all := m.kept
	for _, g := range []generation{m.old, m.young} {
		for key, s := range g {
			all[key] = s
		}
	}
	m.kept = generation{}
	m.settle(ctx, all)
	m.old, m.young = generation{}, generation{}
	if err := m.settled(ctx); err != nil {
		return err
	}
	for key, s := range all {
		if _, kept := m.kept[key]; !kept && len(m.old) < m.cfg.RowsMax {
			m.old[key] = slot{row: s.row}
		}
	}
	return nil
}

// Close waits for what is running. The machine is of no use afterwards.
func (m *Machine) Close() {
	if m.settling != nil {
		<-m.settling.done
		m.settling = nil
	}
}

// keySet remembers keys by 64 bits of each: that two of ten million are taken for one has a chance of one in a hundred
// thousand, and then costs one look into the home, which knows whole keys.
type keySet struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
	counts map[string]int64
}

func newKeySet() *keySet {
	return &keySet{seed: maphash.MakeSeed(), hashes: map[uint64]struct{}{}, counts: map[string]int64{}}
}

func (s *keySet) hash(key projection.Key) uint64 {
	return maphash.Comparable(s.seed, key)
}

func (s *keySet) has(key projection.Key) bool {
	_, ok := s.hashes[s.hash(key)]
	return ok
}

// add says whether the key was not there.
func (s *keySet) add(key projection.Key) bool {
	h := s.hash(key)
	if _, known := s.hashes[h]; known {
		return false
	}
	s.hashes[h] = struct{}{}
	s.counts[key.Table]++
	return true
}
