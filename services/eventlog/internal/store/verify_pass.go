package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/audit"
)

// follow reads the events, as often as their streams have parts, and holds against them what goes with them.
func (v *verification) follow(ctx context.Context, tx pgx.Tx, before audit.Place) (Verdict, error) {
	verdict := Verdict{Head: v.head}
	parts := v.parts()
	for number, full := uint64(0), true; number < parts; {
		p := v.newPass(before, audit.Part{Number: number, Of: parts}, full)
		if err := p.run(ctx, tx); err != nil {
			return verdict, err
		}
		verdict.Breach = audit.Earlier(p.breach, verdict.Breach)
		if full {
			verdict.Events = p.last.Position - before.Position
		}
		if p.breach != nil {
			v.end = p.breach.Position - 1 // In another part something may be wrong before; what is after does not matter.
		}
		if p.streams.Over() { // More than there are heads of: begin again with smaller parts, with all that was not compared.
			number, parts, verdict.Streams = 0, 2*parts, 0
			continue
		}
		verdict.Streams += p.streams.Count()
		number++
		if verdict.Breach != nil {
			full = false
			continue
		}
		wrong, err := p.compare(ctx, tx)
		if err != nil {
			return verdict, err
		}
		verdict.Breach = wrong
		if full {
			verdict.Receipts = p.receipts
		}
		full = false
	}
	if verdict.Breach == nil {
		verdict.Breach = v.behind
	}
	if verdict.Breach != nil {
		verdict.Events = min(verdict.Events, max(verdict.Breach.Position-1-before.Position, 0))
	}
	return verdict, nil
}

// parts is in how many parts the streams are looked at: a fifth more than would do if all were equally large.
func (v *verification) parts() uint64 {
	streams, most := uint64(v.streams), uint64(v.limits.StreamsMax)
	if streams <= most {
		return 1
	}
	return (streams+streams/5)/most + 1
}

// pass reads the events once, in stretches, by several connections.
type pass struct {
	*verification
	before audit.Place
	part   audit.Part
	// full: everything is looked at; else only seqs, for a part of the streams.
	full bool

	// What was found, by merge.
	last    audit.Place
	breach  *audit.Breach
	streams *audit.Streams
	tally   *audit.Tally

	// What was found, by readReceipts.
	stored     *audit.Tally
	receipts   int64
	unreadable *audit.Breach
	// quit is closed when the rest need not be read.
	quit chan struct{}
}

// stretch is a part of the log that a worker takes at a time.
type stretch struct {
	from, to int64
	// done gets one result, and has room for it.
	done chan followed
}

// followed is what a stretch came to.
type followed struct {
	last   audit.Place
	breach *audit.Breach
	spans  *audit.Spans
	tally  *audit.Tally
}

// task is what a worker does, on a transaction that sees the snapshot.
type task func(ctx context.Context, tx pgx.Tx) error

func (v *verification) newPass(before audit.Place, part audit.Part, full bool) *pass {
	return &pass{
		verification: v, before: before, part: part, full: full, last: before,
		streams: audit.NewStreams(audit.StreamsParams{Part: part, Max: v.limits.StreamsMax, After: before.Position, To: v.params.To}),
		tally:   audit.NewTally(v.seed), stored: audit.NewTally(v.seed), quit: make(chan struct{}),
	}
}

// run reads the events by tx and by the connections of the other workers, and returns when none of them is at work.
func (p *pass) run(ctx context.Context, tx pgx.Tx) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// A worker that waits for a connection is not waited for once there is nothing left to do.
	joining, joined := context.WithCancel(ctx)
	defer joined()
	tasks, ordered := make(chan task), make(chan *stretch, 2*p.limits.Workers)
	work := func(tx pgx.Tx) error {
		for do := range tasks {
			if err := do(ctx, tx); err != nil {
				fail(err)
				return err
			}
		}
		return nil
	}
	var working sync.WaitGroup
	working.Go(func() {
		defer joined()
		p.feed(ctx, tasks, ordered)
	})
	working.Go(func() { _ = work(tx) }) // It has failed the context.
	for range p.limits.Workers - 1 {
		working.Go(func() {
			conn, err := p.store.reads.Acquire(joining)
			if err != nil {
				return // The worker on tx does it all.
			}
			defer conn.Release()
			if err := p.join(ctx, conn, work); err != nil {
				fail(err)
			}
		})
	}
	p.merge(ctx, ordered)
	close(p.quit)
	working.Wait()
	return context.Cause(ctx) //nolint:wrapcheck // What failed says what it was doing.
}

