package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// benchDatabase holds what the event log writes.
const benchDatabase = "robson_bench"

// syncsFor is how long the disk is measured.
const syncsFor = time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the first context of the process
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does everything and cleans up.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	cfg, err := parse(args, errOut)
	if err != nil {
		return err
	}
	uuid.EnableRandPool() // ids are made in the loops that are measured
	b := &bench{cfg: cfg, log: errOut, report: &report{StartedAt: now(), Settings: cfg.reported()}}
	if err := errors.Join(b.run(ctx), b.close(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	if err := b.report.write(out, cfg.output); err != nil {
		return err
	}
	if cfg.resultDir == "" {
		return nil
	}
	path, err := b.report.save(cfg.resultDir)
	if err == nil {
		fmt.Fprintln(errOut, "written to", path)
	}
	return err
}

// bench is one run with all that it has started.
type bench struct {
	cfg     *config
	log     io.Writer
	report  *report
	dir     string
	cluster *cluster
	// databases are those that were made.
	databases []string
	services  []*service
	conns     []*pgx.Conn
	raw       *raw
	peers     *peers
}

// say tells a person who waits how far it is.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format, args...) }

func (b *bench) run(ctx context.Context) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	switch {
	case b.cfg.replay:
		return b.replays(ctx)
	case b.cfg.size != sizeStandard:
		return b.sized(ctx)
	}
	if err := b.standard(ctx); err != nil {
		return err
	}
	if b.cfg.only.MatchString(loadReplay) {
		return b.replays(ctx)
	}
	return nil
}

// start makes PostgreSQL run, and looks at the machine.
func (b *bench) start(ctx context.Context) error {
	var err error
	if b.dir = b.cfg.dataDir; b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "robson-bench-"); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // the database's own user must reach its part of it
			return fmt.Errorf("open data directory: %w", err)
		}
	} else if err := os.MkdirAll(b.dir, 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("make data directory: %w", err)
	}
	if b.cluster, err = startCluster(ctx, b.cfg, b.dir); err != nil {
		return err
	}
	conn, err := b.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	m := &b.report.Machine
	m.CPUs, m.OS, m.Go, m.DurableSettings = runtime.NumCPU(), kernel(), runtime.Version(), true
	if m.Postgres, err = settingsOf(ctx, conn, told); err != nil {
		return err
	}
	if b.cluster.dir != "" {
		m.SyncsPerSecond, err = syncs(ctx, b.dir, syncsFor)
	}
	return err
}

// kernel is what the machine runs.
func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return runtime.GOOS + " " + strings.TrimSpace(string(release))
}

// connect opens a connection that is closed at the end.
func (b *bench) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := b.cluster.connect(ctx, database)
	if err == nil {
		b.conns = append(b.conns, conn)
	}
	return conn, err
}

// database makes a database, and the observer of it.
func (b *bench) database(ctx context.Context, name string) (*pgx.Conn, error) {
	b.databases = append(b.databases, name)
	if err := b.cluster.createDatabase(ctx, name); err != nil {
		return nil, err
	}
	return b.connect(ctx, name)
}

// observe observes a database that no service of Robson's works on.
func (b *bench) observe(ctx context.Context, database string) (observer, error) {
	conn, err := b.connect(ctx, database)
	return observer{conn: conn, postgresPID: b.cluster.pid}, err
}

// serve starts an event log on a database.
func (b *bench) serve(ctx context.Context, database string) (*service, error) {
	s, err := serve(ctx, b.cfg, b.dir, b.cluster.databaseURL(database))
	if err == nil {
		b.services = append(b.services, s)
	}
	return s, err
}

