package replay

import (
	"bytes"
	"slices"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Opened is a snapshot that was verified. Its holder is alone with it until it is given back.
type Opened struct {
	ID   uuid.UUID
	View *snapshot.View
	// keys are those of its rows: most rows that a fold asks for are not in it, and looking for one costs some twenty lines.
	keys *keySet
	// living are the rows that an account's picture may need: not those that are over.
	living []projection.Key
}

// NewOpened goes over a snapshot's lines once, so that questions need not.
func NewOpened(id uuid.UUID, view *snapshot.View) (*Opened, error) {
	o := &Opened{ID: id, View: view, keys: newKeySet()}
	err := view.Lines(func(l snapshot.Line) error {
		key, err := projection.ParseKey(l.Table, l.ID)
		if err != nil {
			return &snapshot.Unfit{Reason: snapshot.ReasonFormat, Detail: err.Error()}
		}
		o.keys.add(key)
		if mayLive(l) {
			o.living = append(o.living, key)
		}
		return nil
	})
	return o, err
}

// Get implements projection.Base.
func (o *Opened) Get(key projection.Key) (projection.Row, error) {
	if !o.keys.has(key) {
		return nil, nil //nolint:nilnil // As Base promises.
	}
	return o.View.Get(key)
}

// All implements projection.Base.
func (o *Opened) All() ([]projection.Row, error) { return o.View.All() }

// narrowed is a snapshot of which only some rows are given as a whole: those that are wanted, and no others are decoded.
type narrowed struct {
	*Opened
	question Question
	began    Beginning
}

// All implements projection.Base.
func (n narrowed) All() ([]projection.Row, error) {
	keys := n.living
	if !n.question.ofAccount() {
		keys = nil
		id, position := []byte(n.question.ID.String()), []byte(n.began.PositionID.String())
		err := n.View.Lines(func(l snapshot.Line) error {
			is := l.Table == projection.TableAccounts || bytes.Contains(l.JSON, id) || n.began.PositionID != uuid.Nil && bytes.Contains(l.JSON, position)
			if !is {
				return nil
			}
			key, err := projection.ParseKey(l.Table, l.ID)
			keys = append(keys, key)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	rows := make([]projection.Row, 0, len(keys))
	for _, key := range keys {
		row, err := n.View.Get(key)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// What is over, as it is written in a row's line. No text of a row holds such a thing, since quotes in texts are escaped; only a
// setting may be called as a column is.
var (
	noSettings = []byte(`"detector_config":{}`)
	closed     = []byte(`"state":"closed"`)
	ended      = []byte(`"ended":true`)
	over       = []byte(`"is_open":false`)
	done       = [][]byte{[]byte(`"status":"filled"`), []byte(`"status":"canceled"`), []byte(`"status":"expired"`), []byte(`"status":"rejected"`)}
)

// mayLive says whether a line may be of what is not over. What is not certain may.
func mayLive(l snapshot.Line) bool {
	switch l.Table {
	case projection.TableFills, projection.TableDecisions, projection.TableSignals:
		return false
	case projection.TablePositions:
		return !bytes.Contains(l.JSON, closed) || !bytes.Contains(l.JSON, noSettings)
	case projection.TableOrders:
		return !slices.ContainsFunc(done, func(status []byte) bool { return bytes.Contains(l.JSON, status) })
	case projection.TableIntents:
		return !bytes.Contains(l.JSON, ended)
	case projection.TableDiscrepancies:
		return !bytes.Contains(l.JSON, over)
	}
	return true
}
