package connector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBinanceConfig_refuses(t *testing.T) {
	t.Parallel()
	held := KeysConfig{Dir: "/keys"}
	for name, c := range map[string]struct {
		config BinanceConfig
		says   string
	}{
		"keys for nothing":          {BinanceConfig{Keys: held}, "none is named"},
		"a variable for nothing":    {BinanceConfig{Keys: KeysConfig{Environ: []string{"ROBSON_KEY_a_b=text"}}}, "none is named"},
		"an address for nothing":    {BinanceConfig{URL: "http://x"}, "none is named"},
		"confirmed for nothing":     {BinanceConfig{Production: true}, "none is named"},
		"another environment":       {BinanceConfig{Environment: "live", Keys: held}, `environment "live"`},
		"prod by mistake":           {BinanceConfig{Environment: "prod", Keys: held}, "must be confirmed"},
		"testnet taken for prod":    {BinanceConfig{Environment: "testnet", Production: true, Keys: held}, "the environment is testnet"},
		"prod elsewhere":            {BinanceConfig{Environment: "prod", Production: true, URL: "http://x", Keys: held}, "Binance's own"},
		"no keys":                   {BinanceConfig{Environment: "testnet"}, "no keys"},
		"a window without end":      {BinanceConfig{Environment: "testnet", Keys: held, ReceiveWindow: time.Hour}, "at most 1m0s"},
		"a margin before its time":  {BinanceConfig{Environment: "testnet", Keys: held, Margin: -1}, "must not be negative"},
		"a simulator without place": {BinanceConfig{Environment: "sim", Keys: held}, "http://host:port"},
		"a path":                    {BinanceConfig{Environment: "sim", URL: "http://x/y", Keys: held}, "http://host:port"},
		"somebody's name":           {BinanceConfig{Environment: "sim", URL: "http://me:pass@x", Keys: held}, "http://host:port"},
		"a socket":                  {BinanceConfig{Environment: "sim", URL: "ws://x", Keys: held}, "http://host:port"},
		"the exchange itself":       {BinanceConfig{Environment: "sim", URL: "https://API.Binance.com", Keys: held}, "is no simulator"},
		"the exchange's root":       {BinanceConfig{Environment: "sim", URL: "https://testnet.binance.vision.", Keys: held}, "is no simulator"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := c.config.withDefaults()
			if err == nil {
				_, err = config.addresses()
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestBinanceConfig_addresses(t *testing.T) {
	t.Parallel()
	held := KeysConfig{Dir: "/keys"}
	for environment, want := range map[string]string{
		"prod": "https://api.binance.com", "testnet": "https://testnet.binance.vision", "demo": "https://demo-api.binance.com",
	} {
		config, err := BinanceConfig{Environment: environment, Production: environment == "prod", Keys: held}.withDefaults()
		require.NoError(t, err)
		at, err := config.addresses()
		require.NoError(t, err)
		require.Equal(t, want, at.rest)
		require.Equal(t, 20*time.Second, config.ReceiveWindow+config.Processing+config.Margin)
	}
	at, err := BinanceConfig{Environment: "sim", URL: "http://sim:9090/"}.addresses()
	require.NoError(t, err)
	require.Equal(t, addresses{"http://sim:9090", "ws://sim:9090/ws-api/v3", "ws://sim:9090"}, at)
	none, err := BinanceConfig{}.withDefaults()
	require.NoError(t, err)
	require.Zero(t, none)
}
