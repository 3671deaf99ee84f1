package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	"github.com/robson/robson/services/connector/internal/paper/feed"
)

func synthetic(change func(*connectorv1.SyntheticSource)) *connectorv1.LoadMarketRequest {
	s := &connectorv1.SyntheticSource{
		Seed: 7, StartPrice: "95000.00", StartTime: timestamppb.New(projectiontest.Start), TickMs: 1000, Ticks: 50, StepMax: 20,
	}
	if change != nil {
		change(s)
	}
	return header(func(h *connectorv1.MarketHeader) { h.Source = &connectorv1.MarketHeader_Synthetic{Synthetic: s} })
}

func TestLoadMarket(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("bars in any number of parts", func(t *testing.T) {
		market, err := b.load(header(nil),
			klines(bar(0, "95000", "95100.50", "94000", "95050"), bar(1, "95050.00", "95050", "95050", "95050")), klines(), klines(bar(9, "95060", "95070", "95000", "95000")))
		require.NoError(t, err)
		require.EqualValues(t, 1, market.GetSequence())
		require.EqualValues(t, 11, market.GetTicksLeft(), "four ticks a bar; hours without bars are no error")
		require.Equal(t, "95000", market.GetPrice())
		require.Equal(t, projectiontest.Start, market.GetMarketTime().AsTime())
		require.Equal(t, "a test", market.GetOrigin())
		require.Zero(t, market.GetTickIntervalMs())
		// A bar that rose dipped first.
		moved, err := b.paperAs("operator").AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: 2})
		require.NoError(t, err)
		require.Equal(t, "94000", moved.GetMarket().GetPrice())
		require.Equal(t, projectiontest.Start.Add(15*time.Minute), moved.GetMarket().GetMarketTime().AsTime())
	})
	t.Run("a seeded walk; sequences go on", func(t *testing.T) {
		first, err := b.load(synthetic(nil))
		require.NoError(t, err)
		require.EqualValues(t, 3, first.GetSequence())
		require.EqualValues(t, 49, first.GetTicksLeft())
		require.Equal(t, "95000", first.GetPrice())
		end := func() string {
			moved, err := b.paperAs("operator").AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: 1 << 40})
			require.NoError(t, err)
			require.Zero(t, moved.GetMarket().GetTicksLeft())
			require.Equal(t, projectiontest.Start.Add(49*time.Second), moved.GetMarket().GetMarketTime().AsTime())
			return moved.GetMarket().GetPrice()
		}
		price := end()
		_, err = b.load(synthetic(nil))
		require.NoError(t, err)
		require.Equal(t, price, end(), "the same every time")
	})
	t.Run("not under open orders", func(t *testing.T) {
		b.openStop()
		_, err := b.load(synthetic(nil))
		require.True(t, fault.Is(err, fault.Refused), "%v", err)
		require.Equal(t, "OPEN_ORDERS", fault.ReasonOf(err))
	})
}

