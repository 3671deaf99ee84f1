// Package server answers the connector's RPCs. It turns words of the contract into those of the domain and back, names
// the fields of what cannot be meant, and decides nothing.
package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Config holds the limits of calls. Its zero value works.
type Config struct {
	// StreamsMax bounds the streams of prices that are open at a time. Default 1000.
	StreamsMax int
	// LoadsMax bounds the markets that are being loaded at a time: each holds its bars in memory. Default 4.
	LoadsMax int
	// LoadTimeout bounds how long the venue may take to write a loaded path down. Default 1 min.
	LoadTimeout time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.StreamsMax < 0 || c.LoadsMax < 0 || c.LoadTimeout < 0 {
		return c, fmt.Errorf("server config: StreamsMax %d, LoadsMax %d, LoadTimeout %s: must not be negative", c.StreamsMax, c.LoadsMax, c.LoadTimeout)
	}
	if c.StreamsMax == 0 {
		c.StreamsMax = 1000
	}
	if c.LoadsMax == 0 {
		c.LoadsMax = 4
	}
	if c.LoadTimeout == 0 {
		c.LoadTimeout = time.Minute
	}
	return c, nil
}

// Follower brings what a venue reports into the log.
type Follower interface {
	// Ensure follows an account from now on, if it is not followed yet.
	Ensure(tenant uuid.UUID, account *projectorv1.Account)
	// Unreported counts an account's reports up to a cursor that are not in the log yet.
	Unreported(ctx context.Context, account uuid.UUID, newest venue.Cursor) (int64, error)
}

// Deps are what the services work with.
type Deps struct {
	Ledger   *ledger.Ledger
	Desk     *line.Desk
	Executor Executor
	Follower Follower
	Paper    *paper.Venue
	// Stopping is closed when the service is told to stop: streams without an end of their own end then.
	Stopping <-chan struct{}
}

// retryDelay is what a caller is told to wait at a limit.
const retryDelay = time.Second

// slots bounds how much of one kind goes on at a time.
type slots struct {
	taken chan struct{}
	what  string
}

func newSlots(limit int, what string) slots {
	return slots{taken: make(chan struct{}, limit), what: what}
}

// take takes a slot, to be given back by the function. fault.Exhausted if there is none.
func (s slots) take() (giveBack func(), err error) {
	select {
	case s.taken <- struct{}{}:
		return func() { <-s.taken }, nil
	default:
		return nil, fault.New(fault.Exhausted, "STREAMS_MAX", "%d %s already, which is the most", cap(s.taken), s.what).WithRetryAfter(retryDelay)
	}
}

// lines finds an account of the call's tenant and its venue. fault.NotFound if the tenant has none such; fault.Refused if
// its venue is not served here.
func (d *Deps) lines(ctx context.Context, accountID string) (uuid.UUID, line.Lines, error) {
	row, err := d.Ledger.Account(ctx, accountID)
	if err != nil {
		return uuid.Nil, line.Lines{}, fmt.Errorf("account %s: %w", accountID, err)
	}
	id, err := parseID("account_id", row.GetAccountId())
	if err != nil {
		return uuid.Nil, line.Lines{}, err
	}
	tenant := identity.Tenant(ctx)
	lines, err := d.Desk.For(tenant, row)
	if err != nil {
		return uuid.Nil, line.Lines{}, fmt.Errorf("account %s: %w", accountID, err)
	}
	d.Follower.Ensure(tenant, row)
	return id, lines, nil
}

func parseID(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fault.InvalidField(field, "must be a UUID, found %q", text)
	}
	return id, nil
}
