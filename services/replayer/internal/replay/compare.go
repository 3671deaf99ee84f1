package replay

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/robson/robson/pkg/projection"
)

// TableReport is what a comparison found in one table.
type TableReport struct {
	// Rows is how many rows the fold makes.
	Rows int64
	// Altered, Lost and Phantom rows.
	Altered, Lost, Phantom int64
}

// Comparison is what a comparison found.
type Comparison struct {
	Head   Head
	Events int64
	Tables map[string]TableReport
	// Differences are the rows that differ, by key.
	Differences []Difference
	// Broken says that there are more differences than are kept: it ended at Position, and counts only those up to there.
	Broken bool
	// Position is up to where it has compared.
	Position int64
	// narrow says that only the rows of compared, live ones, were looked at.
	narrow   bool
	compared []projection.Row
}

// Count is how many rows differ.
func (c *Comparison) Count() int64 {
	count := int64(0)
	for _, t := range c.Tables {
		count += t.Altered + t.Lost + t.Phantom
	}
	return count
}

// all are the differences; none of no comparison.
func (c *Comparison) all() []Difference {
	if c == nil {
		return nil
	}
	return c.Differences
}

// Rows is how many rows the fold makes.
func (c *Comparison) Rows() int64 {
	rows := int64(0)
	for _, t := range c.Tables {
		rows += t.Rows
	}
	return rows
}

// Watch is told how many events have been folded, of how many; an error ends the work.
type Watch func(done, total int64) error

// watchEvery is after how many events it is told.
const watchEvery = 1000

// Compare folds a log from its first event and compares every row with the live ones. At most cfg.KeptMax differing rows are
// kept; where there are more it ends early, and says so.
func Compare(ctx context.Context, f Frozen, cfg MachineConfig, watch Watch) (*Comparison, error) {
	cfg.FromZero = true
	m := NewMachine(f, cfg)
	defer m.Close()
	head := f.Head()
	err := f.Events(ctx, Span{To: head.Position}, func(ev *projection.Event) error {
		if ev.Position%watchEvery == 0 {
			if err := watch(ev.Position-1, head.Position); err != nil {
				return err
			}
		}
		return m.Fold(ctx, ev)
	})
	if err == nil {
		err = m.Settle(ctx)
	}
	broken := errors.Is(err, ErrTooManyKept)
	if err != nil && !broken {
		return nil, err
	}
	c := &Comparison{Head: head, Events: m.Events(), Tables: map[string]TableReport{}, Broken: broken, Position: head.Position}
	if broken {
		c.Position = m.Position()
	}
	if err := watch(c.Position, head.Position); err != nil {
		return nil, err
	}
	return c, c.collect(ctx, f, m)
}

// collect finds out how the rows differ that are left, and looks for rows that the fold has not made.
func (c *Comparison) collect(ctx context.Context, f Frozen, m *Machine) error {
	for table, rows := range m.Rows() {
		c.Tables[table] = TableReport{Rows: rows}
	}
	kept := m.Kept()
	keys := slices.SortedFunc(maps.Keys(kept), projection.Key.Compare)
	found, err := f.Load(ctx, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if c.Broken && found[key] != nil && found[key].Changed().LastPosition > c.Position {
			continue // What comes after may have made it so.
		}
		c.add(differenceOf(key, kept[key], found[key]))
	}
	if c.Broken {
		return nil
	}
	counts, err := f.Counts(ctx)
	if err != nil {
		return err
	}
	for _, t := range projection.Tables() {
		report := c.Tables[t.Name]
		if counts[t.Name] != report.Rows-report.Lost {
			if err := c.phantoms(ctx, f, m, t.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// add counts a difference and keeps it.
func (c *Comparison) add(d Difference) {
	if len(d.Fields) == 0 {
		return
	}
	report := c.Tables[d.Key.Table]
	switch d.Kind {
	case Lost:
		report.Lost++
	case Phantom:
		report.Phantom++
	default:
		report.Altered++
	}
	c.Tables[d.Key.Table] = report
	c.Differences = append(c.Differences, d)
}

// errEnough ends a listing of which no more is wanted.
var errEnough = errors.New("no more is wanted")

// phantoms finds the rows of a table that the fold has not made.
func (c *Comparison) phantoms(ctx context.Context, f Frozen, m *Machine, table string) error {
	var keys []projection.Key
	err := f.Keys(ctx, table, func(key projection.Key) error {
		if !m.Made(key) {
			keys = append(keys, key)
		}
		if len(keys) > m.cfg.KeptMax {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		c.Broken = true
	} else if err != nil {
		return err
	}
	slices.SortFunc(keys, projection.Key.Compare)
	found, err := f.Load(ctx, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		c.add(differenceOf(key, nil, found[key]))
	}
	return nil
}
