package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// usage is what has been used so far; the difference of two is what a load has used.
type usage struct {
	robson, postgres, bench time.Duration
	// busy is what all processes of the machine have used, capacity what there was.
	busy, capacity time.Duration
	// wal, heap and index are bytes; heap is the tables' rows, index what finds them.
	wal, heap, index int64
}

// minus is what was used between two looks.
func (u usage) minus(before usage) usage {
	return usage{
		robson: u.robson - before.robson, postgres: u.postgres - before.postgres, bench: u.bench - before.bench,
		busy: u.busy - before.busy, capacity: u.capacity - before.capacity,
		wal: u.wal - before.wal, heap: u.heap - before.heap, index: u.index - before.index,
	}
}

// plus adds up rounds.
func (u usage) plus(other usage) usage {
	return usage{
		robson: u.robson + other.robson, postgres: u.postgres + other.postgres, bench: u.bench + other.bench,
		busy: u.busy + other.busy, capacity: u.capacity + other.capacity,
		wal: u.wal + other.wal, heap: u.heap + other.heap, index: u.index + other.index,
	}
}

// others is the part of the machine, in percent, that went to neither the bench nor what it measures: noise.
func (u usage) others() float64 {
	if u.capacity <= 0 {
		return 0
	}
	return max(0, 100*float64(u.busy-u.robson-u.postgres-u.bench)/float64(u.capacity))
}

// observer looks at processes and at a database.
type observer struct {
	conn *pgx.Conn
	// servicePIDs are the event logs' processes; none: none is under load.
	servicePIDs []int
	// postgresPID is PostgreSQL's first process; 0: it runs elsewhere.
	postgresPID int
}

// diskUse is the size of the tables on the search path, partitions too, and of their indexes.
const diskUse = `
select pg_current_wal_insert_lsn() - '0/0'::pg_lsn, coalesce(sum(pg_table_size(oid)), 0)::bigint, coalesce(sum(pg_indexes_size(oid)), 0)::bigint
from pg_class where relkind = 'r' and relnamespace::regnamespace::name = any (current_schemas(false))`

// look tells what has been used so far.
func (o *observer) look(ctx context.Context) (usage, error) {
	var u usage
	var wal float64
	if err := o.conn.QueryRow(ctx, diskUse).Scan(&wal, &u.heap, &u.index); err != nil {
		return u, fmt.Errorf("look at WAL and disk: %w", err)
	}
	u.wal = int64(wal)
	var err error
	for _, pid := range o.servicePIDs {
		used, err := cpuOf(pid, false)
		if err != nil {
			return u, err
		}
		u.robson += used
	}
	if o.postgresPID != 0 {
		if u.postgres, err = cpuOf(o.postgresPID, true); err != nil {
			return u, err
		}
		// Where PostgreSQL is unknown, it would be taken for another process.
		if u.busy, u.capacity, err = machineCPU(); err != nil {
			return u, err
		}
	}
	u.bench, err = cpuOf(os.Getpid(), false)
	return u, err
}

// load is one thing that is measured.
type load struct {
	// name is for programs and for -only, title for people.
	name, title string
	// callers is how many work at a time, for the table.
	callers int
	// prepare, if there is one, comes before each run of that duration and is not measured; it warms up too.
	prepare func(ctx context.Context, d time.Duration) error
	run     func(ctx context.Context, d time.Duration) (*tally, error)
	observer
}

// outcome is what a load came to in all its rounds.
type outcome struct {
	load *load
	// rates are the rounds' events a second.
	rates []float64
	total tally
	used  usage
}

// warmUp is how long a load runs unmeasured before its first round: connections are made, statements prepared, caches filled.
const warmUp = 700 * time.Millisecond

// measure runs loads in turn, so that a machine that changes its speed changes it for all.
func measure(ctx context.Context, loads []*load, rounds int, d time.Duration, progress func(format string, args ...any)) ([]*outcome, error) {
	outcomes := make([]*outcome, len(loads))
	for i, l := range loads {
		outcomes[i] = &outcome{load: l}
	}
	for round := range rounds {
		for _, o := range outcomes {
			if round == 0 && o.load.prepare == nil {
				if _, err := o.load.run(ctx, warmUp); err != nil {
					return nil, fmt.Errorf("%s: %w", o.load.name, err)
				}
			}
			if err := o.round(ctx, d); err != nil {
				return nil, fmt.Errorf("%s: %w", o.load.name, err)
			}
			progress("round %d/%d  %-24s %9.0f events/s  p99 %s\n", round+1, rounds, o.load.name, o.rates[round], milliseconds(o.total.latency.quantile(0.99)))
		}
	}
	return outcomes, nil
}

// round runs the load once more.
func (o *outcome) round(ctx context.Context, d time.Duration) error {
	if o.load.prepare != nil {
		if err := o.load.prepare(ctx, d); err != nil {
			return err
		}
	}
	before, err := o.load.look(ctx)
	if err != nil {
		return err
	}
	t, err := o.load.run(ctx, d)
	if err != nil {
		return err
	}
	after, err := o.load.look(ctx)
	if err != nil {
		return err
	}
	o.rates = append(o.rates, t.rate())
	o.total.merge(t)
	o.total.elapsed += t.elapsed
	used := after.minus(before)
	used.bench += t.cpu
	o.used = o.used.plus(used)
	return nil
}

// perEvent divides what was used by the events.
func (o *outcome) perEvent(amount float64) float64 {
	if o.total.events == 0 {
		return 0
	}
	return amount / float64(o.total.events)
}
