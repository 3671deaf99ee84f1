package store

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// Result is what became of one append: an answer, or why it is not in the log.
type Result struct {
	Answer intake.Answer
	Err    error
	// Busy: somebody else holds the tenant's log, and the append was left out.
	Busy bool
}

// job is one append with its result.
type job struct {
	request *intake.Request
	result  *Result
}

// Append takes appends in, of one tenant or of several, those of a tenant in their order, and gives a result for each. Each
// succeeds or fails alone: what one is refused for does not touch the others, and where the database itself refuses to
// take them together they are split until it is known which one it means.
//
// Where somebody else holds a tenant's log, another replica or a rebuild, its appends wait for it if wait is set, each tenant
// in a transaction of its own, and are Busy otherwise.
//
// The caller's going away does not cut it short; AppendTimeout bounds it. A transaction whose commit is uncertain, or that
// lost against another, is tried again: what it may have written is then found as a duplicate.
func (s *Store) Append(ctx context.Context, requests []*intake.Request, wait bool) []Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.AppendTimeout)
	defer cancel()
	results := make([]Result, len(requests))
	jobs := make([]job, len(requests))
	for i, r := range requests {
		jobs[i] = job{request: r, result: &results[i]}
	}
	s.run(ctx, jobs, false)
	for _, busy := range busyTenants(jobs) {
		if !wait {
			break
		}
		s.run(ctx, busy, true)
	}
	s.metrics.appended(ctx, results)
	return results
}

// busyTenants are the jobs that were left out, by tenant.
func busyTenants(jobs []job) [][]job {
	return byTenant(slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return !j.result.Busy }))
}

// byTenant puts those of a tenant together, in their order.
func byTenant(jobs []job) [][]job {
	var parts [][]job
	at := map[uuid.UUID]int{}
	for _, j := range jobs {
		i, known := at[j.request.Tenant]
		if !known {
			i = len(parts)
			at[j.request.Tenant] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], j)
	}
	return parts
}

// leaveOut takes in the jobs of those tenants whose heads can be locked, each by a transaction of its own, and leaves the others
// out.
func (s *Store) leaveOut(ctx context.Context, jobs []job) {
	parts := byTenant(jobs)
	if len(parts) > 1 {
		s.metrics.split(ctx)
		for _, part := range parts {
			s.run(ctx, part, false)
		}
		return
	}
	for _, j := range jobs {
		*j.result = Result{Busy: true}
	}
}

// run takes jobs in by one transaction. Those of tenants that somebody else is at are left out, unless it is to wait.
func (s *Store) run(ctx context.Context, jobs []job, wait bool) {
	b, err := s.transact(ctx, jobs, wait)
	switch {
	case err == nil:
		b.settle()
	case !wait && fault.ReasonOf(err) == postgres.ReasonLockTimeout:
		s.leaveOut(ctx, jobs)
	case len(jobs) > 1 && isCulprit(err):
		s.metrics.split(ctx)
		half := len(jobs) / 2
		s.run(ctx, jobs[:half], wait)
		s.run(ctx, jobs[half:], wait)
	default:
		for _, j := range jobs {
			*j.result = Result{Err: err}
		}
	}
}

// isCulprit says whether an error may be one append's doing, so that the others are better off without it.
func isCulprit(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Exhausted, fault.Denied:
		return false
	default:
		return true
	}
}

// transact runs the transaction, again where its outcome is uncertain or the server rolled it back for no fault of its own.
func (s *Store) transact(ctx context.Context, jobs []job, wait bool) (*batch, error) {
	delay := s.cfg.RetryDelay
	for try := 1; ; try++ {
		b := newBatch(s, jobs, wait)
		err := postgres.InPipeline(ctx, s.pool, b.run)
		if err == nil {
			return b, nil
		}
		if try >= s.cfg.TriesMax || !postgres.IsCommitUncertain(err) && !postgres.IsRetryable(err) {
			return nil, err
		}
		s.metrics.retried(ctx)
		if clock.Sleep(ctx, s.clock, delay) != nil {
			return nil, err
		}
		delay *= 2
	}
}
