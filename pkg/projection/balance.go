package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// foldSampled takes over what the venue told, unless something newer was told before. Of two samples of one moment the
// later in the log holds.
func (c *change) foldSampled(p *eventv1.BalanceSampled) {
	at := c.moment(p.GetSampledAt())
	row := &Balance{
		TenantID: c.ev.TenantID, AccountID: c.id("account_id", p.GetAccountId()), Wallet: p.GetWallet(), Asset: p.GetAsset(),
		Free: c.amount("free", p.GetFree()), Locked: c.amount("locked", p.GetLocked()),
		SampledAt: at, Source: enumText(sampleSources, p.GetSource()),
	}
	row.Total = row.Free.Add(row.Locked)
	c.flagSample(row, c.amount("total", p.GetTotal()))
	if known := get[Balance](&c.reader, row.Key()); known != nil {
		if at.Before(known.SampledAt) {
			return
		}
		row.Meta, row.Borrowed, row.Interest = known.Meta, known.Borrowed, known.Interest
	}
	// What a sample does not tell stays: a stream of balances knows nothing of loans.
	if borrowed := c.maybeAmount("borrowed", p.GetBorrowed()); borrowed.Valid {
		row.Borrowed = borrowed.Decimal
	}
	if interest := c.maybeAmount("interest", p.GetInterest()); interest.Valid {
		row.Interest = interest.Decimal
	}
	c.put(row)
}

// flagSample flags amounts that cannot be.
func (c *change) flagSample(row *Balance, total decimal.Decimal) {
	var expected, actual map[string]string // Most samples make sense.
	note := func(name, want, got string) { expected, actual = with(expected, name, want), with(actual, name, got) }
	if row.Free.IsNegative() {
		note("free", "at least 0", row.Free.String())
	}
	if row.Locked.IsNegative() {
		note("locked", "at least 0", row.Locked.String())
	}
	if !total.Equal(row.Total) {
		note("total", row.Total.String(), total.String())
	}
	c.flagBalance(row.AccountID, row.Wallet, row.Asset, expected, actual)
}

func (c *change) flagBalance(account uuid.UUID, wallet, asset string, expected, actual map[string]string) {
	if len(expected) == 0 {
		return
	}
	c.flag(Anomaly{
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, Severity: eventv1.Severity_SEVERITY_CRITICAL,
		AccountID: account, Entity: "balance:" + wallet + "/" + asset, Expected: expected, Actual: actual,
	})
}

func (c *change) foldAdjusted(p *eventv1.BalanceAdjusted) {
	account, delta := c.id("account_id", p.GetAccountId()), c.amount("delta", p.GetDelta())
	if delta.IsZero() {
		c.flagBalance(account, p.GetWallet(), p.GetAsset(), map[string]string{"delta": "not 0"}, map[string]string{"delta": "0"})
	}
	c.adjust(BalanceKey(account, p.GetWallet(), p.GetAsset()), delta, c.moment(p.GetClearedAt()))
	c.reviewCapital(account, p)
}

// reviewCapital notes that an account holds another capital than when its limits were set, until they are set again. What
// the venue merely locks stays the account's.
func (c *change) reviewCapital(id uuid.UUID, p *eventv1.BalanceAdjusted) {
	if p.GetKind() == eventv1.AdjustmentKind_ADJUSTMENT_KIND_EXTERNAL_LOCK {
		return
	}
	account := c.account(id)
	if account == nil || account.CapitalReviewSince != nil {
		return
	}
	changed, at := clone(account), c.moment(p.GetClearedAt())
	changed.CapitalReviewSince = &at
	c.put(changed)
}

// adjust moves a balance that was sampled before a time. A newer sample has the movement in it already; and where
// nothing was ever sampled there is nothing to move.
func (c *change) adjust(key Key, delta decimal.Decimal, at time.Time) {
	known := get[Balance](&c.reader, key)
	if known == nil || delta.IsZero() || !at.After(known.SampledAt) {
		return
	}
	row := clone(known)
	row.Free, row.Total = row.Free.Add(delta), row.Total.Add(delta)
	if row.Free.IsNegative() && !known.Free.IsNegative() {
		c.flagBalance(row.AccountID, row.Wallet, row.Asset,
			map[string]string{"free": "at least 0"}, map[string]string{"free": row.Free.String()})
	}
	c.put(row)
}
