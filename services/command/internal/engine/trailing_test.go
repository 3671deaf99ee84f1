package engine

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func longStop() Stop {
	return Stop{Side: Long, Technical: d("93500"), Distance: d("1500"), Price: d("93500"), Extreme: d("95000"), Since: at}
}

func shortStop() Stop {
	return Stop{Side: Short, Technical: d("96500"), Distance: d("1500"), Price: d("96500"), Extreme: d("95000"), Since: at}
}

// follow puts ticks, a second apart, to a stop as the monitor would, and tells what happened at each.
func follow(stop Stop, prices ...string) (told []string, _ Stop) {
	for i, price := range prices {
		trailed := Trail(stop, Tick{Price: d(price), At: at.Add(time.Duration(i+1) * time.Second)})
		switch trailed.Action {
		case TrailMove:
			stop.Price, stop.Extreme, stop.Since = trailed.Stop, trailed.Extreme, at.Add(time.Duration(i+1)*time.Second)
			told = append(told, trailed.Stop.String())
		case TrailExit:
			told = append(told, "exit "+price+" at "+trailed.Stop.String())
			return told, stop
		default:
			told = append(told, "-")
		}
	}
	return told, stop
}

func TestTrail_Continuous(t *testing.T) {
	t.Parallel()
	t.Run("S6 long", func(t *testing.T) {
		t.Parallel()
		told, _ := follow(longStop(), "95500", "96000", "95800", "97000", "96200", "95500")
		require.Equal(t, []string{"94000", "94500", "-", "95500", "-", "exit 95500 at 95500"}, told)
	})
	t.Run("S6 mirrored short", func(t *testing.T) {
		t.Parallel()
		told, _ := follow(shortStop(), "94500", "94000", "94200", "93000", "93800", "94500")
		require.Equal(t, []string{"96000", "95500", "-", "94500", "-", "exit 94500 at 94500"}, told)
	})
	t.Run("S6 gap through the stop leaves the stop as it was", func(t *testing.T) {
		t.Parallel()
		told, _ := follow(longStop(), "97000", "92000")
		require.Equal(t, []string{"95500", "exit 92000 at 95500"}, told)
	})
	t.Run("S6 old ticks delivered again neither lower nor hit the stop", func(t *testing.T) {
		t.Parallel()
		_, stop := follow(longStop(), "95500", "96000", "95800", "97000")
		for i, price := range []string{"95500", "96000", "92000"} {
			trailed := Trail(stop, Tick{Price: d(price), At: at.Add(time.Duration(i) * time.Second)})
			require.Equal(t, Trailed{Action: TrailHold, Stop: d("95500"), Extreme: d("97000")}, trailed)
		}
	})
	t.Run("a stop moved by the user is not lowered by the next extreme", func(t *testing.T) {
		t.Parallel()
		stop := longStop()
		stop.Price, stop.Extreme = d("95900"), d("96000")
		told, _ := follow(stop, "96100", "97500")
		require.Equal(t, []string{"-", "96000"}, told)
	})
	t.Run("a fill beyond the stop exits at once", func(t *testing.T) {
		t.Parallel()
		stop := longStop()
		stop.Extreme = d("93000")
		told, _ := follow(stop, "93000")
		require.Equal(t, []string{"exit 93000 at 93500"}, told)
	})
}

func TestTrail_Step(t *testing.T) {
	t.Parallel()
	stepped := func(stop Stop) Stop {
		stop.Mode = eventv1.TrailingMode_TRAILING_MODE_STEP
		return stop
	}
	t.Run("long moves by whole spans", func(t *testing.T) {
		t.Parallel()
		told, _ := follow(stepped(longStop()), "96499.99", "96500", "97999", "99600", "98000.01", "96500")
		require.Equal(t, []string{"-", "95000", "-", "98000", "-", "exit 96500 at 98000"}, told[:6])
	})
	t.Run("short moves by whole spans", func(t *testing.T) {
		t.Parallel()
		told, _ := follow(stepped(shortStop()), "93500.01", "93500", "92001", "90500", "92000")
		require.Equal(t, []string{"-", "95000", "-", "92000", "exit 92000 at 92000"}, told)
	})
	t.Run("no span, no move", func(t *testing.T) {
		t.Parallel()
		stop := stepped(longStop())
		stop.Distance = decimal.Zero
		told, _ := follow(stop, "99999")
		require.Equal(t, []string{"-"}, told)
	})
}

func TestTrail_Monotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stop := rapid.SampledFrom([]Stop{longStop(), shortStop()}).Draw(t, "stop")
		stop.Mode = rapid.SampledFrom([]eventv1.TrailingMode{
			eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS, eventv1.TrailingMode_TRAILING_MODE_STEP,
		}).Draw(t, "mode")
		for range rapid.IntRange(1, 60).Draw(t, "ticks") {
			tick := Tick{
				Price: decimal.New(rapid.Int64Range(9_000_000, 10_000_000).Draw(t, "price"), -2),
				At:    at.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "seconds")) * time.Second),
			}
			trailed := Trail(stop, tick)
			require.Equal(t, trailed, Trail(stop, tick))
			if trailed.Action != TrailMove {
				require.True(t, trailed.Stop.Equal(stop.Price))
				continue
			}
			require.True(t, stop.better(trailed.Stop, stop.Price))
			require.True(t, stop.better(tick.Price, trailed.Stop), "a stop never moves onto the price")
			require.Equal(t, TrailHold, Trail(Stop{
				Side: stop.Side, Mode: stop.Mode, Technical: stop.Technical, Distance: stop.Distance,
				Price: trailed.Stop, Extreme: trailed.Extreme, Since: tick.At,
			}, tick).Action, "the same tick again does nothing")
			stop.Price, stop.Extreme, stop.Since = trailed.Stop, trailed.Extreme, tick.At
		}
	})
}
