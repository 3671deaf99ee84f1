package chaos_test

import (
	"context"
	"fmt"
	"math/big"
	"time"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// fold is what the events of these tests make of the state, written down in the simplest way.
type fold struct {
	// rows are by table and key.
	rows map[string]row
}

// row is what is compared: values by column, and which event changed it last.
type row struct {
	values  string
	sampled time.Time
	event   string
	at      int64
}

func newFold() *fold { return &fold{rows: map[string]row{}} }

// apply takes the next event.
func (f *fold) apply(e *eventv1.Event) error {
	set := func(key, values string) {
		f.rows[key] = row{values: values, event: e.GetEventId(), at: e.GetPosition()}
	}
	switch p := e.GetPayload().GetKind().(type) {
	case *eventv1.Payload_TenantCreated, *eventv1.Payload_ProjectionRebuilt: // nothing of what is compared
	case *eventv1.Payload_AccountRegistered:
		set("account/"+p.AccountRegistered.GetAccountId(), fmt.Sprint("version ", p.AccountRegistered.GetVersion()))
	case *eventv1.Payload_StrategyRegistered:
		set("strategy/"+p.StrategyRegistered.GetStrategyId(), strategyValues(p.StrategyRegistered.GetAccountId(), false, ""))
	case *eventv1.Payload_StrategyEnabled:
		set("strategy/"+p.StrategyEnabled.GetStrategyId(), strategyValues(p.StrategyEnabled.GetAccountId(), true, ""))
	case *eventv1.Payload_StrategyDisabled:
		key := "strategy/" + p.StrategyDisabled.GetStrategyId()
		account := f.rows[key].values[:len("00000000-0000-0000-0000-000000000000")]
		set(key, strategyValues(account, false, p.StrategyDisabled.GetReason()))
	case *eventv1.Payload_DiscrepancyDetected:
		d := p.DiscrepancyDetected
		set("discrepancy/"+d.GetDiscrepancyId(), fmt.Sprint(d.GetAccountId(), " ", d.GetKind(), " ", d.GetEntity()))
	case *eventv1.Payload_BalanceSampled:
		b := p.BalanceSampled
		key := balanceKey(b.GetAccountId(), b.GetWallet(), b.GetAsset())
		at := b.GetSampledAt().AsTime()
		if at.Before(f.rows[key].sampled) {
			return nil // something newer was told before
		}
		values, err := balanceValues(b.GetFree(), b.GetLocked(), at)
		if err != nil {
			return err
		}
		f.rows[key] = row{values: values, sampled: at, event: e.GetEventId(), at: e.GetPosition()}
	default:
		return fmt.Errorf("nobody appended a %s", e.GetEventType())
	}
	return nil
}

func strategyValues(account string, enabled bool, reason string) string {
	return fmt.Sprintf("%s enabled %t %s", account, enabled, reason)
}

func balanceKey(account, wallet, asset string) string {
	return "balance/" + account + "/" + wallet + "/" + asset
}

func balanceValues(free, locked string, at time.Time) (string, error) {
	total, err := number(free)
	if err != nil {
		return "", err
	}
	more, err := number(locked)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s %s %s", free, locked, total.Add(total, more).RatString(), at), nil
}

func number(text string) (*big.Rat, error) {
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}

// projected reads the rows that the projector serves, true at least up to a position.
func (r *rig) projected(ctx context.Context, tenant string, position int64) (map[string]row, error) {
	rows, state := map[string]row{}, r.state()
	ctx, cancel := context.WithTimeout(as(ctx, asReplayer, tenant, false), readyMax)
	defer cancel()
	const size = 1000
	var token string
	pages := func(list func() (next string, err error)) error {
		for token = ""; ; {
			next, err := list()
			if err != nil {
				return err
			}
			if token = next; token == "" {
				return nil
			}
		}
	}
	lists := []func() (string, error){
		func() (string, error) {
			out, err := state.ListAccounts(ctx, &projectorv1.ListAccountsRequest{PageSize: size, PageToken: token, MinPosition: position})
			for _, a := range out.GetAccounts() {
				rows["account/"+a.GetAccountId()] = row{values: fmt.Sprint("version ", a.GetVersion()), event: a.GetLastEventId(), at: a.GetLastPosition()}
			}
			return out.GetNextPageToken(), err
		},
		func() (string, error) {
			out, err := state.ListStrategies(ctx, &projectorv1.ListStrategiesRequest{PageSize: size, PageToken: token, MinPosition: position})
			for _, s := range out.GetStrategies() {
				values := strategyValues(s.GetAccountId(), s.GetIsEnabled(), s.GetDisabledReason())
				rows["strategy/"+s.GetStrategyId()] = row{values: values, event: s.GetLastEventId(), at: s.GetLastPosition()}
			}
			return out.GetNextPageToken(), err
		},
		func() (string, error) {
			out, err := state.ListDiscrepancies(ctx, &projectorv1.ListDiscrepanciesRequest{PageSize: size, PageToken: token, MinPosition: position})
			for _, d := range out.GetDiscrepancies() {
				values := fmt.Sprint(d.GetAccountId(), " ", d.GetKind(), " ", d.GetEntity())
				rows["discrepancy/"+d.GetDiscrepancyId()] = row{values: values, event: d.GetLastEventId(), at: d.GetLastPosition()}
			}
			return out.GetNextPageToken(), err
		},
		func() (string, error) {
			out, err := state.ListBalances(ctx, &projectorv1.ListBalancesRequest{PageSize: size, PageToken: token, MinPosition: position})
			for _, b := range out.GetBalances() {
				at := b.GetSampledAt().AsTime()
				total, err := number(b.GetTotal())
				if err != nil {
					return "", err
				}
				values := fmt.Sprintf("%s %s %s %s", b.GetFree(), b.GetLocked(), total.RatString(), at)
				rows[balanceKey(b.GetAccountId(), b.GetWallet(), b.GetAsset())] = row{values: values, sampled: at, event: b.GetLastEventId(), at: b.GetLastPosition()}
			}
			return out.GetNextPageToken(), err
		},
	}
	for _, list := range lists {
		if err := pages(list); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// differences says where rows are not the fold's.
func (f *fold) differences(rows map[string]row) error {
	for key, want := range f.rows {
		if got, there := rows[key]; !there || got != want {
			return fmt.Errorf("%s is %+v and should be %+v", key, got, want)
		}
	}
	for key, got := range rows {
		if _, there := f.rows[key]; !there {
			return fmt.Errorf("%s is %+v and should not be", key, got)
		}
	}
	return nil
}
