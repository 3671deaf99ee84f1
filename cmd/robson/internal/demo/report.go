package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/robson/robson/cmd/robson/internal/screen"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// report shows what was played and proves it.
func (d *Demo) report(ctx context.Context) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	parts := []scene{
		{"the life of the long, from one trace id", d.showTimeline},
		{"positions", d.showPositions},
		{"the long's P&L, by hand", func(ctx context.Context) error { return d.showProfit(ctx, d.world.longPosition) }},
	}
	if d.world.shortPosition != "" {
		parts = append(parts, scene{"the short's P&L, by hand", func(ctx context.Context) error { return d.showProfit(ctx, d.world.shortPosition) }})
	}
	for _, part := range append(parts, scene{"balances", d.showBalances}) {
		d.heading(part.title)
		if err := part.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.title, err)
		}
	}
	d.heading("proof, from an independent read of log and tables")
	p, err := d.prove(ctx)
	if err != nil {
		return err
	}
	return d.showProof(p)
}

// traced are the events of a trace.
func (d *Demo) traced(ctx context.Context, trace string) ([]*eventv1.Event, error) {
	var events []*eventv1.Event
	token := ""
	for {
		page, err := retry(ctx, d, "search by trace", func(ctx context.Context) (*eventlogv1.QueryEventsResponse, error) {
			return d.log.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{TraceId: trace}, PageSize: readPageSize, PageToken: token})
		})
		if err != nil {
			return nil, err
		}
		events = append(events, page.GetEvents()...)
		token = page.GetNextPageToken()
		if token == "" {
			return events, nil
		}
	}
}

// showTimeline prints every event of the trace that opened the long.
func (d *Demo) showTimeline(ctx context.Context) error {
	events, err := d.traced(ctx, d.longTrace)
	if err != nil {
		return err
	}
	d.say("robson events search --trace-id %s\n", d.longTrace)
	screen.WriteTimeline(d.out, events, false)
	types := map[string]bool{}
	for _, e := range events {
		types[e.GetEventType()] = true
	}
	for _, must := range []string{"POSITION_ARMED", "DECISION_PROPOSED", "INTENT_CREATED", "ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED", "POSITION_OPENED", "TRAILING_STOP_UPDATED", "EXIT_TRIGGERED", "POSITION_CLOSED"} {
		if !types[must] {
			return fmt.Errorf("the trace %s does not find %s", d.longTrace, must)
		}
	}
	return nil
}

// showPositions prints every position of both accounts.
func (d *Demo) showPositions(ctx context.Context) error {
	table := screen.NewTable(screen.Text("ACCOUNT"), screen.Text("SYMBOL"), screen.Text("SIDE"), screen.Text("STATE"), screen.Decimal("ENTERED"), screen.Decimal("AT"), screen.Decimal("LEFT AT"), screen.Decimal("GROSS"), screen.Decimal("FEES"), screen.Decimal("NET"), screen.Decimal("DUST"), screen.Text("BECAUSE"))
	for _, account := range []string{d.world.spot, d.world.second} {
		positions, err := d.positions(ctx, account)
		if err != nil {
			return err
		}
		for _, p := range positions {
			table.Add(d.account(p.GetAccountId()), p.GetSymbol(), enumWord(p.GetSide().String(), "POSITION_SIDE_"), stateText(p), p.GetEntryQuantity(), screen.Round(p.GetEntryPrice()), screen.Round(p.GetExitPrice()),
				screen.Round(p.GetRealizedPnl()), screen.Round(p.GetTotalFees()), screen.Round(p.GetNetPnl()), p.GetDustQuantity(), p.GetExitReason())
		}
	}
	table.Write(d.out)
	return nil
}

