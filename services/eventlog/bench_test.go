package eventlog_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/logclient"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// BenchmarkAppend is an append through gRPC, with 64 callers over 100 tenants.
func BenchmarkAppend(b *testing.B) {
	db := testkit.Database(b)
	connect := serveReplica(b, db)
	dial := func(token string) eventlogv1.AppendServiceClient {
		return eventlogv1.NewAppendServiceClient(connect(token))
	}
	command, connector := dial("command"), dial("connector")
	lc, err := logclient.New(b.Context(), clock.System(), connect("connector"), logclient.Config{})
	require.NoError(b, err)
	defer lc.Close()
	tenants := make([]uuid.UUID, 100)
	for i := range tenants {
		tenants[i] = uuid.New()
		_, err := command.Append(forUser(identity.WithTenant(b.Context(), tenants[i]), "owner"), of(&eventv1.TenantCreated{TenantId: tenants[i].String(), Name: "t"}))
		require.NoError(b, err)
	}
	log := projectiontest.NewLog()
	for name, do := range map[string]func(context.Context, *eventlogv1.AppendRequest) error{
		"unary": func(ctx context.Context, r *eventlogv1.AppendRequest) error {
			_, err := connector.Append(ctx, r)
			return err
		},
		"stream": func(ctx context.Context, r *eventlogv1.AppendRequest) error {
			_, err := lc.Append(ctx, r)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(32)
			var next atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					tenant := tenants[next.Add(1)%100]
					if err := do(identity.WithTenant(b.Context(), tenant), ofFact(b, log.Sample(uuid.NewString(), "USDT", "1"))); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
