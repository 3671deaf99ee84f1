package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
)

// stamp names a run of an account: what started it, in which minute, and the how-manieth it is in that minute. It is one
// number, so that a checkpoint can hold it.
type stamp int64

const (
	triggersMax  = 8
	perMinuteMax = 1024
)

func newStamp(at time.Time, trigger eventv1.ReconciliationTrigger, last stamp) stamp {
	minute := at.Unix() / 60
	ordinal := int64(0)
	if last.minute() >= minute {
		minute, ordinal = last.minute(), last.ordinal()+1
	}
	return stamp((minute*perMinuteMax+ordinal)*triggersMax + int64(trigger))
}

func (s stamp) minute() int64  { return int64(s) / triggersMax / perMinuteMax }
func (s stamp) ordinal() int64 { return int64(s) / triggersMax % perMinuteMax }
func (s stamp) trigger() eventv1.ReconciliationTrigger {
	return eventv1.ReconciliationTrigger(int64(s) % triggersMax)
}
func (s stamp) at() time.Time { return time.Unix(s.minute()*60, 0).UTC() }

// runID is the run's id and the workflow of its events.
func (s stamp) runID(account uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(account, fmt.Appendf(nil, "reconciliation/%d/%d/%d", s.trigger(), s.minute(), s.ordinal()))
}

// Names of an account's checkpoints: the run begun last, the run ended last, and where the log was when that had begun.
func begunName(account uuid.UUID) string { return "reconcile-begun/" + account.String() }
func endedName(account uuid.UUID) string { return "reconcile-ended/" + account.String() }
func logName(account uuid.UUID) string   { return "reconcile-log/" + account.String() }

// LeaseName names the lease under which an account is reconciled.
func LeaseName(account uuid.UUID) string { return "reconcile/" + account.String() }

// Names of a symbol's checkpoints: the trade and the order from which the next run goes on.
func tradesName(account uuid.UUID, symbol string) string {
	return "reconcile-trades/" + account.String() + "/" + symbol
}

func ordersName(account uuid.UUID, symbol string) string {
	return "reconcile-orders/" + account.String() + "/" + symbol
}

// passedName names the checkpoint of the last trade of a symbol that runs have seen.
func passedName(account uuid.UUID, symbol string) string {
	return "reconcile-passed/" + account.String() + "/" + symbol
}

// begin gives the run that is to be done: one that was broken off, or a new one.
func begin(ctx context.Context, books *ledger.Ledger, account uuid.UUID, trigger eventv1.ReconciliationTrigger, now time.Time) (s, before stamp, err error) {
	begun, err := books.Checkpoint(ctx, begunName(account))
	if err != nil {
		return 0, 0, err
	}
	ended, err := books.Checkpoint(ctx, endedName(account))
	if err != nil {
		return 0, 0, err
	}
	if begun > ended {
		return stamp(begun), stamp(ended), nil
	}
	s = newStamp(now, trigger, stamp(ended))
	return s, stamp(ended), books.MoveCheckpoint(ctx, begunName(account), int64(s))
}
