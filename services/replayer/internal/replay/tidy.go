package replay

import (
	"context"

	"github.com/google/uuid"
)

// tidyAmong is among how many of a tenant's newest runs those are looked for that were left.
const tidyAmong = 50

// IsOpen says whether the run can be gone on with.
func (r *Run) IsOpen() bool {
	return r.Status == StatusRunning || r.Status == StatusInterrupted || r.Status == StatusFailed
}

// Tidy puts right what a tenant's runs have left that were broken off: the log is told of rebuilds that it was not told of, and
// rows are taken away that belong to no epoch that is live or can be gone on with. Conflict while a run goes on.
func (r *Rebuilder) Tidy(ctx context.Context, tenant uuid.UUID) error {
	return r.runs.Alone(ctx, tenant, func(ctx context.Context) error {
		if err := r.runs.Abandon(ctx, tenant); err != nil {
			return err
		}
		runs, err := r.runs.Runs(ctx, tenant, "", tidyAmong)
		if err != nil {
			return err
		}
		var head Head
		err = r.db.Glance(ctx, tenant, func(_ context.Context, f Frozen) error {
			head = f.Head()
			return nil
		})
		if err != nil {
			return err
		}
		keep := []int32{head.Epoch}
		for i := range runs {
			run := &runs[i]
			if run.IsOpen() && run.Epoch != 0 && run.Epoch != head.Epoch && run.Checkpoint > 0 && len(keep) == 1 {
				keep = append(keep, run.Epoch) // Of several only the newest can be gone on with.
			}
			if err := r.tellLate(ctx, tenant, run); err != nil {
				return err
			}
		}
		return r.db.Sweep(ctx, tenant, keep...)
	})
}

// tellLate tells the log of a rebuild whose process ended before it did.
func (r *Rebuilder) tellLate(ctx context.Context, tenant uuid.UUID, run *Run) error {
	if run.Status != StatusDone || run.Kind == KindValidate {
		return nil
	}
	result, err := ParseResult(run.Result)
	if err != nil || result.Announced || result.Request.DryRun || result.Outcome == "" {
		return err
	}
	if err := r.log.Announce(ctx, tenant, &result); err != nil {
		return err
	}
	result.Announced, result.Unannounced = true, ""
	return r.runs.Result(ctx, Claim{Tenant: tenant, Run: run.ID}, result.JSON())
}