func TestLoadMarket_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := bar(0, "95000", "95100", "94900", "95050")
	with := func(change func(*connectorv1.Kline)) []*connectorv1.LoadMarketRequest {
		k := bar(1, "95000", "95100", "94900", "95050")
		change(k)
		return []*connectorv1.LoadMarketRequest{header(nil), klines(good), klines(k)}
	}
	for _, c := range []struct {
		field string
		parts []*connectorv1.LoadMarketRequest
	}{
		{"header", nil},
		{"header", []*connectorv1.LoadMarketRequest{klines(good)}},
		{"header", []*connectorv1.LoadMarketRequest{header(nil), header(nil)}},
		{"klines", []*connectorv1.LoadMarketRequest{header(nil)}},
		{"klines", []*connectorv1.LoadMarketRequest{synthetic(nil), klines(good)}},
		{"symbol", []*connectorv1.LoadMarketRequest{header(func(h *connectorv1.MarketHeader) { h.Symbol = "NOPE" })}},
		{"header.symbol", []*connectorv1.LoadMarketRequest{header(func(h *connectorv1.MarketHeader) { h.Symbol = "btc" })}},
		{"header.tick_volume", []*connectorv1.LoadMarketRequest{header(func(h *connectorv1.MarketHeader) { h.TickVolume = "-1" })}},
		{"header.depth[1].offset_ticks", []*connectorv1.LoadMarketRequest{header(func(h *connectorv1.MarketHeader) {
			h.Depth = []*connectorv1.DepthLevel{{Quantity: "1", OffsetTicks: 5}, {Quantity: "1", OffsetTicks: 5}}
		})}},
		{"header.synthetic.start_price", []*connectorv1.LoadMarketRequest{synthetic(func(s *connectorv1.SyntheticSource) { s.StartPrice = "95000.001" })}},
		{"header.synthetic.start_price", []*connectorv1.LoadMarketRequest{synthetic(func(s *connectorv1.SyntheticSource) { s.StartPrice = "1000001" })}},
		{"header.synthetic.start_time", []*connectorv1.LoadMarketRequest{synthetic(func(s *connectorv1.SyntheticSource) {
			s.StartTime = timestamppb.New(time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC))
		})}},
		{"header.synthetic.ticks", []*connectorv1.LoadMarketRequest{synthetic(func(s *connectorv1.SyntheticSource) { s.Ticks, s.TickMs = 1_000_000, 86_400_000 })}},
		{"klines[1].open_time", with(func(k *connectorv1.Kline) { k.OpenTime = good.GetOpenTime() })},
		{"klines[1].open_time", with(func(k *connectorv1.Kline) { k.OpenTime = &timestamppb.Timestamp{Seconds: -1 << 60} })},
		{"klines.klines[0].open_time", with(func(k *connectorv1.Kline) { k.OpenTime = nil })},
		{"klines[1].close_time", with(func(k *connectorv1.Kline) { k.CloseTime = k.GetOpenTime() })},
		{"klines[1].close_time", with(func(k *connectorv1.Kline) { k.CloseTime = timestamppb.New(time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)) })},
		{"klines[1].open", with(func(k *connectorv1.Kline) { k.Open = "" })},
		{"klines[1].open", with(func(k *connectorv1.Kline) { k.Open = "9.5e4" })},
		{"klines[1].high", with(func(k *connectorv1.Kline) { k.High = "95049.99" })},
		{"klines[1].high", with(func(k *connectorv1.Kline) { k.High = "95100.001" })},
		{"klines[1].high", with(func(k *connectorv1.Kline) { k.High = "1000001" })},
		{"klines[1].low", with(func(k *connectorv1.Kline) { k.Low = "95000.01" })},
		{"klines[1].low", with(func(k *connectorv1.Kline) { k.Low = "0" })},
		{"klines[1].close", with(func(k *connectorv1.Kline) { k.Close = "-95000" })},
		{"klines[1].volume", with(func(k *connectorv1.Kline) { k.Volume = "-1" })},
	} {
		_, err := b.load(c.parts...)
		requireField(t, err, c.field)
	}
	_, err := b.paperAs("operator").AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: 2})
	require.Equal(t, "NO_MARKET", fault.ReasonOf(err), "nothing was loaded: %v", err)
}

func TestLoadMarket_Bounds(t *testing.T) {
	t.Parallel()
	l := &loading{header: &connectorv1.MarketHeader{Source: &connectorv1.MarketHeader_Klines{Klines: &connectorv1.KlineSource{}}}}
	require.Equal(t, "klines", l.origin())
	l.bars = append(l.bars, make([]feed.Bar, klinesMax)...)
	requireField(t, l.take(t.Context(), klines(bar(0, "1", "1", "1", "1"))), "klines")

	b := setupWith(t, Config{LoadsMax: 1})
	giveBack, err := b.service.loads.take()
	require.NoError(t, err)
	_, err = b.load(header(nil), klines(bar(0, "1", "1", "1", "1")))
	require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
	require.Positive(t, fault.As(err).RetryAfter)
	giveBack()
	_, err = b.load(header(nil), klines(bar(0, "1", "1", "1", "1")))
	require.NoError(t, err)

	for _, bad := range []Config{{StreamsMax: -1}, {LoadsMax: -1}, {LoadTimeout: -1}} {
		_, err := NewMarket(Deps{}, bad)
		require.ErrorContains(t, err, "must not be negative")
		_, err = NewPaper(Deps{}, bad)
		require.ErrorContains(t, err, "must not be negative")
	}
}
