package main

import (
	"context"
	"math/rand/v2"
	"strconv"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/test/internal/rendezvous"
)

// replicaCount is how many event logs work on one database in the load for replicas.
const replicaCount = 3

// openReplicas starts what is missing to replicaCount event logs.
func (s *suite) openReplicas(ctx context.Context, b *bench) error {
	s.replicas, s.all = []*service{s.service}, s.ours
	for len(s.replicas) < replicaCount {
		more, err := b.serve(ctx, benchDatabase)
		if err != nil {
			return err
		}
		s.replicas, s.all.servicePIDs = append(s.replicas, more), append(s.all.servicePIDs, more.pid())
	}
	return nil
}

// byReplicas appends one event a call, those of a tenant to one replica, as Robson's own client library does.
func (s *suite) byReplicas(n int, maker chooserMaker) []call {
	if len(s.replicas) == 0 {
		return nil // the load is not chosen
	}
	homes := make([]int, len(s.world.tenants))
	for i, t := range s.world.tenants {
		homes[i] = home(t.id, len(s.replicas))
	}
	return s.perWorker(n, func(worker int, _ eventlogv1.AppendServiceClient, r *rand.Rand) call {
		choose := maker(r)
		return func(ctx context.Context) (int, error) {
			at := choose()
			t, client := &s.world.tenants[at.tenant], s.replicas[homes[at.tenant]].client
			_, err := appendOne(client.as(ctx, asConnector, t.id), client.writer(worker), sampled(r, t.accounts[at.account]))
			return 1, err
		}
	})
}

// home is the replica that a tenant's appends go to.
func home(tenantID string, replicas int) int {
	var best uint64
	chosen := 0
	for i := range replicas {
		if rank := rendezvous.Rank(tenantID, strconv.Itoa(i)); rank > best {
			best, chosen = rank, i
		}
	}
	return chosen
}
