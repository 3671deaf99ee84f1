package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// Output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// Sizes of the log.
const (
	sizeStandard = ""
	sizeHundredK = "100k"
	sizeMillion  = "1m"
	sizeTenM     = "10m"
)

// sizes are how many events the log holds before it is measured.
var sizes = map[string]int{sizeHundredK: 100_000, sizeMillion: 1_000_000, sizeTenM: 10_000_000}

// peersOnly is what runs beside peers unless -only says otherwise: what they are compared with.
const peersOnly = "^(peer-.*|" + loadRawRow32 + "|" + loadUnary + "|" + loadHot + "|" + loadStream + ")$"

// config is what a person chose.
type config struct {
	binary          string
	size            string
	replay          bool
	rounds          int
	duration        time.Duration
	only            *regexp.Regexp
	tenants         int
	accounts        int
	callers         int
	databaseURL     string
	dataDir         string
	keep            bool
	sharedBuffersMB int
	peers           string
	output          string
	resultDir       string
}

// parse reads the command line.
func parse(args []string, errOut io.Writer) (*config, error) {
	cfg := &config{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&cfg.binary, "binary", os.Getenv("ROBSON_BINARY"), "the robson to measure (ROBSON_BINARY)")
	flags.StringVar(&cfg.size, "size", sizeStandard, "100k, 1m or 10m: measure a log that holds so many events over twelve months, beside one of 100k; empty: the standard run")
	flags.BoolVar(&cfg.replay, "replay", false, "measure rebuilds, snapshots and questions about the past alone, on a log of order lives of the chosen size")
	flags.IntVar(&cfg.rounds, "rounds", 3, "how often each load runs; they take turns")
	flags.DurationVar(&cfg.duration, "duration", 3*time.Second, "how long each load runs in a round")
	only := flags.String("only", "", "run only the loads whose name matches this regular expression")
	flags.IntVar(&cfg.tenants, "tenants", 100, "how many tenants there are")
	flags.IntVar(&cfg.accounts, "accounts", 100, "how many accounts each tenant has: tenants x accounts streams")
	flags.IntVar(&cfg.callers, "callers", 64, "how many callers append at a time")
	flags.StringVar(&cfg.databaseURL, "database-url", "", "measure on this PostgreSQL, as superuser, in databases robson_bench* of its own; empty: a private one")
	flags.StringVar(&cfg.dataDir, "data-dir", "", "where the private PostgreSQL lives; empty: a directory that is removed at the end")
	flags.BoolVar(&cfg.keep, "keep", false, "leave the databases for looking into them")
	flags.IntVar(&cfg.sharedBuffersMB, "shared-buffers-mb", 1024, "cache of the private PostgreSQL")
	flags.StringVar(&cfg.peers, "peers", "", "measure message-db and Emmett too, from this directory, where npm has installed them (make bench-peers); -only is then theirs and what they are compared with")
	flags.StringVar(&cfg.output, "output", formatTable, "table for people, json for programs")
	flags.StringVar(&cfg.resultDir, "result-dir", "", "write the result as JSON into a file of this directory too")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if cfg.peers != "" && *only == "" {
		*only = peersOnly
	}
	var err error
	if cfg.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	return cfg, cfg.validate()
}

func (c *config) validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, known := sizes[c.size]
	refuse(c.binary == "", "name the robson to measure: -binary or ROBSON_BINARY (make bench builds it)")
	refuse(c.size != sizeStandard && !known, "-size is 100k, 1m or 10m, not %q", c.size)
	refuse((c.size != sizeStandard || c.replay) && c.peers != "", "-size, -replay and -peers exclude each other")
	refuse(c.rounds < 1 || c.rounds > 1000, "-rounds is 1 to 1000, not %d", c.rounds)
	refuse(c.duration < 100*time.Millisecond || c.duration > time.Hour, "-duration is 100ms to 1h, not %s", c.duration)
	refuse(c.tenants < 2 || c.tenants > 10_000, "-tenants is 2 to 10000, not %d", c.tenants)
	refuse(c.accounts < 1 || c.accounts > 900, "-accounts is 1 to 900, not %d", c.accounts)
	refuse(c.callers < 1 || c.callers > 1000, "-callers is 1 to 1000, not %d", c.callers)
	refuse(c.sharedBuffersMB < 1, "-shared-buffers-mb is above 0, not %d", c.sharedBuffersMB)
	refuse(c.output != formatTable && c.output != formatJSON, "-output is table or json, not %q", c.output)
	return errors.Join(errs...)
}

// reported is what a report says of the choices. Paths and URLs are no part of it: they may hold passwords.
func (c *config) reported() settings {
	return settings{
		Size: c.size, Only: c.only.String(), Rounds: c.rounds, Seconds: c.duration.Seconds(),
		Tenants: c.tenants, Accounts: c.accounts, Callers: c.callers,
	}
}
