package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
)

const (
	// heldMax bounds how long appends may wait for a rebuild.
	heldMax = 250 * time.Millisecond
	// steadyWorkers append at a steady pace.
	steadyWorkers = 20
	// filledAtOnce is how many events a batch of a filling has.
	filledAtOnce = 500
)

// rebuildScale is how much of it.
type rebuildScale struct {
	events  int
	perTick time.Duration // between two appends of a steady worker
	kills   int
}

func chosenScale() rebuildScale {
	if *long {
		return rebuildScale{events: 300_000, perTick: 20 * time.Millisecond, kills: 10}
	}
	return rebuildScale{events: 20_000, perTick: 100 * time.Millisecond, kills: 3}
}

// runRebuilds rebuilds a tenant's state while appends go on, and while replayers and databases die.
func runRebuilds(t *testing.T, r *rig, seed uint64) {
	scale, source := chosenScale(), rand.New(rand.NewPCG(seed, 7))
	r.replayer = r.serve(t, "replayer", asReplayer)
	defer func() { r.replayer = nil }()
	require.NoError(t, r.replayer.ready(t.Context()))
	c := &client{replicas: r.replicas[:1], rand: source, codes: newTally(), limit: patientMax}
	require.NoError(t, r.operated.begin(t.Context(), c))
	require.NoError(t, r.fill(t.Context(), source, scale.events))
	t.Run("while appends go on", func(t *testing.T) { rebuildUnderLoad(t, r, source, scale) })
	t.Run("whatever dies", func(t *testing.T) { rebuildAmongDeaths(t, r, source, scale) })
}

// fill lengthens the operated tenant's log.
func (r *rig) fill(ctx context.Context, source *rand.Rand, events int) error {
	account, _ := r.operated.accounts.pick(source)
	for done := 0; done < events; done += filledAtOnce {
		appends := make([]*eventlogv1.AppendRequest, filledAtOnce)
		for i := range appends {
			appends[i] = sampledPlainly(source, account, anyStream)
		}
		out, err := r.replicas[0].log.AppendBatch(as(ctx, asConnector, r.operated.id, false), &eventlogv1.AppendBatchRequest{Appends: appends})
		if err != nil {
			return err
		}
		for _, result := range out.GetResults() {
			if err := resultError(result); err != nil {
				return err
			}
		}
	}
	return nil
}

// steady is appends at a steady pace, of which none may fail.
type steady struct {
	stopped chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex
	appends int
	longest time.Duration
	err     error
}

func startSteady(ctx context.Context, r *rig, source *rand.Rand, pause time.Duration) *steady {
	s := &steady{stopped: make(chan struct{})}
	for range steadyWorkers {
		own := rand.New(rand.NewPCG(source.Uint64(), 8))
		s.running.Go(func() { s.work(ctx, r, own, pause) })
	}
	return s
}

func (s *steady) work(ctx context.Context, r *rig, source *rand.Rand, pause time.Duration) {
	account, _ := r.operated.accounts.pick(source)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-s.stopped:
			return
		case <-ticker.C:
		}
		began := now()
		call, cancel := context.WithTimeout(as(ctx, asConnector, r.operated.id, false), patientMax)
		_, err := r.replicas[0].log.Append(call, sampledPlainly(source, account, anyStream))
		cancel()
		s.mu.Lock()
		s.appends++
		s.longest, s.err = max(s.longest, now().Sub(began)), errors.Join(s.err, err)
		s.mu.Unlock()
	}
}

func (s *steady) stop() error {
	close(s.stopped)
	s.running.Wait()
	return s.err
}

// operating is a call of the operator.
func (r *rig) operating(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", "Bearer "+operator))
}

// rebuild rebuilds the operated tenant's state to the end.
func (r *rig) rebuild(ctx context.Context, request *replayerv1.RebuildRequest) (*replayerv1.RunResult, error) {
	ctx, cancel := context.WithTimeout(r.operating(ctx), readyMax)
	defer cancel()
	stream, err := replayerv1.NewRebuildServiceClient(r.replayer.conn).Rebuild(ctx, request)
	if err != nil {
		return nil, err
	}
	for {
		out, err := stream.Recv()
		if err != nil {
			return nil, closedEarly(err)
		}
		if result := out.GetResult(); result != nil {
			return result, nil
		}
	}
}

// validate compares the operated tenant's state with its log.
func (r *rig) validate(ctx context.Context) (*replayerv1.RunResult, []*replayerv1.Difference, error) {
	ctx, cancel := context.WithTimeout(r.operating(ctx), readyMax)
	defer cancel()
	stream, err := replayerv1.NewValidationServiceClient(r.replayer.conn).Validate(ctx, &replayerv1.ValidateRequest{})
	if err != nil {
		return nil, nil, err
	}
	var found []*replayerv1.Difference
	for {
		out, err := stream.Recv()
		if err != nil {
			return nil, nil, closedEarly(err)
		}
		if difference := out.GetDifference(); difference != nil {
			found = append(found, difference)
		}
		if result := out.GetResult(); result != nil {
			return result, found, nil
		}
	}
}

func closedEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the stream ended without a result")
	}
	return err
}

// requireFold holds what the projector serves of the operated tenant against a fold that is written down here once more. A service
// may still meet a connection to a database that has died.
func (r *rig) requireFold(t *testing.T) {
	t.Helper()
	require.NoError(t, await(t.Context(), "the tables are the fold", readyMax, func() error { return r.foldDiffers(t.Context()) }))
}