// standard runs the loads that `make bench` is for.
func (b *bench) standard(ctx context.Context) error {
	s := &suite{cfg: b.cfg, world: newWorld(b.cfg.tenants, b.cfg.accounts, tradersOf(b.cfg))}
	var err error
	conn, err := b.database(ctx, benchDatabase)
	if err != nil {
		return err
	}
	if s.service, err = b.serve(ctx, benchDatabase); err != nil {
		return err
	}
	b.databases = append(b.databases, rawDatabase)
	if s.raw, err = openRaw(ctx, b.cluster, b.cfg.tenants, b.cfg.accounts); err != nil {
		return err
	}
	b.raw = s.raw
	if s.theirs, err = b.observe(ctx, rawDatabase); err != nil {
		return err
	}
	s.ours = observer{conn: conn, servicePIDs: []int{s.service.pid()}, postgresPID: b.cluster.pid}
	if s.cfg.only.MatchString(loadReplicas) || s.cfg.only.MatchString(loadFollowOwn) || s.cfg.only.MatchString(loadFollowOther) {
		if err := s.openReplicas(ctx, b); err != nil {
			return err
		}
	}
	b.say("setting up %d tenants with %d accounts each\n", b.cfg.tenants, b.cfg.accounts)
	if err := s.world.settle(ctx, s.service.client); err != nil {
		return err
	}
	rawLoads, err := s.rawLoads(ctx)
	if err != nil {
		return err
	}
	if b.cfg.peers != "" {
		if s.peers, err = b.openPeers(ctx); err != nil {
			return err
		}
	}
	peerLoads, err := s.peerLoads(ctx)
	if err != nil {
		return err
	}
	outcomes, err := measure(ctx, weave(append(rawLoads, peerLoads...), s.robsonLoads()), b.cfg.rounds, b.cfg.duration, b.say)
	if err != nil {
		return err
	}
	return b.conclude(ctx, outcomes, conn, s.service.pid(), standardTargets)
}

// weave mixes two lists evenly, so that what is compared runs close together.
func weave(a, b []*load) []*load {
	mixed := make([]*load, 0, len(a)+len(b))
	for i, j := 0, 0; i < len(a) || j < len(b); {
		// The list that is further behind its share is next.
		if j == len(b) || i < len(a) && i*len(b) <= j*len(a) {
			mixed, i = append(mixed, a[i]), i+1
			continue
		}
		mixed, j = append(mixed, b[j]), j+1
	}
	return mixed
}

// conclude fills the report.
func (b *bench) conclude(ctx context.Context, outcomes []*outcome, conn *pgx.Conn, pid int, targets []target) error {
	for _, o := range outcomes {
		b.report.Loads = append(b.report.Loads, o.reported())
	}
	var err error
	if b.report.Tables, err = tableSizes(ctx, conn); err != nil {
		return err
	}
	if b.report.PayloadBytes, err = payloadSize(ctx, conn); err != nil {
		return err
	}
	peak, err := peakMemory(pid)
	if err != nil {
		return err
	}
	b.report.PeakMemoryMB = float64(peak) / (1 << 20)
	b.report.Targets = append(b.report.Targets, judge(b.report, targets)...)
	return nil
}

// close stops what was started and removes what was made.
func (b *bench) close(ctx context.Context) error {
	var errs []error
	for _, s := range b.services {
		errs = append(errs, s.stop())
	}
	if b.raw != nil {
		b.raw.close(ctx)
	}
	if b.peers != nil {
		b.peers.close(ctx)
	}
	for _, conn := range b.conns {
		_ = conn.Close(ctx) // nothing is under way
	}
	if b.cluster != nil {
		// A directory of our own goes as a whole.
		if !b.cfg.keep && (b.cfg.dataDir != "" || b.cfg.databaseURL != "") {
			for _, name := range b.databases {
				errs = append(errs, b.cluster.dropDatabase(ctx, name))
			}
		}
		errs = append(errs, b.cluster.stop())
	}
	switch {
	case b.dir == "" || b.cfg.dataDir != "":
	case b.cfg.keep:
		b.say("the data is in %s\n", b.dir)
	default:
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}
