package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// lanes is how many positions an account has under way while it is filled, each on a symbol of its own.
	lanes = 50
	// livers fill accounts at a time.
	livers = 4
)

// lived fills an account with order lives, step by step for all lanes together, until it has so many events.
func (r *replayBench) lived(ctx context.Context, worker int, account string, events int) error {
	c := r.eventlog.client
	log, count := c.writer(worker), 0
	lives := make([]*life, lanes)
	for count < events {
		for i := range lives {
			lives[i] = newLife(account, "S"+strconv.Itoa(100+i)+"USDT")
		}
		for _, at := range lifeSteps {
			appends := make([]*eventlogv1.AppendRequest, lanes)
			for i, l := range lives {
				appends[i] = at.make(l)
				appends[i].CausationId = l.cause
			}
			out, err := log.AppendBatch(c.as(ctx, at.service, r.tenant.id), &eventlogv1.AppendBatchRequest{Appends: appends})
			if err != nil {
				return fmt.Errorf("live order lives: %w", err)
			}
			for i, result := range out.GetResults() {
				if err := resultError(result); err != nil {
					return fmt.Errorf("live order lives: %w", err)
				}
				told := result.GetReceipt().GetEvents()
				lives[i].cause = told[len(told)-1].GetEventId()
				count += len(told) + len(result.GetReceipt().GetRaised())
			}
		}
	}
	return nil
}

// newReplayTenant is a tenant with as many accounts as it takes for a log of so many events.
func newReplayTenant(events int) *tenant {
	return &tenant{id: uuid.NewString(), accounts: newIDs(max(events/scopeEvents, 1)), strategy: uuid.NewString()}
}