// join works on a connection that sees the verification's snapshot.
func (p *pass) join(ctx context.Context, conn *pgxpool.Conn, work func(pgx.Tx) error) error {
	return postgres.InTx(ctx, conn, verifyTx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(snapshotImport, p.snapshot)); err != nil {
			return fmt.Errorf("join snapshot: %w", err)
		}
		if err := p.settings(ctx, tx); err != nil {
			return err
		}
		return work(tx)
	})
}

// feed hands the work out: first the receipts, which one worker reads while the others follow the events.
func (p *pass) feed(ctx context.Context, tasks chan<- task, ordered chan<- *stretch) {
	defer close(ordered)
	defer close(tasks)
	hand := func(do task) bool {
		select {
		case tasks <- do:
			return true
		case <-p.quit:
		case <-ctx.Done():
		}
		return false
	}
	if p.full && !hand(p.readReceipts) {
		return
	}
	size := int64(p.limits.StretchMax)
	for from := p.before.Position + 1; from <= p.end; from += size {
		s := &stretch{from: from, to: min(from+size-1, p.end), done: make(chan followed, 1)}
		select {
		case ordered <- s:
		case <-p.quit:
			return
		case <-ctx.Done():
			return
		}
		if !hand(func(ctx context.Context, tx pgx.Tx) error { return p.read(ctx, tx, s) }) {
			return
		}
	}
}

// merge puts the stretches together in order, until something is wrong.
func (p *pass) merge(ctx context.Context, ordered <-chan *stretch) {
	total := p.end - p.before.Position
	for s := range ordered {
		var f followed
		select {
		case f = <-s.done:
		case <-ctx.Done():
			return
		}
		// What is wrong with the seqs of a stretch is before what ended it.
		if p.breach = p.streams.Add(f.spans); p.breach == nil {
			p.breach = f.breach
		}
		if p.breach != nil {
			p.last.Position = p.breach.Position - 1
			return
		}
		p.last = f.last
		p.tally.Add(f.tally)
		parts := int64(p.part.Of)
		p.progress((int64(p.part.Number)*total+p.last.Position-p.before.Position)/parts, total)
	}
}

// progress tells how far it is, unless it was further before: in fewer parts.
func (v *verification) progress(done, total int64) {
	if done > v.told {
		v.told = done
		v.params.Progress(done, total)
	}
}

// read reads a stretch.
func (p *pass) read(ctx context.Context, tx pgx.Tx, s *stretch) error {
	spans, tally := audit.NewSpans(p.part), audit.NewTally(p.seed)
	if !p.full {
		var wrong *audit.Breach
		err := p.rows(ctx, tx, verifySeqs, s.from, s.to, func(values [][]byte) bool {
			wrong = spans.NextOf(values[1], number(values[2]), number(values[0]))
			return wrong == nil
		})
		s.done <- followed{last: audit.Place{Position: s.to}, breach: wrong, spans: spans, tally: tally}
		return err
	}
	// It begins at the stored hash of the event before it, which belongs to another stretch, or is trusted.
	var events *audit.Stretch
	if s.from == p.before.Position+1 {
		events = audit.NewStretch(p.tenant, p.before, p.params.Known, spans, tally)
	}
	var row audit.Row
	err := p.rows(ctx, tx, verifyEvents, max(s.from-1, p.before.Position+1), s.to, func(values [][]byte) bool {
		verifyColumns(&row, values)
		if events == nil {
			events = audit.NewStretch(p.tenant, audit.PlaceOf(&row), p.params.Known, spans, tally)
			return true
		}
		return events.Next(&row)
	})
	if err != nil {
		return err
	}
	if events == nil {
		events = audit.NewStretch(p.tenant, audit.Place{Position: s.from - 2}, nil, spans, tally)
	}
	events.End(s.to)
	s.done <- followed{last: events.Last(), breach: events.Breach(), spans: spans, tally: tally}
	return nil
}
