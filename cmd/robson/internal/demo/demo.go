package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Services opens connections to the services by name.
type Services interface {
	Service(name string) (grpc.ClientConnInterface, error)
}

// Config is what a run needs.
type Config struct {
	// MarketData is a file of Binance klines; empty or "auto": Binance's public endpoint for one fixed past window, or,
	// where that cannot be reached, a synthetic path.
	MarketData string
	// Exchange is the simulated exchange to trade on, on its own market data; nil: the paper venue.
	Exchange *Exchange
	// Out is where the demo shows what it does.
	Out io.Writer
	// Clock is the machine's clock.
	Clock clock.Clock
}

// Demo is one run.
type Demo struct {
	out   io.Writer
	clock clock.Clock
	run   uuid.UUID

	setup   commandv1.SetupServiceClient
	trading commandv1.TradingServiceClient
	monitor commandv1.MonitorServiceClient
	log     eventlogv1.ReadServiceClient
	state   projectorv1.StateServiceClient
	audit   projectorv1.AuditServiceClient
	stage   stage
	source  source
	world   world
	counts  counts
	// answered: the stack has answered before. Two commands of the race ask at the same time.
	answered  atomic.Bool
	longTrace string
}

// counts are what the report adds up.
type counts struct {
	commands, duplicates, conflicts, refused int
	// retries are calls made again, by the race's too.
	retries atomic.Int64
}

// New prepares a run.
func New(services Services, cfg Config) (*Demo, error) {
	run, err := uuid.NewRandomFromReader(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("name the run: %w", err)
	}
	d := &Demo{out: cfg.Out, clock: cfg.Clock, run: run, source: source{path: cfg.MarketData}}
	for name, bind := range map[string]func(grpc.ClientConnInterface){
		"command": func(c grpc.ClientConnInterface) {
			d.setup, d.trading, d.monitor = commandv1.NewSetupServiceClient(c), commandv1.NewTradingServiceClient(c), commandv1.NewMonitorServiceClient(c)
		},
		"eventlog": func(c grpc.ClientConnInterface) { d.log = eventlogv1.NewReadServiceClient(c) },
		"projector": func(c grpc.ClientConnInterface) {
			d.state, d.audit = projectorv1.NewStateServiceClient(c), projectorv1.NewAuditServiceClient(c)
		},
		"connector": func(c grpc.ClientConnInterface) {
			d.stage = &paperStage{paper: connectorv1.NewPaperServiceClient(c)}
		},
	} {
		conn, err := services.Service(name)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", name, err)
		}
		bind(conn)
	}
	if cfg.Exchange != nil {
		d.stage, d.source = &exchangeStage{Exchange: cfg.Exchange}, cfg.Exchange.source
	}
	return d, nil
}

// Run plays all scenes, reports, and returns an error unless everything held.
func (d *Demo) Run(ctx context.Context) error {
	started := d.clock.Now()
	steps := []scene{
		{"market data", d.loadMarketData},
		{"tenant, accounts, strategy, money", d.setUp},
		{"a long, sized by the Golden Rule", d.openLong},
		{"the same command again", d.repeatLong},
		{"a trade too big for its account", d.refusedOpen},
		{"the market moves; the stop trails and is hit", d.rideLong},
		{"two openings race for one account", d.race},
		{"a limit entry, canceled before it fills", d.cancelLimit},
	}
	for _, step := range slices.Concat(steps, d.stage.scenes(d)) {
		d.heading(step.title)
		if err := step.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	if err := d.report(ctx); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	fmt.Fprintf(d.out, "\ndone in %s\n", d.clock.Now().Sub(started).Round(time.Millisecond))
	return nil
}

// heading starts a step on the screen.
func (d *Demo) heading(title string) { fmt.Fprintf(d.out, "\n── %s\n", title) }

// say tells one thing that happened.
func (d *Demo) say(format string, args ...any) { fmt.Fprintf(d.out, "   "+format+"\n", args...) }

// id derives an id of this run from a name: the same name, the same id.
func (d *Demo) id(name string) uuid.UUID { return uuid.NewSHA1(d.run, []byte(name)) }

// traceOf derives a step's trace id.
func (d *Demo) traceOf(step string) uuid.UUID { return d.id("trace/" + step) }
