package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/robson/robson/test/internal/simulated"
)

// How a position is entered, and how it is left.
const (
	entryMarket   = "market"
	entryFilled   = "limit, filled in parts"
	entryEnded    = "limit, filled in part and ended by the exchange"
	entryCanceled = "limit, filled in part and canceled by its user"
	entryRaced    = "limit, filled while its user cancels it"

	exitClosed  = "closed"
	exitPanic   = "panic"
	exitStopped = "stopped"
)

// faultPlan is one order life and what goes wrong in it. All of it follows from the seed.
type faultPlan struct {
	seed uint64
	// deaths: the services are killed at random moments meanwhile.
	deaths      bool
	entry, exit string
	// fees is in what the exchange takes its fees.
	fees string
	// margin: it is a short on an isolated margin account, whose entry borrows what it sells.
	margin bool
	// byHand: the account's owner trades on the exchange's web site too.
	byHand bool
	// restart cuts every connection of the exchange, skew makes its clock wrong by so many milliseconds.
	restart bool
	skew    int64
	faults  []simulated.Fault
}

// String tells the plan, for whoever looks into a failure.
func (p faultPlan) String() string {
	var text strings.Builder
	if p.deaths {
		text.WriteString("among deaths, ")
	}
	fmt.Fprintf(&text, "seed %d: %s, %s, margin %t, fees %s, by hand %t, restart %t, skew %d ms", p.seed, p.entry, p.exit, p.margin, p.fees, p.byHand, p.restart, p.skew)
	for _, f := range p.faults {
		fmt.Fprintf(&text, "\n  %+v", f)
	}
	return text.String()
}

const (
	// faultsMax is how many faults a plan has, timesMax how often each of them happens.
	faultsMax, timesMax = 5, 2
	// skewMax is less than the margin that the connector allows for.
	skewMax = 800
)

// planOf makes the plan of a seed.
func planOf(seed uint64, deaths bool) faultPlan {
	r := rand.New(rand.NewPCG(seed, 5))
	p := faultPlan{
		seed: seed, deaths: deaths,
		entry: pick(r, entryMarket, entryMarket, entryMarket, entryFilled, entryEnded, entryCanceled, entryRaced),
		exit:  pick(r, exitClosed, exitClosed, exitStopped, exitStopped, exitPanic),
		fees:  pick(r, "received", "bnb"), byHand: r.IntN(10) == 0, restart: r.IntN(20) == 0,
	}
	if r.IntN(20) == 0 {
		p.skew = r.Int64N(2*skewMax+1) - skewMax
	}
	for range 1 + r.IntN(faultsMax) {
		f := drawFault(r)
		f.Account, f.Times = p.name(), 1+r.IntN(timesMax)
		p.faults = append(p.faults, f)
	}
	if p.margin = r.IntN(5) == 0; p.margin {
		p.fees = "received"
		if p.exit == exitStopped {
			p.exit = exitClosed // prices fall, which stops no short
		}
		for n := range p.faults {
			p.faults[n] = onMargin(p.faults[n])
		}
	}
	return p
}

// marginPaths are where an isolated margin account is asked for what a spot account is asked for elsewhere.
var marginPaths = map[string]string{
	"/api/v3/order": "/sapi/v1/margin/order", "/api/v3/openOrders": "/sapi/v1/margin/openOrders", "/api/v3/allOrders": "/sapi/v1/margin/allOrders",
	"/api/v3/myTrades": "/sapi/v1/margin/myTrades", "/api/v3/account": "/sapi/v1/margin/isolated/account",
}

// onMargin is the same fault of an isolated margin account. Its requests are its owner's, its stream is its own.
func onMargin(f simulated.Fault) simulated.Fault {
	if f.Path == "" {
		f.Account = simulated.MarginName(f.Account, btc)
	}
	f.Path = marginPaths[f.Path]
	return f
}

// trader is the name by which the exchange knows whose orders the plan's are.
func (p faultPlan) trader() string {
	if p.margin {
		return simulated.MarginName(p.name(), btc)
	}
	return p.name()
}

// uncertaintyMax is how long an order may be unknown: until it would be given up, and each of the plan's faults may cost a
// question and the pause after it.
func (p faultPlan) uncertaintyMax() time.Duration {
	return receiveWindow + venueProcessing + clockMargin + sweepEvery + time.Duration(1+len(p.faults)*timesMax)*(sendTimeout+askMax)
}

