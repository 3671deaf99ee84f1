package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/robson/robson/pkg/clock"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// follower follows one account.
type follower struct {
	*translator
	log         *slog.Logger
	clock       clock.Clock
	config      Config
	catchUp     func(ctx context.Context, account string) error
	environment eventv1.Environment
	holder      string
	meters      *metrics
	filled      chan struct{} // an order of the account has filled since the last sample

	after      venue.Cursor
	connection string
	reconnects int
}

// CheckpointName names an account's worker.
func CheckpointName(account uuid.UUID) string { return "user-stream/" + account.String() }

// run follows until ctx ends, through every failure. The pauses grow as long as nothing gets through: what cannot be
// recorded stays at the head of the stream, and each try leaves its connection in the log.
func (f *follower) run(ctx context.Context) {
	pause := f.config.RetryDelay
	for {
		before := f.after
		err := f.turn(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.meters.interrupted(ctx)
			f.log.ErrorContext(ctx, "account stream interrupted", "account_id", f.account, "cursor", int64(f.after), "error", err)
		}
		if err == nil || f.after != before {
			pause = f.config.RetryDelay
		}
		if clock.Sleep(ctx, f.clock, pause) != nil {
			return
		}
		if err != nil {
			pause = min(2*pause, f.config.RetryDelayMax)
		}
	}
}

// turn follows as long as the lease is held and the line stands.
func (f *follower) turn(ctx context.Context) error {
	held, err := f.acquire(ctx)
	if err != nil || !held {
		return err
	}
	defer f.release(ctx)
	checkpoint, err := f.ledger.Workers.GetCheckpoint(ctx, &eventlogv1.GetCheckpointRequest{Name: CheckpointName(f.account)})
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	f.after, f.connection = venue.Cursor(checkpoint.GetValue()), ""
	following, stop := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { f.keep(following, stop) })
	beside.Go(func() { f.sample(following) })
	err = f.lines.Reports.Follow(following, f.after, f.handle)
	stop(errTurnOver)
	beside.Wait()
	f.disconnected(ctx, err)
	return err
}

var (
	errTurnOver  = errors.New("the turn is over")
	errLeaseLost = errors.New("another connector follows the account")
)

// handle records a batch of reports, then moves the checkpoint. A report that cannot be recorded stops the follower at
// the reports before it: none is skipped.
func (f *follower) handle(ctx context.Context, reports []venue.Report) error {
	var facts []fact.Fact
	for _, r := range reports {
		if r.Connected != nil {
			if err := f.connected(ctx, r); err != nil {
				return err
			}
			continue
		}
		told, err := f.facts(ctx, r)
		if err != nil {
			return err
		}
		facts = append(facts, told...)
	}
	if _, err := f.ledger.Record(ctx, facts...); err != nil {
		return err
	}
	return f.moveTo(ctx, reports[len(reports)-1].Cursor)
}

func (f *follower) moveTo(ctx context.Context, cursor venue.Cursor) error {
	if cursor == f.after {
		return nil
	}
	_, err := f.ledger.Workers.SaveCheckpoint(ctx, &eventlogv1.SaveCheckpointRequest{Name: CheckpointName(f.account), Value: int64(cursor)})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	f.after = cursor
	return nil
}

// connected records that the line stands, and finds out what a gap has hidden.
func (f *follower) connected(ctx context.Context, r venue.Report) error {
	f.connection = r.Connected.ConnectionID
	record := fact.Connected(f.account, f.environment, *r.Connected, f.reconnects, f.clock.Now())
	f.reconnects++
	if _, err := f.ledger.Record(ctx, record); err != nil {
		return err
	}
	if !r.Connected.Gap {
		return nil
	}
	f.log.WarnContext(ctx, "account stream has a gap", "account_id", f.account, "cursor", int64(f.after))
	if err := f.catchUp(ctx, f.account.String()); err != nil {
		return fmt.Errorf("catch up after a gap: %w", err)
	}
	_, err := SampleBalances(ctx, f.ledger, f.account, f.lines)
	return err
}

// cleanupTimeout bounds what is said when a line has ended.
const cleanupTimeout = 2 * time.Second

