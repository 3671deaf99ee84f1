package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/clock"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// stage is the venue that a demo plays on, moved by the demo's hand.
type stage interface {
	// second is what the second account is called.
	second() string
	// shorts says whether the second account may sell what it borrows.
	shorts() bool
	// read finds the market data; the note is for people.
	read(ctx context.Context, d *Demo) (note string, err error)
	// open gives the demo's symbol its market, which then stands at the first price of the path.
	open(ctx context.Context, d *Demo) error
	// accounts registers two funded accounts.
	accounts(ctx context.Context, d *Demo) (first, second string, err error)
	// standingPrice gives the second symbol a market that stands still, and tells its price.
	standingPrice(ctx context.Context, d *Demo) (decimal.Decimal, error)
	// advance moves the market to a tick of the path.
	advance(ctx context.Context, d *Demo, tick int) error
	// behind says what the venue has done and our side has not taken in yet; empty for nothing.
	behind(ctx context.Context, d *Demo, monitor []*commandv1.PriceProgress) (string, error)
	// scenes are those of this venue alone, which come last.
	scenes(d *Demo) []scene
	// check holds the money of the accounts against what was played.
	check(ctx context.Context, d *Demo) error
}

// scene is one thing that is played.
type scene struct {
	title string
	play  func(context.Context) error
}

// advance moves the market to a tick of the path and waits until everybody has reacted to it.
func (d *Demo) advance(ctx context.Context, tick int) error {
	if tick > d.world.tick {
		if err := d.stage.advance(ctx, d, tick); err != nil {
			return err
		}
		d.world.tick = tick
	}
	return d.settle(ctx)
}

// settle waits until the process manager has reacted to all that is in the log, the log has all that the venue did, and the stop
// monitor has handled the market's last tick.
func (d *Demo) settle(ctx context.Context) error {
	deadline := d.clock.Now().Add(settleMax)
	last := int64(-1)
	for {
		position, waiting, err := d.settled(ctx)
		if err != nil {
			return err
		}
		if waiting == "" && position == last {
			return nil
		}
		last = -1
		if waiting == "" {
			last = position
			continue
		}
		if d.clock.Now().After(deadline) {
			return fmt.Errorf("the stack has not come to rest within %s: %s", settleMax, waiting)
		}
		if err := clock.Sleep(ctx, d.clock, settlePause); err != nil {
			return err
		}
	}
}

// settled looks once; waiting says what is still under way, empty for nothing.
func (d *Demo) settled(ctx context.Context) (position int64, waiting string, err error) {
	head, err := retry(ctx, d, "look at the head of the log", func(ctx context.Context) (*eventlogv1.GetHeadResponse, error) {
		return d.log.GetHead(ctx, &eventlogv1.GetHeadRequest{})
	})
	if err != nil {
		return 0, "", err
	}
	progress, err := retry(ctx, d, "look at the process manager", func(ctx context.Context) (*commandv1.GetProgressResponse, error) {
		return d.monitor.GetProgress(ctx, &commandv1.GetProgressRequest{})
	})
	if err != nil {
		return 0, "", err
	}
	switch {
	case progress.GetReactedPosition() < head.GetPosition():
		return 0, fmt.Sprintf("the process manager is at position %d of %d", progress.GetReactedPosition(), head.GetPosition()) + alerts(progress), nil
	case progress.GetBusyPositions() > 0:
		return 0, fmt.Sprintf("%d positions have a step under way", progress.GetBusyPositions()) + alerts(progress), nil
	}
	waiting, err = d.stage.behind(ctx, d, progress.GetPrices())
	if err != nil || waiting != "" {
		return 0, waiting, err
	}
	return head.GetPosition(), "", nil
}

// alerts adds what the process manager complains of.
func alerts(p *commandv1.GetProgressResponse) string {
	if len(p.GetAlerts()) == 0 {
		return ""
	}
	return " (" + strings.Join(p.GetAlerts(), "; ") + ")"
}

// position reads a position as it stands.
func (d *Demo) position(ctx context.Context, id string, minPosition int64) (*projectorv1.Position, error) {
	response, err := retry(ctx, d, "read position "+id, func(ctx context.Context) (*projectorv1.GetPositionResponse, error) {
		return d.state.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: id, MinPosition: minPosition})
	})
	return response.GetPosition(), err
}

// marketTime is the market clock at a tick.
func (d *Demo) marketTime(tick int) time.Time {
	k := d.source.klines[tick/ticksPerBar]
	// Binance's close time is the last millisecond of the bar.
	quarter := (k.CloseTime.Sub(k.OpenTime) + time.Millisecond) / ticksPerBar
	return k.OpenTime.Add(time.Duration(tick%ticksPerBar) * quarter)
}

// marketClock is the market clock at a tick, for the screen.
func (d *Demo) marketClock(tick int) string { return d.marketTime(tick).Format("2006-01-02 15:04") }

// ticksPerBar: open, the two extremes, close.
const ticksPerBar = 4
