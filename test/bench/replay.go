package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

const (
	// replayDatabase holds the log that is rebuilt.
	replayDatabase = "robson_bench_replay"
	// scopeEvents is how many events an account has.
	scopeEvents = 100_000
	// pastCalls is how often the state of the past is asked for.
	pastCalls = 200
	// snapshotWait bounds how long snapshots that are due may take.
	snapshotWait = 2 * time.Minute
)

// replays are the figures of rebuilds, snapshots and questions about the past.
type replays struct {
	Events   int64        `json:"events"`
	Accounts int          `json:"accounts"`
	Runs     []replayRun  `json:"runs"`
	Snapshot snapshotCost `json:"snapshot"`
	PastP50  float64      `json:"state_at_p50_ms"`
	PastP99  float64      `json:"state_at_p99_ms"`
	// PastFolded is how many events were folded for an answer, on average.
	PastFolded   float64 `json:"state_at_events_folded"`
	PeakMemoryMB float64 `json:"replayer_peak_memory_mb"`
}

// replayRun is one rebuild or validation.
type replayRun struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Outcome string  `json:"outcome"`
	Events  int64   `json:"events"`
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"`
	// Rate is in events of the scope's log a second, folded or not.
	Rate float64 `json:"events_per_second"`
	// HeldMillis is how long appends had to wait.
	HeldMillis float64 `json:"held_ms"`
}

// snapshotCost is what a snapshot of one account costs.
type snapshotCost struct {
	Rows        int64   `json:"rows"`
	TextBytes   int64   `json:"text_bytes"`
	StoredBytes int64   `json:"stored_bytes"`
	MakeMillis  float64 `json:"make_ms"`
	// RestoreMillis is until all rows have come to the client, verified.
	RestoreMillis float64 `json:"restore_ms"`
}

// The runs that are measured.
const (
	runValidate     = "validate"
	runBuild        = "build"
	runLost         = "tables lost"
	runAccount      = "account from zero"
	runFromSnapshot = "account from a snapshot"
	runRewritten    = "the same, all rows rewritten"
)

// replayBench is a filled log with the services that look back on it.
type replayBench struct {
	*bench
	conn                            *pgx.Conn
	tenant                          *tenant
	eventlog, snapshotter, replayer *service
	result                          *replays
}

// replays measures rebuilds, snapshots and questions about the past on a log of order lives.
func (b *bench) replays(ctx context.Context) error {
	events := sizes[b.cfg.size]
	if b.cfg.size == sizeStandard {
		events = sizes[sizeHundredK]
	}
	r := &replayBench{bench: b, tenant: newReplayTenant(events), result: &replays{}}
	b.report.Replays = r.result
	if err := r.open(ctx); err != nil {
		return err
	}
	b.say("living order lives, %d events of %d accounts\n", events, len(r.tenant.accounts))
	began := now()
	err := parallel(len(r.tenant.accounts), livers, func(i int) error { return r.lived(ctx, i, r.tenant.accounts[i], events/len(r.tenant.accounts)) })
	if err != nil {
		return err
	}
	b.say("lived in %s\n", now().Sub(began).Round(time.Second))
	for _, step := range []func(context.Context) error{r.settled, r.checkpoint, r.past, r.runs} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	peak, err := peakMemory(r.replayer.pid())
	if err != nil {
		return err
	}
	r.result.PeakMemoryMB = float64(peak) / (1 << 20)
	b.report.Targets = append(b.report.Targets, judge(b.report, replayTargets)...)
	return nil
}

// open makes the database and starts the services.
func (r *replayBench) open(ctx context.Context) error {
	var err error
	if r.conn, err = r.database(ctx, replayDatabase); err != nil {
		return err
	}
	tokens, tokenFile, err := mintTokens(r.dir, r.tenant.id)
	if err != nil {
		return err
	}
	url := r.cluster.databaseURL(replayDatabase)
	launched := func(name string, flags ...string) (*service, error) {
		token := filepath.Join(r.dir, name+".token")
		if err := os.WriteFile(token, []byte(tokens[name]), 0o600); err != nil {
			return nil, fmt.Errorf("write token: %w", err)
		}
		s, err := launch(ctx, r.cfg, name, url, tokens, append([]string{"--token-file", tokenFile, "--service-token-file", token}, flags...)...)
		if err == nil {
			r.services = append(r.services, s)
		}
		return s, err
	}
	if r.eventlog, err = launched("eventlog"); err != nil {
		return err
	}
	if r.snapshotter, err = launched(asSnapshotter, "--eventlog-address", r.eventlog.address); err != nil {
		return err
	}
	r.replayer, err = launched(asReplayer, "--eventlog-address", r.eventlog.address, "--snapshotter-address", r.snapshotter.address)
	if err != nil {
		return err
	}
	if err := r.tenant.settle(ctx, r.eventlog.client, r.eventlog.client.writer(0)); err != nil {
		return err
	}
	// A snapshot of each closed position would be all that the snapshotter does here.
	off := false
	_, err = snapshotterv1.NewOperateServiceClient(r.snapshotter.client.conns[0]).SetSchedule(r.user(ctx), &snapshotterv1.SetScheduleRequest{AtWorkflowEnd: &off})
	if err != nil {
		return fmt.Errorf("set schedule: %w", err)
	}
	return nil
}

