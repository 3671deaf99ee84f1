package explain

import (
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// runMin is how many events of one type in a row make a run, which is told in one line.
const runMin = 4

// tree is events by their causes.
type tree struct {
	events   Events
	byID     map[string]*eventv1.Event
	children map[string]Events
	// size counts an event and all that follows from it.
	size map[string]int
}

// grow makes a tree of events, which come by position. A cause always stands before its effect.
func grow(events Events) *tree {
	t := &tree{events: events, byID: map[string]*eventv1.Event{}, children: map[string]Events{}, size: map[string]int{}}
	for _, e := range events {
		t.byID[e.GetEventId()] = e
	}
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		t.size[e.GetEventId()]++
		if p := t.parent(e); p != nil {
			t.size[p.GetEventId()] += t.size[e.GetEventId()]
			t.children[p.GetEventId()] = append(Events{e}, t.children[p.GetEventId()]...)
		}
	}
	return t
}

// parent is an event's cause, if it is in the tree. What does not stand before its effect is no cause: a log that says so is
// broken, and must not lead round in a circle.
func (t *tree) parent(e *eventv1.Event) *eventv1.Event {
	p := t.byID[e.GetCausationId()]
	if p == nil || p.GetPosition() >= e.GetPosition() {
		return nil
	}
	return p
}

// root is what an event goes back to.
func (t *tree) root(e *eventv1.Event) *eventv1.Event {
	for p := t.parent(e); p != nil; p = t.parent(e) {
		e = p
	}
	return e
}

// around are the ids of the seeds, of what they come from, and of what comes from them.
func (t *tree) around(seeds Events) map[string]bool {
	kept := map[string]bool{}
	for _, e := range seeds {
		for p := t.parent(e); p != nil && !kept[p.GetEventId()]; p = t.parent(p) {
			kept[p.GetEventId()] = true
		}
	}
	// By position, a cause is looked at before what it causes.
	after := map[string]bool{}
	for _, e := range seeds {
		after[e.GetEventId()] = true
	}
	for _, e := range t.events {
		if p := t.parent(e); p != nil && after[p.GetEventId()] {
			after[e.GetEventId()] = true
		}
	}
	for id := range after {
		kept[id] = true
	}
	return kept
}

// trunk walks the tree in the order in which it is told.
type trunk struct {
	*tree
	kept  map[string]bool
	focus map[string]bool
	chain Chain
	max   int
}

// lines tells the kept events: each after its cause; of several effects the one from which most follows comes last and goes
// on where its cause stood, the others branch off before it. So a long life stays in sight.
func (t *tree) lines(kept map[string]bool, seeds Events, mark bool, most int) Chain {
	w := &trunk{tree: t, kept: kept, focus: map[string]bool{}, chain: Chain{Lines: []Line{}}, max: most}
	if mark {
		for _, e := range seeds {
			w.focus[e.GetEventId()] = true
		}
	}
	for _, e := range t.events {
		if kept[e.GetEventId()] && t.parent(e) == nil {
			w.tell(e, 0)
		}
	}
	return w.chain
}

// tell writes an event and what follows from it. Branches call it anew, the trunk is a loop: a tree is deeper than it is wide,
// and each branch holds at most half of what is left, so the calls stay few.
func (w *trunk) tell(e *eventv1.Event, depth int) {
	for e != nil {
		last, count := w.run(e)
		w.write(e, last, count, depth)
		effects := w.effects(last)
		if len(effects) == 0 {
			return
		}
		main := w.longest(effects)
		for _, effect := range effects {
			if effect != main {
				w.tell(effect, depth+1)
			}
		}
		e = main
	}
}

// effects are what an event caused, as far as it is kept.
func (w *trunk) effects(e *eventv1.Event) Events {
	var out Events
	for _, c := range w.children[e.GetEventId()] {
		if w.kept[c.GetEventId()] {
			out = append(out, c)
		}
	}
	return out
}

// longest is the effect from which most follows; of equals the last.
func (w *trunk) longest(effects Events) *eventv1.Event {
	main := effects[0]
	for _, e := range effects[1:] {
		if w.size[e.GetEventId()] >= w.size[main.GetEventId()] {
			main = e
		}
	}
	return main
}

// run is the last of a run that begins with an event, and how long it is; the event alone if it is short, or holds what was
// asked for.
func (w *trunk) run(e *eventv1.Event) (*eventv1.Event, int) {
	last, count := e, 1
	for {
		effects := w.effects(last)
		if len(effects) != 1 || effects[0].GetEventType() != e.GetEventType() || w.focus[effects[0].GetEventId()] || w.focus[e.GetEventId()] {
			break
		}
		last = effects[0]
		count++
	}
	if count < runMin {
		return e, 1
	}
	return last, count
}

// write adds a line, or counts what it would have told.
func (w *trunk) write(e, last *eventv1.Event, count, depth int) {
	if len(w.chain.Lines) >= w.max {
		w.chain.LeftOut += count
		return
	}
	line := Line{Position: e.GetPosition(), Depth: depth, Focus: w.focus[e.GetEventId()]}
	if p := w.parent(e); p != nil {
		line.Cause = p.GetPosition()
	} else if e.GetCausationId() != "" {
		line.Outside = true
	}
	if count > 1 {
		line.Through, line.Count = last.GetPosition(), count
	}
	w.chain.Lines = append(w.chain.Lines, line)
}
