package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Limits of a path that is loaded.
const (
	klinesMax = feed.KlineRowsMax
	// barMin leaves room for a bar's four ticks.
	barMin = 4 * time.Millisecond
)

// Market times lie between these: earlier or later ones are mistakes of unit, and a duration could not measure them.
var (
	timeFirst = time.Date(1970, time.January, 1, 0, 0, 0, 0, time.UTC)
	timeLast  = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// LoadMarket implements connectorv1.PaperServiceServer. Nothing changes before the whole path has come and holds.
func (s *Paper) LoadMarket(stream connectorv1.PaperService_LoadMarketServer) error {
	giveBack, err := s.loads.take()
	if err != nil {
		return err
	}
	defer giveBack()
	l := &loading{deps: &s.deps}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return received(err)
		}
		if err := l.take(stream.Context(), part); err != nil {
			return err
		}
	}
	source, err := l.source()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), s.config.LoadTimeout)
	defer cancel()
	market, err := s.deps.Paper.LoadMarket(ctx, l.header.GetSymbol(), l.book, source, l.origin())
	if err != nil {
		return venueFault("load the market of "+l.header.GetSymbol(), err)
	}
	if err := stream.SendAndClose(&connectorv1.LoadMarketResponse{Market: marketOf(market)}); err != nil {
		return fault.Wrap(err, fault.Unavailable, "CONNECTION_LOST", "answer the call")
	}
	return nil
}

// received gives a failed receive a kind, unless it has one: a part that does not hold to the contract.
func received(err error) error {
	if fault.KindOf(err) != fault.Unknown {
		return fmt.Errorf("receive market: %w", err)
	}
	return fault.Wrap(err, fault.Unavailable, "CONNECTION_LOST", "receive market")
}

// loading is a market that is coming in.
type loading struct {
	deps       *Deps
	header     *connectorv1.MarketHeader
	instrument venue.Instrument
	book       engine.BookConfig
	bars       []feed.Bar
	closed     time.Time // when the last bar closed
}

func (l *loading) take(ctx context.Context, part *connectorv1.LoadMarketRequest) error {
	if header := part.GetHeader(); header != nil {
		if l.header != nil {
			return fault.InvalidField("header", "must be sent once")
		}
		return l.begin(ctx, header)
	}
	if l.header == nil {
		return fault.InvalidField("header", "must be sent first")
	}
	if l.header.GetKlines() == nil {
		return fault.InvalidField("klines", "must not follow a synthetic source")
	}
	for _, k := range part.GetKlines().GetKlines() {
		if len(l.bars) == klinesMax {
			return fault.InvalidField("klines", "must be at most %d bars", klinesMax)
		}
		if err := l.add(k); err != nil {
			return err
		}
	}
	return nil
}

// begin takes the header.
func (l *loading) begin(ctx context.Context, header *connectorv1.MarketHeader) error {
	instrument, err := l.deps.Paper.Market().Instrument(ctx, header.GetSymbol())
	if err != nil {
		return venueFault("load the market of "+header.GetSymbol(), err)
	}
	l.header, l.instrument = header, instrument
	if text := header.GetTickVolume(); text != "" {
		l.book.TickVolume, err = money.Parse(text)
		if err != nil {
			return fault.InvalidField("header.tick_volume", "must be an amount: %v", err)
		}
	}
	for n, level := range header.GetDepth() {
		at := fmt.Sprintf("header.depth[%d]", n)
		quantity, err := money.Parse(level.GetQuantity())
		if err != nil {
			return fault.InvalidField(at+".quantity", "must be an amount: %v", err)
		}
		if n > 0 && int64(level.GetOffsetTicks()) <= l.book.Depth[n-1].OffsetTicks {
			return fault.InvalidField(at+".offset_ticks", "must be greater than %d, that of the level before", l.book.Depth[n-1].OffsetTicks)
		}
		l.book.Depth = append(l.book.Depth, engine.Level{Quantity: quantity, OffsetTicks: int64(level.GetOffsetTicks())})
	}
	return nil
}

