package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/cmd/robson/internal/market"
)

// Auto is the market data that is found by itself: Binance's public endpoint, else the synthetic path.
const Auto = "auto"

const (
	symbolBTC = "BTCUSDT"
	symbolETH = "ETHUSDT"
	baseBTC   = "BTC"
	// autoSource is the public endpoint with one fixed past window, so that every run is the same.
	autoSource = "https://api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime=1588280400000&limit=1000"
	// autoPatience is how long the public endpoint may take.
	autoPatience = 2 * time.Second
	// sourceBytesMax bounds what is read.
	sourceBytesMax = 32 << 20
)

// The depth that market orders eat: two thin levels, and beneath them enough for everybody.
const (
	partsOfLong    = 3
	quantityPlaces = 5
	depthRest      = "1000"
)

// The synthetic path: used where no recorded data can be had. The same on every machine.
const (
	syntheticSeed  = 20200430
	syntheticBars  = 1000
	syntheticStart = 8625_00
	syntheticStep  = 6000
)

// source is where the prices come from.
type source struct {
	path   string
	origin string
	klines []market.Kline
}

// CheckMarketData says what is wrong with the market data that a run is to be given, before anything is started for it.
func CheckMarketData(ctx context.Context, path string) error {
	if path == Auto {
		return nil
	}
	s := source{path: path}
	if _, err := s.read(ctx); err != nil {
		return err
	}
	if _, err := makePlan(market.Prices(s.klines)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// read finds the klines: the file named, else the public endpoint, else the synthetic path.
func (s *source) read(ctx context.Context) (note string, err error) {
	if s.path != "" && s.path != "auto" {
		data, err := os.ReadFile(s.path)
		if err != nil {
			return "", fmt.Errorf("read market data: %w", err)
		}
		s.origin = "recorded klines from " + s.path
		s.klines, err = market.ReadKlines(bytes.NewReader(data))
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.path, err)
		}
		return "", nil
	}
	s.klines, err = fetch(ctx)
	if err == nil {
		s.origin = "klines of Binance's public endpoint, BTCUSDT 1h from 2020-04-30 21:00Z"
		return "", nil
	}
	s.origin = fmt.Sprintf("a synthetic path (seed %d)", syntheticSeed)
	s.klines = synthetic()
	return fmt.Sprintf("Binance's public endpoint gave no klines within %s (%s), so this run is on a synthetic path; --market-data takes a file of klines", autoPatience, err), nil
}

// fetch asks the public endpoint.
func fetch(ctx context.Context) ([]market.Kline, error) {
	ctx, cancel := context.WithTimeout(ctx, autoPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, autoSource, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for klines: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // which address is not in question
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up; nothing to be done about a failing close
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", response.Status)
	}
	return market.ReadKlines(io.LimitReader(response.Body, sourceBytesMax))
}

// synthetic makes hourly bars from a seeded walk in whole cents (splitmix64).
func synthetic() []market.Kline {
	state := uint64(syntheticSeed)
	next := func() int64 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb
		z ^= z >> 31
		return int64(z%(2*syntheticStep+1)) - syntheticStep
	}
	cents := func(v int64) decimal.Decimal { return decimal.New(v, -2) }
	start := time.Date(2020, 4, 30, 21, 0, 0, 0, time.UTC)
	price := int64(syntheticStart)
	bars := make([]market.Kline, syntheticBars)
	for i := range bars {
		open := price
		low, high := open, open
		for range 4 {
			price = max(price+next(), syntheticStart/2)
			low, high = min(low, price), max(high, price)
		}
		at := start.Add(time.Duration(i) * time.Hour)
		bars[i] = market.Kline{OpenTime: at, CloseTime: at.Add(time.Hour - time.Millisecond), Open: cents(open), High: cents(high), Low: cents(low), Close: cents(price), Volume: decimal.New(1000, 0)}
	}
	return bars
}

// loadMarketData reads the prices, plans the scenes and gives both symbols their paths.
func (d *Demo) loadMarketData(ctx context.Context) error {
	note, err := d.stage.read(ctx, d)
	if err != nil {
		return err
	}
	if note != "" {
		d.say("%s", note)
	}
	d.world.prices = market.Prices(d.source.klines)
	d.world.plan, err = makePlan(d.world.prices)
	if err != nil {
		return err
	}
	first, last := d.source.klines[0], d.source.klines[len(d.source.klines)-1]
	d.say("%s", d.source.origin)
	d.say("%d bars from %s to %s, replayed as %d ticks", len(d.source.klines), first.OpenTime.Format(time.DateOnly), last.OpenTime.Format(time.DateOnly), len(d.world.prices))
	return d.stage.open(ctx, d)
}