// name is that of the plan's account at the exchange: the owner's, where it trades on margin.
func (p faultPlan) name() string { return fmt.Sprintf("plan-%d", p.seed) }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// drawFault draws one of an order's requests, of its cancels, of questions, or of the stream.
func drawFault(r *rand.Rand) simulated.Fault {
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		f := pick(r, ofPlacing, ofPlacing, ofAnswer)(r)
		f.Method, f.Path, f.After = "POST", "/api/v3/order", r.IntN(3)
		return f
	case 4, 5:
		f := pick(r, ofCanceling, ofAnswer)(r)
		f.Method, f.Path = "DELETE", "/api/v3/order"
		return f
	case 6:
		f := pick(r, ofQuestion, ofAnswer)(r)
		f.Method, f.Path, f.After = "GET", pick(r, "/api/v3/order", "/api/v3/order", "/api/v3/openOrders", "/api/v3/allOrders", "/api/v3/myTrades", "/api/v3/account"), r.IntN(2)
		return f
	default:
		return ofStream(r)
	}
}

// ofAnswer: what was asked for is done or not, and the answer does not tell.
func ofAnswer(r *rand.Rand) simulated.Fault {
	return pick(r,
		simulated.Fault{Kind: "drop_before"},
		simulated.Fault{Kind: "accept_then_timeout"},
		simulated.Fault{Kind: "accept_then_drop"},
		simulated.Fault{Kind: "accept_then_5xx", HTTP: 502, Body: "<html>bad gateway</html>"},
		simulated.Fault{Kind: "accept_then_5xx", HTTP: 503, Body: `{"code":-1006,"msg":"An unexpected response was received from the message bus. Execution status unknown."}`},
		simulated.Fault{Kind: "accept_then_5xx", HTTP: 504, Code: -1007, Message: "Timeout waiting for response from backend server. Send status unknown; execution status unknown."},
		simulated.Fault{Kind: "accept_then_5xx", HTTP: 500},
		simulated.Fault{Kind: "bad_body"},
		simulated.Fault{Kind: "accept_then_5xx", HTTP: 200, Body: "<html>welcome</html>"},
		simulated.Fault{Kind: "slow", DelayMS: 100 + r.Int64N(1300)},
		simulated.Fault{Kind: "slow_answer", DelayMS: 100 + r.Int64N(1500)},
	)
}

// ofPlacing: an order is refused, or fills as none should.
func ofPlacing(r *rand.Rand) simulated.Fault {
	quantity := fmt.Sprintf("0.0%d", 1+r.IntN(5))
	return pick(r,
		simulated.Fault{Kind: "reject_with", HTTP: 400, Code: -2010, Message: "Account has insufficient balance for requested action."},
		simulated.Fault{Kind: "reject_with", HTTP: 400, Code: -1021, Message: "Timestamp for this request is outside of the recvWindow."},
		simulated.Fault{Kind: "reject_with", HTTP: 503, Code: -1008, Message: "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."},
		simulated.Fault{Kind: "rate_limit", HTTP: pick(r, 429, 418), Code: -1003, Message: "Too many requests.", RetryAfter: 1},
		simulated.Fault{Kind: "partial_fill", Quantity: quantity},
		simulated.Fault{Kind: "partial_fill", Quantity: quantity, End: pick(r, "EXPIRED_IN_MATCH", "EXPIRED", "CANCELED")},
		simulated.Fault{Kind: "accept_then_timeout"},
		simulated.Fault{Kind: "drop_before"},
	)
}

// ofCanceling: a cancel comes too late, or is refused.
func ofCanceling(r *rand.Rand) simulated.Fault {
	return pick(r,
		simulated.Fault{Kind: "fill_before_cancel"},
		simulated.Fault{Kind: "fill_before_cancel", Quantity: "0.01"},
		simulated.Fault{Kind: "reject_with", HTTP: 400, Code: -2011, Message: "Unknown order sent."},
		simulated.Fault{Kind: "accept_then_timeout"},
	)
}

// ofQuestion: the answer is of the past.
func ofQuestion(r *rand.Rand) simulated.Fault {
	return simulated.Fault{Kind: "query_lag", Lag: 1 + r.IntN(3)}
}

// ofStream: reports are lost, come twice or out of order, or the stream ends, or falls silent.
func ofStream(r *rand.Rand) simulated.Fault {
	report := pick(r, "NEW", "TRADE", "CANCELED", "EXPIRED", "executionReport", "outboundAccountPosition", "")
	return pick(r,
		simulated.Fault{Kind: "ws_drop_event", Event: report},
		simulated.Fault{Kind: "ws_drop_event", Event: report},
		simulated.Fault{Kind: "ws_duplicate_event", Event: report, Count: 1 + r.IntN(3)},
		simulated.Fault{Kind: "ws_reorder", Event: report, Count: 2 + r.IntN(2)},
		simulated.Fault{Kind: "ws_reorder", Event: report, Count: 2 + r.IntN(2)},
		simulated.Fault{Kind: "ws_disconnect", Event: report},
		simulated.Fault{Kind: "ws_half_open", Event: report},
		simulated.Fault{Kind: "subscribe_reject"},
		simulated.Fault{Kind: "event_stream_terminated", Event: report},
		simulated.Fault{Kind: "server_shutdown", Event: report},
	)
}
