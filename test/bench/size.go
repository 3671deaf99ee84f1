package main

import (
	"context"
	"crypto/md5" //nolint:gosec // names traces as fill.go does, in SQL
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sizedLog is a filled log with its event log and the loads on it.
type sizedLog struct {
	name   string
	events int
	suite  *suite
	conn   *pgx.Conn
}

// sized compares a log of many events over twelve months with one of a hundred thousand: what grows with the log must not be
// felt by those who append to it.
func (b *bench) sized(ctx context.Context) error {
	names := []string{sizeHundredK}
	if b.cfg.size != sizeHundredK {
		names = append(names, b.cfg.size)
	}
	var logs []*sizedLog
	var loads []*load
	for _, name := range names {
		l, err := b.fillLog(ctx, name)
		if err != nil {
			return err
		}
		logs, loads = append(logs, l), append(loads, l.loads()...)
	}
	outcomes, err := measure(ctx, loads, b.cfg.rounds, b.cfg.duration, b.say)
	if err != nil {
		return err
	}
	if err := b.readLogs(ctx, logs); err != nil {
		return err
	}
	largest := logs[len(logs)-1]
	return b.conclude(ctx, outcomes, largest.conn, largest.suite.ours.servicePIDs[0], sizedTargets(b.cfg.size))
}

// fillLog makes a database, begins one log in it by the service, and fills others.
func (b *bench) fillLog(ctx context.Context, name string) (*sizedLog, error) {
	l := &sizedLog{name: name, events: sizes[name], suite: &suite{cfg: b.cfg, world: newWorld(b.cfg.tenants, b.cfg.accounts, 0)}}
	database := benchDatabase + "_" + name
	var err error
	if l.conn, err = b.database(ctx, database); err != nil {
		return nil, err
	}
	if l.suite.service, err = b.serve(ctx, database); err != nil {
		return nil, err
	}
	l.suite.ours = observer{conn: l.conn, servicePIDs: []int{l.suite.service.pid()}, postgresPID: b.cluster.pid}
	probe := newWorld(1, 1, 0)
	if err := probe.settle(ctx, l.suite.service.client); err != nil {
		return nil, err
	}
	b.say("filling a log of %d events over %d months\n", l.events, months)
	began := now()
	f := &filling{cluster: b.cluster, database: database, world: l.suite.world, probe: probe.tenants[0].id, events: l.events}
	if err := f.fill(ctx, l.conn); err != nil {
		return nil, err
	}
	b.say("filled in %s\n", now().Sub(began).Round(time.Second))
	return l, nil
}

// at is a load's name on a log.
func at(name, size string) string { return name + "@" + size }

// loads are those that are compared.
func (l *sizedLog) loads() []*load {
	s, spread := l.suite, uniform(l.suite.cfg.tenants, l.suite.cfg.accounts)
	count := strconv.Itoa(l.events)
	return []*load{
		s.closed(at(loadUnary, l.name), "one event an append, on "+count+" events", s.ours, s.unary(s.cfg.callers, spread)),
		s.closed(at(loadBatch100, l.name), "AppendBatch of 100, on "+count+" events", s.ours, s.batches(batchCallers, 100)),
	}
}

// readLogs measures reads on each log, and afterwards which partitions they looked into.
func (b *bench) readLogs(ctx context.Context, logs []*sizedLog) error {
	if err := wait(ctx, countersSettle); err != nil {
		return err
	}
	for kind := range readings(nil, time.Time{}, time.Time{}) {
		if err := b.readKind(ctx, logs, kind); err != nil {
			return err
		}
	}
	return nil
}

// readKind makes one kind of read on each log.
func (b *bench) readKind(ctx context.Context, logs []*sizedLog, kind int) error {
	today := now().UTC()
	until := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	before, reads := make([]map[string]int64, len(logs)), make([]readReport, len(logs))
	for i, l := range logs {
		var err error
		if before[i], err = scans(ctx, l.conn); err != nil {
			return err
		}
		question := readings(l.trace, until.AddDate(0, -1, 0), until)[kind]
		b.say("reading %s, of %d events\n", question.name, l.events)
		if reads[i], err = question.measure(ctx, l.suite.service.client, l.suite.world); err != nil {
			return err
		}
		reads[i].LogEvents = int64(l.events)
	}
	if err := wait(ctx, countersSettle); err != nil {
		return err
	}
	for i, l := range logs {
		after, err := scans(ctx, l.conn)
		if err != nil {
			return err
		}
		reads[i].Partitions = len(after)
		for partition, n := range after {
			if n > before[i][partition] {
				reads[i].PartitionsRead++
			}
		}
	}
	b.report.Reads = append(b.report.Reads, reads...)
	return nil
}

// scans is how often each partition of the log has been looked into.
func scans(ctx context.Context, conn *pgx.Conn) (map[string]int64, error) {
	const query = `
select relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_user_tables where relname like 'event\_log\_%'`
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	type counter struct {
		name string
		n    int64
	}
	counters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (counter, error) {
		var c counter
		err := row.Scan(&c.name, &c.n)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	counts := map[string]int64{}
	for _, c := range counters {
		counts[c.name] = c.n
	}
	return counts, nil
}

// trace is the trace of some of a tenant's filled events, which fill.go names by tenant and position; of the middle of last
// month if need be.
func (l *sizedLog) trace(t *tenant, lastMonth bool, r *rand.Rand) string {
	tenants := l.suite.world.tenants
	index := slices.IndexFunc(tenants, func(other tenant) bool { return other.id == t.id })
	positions := l.events / len(tenants)
	position := 1 + r.IntN(positions)
	if lastMonth {
		perMonth := positions / months
		position = (months-2)*perMonth + perMonth/4 + r.IntN(perMonth/2)
	}
	sum := md5.Sum([]byte("trace" + strconv.Itoa(index) + "/" + strconv.Itoa(position/20))) //nolint:gosec // as above
	return uuid.UUID(sum).String()
}

// sizedTargets compare a log with that of a hundred thousand events.
func sizedTargets(size string) []target {
	targets := []target{
		{name: "a stream read p99, ms", must: 10, aim: 10, atMost: true, value: readP99(readStream, sizes[size])},
		{name: "the same stream again p99, ms", must: 10, aim: 10, atMost: true, value: readP99(readAgain, sizes[size])},
		{name: "search by trace id p99, ms", must: 20, aim: 20, atMost: true, value: readP99(readTrace, sizes[size])},
		{name: "partitions read by a search in one month", must: 1, aim: 1, atMost: true, value: func(r *report) (float64, bool) {
			read := r.findRead(readTraceMonth, sizes[size])
			if read == nil {
				return 0, false
			}
			return float64(read.PartitionsRead), true
		}},
	}
	if size == sizeHundredK {
		return targets
	}
	for _, name := range []string{loadUnary, loadBatch100} {
		large, small := at(name, size), at(name, sizeHundredK)
		targets = append(targets,
			target{name: name + " rate, " + size + " / 100k", must: 0.85, aim: 0.95, value: ratio(large, small)},
			target{name: name + " p99, " + size + " / 100k", must: 1.15, aim: 1.05, atMost: true, value: func(r *report) (float64, bool) {
				l, s := r.find(large), r.find(small)
				if l == nil || s == nil || s.P99 == 0 {
					return 0, false
				}
				return l.P99 / s.P99, true
			}})
	}
	return targets
}

// findRead is a kind of read of a log of so many events; nil: it was not made.
func (r *report) findRead(name string, events int) *readReport {
	for i := range r.Reads {
		if r.Reads[i].Name == name && r.Reads[i].LogEvents == int64(events) {
			return &r.Reads[i]
		}
	}
	return nil
}

func readP99(name string, events int) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) {
		read := r.findRead(name, events)
		if read == nil {
			return 0, false
		}
		return read.P99, true
	}
}
