package cli

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/stack"
)

// connectorFlags are what a connector is told, alone or in a stack.
type connectorFlags struct{ settings stack.ConnectorSettings }

// exchangeInfoHelp tells what the paper venue can be given.
const exchangeInfoHelp = "a `file` as Binance's /api/v3/exchangeInfo answers: more symbols for the paper venue, by their rules"

func (f *connectorFlags) register(cmd *cobra.Command) {
	flags, s := cmd.Flags(), &f.settings
	flags.StringVar(&s.ExchangeInfoFile, "exchange-info", "", exchangeInfoHelp)
	flags.StringVar(&s.Binance.Environment, "binance-environment", "", "connector: serve Binance's prod, testnet, demo or sim beside the paper venue (default: none)")
	flags.BoolVar(&s.Binance.Production, "binance-production", false, "connector: yes, --binance-environment prod, which trades real money")
	flags.StringVar(&s.Binance.URL, "binance-url", "", "connector: where robson simexchange is, for --binance-environment sim, e.g. http://127.0.0.1:9090")
	flags.StringVar(&s.Binance.Keys.Dir, "keys-dir", "", "connector: the `directory` of API keys; docs/howto/trade-on-binance.md says how they are laid out")
	flags.BoolVar(&s.Binance.Keys.ReadableByOthers, "keys-readable-by-others", false, "connector: take keys, with a warning, that everybody on the machine may read")
	for _, w := range f.waits() {
		flags.DurationVar(w.to, w.name, w.usual, "connector: "+w.reason)
	}
}

// wait is how long something takes, or how often it is done.
type wait struct {
	to     *time.Duration
	name   string
	usual  time.Duration
	reason string
}

// waits are those that can be set. Each must be above zero.
func (f *connectorFlags) waits() []wait {
	s := &f.settings
	return []wait{
		{&s.Executor.SendTimeout, "send-timeout", 10 * time.Second, "how long one request to a venue may take"},
		{&s.Executor.AskFirst, "ask-first", 200 * time.Millisecond, "the first pause before a venue is asked again about an order of unknown outcome; it doubles"},
		{&s.Executor.AskMax, "ask-max", 8 * time.Second, "the longest such pause"},
		{&s.Executor.SweepEvery, "sweep-every", 2 * time.Second, "how often orders of unknown outcome are looked for"},
		{&s.Executor.Young, "young", 3 * time.Second, "the age below which an order is left to its sender"},
		{&s.Binance.ReceiveWindow, "recv-window", 5 * time.Second, "how long after its stamp Binance may take a request in (recvWindow)"},
		{&s.Binance.Processing, "venue-processing", 10 * time.Second, "how long Binance may be at a request that it took in"},
		{&s.Binance.Margin, "clock-margin", 5 * time.Second, "what clocks may differ by before an order that Binance does not know is given up"},
		{&s.Binance.Silence, "stream-silence", time.Minute, "after how long without a word a stream of Binance, which pings every 20 s, counts as dead"},
		{&s.Follower.SampleEvery, "sample-every", time.Minute, "how often an account's balances are sampled"},
		{&s.Follower.SampleAfter, "sample-after", time.Second, "how long after a fill they are sampled as well; what fills meanwhile shares the sample"},
		{&s.Reconcile.Every, "reconcile-every", time.Hour, "how often an account is held against its venue; at the start and after a gap it is as well"},
		{&s.Follower.LeaseTTL, "lease", 5 * time.Second, "how long an account stays with a connector that has died"},
	}
}

// keyVariable begins the names of variables that hold API keys.
const keyVariable = "ROBSON_KEY_"

// takeKeys takes the variables that hold API keys out of the environment, before there is a child that would inherit them.
func takeKeys() (taken []string) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, keyVariable) && os.Unsetenv(name) == nil {
			taken = append(taken, pair)
		}
	}
	return taken
}

// prepare takes the keys of the environment in, and says by its flag what cannot be meant.
func (f *connectorFlags) prepare() error {
	f.settings.Binance.Keys.Environ = takeKeys()
	for _, w := range f.waits() {
		if *w.to <= 0 {
			return usagef("--%s: %s: must be above zero", w.name, *w.to)
		}
	}
	if f.settings.Executor.AskFirst > f.settings.Executor.AskMax {
		return usagef("--ask-first: %s is more than --ask-max %s", f.settings.Executor.AskFirst, f.settings.Executor.AskMax)
	}
	f.settings.Reconcile.LeaseTTL = f.settings.Follower.LeaseTTL
	return nil
}
