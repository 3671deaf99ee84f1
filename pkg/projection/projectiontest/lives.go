package projectiontest

import (
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Account is the id of the n-th of many accounts.
func Account(n int) uuid.UUID { return ID(fmt.Sprint("account ", n)) }

// Lives makes a log as trading makes it: a tenant with many accounts, and whole lives of positions, spread over the
// accounts and interleaved as far as an account's limits let them. It is the same each time: for measuring, and for long
// logs.
func Lives(accounts, positions int) (*Log, error) {
	l := NewLog()
	if _, err := l.Append(&eventv1.TenantCreated{TenantId: l.TenantID.String(), Name: "tenant"}); err != nil {
		return nil, err
	}
	for n := range accounts {
		if _, err := l.Append(l.AccountRegistered(Account(n), eventv1.Product_PRODUCT_SPOT)); err != nil {
			return nil, err
		}
	}
	// One open position an account: lives that run at the same time are those of different accounts.
	running := make([]*life, 0, accounts)
	for begun, ended := 0, 0; ended < positions; {
		if begun < positions && len(running) < accounts {
			plan := Long(fmt.Sprint("life ", begun))
			plan.Account = Account(begun % accounts)
			running = append(running, &life{Log: l, plan: plan, number: begun})
			begun++
		}
		kept := running[:0]
		for _, one := range running {
			over, err := one.step()
			if err != nil {
				return nil, fmt.Errorf("life %d: %w", one.number, err)
			}
			if over {
				ended++
				continue
			}
			kept = append(kept, one)
		}
		running = kept
	}
	return l, nil
}

// life is one position on its way from being armed to being closed.
type life struct {
	*Log
	plan   Plan
	number int
	steps  int
}

// step appends the next event; over says that it was the last.
func (l *life) step() (over bool, err error) {
	steps := l.script()
	if _, err := l.Append(steps[l.steps](l.plan)); err != nil {
		return false, fmt.Errorf("step %d: %w", l.steps, err)
	}
	l.steps++
	return l.steps == len(steps), nil
}

// script is what happens to a position: an entry in two trades, a resting stop that is canceled, a stop that trails four
// times, an exit in one trade, with the balances sampled after each.
func (l *life) script() []func(Plan) proto.Message {
	entry, protect, exit := l.plan.EntryID(), ProtectID(l.plan, 1), ExitID(l.plan, 1)
	trail := func(from, to, extreme string) func(Plan) proto.Message {
		return func(p Plan) proto.Message { return l.StopMoved(p, from, to, extreme) }
	}
	claim := func(id uuid.UUID) func(Plan) proto.Message {
		return func(Plan) proto.Message { return l.Claim(id, 1) }
	}
	ack := func(id uuid.UUID) func(Plan) proto.Message {
		return func(Plan) proto.Message { return l.Ack(l.Intent(id), 1) }
	}
	return []func(Plan) proto.Message{
		func(p Plan) proto.Message { return l.Armed(p) },
		func(p Plan) proto.Message { return l.Detected(p) },
		func(p Plan) proto.Message { return l.Proposed(p) },
		func(p Plan) proto.Message { return l.Passed(p) },
		func(p Plan) proto.Message { return l.Entry(p) },
		claim(entry), ack(entry),
		l.trade(entry, "1", "95000.12", "0.04000", "0.00004"), l.trade(entry, "2", "95000.34", "0.02666", "0.00002666"),
		l.sample("USDT", "1234.56789"), l.sample("BTC", "0.06659334"),
		func(p Plan) proto.Message { return l.Opened(p, "95000.12", "0.04") },
		func(p Plan) proto.Message { return l.Protect(p, 1, "0.06659", "93500") },
		claim(protect), ack(protect),
		trail("93500", "93900.5", "95400.5"), trail("93900.5", "94512.75", "96012.75"),
		trail("94512.75", "95100", "96600"), trail("95100", "95800.1", "97300.1"),
		func(p Plan) proto.Message { return l.Cancel(p, event.OrderID(protect, 1)) },
		func(Plan) proto.Message { return l.Canceled(l.Intent(protect), 1, "0") },
		func(p Plan) proto.Message { return l.StopHit(p, "95799.9", "95800.1") },
		func(p Plan) proto.Message { return l.Exit(p, 1, "0.06659") },
		claim(exit), ack(exit), l.trade(exit, "3", "95799.01", "0.06659", "6.37925608"),
		l.sample("USDT", "7607.87742"), l.sample("BTC", "0.00000334"),
		func(p Plan) proto.Message { return l.Closed(p, eventv1.ExitReason_EXIT_REASON_TRAILING_STOP) },
	}
}

// trade is a trade of an intent's order. An entry's fee is taken in the base asset, an exit's in quote.
func (l *life) trade(id uuid.UUID, trade, price, quantity, fee string) func(Plan) proto.Message {
	return func(p Plan) proto.Message {
		t := Trade{ID: fmt.Sprint(l.number, "-", trade), Price: price, Quantity: quantity, Fee: fee, FeeAsset: "BTC"}
		if id != p.EntryID() {
			t.FeeAsset = "USDT"
		}
		return l.Fill(l.Intent(id), 1, t)
	}
}

// sample tells an asset of the position's account.
func (l *life) sample(asset, free string) func(Plan) proto.Message {
	return func(p Plan) proto.Message {
		sample := l.Sample(fmt.Sprint(p.Name, asset, l.steps), asset, free)
		sample.AccountId = p.Account.String()
		return sample
	}
}