// disconnected records that the line has ended, if it stood.
func (f *follower) disconnected(ctx context.Context, cause error) {
	if f.connection == "" {
		return
	}
	planned := ctx.Err() != nil || errors.Is(cause, errLeaseLost)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	reason := "stopped"
	if cause != nil && !planned {
		reason = cause.Error()
	}
	// Best effort: the next connection tells as much.
	_, _ = f.ledger.Record(ctx, fact.Disconnected(f.account, f.connection, reason[:min(len(reason), reasonMax)], planned, f.clock.Now()))
}

const reasonMax = 256

// acquire takes or renews the account's lease.
func (f *follower) acquire(ctx context.Context) (bool, error) {
	response, err := f.ledger.Workers.AcquireLease(ctx, &eventlogv1.AcquireLeaseRequest{
		Name: CheckpointName(f.account), Holder: f.holder, TimeToLive: durationpb.New(f.config.LeaseTTL),
	})
	if err != nil {
		return false, fmt.Errorf("acquire lease: %w", err)
	}
	return response.GetAcquired(), nil
}

// keep renews the lease until the turn is over; it ends the turn when another holds the lease. A lease that cannot be renewed just
// now is kept: it saves work, correctness does not need it.
func (f *follower) keep(ctx context.Context, stop context.CancelCauseFunc) {
	for clock.Sleep(ctx, f.clock, f.config.LeaseTTL/3) == nil {
		held, err := f.acquire(ctx)
		if err == nil && !held {
			stop(errLeaseLost)
			return
		}
	}
}

// sample samples balances from time to time and after fills, until the turn is over. It may have to wait for the venue's limits.
func (f *follower) sample(ctx context.Context) {
	every := f.clock.NewTicker(f.config.SampleEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C():
		case <-f.filled:
			if clock.Sleep(ctx, f.clock, f.config.SampleAfter) != nil {
				return
			}
			select { // what filled meanwhile is in the sample
			case <-f.filled:
			default:
			}
		}
		if _, err := SampleBalances(ctx, f.ledger, f.account, f.lines); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "sample balances", "account_id", f.account, "error", err)
		}
	}
}

func (f *follower) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	// Best effort: it lapses by itself.
	_, _ = f.ledger.Workers.ReleaseLease(ctx, &eventlogv1.ReleaseLeaseRequest{Name: CheckpointName(f.account), Holder: f.holder})
}

// Sampled is what a sampling recorded.
type Sampled struct {
	Assets   int
	Position int64
}

// SampleBalances asks for an account's balances, and for how the venue judges its margin, and records them, each sampling anew. A venue lists what is held: what our book still
// holds and the venue lists no more is gone.
func SampleBalances(ctx context.Context, books *ledger.Ledger, account uuid.UUID, lines line.Lines) (Sampled, error) {
	// The book is read first: what comes into it later may be newer than the venue's answer.
	booked, err := books.Balances(ctx, account.String())
	if err != nil {
		return Sampled{}, err
	}
	sheet, err := lines.Wallets.Balances(ctx)
	if err != nil {
		return Sampled{}, line.Fault("ask for balances", err)
	}
	sample := fact.Sample{
		Account: account, Run: "poll/" + uuid.NewString(), At: sheet.Time, Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT,
	}
	var facts []fact.Fact
	for _, b := range append(sheet.Balances, gone(booked, sheet.Balances, lines.Ref.Wallet())...) {
		facts = append(facts, fact.Sampled(sample, b))
	}
	assets := len(facts)
	if lines.Ref.MarginSymbol != "" {
		state, err := lines.Wallets.Margin(ctx)
		if err != nil {
			return Sampled{}, line.Fault("ask for the margin level", err)
		}
		facts = append(facts, fact.Judged(sample, state))
	}
	position, err := books.Record(ctx, facts...)
	return Sampled{Assets: assets, Position: position}, err
}

// gone is what a wallet has in our book and not at the venue.
func gone(booked []*projectorv1.Balance, listed []venue.Balance, wallet string) []venue.Balance {
	var out []venue.Balance
	for _, row := range booked {
		isListed := slices.ContainsFunc(listed, func(b venue.Balance) bool { return b.Wallet == wallet && b.Asset == row.GetAsset() })
		if row.GetWallet() == wallet && row.GetTotal() != "0" && !isListed {
			out = append(out, venue.Balance{Wallet: wallet, Asset: row.GetAsset()})
		}
	}
	return out
}