// add takes the next bar, which must follow the ones before it in time. Stretches without bars are no error.
func (l *loading) add(k *connectorv1.Kline) error {
	invalid := func(field, format string, args ...any) error {
		return fault.InvalidField(fmt.Sprintf("klines[%d].%s", len(l.bars), field), format, args...)
	}
	opened, closed := k.GetOpenTime().AsTime(), k.GetCloseTime().AsTime()
	switch {
	case !isMarketTime(k.GetOpenTime()):
		return invalid("open_time", "must lie between %s and %s", timeFirst.Format(time.DateOnly), timeLast.Format(time.DateOnly))
	case !isMarketTime(k.GetCloseTime()):
		return invalid("close_time", "must lie between %s and %s", timeFirst.Format(time.DateOnly), timeLast.Format(time.DateOnly))
	case len(l.bars) > 0 && opened.Before(l.closed):
		return invalid("open_time", "must not be before %s, when the bar before closed, and is %s", l.closed.Format(time.RFC3339Nano), opened.Format(time.RFC3339Nano))
	case lengthOf(opened, closed) < barMin:
		return invalid("close_time", "must be at least %s after open_time", barMin)
	}
	bar := feed.Bar{OpenTime: opened, Length: lengthOf(opened, closed)}
	for _, p := range []struct {
		field, text string
		into        *decimal.Decimal
	}{{"open", k.GetOpen(), &bar.Open}, {"high", k.GetHigh(), &bar.High}, {"low", k.GetLow(), &bar.Low}, {"close", k.GetClose(), &bar.Close}} {
		price, wrong := l.price(p.text)
		if wrong != "" {
			return invalid(p.field, "%s", wrong)
		}
		*p.into = price
	}
	switch {
	case bar.High.LessThan(decimal.Max(bar.Open, bar.Close)):
		return invalid("high", "must be at least open %s and close %s, and is %s", bar.Open, bar.Close, bar.High)
	case bar.Low.GreaterThan(decimal.Min(bar.Open, bar.Close)):
		return invalid("low", "must be at most open %s and close %s, and is %s", bar.Open, bar.Close, bar.Low)
	}
	if text := k.GetVolume(); text != "" {
		if volume, err := money.Parse(text); err != nil || volume.IsNegative() {
			return invalid("volume", "must be an amount of at least 0, found %q", text)
		}
	}
	l.bars, l.closed = append(l.bars, bar), closed
	return nil
}

// lengthOf is how long a bar lasts. Binance writes the last millisecond of a bar where others write its end.
func lengthOf(opened, closed time.Time) time.Duration {
	length := closed.Sub(opened)
	if length%time.Second == time.Second-time.Millisecond {
		length += time.Millisecond
	}
	return length
}

func isMarketTime(at *timestamppb.Timestamp) bool {
	return at.IsValid() && !at.AsTime().Before(timeFirst) && at.AsTime().Before(timeLast)
}

// price reads a price that the instrument can have; otherwise it says what is wrong.
func (l *loading) price(text string) (price decimal.Decimal, wrong string) {
	price, err := money.Parse(text)
	tick, low, high := l.instrument.Price.Tick, l.instrument.Price.Min, l.instrument.Price.Max
	switch {
	case err != nil:
		return price, fmt.Sprintf("must be a price: %v", err)
	case !price.IsPositive():
		return price, fmt.Sprintf("must be above 0 and is %s", price)
	case !venue.IsMultiple(price, tick):
		return price, fmt.Sprintf("must be a multiple of %s, the tick size of %s, and is %s", tick, l.instrument.Symbol, price)
	case price.LessThan(low), high.IsPositive() && price.GreaterThan(high):
		return price, fmt.Sprintf("must lie within %s and %s, the bounds of %s, and is %s", low, high, l.instrument.Symbol, price)
	default:
		return price, ""
	}
}

// source is the path, once all of it has come.
func (l *loading) source() (feed.Source, error) {
	if l.header == nil {
		return feed.Source{}, fault.InvalidField("header", "must be sent")
	}
	walk := l.header.GetSynthetic()
	if walk == nil {
		if len(l.bars) == 0 {
			return feed.Source{}, fault.InvalidField("klines", "must hold at least one bar")
		}
		return feed.Source{Bars: l.bars}, nil
	}
	start, wrong := l.price(walk.GetStartPrice())
	if wrong != "" {
		return feed.Source{}, fault.InvalidField("header.synthetic.start_price", "%s", wrong)
	}
	if !isMarketTime(walk.GetStartTime()) {
		return feed.Source{}, fault.InvalidField("header.synthetic.start_time", "must lie between %s and %s",
			timeFirst.Format(time.DateOnly), timeLast.Format(time.DateOnly))
	}
	interval := time.Duration(walk.GetTickMs()) * time.Millisecond
	if left := timeLast.Sub(walk.GetStartTime().AsTime()); int64(walk.GetTicks()) > int64(left/interval) {
		return feed.Source{}, fault.InvalidField("header.synthetic.ticks", "must end before %s: %d ticks of %s do not",
			timeLast.Format(time.DateOnly), walk.GetTicks(), interval)
	}
	return feed.Source{Walk: &feed.Walk{
		Seed: walk.GetSeed(), Start: start, TickSize: l.instrument.Price.Tick, StepTicks: int64(walk.GetStepMax()), Interval: interval,
		StartTime: walk.GetStartTime().AsTime(), Ticks: int64(walk.GetTicks()),
	}}, nil
}

// origin says where the path came from.
func (l *loading) origin() string {
	if walk := l.header.GetSynthetic(); walk != nil {
		return fmt.Sprintf("synthetic walk, seed %d", walk.GetSeed())
	}
	if origin := l.header.GetKlines().GetOrigin(); origin != "" {
		return origin
	}
	return "klines"
}
