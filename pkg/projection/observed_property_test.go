package projection_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The histories that the laws are tried on have every event type in them.
func TestRandom_histories_have_every_type(t *testing.T) {
	t.Parallel()
	histories := rapid.Custom(random)
	seen := map[event.Type]bool{}
	for seed := range 200 {
		for _, ev := range histories.Example(seed).Events {
			seen[ev.Type] = true
		}
		if len(seen) == len(event.All()) {
			return
		}
	}
	for _, descriptor := range event.All() {
		require.True(t, seen[descriptor.Type], descriptor.Type)
	}
}

// Reports of samples, movements, failures, snapshots and runs come to the same rows in any order, however often one comes
// late: what each tells has its own time or its own position.
func TestProperty_the_order_of_what_is_observed_is_free(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 8).Draw(t, "kinds")
		order := make([]int, len(kinds))
		for i := range order {
			order[i] = i
		}
		require.Equal(t, observedRows(t, kinds, order), observedRows(t, kinds, rapid.Permutation(order).Draw(t, "shuffled")))
	})
}

// observedRows are the rows that reports come to, without what says when each row was written.
func observedRows(t *rapid.T, kinds, order []int) []string {
	log := projectiontest.NewLog()
	require.NoError(t, log.Registered())
	start := log.Now
	for _, i := range order {
		log.Now = start.Add(time.Duration(i) * time.Minute)
		_, err := log.Append(observation(log, kinds[i], i))
		require.NoError(t, err)
	}
	tables := []string{projection.TableConnector, projection.TableMarginState, projection.TableMarginLoans, projection.TableSnapshots, projection.TableReconciliations, projection.TableReplays}
	var rows []string
	for _, row := range log.State.Rows() {
		if !slices.Contains(tables, row.Key().Table) {
			continue
		}
		copied, err := projection.ParseRow(row.Key().Table, projection.RowJSON(row))
		require.NoError(t, err)
		rows = append(rows, string(projection.RowJSON(unstamped(copied))))
	}
	return rows
}

// unstamped is a row without the event that last changed it.
func unstamped(row projection.Row) projection.Row {
	switch r := row.(type) {
	case *projection.ConnectorState:
		r.Meta = projection.Meta{}
	case *projection.MarginState:
		r.Meta = projection.Meta{}
	case *projection.MarginLoan:
		r.Meta = projection.Meta{}
	case *projection.Snapshot:
		r.Meta = projection.Meta{}
	case *projection.ReconciliationRun:
		r.Meta = projection.Meta{}
	case *projection.ReplayRun:
		r.Meta = projection.Meta{}
	}
	return row
}

// observation is the i-th report, of a kind.
func observation(log *projectiontest.Log, kind, i int) proto.Message {
	name := fmt.Sprint(i)
	switch kind {
	case 0:
		return log.RequestFailed()
	case 1:
		return log.RateLimited(int32(i) * 1000)
	case 2:
		return &eventv1.ExchangeStateUncertain{AccountId: projectiontest.Spot.String(), RequestId: name, Request: eventv1.VenueRequest_VENUE_REQUEST_QUERY}
	case 3:
		return log.MarginLevel(name, name)
	case 4:
		return log.Transferred(name, name)
	case 5:
		return log.SnapshotMade(name, int64(i))
	case 6:
		return log.RunFound("run", name, eventv1.Resolution_RESOLUTION_AUTO_REPAIRED)
	}
	run := log.Reconciled("run " + name)
	run.WindowFrom = timestamppb.New(projectiontest.Start)
	return run
}

// A discrepancy that comes after the end of the run that raised and resolved it is closed, as it would have been.
func TestReconciliation_a_late_discrepancy_is_closed(t *testing.T) {
	t.Parallel()
	log := registered(t)
	found := log.RunFound("run", "balance:spot/USDT", eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR)
	run := log.Reconciled("run")
	run.Status, run.Resolved, run.ResolvedIds = eventv1.ReconciliationStatus_RECONCILIATION_STATUS_REPAIRED, 1, []string{found.GetDiscrepancyId()}
	require.Contains(t, flagged(t, log, run).Actual, "resolved_ids")
	add(t, log, found)
	late := get[projection.Discrepancy](t, log, projection.DiscrepancyKey(uuid.MustParse(found.GetDiscrepancyId())))
	require.False(t, late.IsOpen)
	require.NotNil(t, late.ClosedAt)
	require.EqualValues(t, 1, get[projection.ReconciliationRun](t, log, projection.ReconciliationKey(projectiontest.ID("run run"))).Raised)
}
