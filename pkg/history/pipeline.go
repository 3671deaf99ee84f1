package history

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// pipeline is one reading.
type pipeline struct {
	cfg   Config
	scope Scope
	// free are batches to fill, todo those to decode, ordered the same ones in the order of reading.
	free, todo, ordered chan *batch
	// quit is closed when the rest need not be read.
	quit chan struct{}
	// failed is why reading ended early; it may be read once ordered is closed.
	failed error
}

func newPipeline(cfg Config, scope Scope) *pipeline {
	p := &pipeline{
		cfg: cfg, scope: scope, quit: make(chan struct{}),
		free: make(chan *batch, cfg.Batches), todo: make(chan *batch, cfg.Batches), ordered: make(chan *batch, cfg.Batches),
	}
	for range cfg.Batches {
		p.free <- newBatch(cfg.Batch)
	}
	return p
}

// run reads and decodes in goroutines of its own, and delivers in the caller's. It returns when they have ended.
func (p *pipeline) run(ctx context.Context, tx pgx.Tx, each func(*projection.Event) error) (int64, error) {
	var working sync.WaitGroup
	working.Go(func() {
		defer close(p.ordered)
		defer close(p.todo)
		if err := p.read(ctx, tx); err != nil && !errors.Is(err, errQuit) {
			p.failed = err
		}
	})
	for range p.cfg.Decoders {
		working.Go(func() {
			for b := range p.todo {
				b.decode(p.scope.Tenant)
				b.done <- struct{}{}
			}
		})
	}
	events, err := p.deliver(each)
	close(p.quit)
	for range p.ordered { // The reader closes it, having seen quit.
		continue
	}
	working.Wait()
	if err == nil {
		err = p.failed
	}
	return events, err
}

// deliver hands every event to each, in order.
func (p *pipeline) deliver(each func(*projection.Event) error) (int64, error) {
	events := int64(0)
	for b := range p.ordered {
		<-b.done
		for i := range b.decoded {
			if err := each(&b.events[i]); err != nil {
				return events, err
			}
			events++
		}
		if b.err != nil {
			return events, b.err
		}
		p.free <- b // Never blocks: there is room for all.
	}
	return events, nil
}

// errQuit ends a reading of which nobody wants more.
var errQuit = errors.New("nobody wants more")

// source fills batches from rows.
type source struct {
	*pipeline
	into  *batch
	chain *chain
	// position and seq are those of the last row.
	position, seq int64
	// rows is how many rows the running statement gave.
	rows int
}

// read reads all statements of the scope.
func (p *pipeline) read(ctx context.Context, tx pgx.Tx) error {
	s := &source{pipeline: p, position: p.scope.From - 1}
	if p.cfg.Verify {
		s.chain = &chain{tenant: p.scope.Tenant}
	}
	var err error
	switch scope := &p.scope; {
	case scope.Stream != event.StreamKey{}:
		err = s.stream(ctx, tx)
	case scope.Position != uuid.Nil:
		err = s.ofPosition(ctx, tx)
	case scope.Account != uuid.Nil && scope.isSparse(s.cfg):
		err = s.sparse(ctx, tx)
	case scope.Account != uuid.Nil:
		err = s.windows(ctx, tx, accountWindow, scope.Account)
	case scope.Strategy != uuid.Nil:
		err = s.windows(ctx, tx, strategyWindow, scope.Strategy)
	case p.cfg.Verify:
		err = s.windows(ctx, tx, tenantWindowSealed)
	default:
		err = s.windows(ctx, tx, tenantWindow)
	}
	// What was read before a failure is good, and is delivered before it is told.
	return errors.Join(err, s.hand())
}

// windows reads the positions window by window.
func (s *source) windows(ctx context.Context, tx pgx.Tx, query string, args ...any) error {
	size := int64(s.cfg.Window)
	for from := s.scope.From; from <= s.scope.To; from += size {
		to := min(from+size-1, s.scope.To)
		err := s.statement(ctx, tx, query, append([]any{s.scope.Tenant, from, to}, args...)...)
		switch {
		case err != nil:
			return err
		case s.scope.isWhole() && s.position != to:
			return missing("position", s.position+1)
		}
	}
	return nil
}

// ofPosition reads what names a position, page by page.
func (s *source) ofPosition(ctx context.Context, tx pgx.Tx) error {
	for {
		err := s.statement(ctx, tx, positionPage, s.scope.Tenant, s.position, s.scope.To, s.scope.Position, s.cfg.Window)
		if err != nil || s.rows < s.cfg.Window {
			return err
		}
	}
}

// stream reads a stream, page by page.
func (s *source) stream(ctx context.Context, tx pgx.Tx) error {
	for {
		err := s.statement(ctx, tx, streamPage, s.scope.Tenant, s.scope.From, s.scope.To, s.scope.Stream.String(), s.seq, s.cfg.Window)
		if err != nil || s.rows < s.cfg.Window {
			return err
		}
	}
}

// statement reads the rows of one statement.
func (s *source) statement(ctx context.Context, tx pgx.Tx, query string, args ...any) error {
	s.rows = 0
	select {
	case <-s.quit:
		return errQuit
	default:
	}
	failed := func(err error) error {
		return fmt.Errorf("read events of tenant %s after position %d: %w", s.scope.Tenant, s.position, err)
	}
	rows, err := tx.Query(ctx, query, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.row(rows.RawValues()); err != nil {
			return err
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return failed(err)
	}
	return nil
}

// row takes one row, once it is sure that none is missing before it.
func (s *source) row(values [][]byte) error {
	position, seq := number(values[0]), number(values[3])
	isStream := s.scope.Stream != event.StreamKey{}
	switch {
	case s.scope.isWhole() && position != s.position+1:
		return missing("position", s.position+1)
	case s.scope.Account != uuid.Nil && position <= s.position:
		return fault.Bug("the events of account %s come out of order at position %d", s.scope.Account, position)
	case isStream && seq != s.seq+1 && (s.seq > 0 || s.scope.From == 1):
		return missing("seq", s.seq+1)
	}
	if s.into == nil {
		select {
		case s.into = <-s.free:
			s.into.reset()
		case <-s.quit:
			return errQuit
		}
	}
	s.into.add(values, s.chain != nil)
	s.position, s.seq, s.rows = position, seq, s.rows+1
	if len(s.into.rows) < s.cfg.Batch {
		return nil
	}
	return s.hand()
}

// hand gives the batch on. There is room for every batch that there is, so it never waits.
func (s *source) hand() error {
	b := s.into
	if b == nil {
		return nil
	}
	s.into = nil
	if s.chain != nil {
		b.verify(s.chain)
	}
	broken := b.err != nil
	s.todo <- b // From here on it is the decoder's, and then the consumer's.
	s.ordered <- b
	if broken {
		return errQuit // The consumer tells it, after the events before.
	}
	return nil
}
