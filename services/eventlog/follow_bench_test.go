package eventlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog"
)

// BenchmarkSubscribe is the time from an event's being taken in, which is before its commit, to its arrival at a subscriber:
// through the replica that appends, and through another one; with one caller, and with 64 over a hundred tenants.
func BenchmarkSubscribe(b *testing.B) {
	db := testkit.Database(b)
	first, second := serveReplica(b, db), serveReplica(b, db)
	for name, replica := range map[string]func(token string) *grpc.ClientConn{"same": first, "other": second} {
		for _, c := range []struct{ tenants, subscribers, callers int }{{1, 1, 1}, {1, 100, 1}, {100, 1, 64}, {1, 100, 64}} {
			b.Run(fmt.Sprintf("replica=%s/tenants=%d/subscribers=%d/callers=%d", name, c.tenants, c.subscribers, c.callers), func(b *testing.B) {
				fanOut(b, first, replica, c.tenants, c.subscribers, c.callers)
			})
		}
	}
}

// serveReplica runs a replica on a database; what it gives connects to it.
func serveReplica(b *testing.B, db *testkit.DB) func(token string) *grpc.ClientConn {
	b.Helper()
	tokens := filepath.Join(b.TempDir(), "tokens.json")
	var file identity.File
	for _, service := range identity.Services {
		file.Tokens = append(file.Tokens, identity.Entry{SHA256: identity.HashToken(service), Service: service})
	}
	require.NoError(b, file.Save(tokens))
	listener := listen(b)
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	ran := make(chan error, 1)
	go func() {
		ran <- eventlog.Run(ctx, slog.New(slog.DiscardHandler), clock.System(), eventlog.Config{Listener: listener, TokenFile: tokens, Database: postgres.Config{URL: db.URL()}})
	}()
	b.Cleanup(func() { stop(); require.NoError(b, <-ran) })
	return func(token string) *grpc.ClientConn {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: listener.Addr().String(), Token: token})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, conn.Close()) })
		return conn
	}
}

// fanOut appends by so many callers, each one event after the other, while so many subscribers follow each tenant.
func fanOut(b *testing.B, writes, reads func(token string) *grpc.ClientConn, tenants, subscribers, callers int) {
	b.Helper()
	commands, appends := eventlogv1.NewAppendServiceClient(writes("command")), eventlogv1.NewAppendServiceClient(writes("connector"))
	ids := make([]uuid.UUID, tenants)
	var delays []time.Duration
	var mu sync.Mutex
	var running sync.WaitGroup
	for i := range ids {
		ids[i] = uuid.New()
		_, err := commands.Append(forUser(identity.WithTenant(b.Context(), ids[i]), "owner"), of(&eventv1.TenantCreated{TenantId: ids[i].String(), Name: "t"}))
		require.NoError(b, err)
	}
	for range subscribers {
		client := eventlogv1.NewReadServiceClient(reads("connector"))
		for i, id := range ids {
			stream, err := client.Subscribe(identity.WithTenant(b.Context(), id), &eventlogv1.SubscribeRequest{AfterPosition: 1})
			require.NoError(b, err)
			_, err = stream.Recv() // All there is has come.
			require.NoError(b, err)
			running.Go(func() {
				for n := range b.N {
					if n%tenants != i {
						continue
					}
					m, err := stream.Recv()
					if err != nil {
						b.Error(err)
						return
					}
					delay := clock.System().Now().Sub(m.GetEvent().GetIngestedAt().AsTime())
					mu.Lock()
					delays = append(delays, delay)
					mu.Unlock()
				}
			})
		}
	}
	log := projectiontest.NewLog()
	var next atomic.Int64
	b.ResetTimer()
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				if _, err := appends.Append(identity.WithTenant(b.Context(), ids[n%int64(tenants)]), ofFact(b, log.Sample(uuid.NewString(), "USDT", "1"))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	calling.Wait()
	running.Wait()
	b.StopTimer()
	slices.Sort(delays)
	for _, q := range []int{50, 99} {
		b.ReportMetric(float64(delays[len(delays)*q/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", q))
	}
	b.ReportMetric(float64(b.N*subscribers)/b.Elapsed().Seconds(), "arrivals/s")
}

// BenchmarkFollow is the same for two who follow all tenants, one at each replica, with 64 callers. How long it takes until they have
// shared the tenants is told apart.
func BenchmarkFollow(b *testing.B) {
	for _, tenants := range []int{100, 3000} {
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			db := testkit.Database(b)
			first, second := serveReplica(b, db), serveReplica(b, db)
			ids := create(b, eventlogv1.NewAppendServiceClient(first("command")), tenants)
			follow(b, first, second, ids)
		})
	}
}

// callers are how many append at a time.
const callers = 64

// create makes tenants.
func create(b *testing.B, commands eventlogv1.AppendServiceClient, count int) []uuid.UUID {
	b.Helper()
	ids := make([]uuid.UUID, count)
	var creating sync.WaitGroup
	for caller := range callers {
		creating.Go(func() {
			for i := caller; i < count; i += callers {
				ids[i] = uuid.New()
				ctx := forUser(identity.WithTenant(b.Context(), ids[i]), "owner")
				if _, err := commands.Append(ctx, of(&eventv1.TenantCreated{TenantId: ids[i].String(), Name: "t"})); err != nil {
					b.Error(err)
				}
			}
		})
	}
	creating.Wait()
	return ids
}

func follow(b *testing.B, first, second func(token string) *grpc.ClientConn, ids []uuid.UUID) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var mu sync.Mutex
	var delays []time.Duration
	shared, arrived := make(chan struct{}, 2*len(ids)), make(chan struct{}, b.N)
	var running sync.WaitGroup
	begun := clock.System().Now()
	for _, replica := range []func(string) *grpc.ClientConn{first, second} {
		stream, err := eventlogv1.NewWorkerServiceClient(replica("connector")).Follow(ctx, &eventlogv1.FollowRequest{Name: "bench", Holder: "h", TenantsMax: int32(len(ids)+1) / 2})
		require.NoError(b, err)
		running.Go(func() {
			for m, err := stream.Recv(); err == nil; m, err = stream.Recv() {
				switch {
				case m.GetCaughtUp() != nil:
					shared <- struct{}{}
				case m.GetEvent().GetPosition() > 1:
					delay := clock.System().Now().Sub(m.GetEvent().GetIngestedAt().AsTime())
					mu.Lock()
					delays = append(delays, delay)
					mu.Unlock()
					arrived <- struct{}{}
				}
			}
		})
	}
	for range ids {
		<-shared
	}
	sharing := clock.System().Now().Sub(begun)
	appends, log := eventlogv1.NewAppendServiceClient(first("connector")), projectiontest.NewLog()
	var next atomic.Int64
	b.ResetTimer()
	for range callers {
		running.Go(func() {
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				if _, err := appends.Append(identity.WithTenant(b.Context(), ids[n%int64(len(ids))]), ofFact(b, log.Sample(uuid.NewString(), "USDT", "1"))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		<-arrived
	}
	b.StopTimer()
	cancel()
	running.Wait()
	slices.Sort(delays)
	for _, q := range []int{50, 99} {
		b.ReportMetric(float64(delays[len(delays)*q/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", q))
	}
	b.ReportMetric(float64(sharing.Milliseconds()), "shared-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "arrivals/s")
}