// user is a call of the user who may do everything.
func (r *replayBench) user(ctx context.Context) context.Context {
	return r.eventlog.client.as(ctx, benchUser, r.tenant.id)
}

// settled returns when the snapshots that the filling made due are there.
func (r *replayBench) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, snapshotWait)
	defer cancel()
	for {
		var due int
		const query = "select count(*), (select last_position from tenant_log where tenant_id = $1) from snapshots_due where tenant_id = $1"
		if err := r.conn.QueryRow(ctx, query, r.tenant.id).Scan(&due, &r.result.Events); err != nil {
			return fmt.Errorf("look for snapshots that are due: %w", err)
		}
		if due == 0 {
			break
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%d snapshots are due still: %w", due, err)
		}
	}
	r.result.Accounts = len(r.tenant.accounts)
	if _, err := r.conn.Exec(ctx, "vacuum analyze"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}

// checkpoint makes a snapshot of an account and has it given back.
func (r *replayBench) checkpoint(ctx context.Context) error {
	conn := r.snapshotter.client.conns[0]
	scope := &snapshotterv1.Scope{Kind: eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT, Id: r.tenant.accounts[0]}
	began := now()
	made, err := snapshotterv1.NewOperateServiceClient(conn).CreateSnapshot(r.user(ctx), &snapshotterv1.CreateSnapshotRequest{Scope: scope})
	if err != nil {
		return fmt.Errorf("make a snapshot: %w", err)
	}
	s := made.GetSnapshot()
	r.result.Snapshot = snapshotCost{Rows: s.GetRows(), TextBytes: s.GetTextBytes(), StoredBytes: s.GetStoredBytes(), MakeMillis: inMillis(now().Sub(began))}
	began = now()
	restored, err := snapshotterv1.NewStateServiceClient(conn).RestoreSnapshot(r.user(ctx), &snapshotterv1.RestoreSnapshotRequest{SnapshotId: s.GetSnapshotId()})
	if err != nil {
		return fmt.Errorf("restore a snapshot: %w", err)
	}
	for {
		_, err := restored.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("restore a snapshot: %w", err)
		}
	}
	r.result.Snapshot.RestoreMillis = inMillis(now().Sub(began))
	return nil
}

// past asks for the state of accounts, by turns at random positions of the log.
func (r *replayBench) past(ctx context.Context) error {
	history, chance := replayerv1.NewHistoryServiceClient(r.replayer.client.conns[0]), newRand(3)
	r.say("asking for the past\n")
	var latency histogram
	folded := int64(0)
	for range pastCalls {
		// From where every account is there.
		at := r.result.Events/10 + chance.Int64N(r.result.Events*9/10)
		account := r.tenant.accounts[chance.IntN(len(r.tenant.accounts))]
		began := now()
		out, err := history.StateAt(r.user(ctx), &replayerv1.StateAtRequest{
			At: &replayerv1.StateAtRequest_Position{Position: at}, What: &replayerv1.StateAtRequest_AccountId{AccountId: account},
		})
		if err != nil {
			return fmt.Errorf("state of account %s at %d: %w", account, at, err)
		}
		latency.record(now().Sub(began))
		folded += out.GetEventsFolded()
	}
	r.result.PastP50, r.result.PastP99 = inMillis(latency.quantile(0.5)), inMillis(latency.quantile(0.99))
	r.result.PastFolded = float64(folded) / pastCalls
	return nil
}

// runs makes each kind of run as often as there are rounds, and keeps the median.
func (r *replayBench) runs(ctx context.Context) error {
	account := &replayerv1.Scope{Part: &replayerv1.Scope_AccountId{AccountId: r.tenant.accounts[0]}}
	for _, run := range []struct {
		name, title string
		events      int64
		request     *replayerv1.RebuildRequest
		before      func(context.Context) error
	}{
		{runValidate, "read, decode, fold, compare", r.result.Events, &replayerv1.RebuildRequest{DryRun: true}, nil},
		{runAccount, "one account, from its first event", scopeEvents, &replayerv1.RebuildRequest{Scope: account}, nil},
		{runFromSnapshot, "one account, from its newest snapshot", scopeEvents, &replayerv1.RebuildRequest{Scope: account, FromSnapshot: true}, nil},
		{runBuild, "read, decode, fold, write the tables, compare, switch", r.result.Events, &replayerv1.RebuildRequest{Build: true}, nil},
		{runLost, "the same, with no row left in the tables", r.result.Events, &replayerv1.RebuildRequest{}, r.lose},
		// All rows have been written anew: the snapshot's horizon tells nothing.
		{runRewritten, "one account, from a snapshot, all rows written since", scopeEvents, &replayerv1.RebuildRequest{Scope: account, FromSnapshot: true}, nil},
	} {
		r.say("%s\n", run.name)
		var best replayRun
		for range r.cfg.rounds {
			if run.before != nil {
				if err := run.before(ctx); err != nil {
					return err
				}
			}
			result, err := r.rebuild(ctx, run.request)
			if err != nil {
				return fmt.Errorf("%s: %w", run.name, err)
			}
			took := result.GetTook().AsDuration()
			if best.Seconds == 0 || took.Seconds() < best.Seconds {
				best = replayRun{
					Name: run.name, Title: run.title, Outcome: strings.ToLower(strings.TrimPrefix(result.GetOutcome().String(), "OUTCOME_")),
					Events: result.GetEvents(), Rows: result.GetRows(), Seconds: took.Seconds(), Rate: float64(run.events) / took.Seconds(),
					HeldMillis: inMillis(result.GetHeld().AsDuration()),
				}
			}
		}
		r.result.Runs = append(r.result.Runs, best)
	}
	return nil
}

