package detector_test

import (
	"maps"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/command/internal/detector"
)

func settings(change map[string]string) map[string]string {
	all := map[string]string{"interval": "1m", "fast": "2", "slow": "4"}
	maps.Copy(all, change)
	return all
}

func TestParse(t *testing.T) {
	t.Parallel()
	config, err := detector.Parse(settings(nil))
	require.NoError(t, err)
	require.Equal(t, detector.Config{
		Interval: time.Minute, IntervalName: "1m", Fast: 2, Slow: 4, StopMethod: detector.Swing, StopLevel: 2, StopLookback: 50,
		SignalTTL: time.Minute,
	}, config)
	require.Equal(t, 50, config.Needed())

	config, err = detector.Parse(settings(map[string]string{
		"symbol": "BTCUSDT", "interval": "4h", "fast": "20", "slow": "200", "stop_method": "percent", "stop_percent": "1.5",
		"stop_level": "1", "stop_lookback": "5", "signal_ttl": "90s", "armed_for": "72h",
	}))
	require.NoError(t, err)
	require.Equal(t, detector.Config{
		Symbol: "BTCUSDT", Interval: 4 * time.Hour, IntervalName: "4h", Fast: 20, Slow: 200, StopMethod: detector.Percent, StopLevel: 1,
		StopLookback: 5, StopPercent: decimal.RequireFromString("1.5"), SignalTTL: 90 * time.Second, ArmedFor: 72 * time.Hour,
	}, config)
	require.Equal(t, 201, config.Needed())
}

func TestParse_names_what_is_wrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change map[string]string
		field  string
	}{
		"no interval":              {map[string]string{"interval": ""}, "interval"},
		"an unknown interval":      {map[string]string{"interval": "7m"}, "interval"},
		"no fast":                  {map[string]string{"fast": ""}, "fast"},
		"fast of nothing":          {map[string]string{"fast": "0"}, "fast"},
		"fast that is no number":   {map[string]string{"fast": "2.5"}, "fast"},
		"no slow":                  {map[string]string{"slow": ""}, "slow"},
		"slow beyond what is kept": {map[string]string{"slow": "201"}, "slow"},
		"fast as slow as slow":     {map[string]string{"fast": "4"}, "fast"},
		"a method of its own":      {map[string]string{"stop_method": "atr"}, "stop_method"},
		"percent without one":      {map[string]string{"stop_method": "percent"}, "stop_percent"},
		"nothing per cent":         {map[string]string{"stop_percent": "0"}, "stop_percent"},
		"all of it":                {map[string]string{"stop_percent": "100"}, "stop_percent"},
		"finer than prices":        {map[string]string{"stop_percent": "0.000000001"}, "stop_percent"},
		"no percentage":            {map[string]string{"stop_percent": "one"}, "stop_percent"},
		"level nought":             {map[string]string{"stop_level": "0"}, "stop_level"},
		"a look-back of a wing":    {map[string]string{"stop_lookback": "4"}, "stop_lookback"},
		"good for nothing":         {map[string]string{"signal_ttl": "0s"}, "signal_ttl"},
		"good for ever":            {map[string]string{"signal_ttl": "169h"}, "signal_ttl"},
		"a duration without unit":  {map[string]string{"signal_ttl": "90"}, "signal_ttl"},
		"armed for longer":         {map[string]string{"armed_for": "8785h"}, "armed_for"},
		"a slip of the pen":        {map[string]string{"slw": "4"}, "slw"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := detector.Parse(settings(test.change))
			require.Error(t, err)
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.Equal(t, "detector_config."+test.field, fault.As(err).Fields[0].Path)
		})
	}
}
