package replay

import (
	"bytes"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Opened is a snapshot that was verified. It is safe for concurrent use.
type Opened struct {
	ID   uuid.UUID
	View *snapshot.View
	// Horizon tells which rows have not been written since.
	Horizon Horizon
}

// streams are those of the scope's positions and strategies that may go on: nothing is appended to one of a position that is closed but
// what names the account.
func (o *Opened) streams() ([]event.StreamKey, error) {
	live, err := o.View.Live()
	streams := []event.StreamKey{}
	for _, row := range live {
		switch r := row.(type) {
		case *projection.Position:
			streams = append(streams, event.StreamKey{Kind: event.KindPosition, ID: r.PositionID})
		case *projection.Strategy:
			streams = append(streams, event.StreamKey{Kind: event.KindStrategy, ID: r.StrategyID})
		}
	}
	return streams, err
}

// narrowed is a snapshot of which only some rows are given as a whole: those that are wanted, and no others are decoded. It is
// for one question, which reads some rows again and again.
type narrowed struct {
	*Opened
	question Question
	began    Beginning
	decoded  map[projection.Key]projection.Row
}

func (o *Opened) narrowed(q Question, began Beginning) narrowed {
	return narrowed{o, q, began, map[projection.Key]projection.Row{}}
}

// Get implements projection.Base.
func (n narrowed) Get(key projection.Key) (projection.Row, error) {
	if row, known := n.decoded[key]; known {
		return row, nil
	}
	row, err := n.View.Get(key)
	if err != nil {
		return nil, err
	}
	n.decoded[key] = row
	return row, nil
}

// All implements projection.Base.
func (n narrowed) All() ([]projection.Row, error) {
	if n.question.ofAccount() {
		return n.View.Live()
	}
	var rows []projection.Row
	id, position := []byte(n.question.ID.String()), []byte(n.began.PositionID.String())
	err := n.View.Lines(func(l snapshot.Line) error {
		is := l.Table == projection.TableAccounts || bytes.Contains(l.JSON, id) || n.began.PositionID != uuid.Nil && bytes.Contains(l.JSON, position)
		if !is {
			return nil
		}
		row, err := projection.ParseRow(l.Table, l.JSON)
		if err != nil {
			return &snapshot.Unfit{Reason: snapshot.ReasonFormat, Detail: err.Error()}
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}