// rebuild runs one to its end.
func (r *replayBench) rebuild(ctx context.Context, request *replayerv1.RebuildRequest) (*replayerv1.RunResult, error) {
	var stream grpc.ServerStreamingClient[replayerv1.RebuildResponse]
	stream, err := replayerv1.NewRebuildServiceClient(r.replayer.client.conns[0]).Rebuild(r.user(ctx), request)
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w", err)
	}
	for {
		out, err := stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("rebuild: %w", err)
		}
		if result := out.GetResult(); result != nil {
			return result, nil
		}
	}
}

// lose takes the tenant's rows away.
func (r *replayBench) lose(ctx context.Context) error {
	rows, err := r.conn.Query(ctx, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and (relname like '%\\_current' or relname = 'fills')")
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, table := range tables {
		if _, err := r.conn.Exec(ctx, "delete from "+pgx.Identifier{table}.Sanitize()); err != nil {
			return fmt.Errorf("empty %s: %w", table, err)
		}
	}
	return nil
}

// find is a run by its name; nil: it was not made.
func (r *replays) find(name string) *replayRun {
	if r == nil {
		return nil
	}
	for i := range r.Runs {
		if r.Runs[i].Name == name {
			return &r.Runs[i]
		}
	}
	return nil
}

func (r *replays) write(out io.Writer) {
	if r == nil {
		return
	}
	fmt.Fprintf(out, "\nReplay, on a log of %d events of order lives by %d accounts; the quickest of the rounds.\n", r.Events, r.Accounts)
	rows := make([][]string, 0, len(r.Runs))
	for _, run := range r.Runs {
		rows = append(rows, []string{
			run.Name, run.Outcome, strconv.FormatInt(run.Events, 10), strconv.FormatInt(run.Rows, 10),
			number(run.Seconds, 2), number(run.Rate, 0), number(run.HeldMillis, 1),
		})
	}
	table(out, "run | outcome | events folded | rows | s | events/s | appends held ms", rows)
	s := r.Snapshot
	fmt.Fprintf(out, "\nA snapshot of an account of %d events: %d rows, %.1f MB of text, %.1f MB stored; made in %.0f ms, restored in %.0f ms.\n",
		scopeEvents, s.Rows, float64(s.TextBytes)/(1<<20), float64(s.StoredBytes)/(1<<20), s.MakeMillis, s.RestoreMillis)
	fmt.Fprintf(out, "An account's state in the past: p50 %.2f ms, p99 %.2f ms, %.0f events folded on average. The replayer's peak memory: %.0f MB.\n",
		r.PastP50, r.PastP99, r.PastFolded, r.PeakMemoryMB)
}

// replayTargets are those of the issue that asked for replay.
var replayTargets = []target{
	{name: "folded and compared, events/s", must: 150_000, aim: 300_000, value: replayRate(runValidate)},
	{name: "rebuilt with all tables written, events/s", must: 80_000, aim: 150_000, value: replayRate(runBuild)},
	{name: "rebuild from a snapshot / from zero, time", must: 0.1, aim: 0.05, atMost: true, value: func(r *report) (float64, bool) {
		zero, snapshot := r.Replays.find(runAccount), r.Replays.find(runFromSnapshot)
		if zero == nil || snapshot == nil {
			return 0, false
		}
		return snapshot.Seconds / zero.Seconds, true
	}},
	{name: "appends held by a rebuild, ms", must: 250, aim: 50, atMost: true, value: func(r *report) (float64, bool) {
		run := r.Replays.find(runBuild)
		if run == nil {
			return 0, false
		}
		return run.HeldMillis, true
	}},
	{name: "state in the past p99, ms", must: 50, aim: 20, atMost: true, value: func(r *report) (float64, bool) {
		return r.Replays.PastP99, r.Replays.PastP99 > 0
	}},
	{name: "replayer's peak memory, MB", must: 512, aim: 256, atMost: true, value: func(r *report) (float64, bool) {
		return r.Replays.PeakMemoryMB, r.Replays.PeakMemoryMB > 0
	}},
}

func replayRate(name string) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) {
		run := r.Replays.find(name)
		if run == nil {
			return 0, false
		}
		return run.Rate, true
	}
}