// positions are an account's, oldest first.
func (d *Demo) positions(ctx context.Context, account string) ([]*projectorv1.Position, error) {
	page, err := retry(ctx, d, "list positions", func(ctx context.Context) (*projectorv1.ListPositionsResponse, error) {
		return d.state.ListPositions(ctx, &projectorv1.ListPositionsRequest{AccountId: account, PageSize: rowsMax})
	})
	slices.Reverse(page.GetPositions())
	return page.GetPositions(), err
}

// balances are an account's, as the venue last told them.
func (d *Demo) balances(ctx context.Context, account string) ([]*projectorv1.Balance, error) {
	page, err := retry(ctx, d, "list balances", func(ctx context.Context) (*projectorv1.ListBalancesResponse, error) {
		return d.state.ListBalances(ctx, &projectorv1.ListBalancesRequest{AccountId: account, PageSize: rowsMax})
	})
	return page.GetBalances(), err
}

// rowsMax is more rows than a scene makes.
const rowsMax = 100

// showBalances prints what the venue last told of both accounts, and holds the money against what was played.
func (d *Demo) showBalances(ctx context.Context) error {
	table := screen.NewTable(screen.Text("ACCOUNT"), screen.Text("WALLET"), screen.Text("ASSET"), screen.Decimal("FREE"), screen.Decimal("LOCKED"), screen.Decimal("BORROWED"))
	for _, account := range []string{d.world.spot, d.world.second} {
		balances, err := d.balances(ctx, account)
		if err != nil {
			return err
		}
		for _, b := range balances {
			table.Add(d.account(account), b.GetWallet(), b.GetAsset(), b.GetFree(), b.GetLocked(), b.GetBorrowed())
		}
	}
	table.Write(d.out)
	return d.stage.check(ctx, d)
}

// checkPayouts holds the quote asset of both accounts against the P&L of their positions.
func (d *Demo) checkPayouts(ctx context.Context) error {
	for _, account := range []string{d.world.spot, d.world.second} {
		balances, err := d.balances(ctx, account)
		if err != nil {
			return err
		}
		told := ""
		for _, b := range balances {
			if b.GetAsset() == assetUSDT {
				told = b.GetTotal()
			}
		}
		positions, err := d.positions(ctx, account)
		if err != nil {
			return err
		}
		if err := d.checkMoney(d.account(account), told, positions); err != nil {
			return err
		}
	}
	return nil
}

// showProof prints the counts and whether all held.
func (d *Demo) showProof(p *proof) error {
	byType := map[string]int{}
	actors := map[eventv1.ActorType]int{}
	for _, e := range p.events {
		byType[e.GetEventType()]++
		actors[e.GetActorType()]++
	}
	d.say("%d events:", len(p.events))
	for _, t := range slices.Sorted(maps.Keys(byType)) {
		d.say("  %5d  %s", byType[t], t)
	}
	d.say("by actor: cli %d, daemon %d, exchange %d, system %d", actors[eventv1.ActorType_ACTOR_TYPE_CLI], actors[eventv1.ActorType_ACTOR_TYPE_DAEMON], actors[eventv1.ActorType_ACTOR_TYPE_EXCHANGE], actors[eventv1.ActorType_ACTOR_TYPE_SYSTEM])
	d.say("commands sent %d, duplicates recognised %d, decided anew after a conflict %d, refused by risk gates %d, calls repeated %d", d.counts.commands, d.counts.duplicates, d.counts.conflicts, d.counts.refused, d.counts.retries.Load())
	d.say("hash chain: %d events, unbroken, ends with %s", p.position, p.chainHash)
	if len(p.differences) > 0 {
		d.say("tables and fold DIFFER:")
		for _, difference := range p.differences {
			d.say("  %s", difference)
		}
		return fmt.Errorf("%d rows or more differ from the fold of the log", len(p.differences))
	}
	d.say("tables = fold: all %d rows, every field", p.rows)
	d.say("all held: the tables are the fold of the log, the log is whole, the P&L follows from the fills, the money from the P&L")
	return nil
}

// enumWord is an enumeration's name as people read it.
func enumWord(name, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}