func (r *rig) foldDiffers(ctx context.Context) error {
	f, position := newFold(), int64(0)
	for {
		page, err := r.replicas[0].read.ReadLog(as(ctx, asConnector, r.operated.id, false), &eventlogv1.ReadLogRequest{FromPosition: position + 1, PageSize: pageSize})
		if err != nil {
			return err
		}
		for _, e := range page.GetEvents() {
			if err := f.apply(e); err != nil {
				return err
			}
			position = e.GetPosition()
		}
		if page.GetNextPosition() == 0 {
			break
		}
	}
	rows, err := r.projected(ctx, r.operated.id, position)
	if err != nil {
		return err
	}
	return f.differences(rows)
}

// alter changes a row behind the services' backs, as nobody may, and gives the row's strategy.
func (r *rig) alter(t *testing.T) (strategy string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.database.url.String())
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }() // nothing is under way
	const update = `update strategy_state_current set strategy_name = 'mallory' where ctid =
    (select ctid from strategy_state_current where tenant_id = $1 and epoch = (select epoch from tenant_log where tenant_id = $1) limit 1)
    returning strategy_id::text`
	require.NoError(t, conn.QueryRow(t.Context(), update, r.operated.id).Scan(&strategy))
	return strategy
}

// rebuildUnderLoad rebuilds everything, finds nothing to mend, and mends what was altered, while appends go on.
func rebuildUnderLoad(t *testing.T, r *rig, source *rand.Rand, scale rebuildScale) {
	load := startSteady(t.Context(), r, source, scale.perTick)
	built, err := r.rebuild(t.Context(), &replayerv1.RebuildRequest{Build: true})
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_BUILT, built.GetOutcome())
	require.True(t, built.GetAnnounced())
	same, err := r.rebuild(t.Context(), &replayerv1.RebuildRequest{})
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_IDENTICAL, same.GetOutcome(), "%v", same)

	altered := r.alter(t)
	result, found, err := r.validate(t.Context())
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_DIFFERS, result.GetOutcome())
	require.Len(t, found, 1)
	require.Equal(t, "strategy_state_current", found[0].GetTable())
	require.Equal(t, altered, found[0].GetKey())
	require.Len(t, found[0].GetFields(), 1)
	require.Equal(t, "strategy_name", found[0].GetFields()[0].GetField())
	require.Equal(t, `"chaos"`, found[0].GetFields()[0].GetExpected())
	require.Equal(t, `"mallory"`, found[0].GetFields()[0].GetFound())
	mended, err := r.rebuild(t.Context(), &replayerv1.RebuildRequest{})
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_MENDED, mended.GetOutcome())
	require.EqualValues(t, 1, mended.GetRowsChanged())

	require.NoError(t, load.stop(), "no append fails")
	result, _, err = r.validate(t.Context())
	require.NoError(t, err)
	require.Equal(t, replayerv1.Outcome_OUTCOME_IDENTICAL, result.GetOutcome(), "%v", result)
	r.requireFold(t)
	t.Logf("%d events rebuilt at %.0f/s; %d appends went on meanwhile, the longest %s; held for %s building and %s mending", built.GetEvents(),
		float64(built.GetEvents())/built.GetTook().AsDuration().Seconds(), load.appends, load.longest.Round(time.Millisecond),
		built.GetHeld().AsDuration().Round(time.Microsecond), mended.GetHeld().AsDuration().Round(time.Microsecond))
	if *long {
		require.Less(t, built.GetHeld().AsDuration(), heldMax)
		require.Less(t, mended.GetHeld().AsDuration(), heldMax)
		require.Less(t, load.longest, heldMax)
	}
}

// rebuildAmongDeaths kills the replayer or PostgreSQL at random moments of rebuilds. The old state stays whole, and the next run
// succeeds.
func rebuildAmongDeaths(t *testing.T, r *rig, source *rand.Rand, scale rebuildScale) {
	began := now()
	_, err := r.rebuild(t.Context(), &replayerv1.RebuildRequest{Build: true})
	require.NoError(t, err)
	took := now().Sub(began)
	deaths := map[string]func() error{
		"the replayer": func() error {
			r.replayer.process.kill()
			return r.replayer.start()
		},
		"PostgreSQL": func() error { return killDatabase(t.Context(), r, source, nil) },
	}
	for i := range scale.kills {
		victim := []string{"the replayer", "PostgreSQL"}[(i+source.IntN(2))%2]
		ended := make(chan error, 1)
		go func() {
			_, err := r.rebuild(t.Context(), &replayerv1.RebuildRequest{Build: true})
			ended <- err
		}()
		moment := some(source, 0, took)
		within(t.Context(), moment)
		require.NoError(t, deaths[victim]())
		broken := <-ended
		for _, s := range r.servers() {
			require.NoError(t, s.ready(t.Context()))
		}
		require.NoError(t, r.revive(t.Context()))
		r.requireFold(t)
		require.NoError(t, await(t.Context(), "appends go on", readyMax, func() error { return r.fill(t.Context(), source, filledAtOnce) }))

		var next *replayerv1.RunResult
		require.NoError(t, await(t.Context(), "the next rebuild", readyMax, func() error {
			// The session of the run that died may outlive it for a moment.
			var err error
			next, err = r.rebuild(t.Context(), &replayerv1.RebuildRequest{})
			return err
		}))
		require.Contains(t, []replayerv1.Outcome{replayerv1.Outcome_OUTCOME_IDENTICAL, replayerv1.Outcome_OUTCOME_BUILT}, next.GetOutcome(), "%v", next)
		r.requireFold(t)
		t.Logf("%s died after %s of a rebuild (%s)", victim, moment.Round(time.Millisecond), ending(broken))
	}
}

func ending(err error) string {
	if err == nil {
		return "which had ended"
	}
	return fmt.Sprintf("which told its caller %v", err)
}
