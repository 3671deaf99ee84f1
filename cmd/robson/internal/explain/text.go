package explain

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/money"
)

// timeLayout shows times in UTC to the millisecond, as tables do.
const timeLayout = "2006-01-02 15:04:05.000"

// Write prints an explanation for a person.
func Write(w io.Writer, x *Explanation) {
	writeHead(w, x)
	writeCommands(w, x)
	writeDecisions(w, x)
	writeChain(w, x)
	if x.Balance != nil {
		writeBalance(w, x)
	} else {
		writeVenue(w, x)
	}
	writeMoney(w, x)
	for _, note := range x.Notes {
		fmt.Fprintf(w, "\n%s %s\n", screen.Paint(w, screen.Caution, "note:"), note)
	}
}

// heading begins a part.
func heading(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "\n%s\n", screen.Paint(w, screen.Strong, "── "+fmt.Sprintf(format, args...)))
}

// pair is a name and what it stands for.
type pair struct{ name, value string }

// writePairs prints names and values, those without a value left out.
func writePairs(w io.Writer, pairs ...pair) {
	widest := 0
	for _, p := range pairs {
		if p.value != "" {
			widest = max(widest, len(p.name))
		}
	}
	for _, p := range pairs {
		if p.value != "" {
			fmt.Fprintf(w, "%-*s  %s\n", widest, p.name, p.value)
		}
	}
}

func writeHead(w io.Writer, x *Explanation) {
	name := x.Subject.Kind + " " + x.Subject.ID
	if x.Subject.Kind == KindBalance {
		name = fmt.Sprintf("balance of %s in wallet %s", x.Subject.Asset, x.Subject.Wallet)
	}
	fmt.Fprintf(w, "%s\n", screen.Paint(w, screen.Strong, "── why "+name))
	pairs := []pair{{"outcome", x.Outcome}, {"symbol", strings.TrimSpace(x.About.Symbol + " " + x.About.Side)}, {"account", x.About.AccountID}, {"strategy", x.About.StrategyID}}
	if x.Subject.Kind != KindPosition {
		pairs = append(pairs, pair{"position", x.About.PositionID})
	}
	if x.Subject.Kind == KindFill {
		pairs = append(pairs, pair{"order", x.About.OrderID})
	}
	writePairs(w, append(pairs, pair{"true at", "position " + strconv.FormatInt(x.AsOf, 10)})...)
}

func writeCommands(w io.Writer, x *Explanation) {
	if len(x.Commands) == 0 {
		return
	}
	first := x.Commands[0]
	heading(w, "began with %s at #%d", first.EventType, first.Position)
	writePairs(w, pair{"by", first.ActorType + " " + first.ActorID}, pair{"when", shown(first.OccurredAt)}, pair{"recorded", shown(first.IngestedAt)},
		pair{"command", first.CommandID}, pair{"trace", first.TraceID}, pair{"workflow", first.WorkflowID}, pair{"request", sha256Text(first.RequestDigest)})
	if len(x.Commands) == 1 {
		return
	}
	heading(w, "other commands that had a part")
	table := screen.NewTable(screen.Text("POS"), screen.Text("EVENT"), screen.Text("BY"), screen.Text("WHEN (UTC)"), screen.Text("COMMAND"))
	for _, c := range x.Commands[1:] {
		table.Add("#"+strconv.FormatInt(c.Position, 10), c.EventType, c.ActorType+" "+c.ActorID, shown(c.OccurredAt), c.CommandID)
	}
	table.Write(w)
}

// sha256Text marks a digest as what it is: the log keeps no requests.
func sha256Text(digest string) string {
	if digest == "" {
		return ""
	}
	return "sha256 " + digest + " (the log keeps the digest alone)"
}

// shown is a time in UTC.
func shown(t time.Time) string { return t.UTC().Format(timeLayout) }

// verdictInk is how a verdict looks.
var verdictInk = map[string]screen.Ink{VerdictApproved: screen.Good, VerdictRefused: screen.Bad, VerdictNone: screen.Caution}

func writeDecisions(w io.Writer, x *Explanation) {
	for _, d := range x.Decisions {
		heading(w, "decision %s at #%d", d.DecisionID, d.Position)
		verdict := screen.Paint(w, verdictInk[d.Verdict], strings.ToUpper(d.Verdict))
		if d.CheckedAt > 0 {
			verdict += fmt.Sprintf(" by the risk gates at #%d", d.CheckedAt)
		}
		if d.Reason != "" {
			verdict += ": " + d.Reason
		}
		fmt.Fprintf(w, "%s\n", verdict)
		screen.Fields(w, d.Inputs.Message)
		heading(w, "limits then in force")
		writeLimits(w, x, d.Limits)
		if len(d.Checks) > 0 {
			heading(w, "what the gates saw")
			writeChecks(w, d)
		}
	}
}

func writeLimits(w io.Writer, x *Explanation, l Limits) {
	for _, scope := range []struct {
		name  string
		since int64
		m     proto.Message
	}{{"account", l.AccountSince, l.Account.Message}, {"strategy", l.StrategySince, l.Strategy.Message}} {
		if scope.since == 0 {
			continue
		}
		fmt.Fprintf(w, "of the %s, since #%d\n", scope.name, scope.since)
		screen.Fields(w, scope.m)
	}
	if l.AccountSince == 0 && l.StrategySince == 0 {
		fmt.Fprintln(w, "none were registered before")
	}
	for _, position := range l.Halts {
		fmt.Fprintf(w, "%s since #%d: %s\n", screen.Paint(w, screen.Bad, "entries halted"), position, screen.Summary(x.Events.At(position)))
	}
}

func writeChecks(w io.Writer, d Decision) {
	table := screen.NewTable(screen.Text("GATE"), screen.Decimal("LIMIT"), screen.Decimal("VALUE"), screen.Text("SAYS"), screen.Text("WHY"))
	for _, c := range d.Checks {
		says := screen.Paint(w, screen.Bad, "no")
		if c.Passed {
			says = screen.Paint(w, screen.Good, "yes")
		}
		table.Add(c.Name, screen.Round(c.Limit), screen.Round(c.Value), says, c.Message)
	}
	table.Write(w)
	writePairs(w, pair{"exposure", arrow(d.ExposureBefore, d.ExposureAfter)}, pair{"budget left", d.BudgetLeft})
}

// arrow joins before and after.
func arrow(before, after string) string {
	if before == "" && after == "" {
		return ""
	}
	return before + " -> " + after
}

// writeChain prints the tree: the trunk at the left, branches indented before what goes on.
func writeChain(w io.Writer, x *Explanation) {
	if len(x.Chain.Lines) == 0 {
		return
	}
	heading(w, "the chain of causes")
	wide := len(strconv.FormatInt(x.AsOf, 10)) + 1
	widest := 0
	for _, l := range x.Chain.Lines {
		widest = max(widest, runes(branch(l.Depth)+lineName(x, l)))
	}
	trunk := map[int]int64{}
	for _, l := range x.Chain.Lines {
		e := x.Events.At(l.Position)
		name := branch(l.Depth) + lineName(x, l)
		ink := screen.EventInk(e)
		if l.Focus {
			ink = screen.Strong
		}
		text := fmt.Sprintf("%*s  %s%s  %s", wide, "#"+strconv.FormatInt(l.Position, 10), screen.Paint(w, ink, name),
			strings.Repeat(" ", widest-runes(name)), lineText(x, l))
		if from := because(l, trunk[l.Depth]); from != "" {
			text += "  " + screen.Paint(w, screen.Faint, from)
		}
		trunk[l.Depth] = last(l)
		trunk[l.Depth+1] = last(l)
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
	if x.Chain.LeftOut > 0 {
		fmt.Fprintf(w, "… %d more: raise --lines\n", x.Chain.LeftOut)
	}
}

// branch is the sign of a branch.
func branch(depth int) string {
	if depth == 0 {
		return ""
	}
	return strings.Repeat("  ", depth-1) + "└ "
}

func runes(s string) int { return len([]rune(s)) }

// last is where what follows a line comes from.
func last(l Line) int64 {
	if l.Through > 0 {
		return l.Through
	}
	return l.Position
}

// because names an event's cause where it is not what stands right before it on its branch.
func because(l Line, before int64) string {
	switch {
	case l.Outside:
		return "<- an event that is not here"
	case l.Cause == 0 || l.Cause == before:
		return ""
	default:
		return "<- #" + strconv.FormatInt(l.Cause, 10)
	}
}

// lineName is the type of a line's event, and how many of them.
func lineName(x *Explanation, l Line) string {
	name := x.Events.At(l.Position).GetEventType()
	if l.Focus {
		name = "* " + name
	}
	if l.Count > 1 {
		name += " x" + strconv.Itoa(l.Count)
	}
	return name
}

// lineText is what matters of a line's event; of a run, of its first and its last.
func lineText(x *Explanation, l Line) string {
	text := screen.Summary(x.Events.At(l.Position))
	if l.Count > 1 {
		text += fmt.Sprintf(" … #%d %s", l.Through, screen.Summary(x.Events.At(l.Through)))
	}
	return text
}

func writeVenue(w io.Writer, x *Explanation) {
	if len(x.Venue) == 0 {
		return
	}
	heading(w, "what the venue reported")
	table := screen.NewTable(screen.Text("POS"), screen.Text("OCCURRED (UTC)"), screen.Text("STREAM"), screen.Text("EVENT"), screen.Text("WHAT"))
	for _, position := range x.Venue {
		e := x.Events.At(position)
		table.Add("#"+strconv.FormatInt(position, 10), shown(e.GetOccurredAt().AsTime()), screen.ShortStream(e.GetStreamKey()),
			screen.Paint(w, screen.EventInk(e), e.GetEventType()), screen.Summary(e))
	}
	table.Write(w)
}

func writeMoney(w io.Writer, x *Explanation) {
	m := x.Money
	if m == nil {
		return
	}
	heading(w, "what it did to the money")
	if len(m.Fills) == 0 {
		fmt.Fprintln(w, "nothing was traded")
	} else {
		table := screen.NewTable(screen.Text("POS"), screen.Text("LEG"), screen.Text("SIDE"), screen.Decimal("QUANTITY"), screen.Decimal("PRICE"), screen.Decimal("QUOTE"),
			screen.Decimal("FEE"), screen.Text("ASSET"), screen.Decimal("FEE IN QUOTE"), screen.Text("FILLED (UTC)"))
		for _, f := range m.Fills {
			leg := f.Leg
			if !f.Counts {
				leg = strings.TrimSpace(leg + " (not counted)")
			}
			table.Add("#"+strconv.FormatInt(f.Position, 10), leg, f.Side, money.Format(f.Quantity), money.Format(f.Price), money.Format(f.Quote),
				money.Format(f.Fee), f.FeeAsset, screen.Round(f.FeeQuote), shown(f.FilledAt))
		}
		table.Write(w)
	}
	writePairs(w, sums(x.Subject.Kind, m)...)
}

// sums are the sums of trades, and the end of a position that is closed.
func sums(kind string, m *Money) []pair {
	var pairs []pair
	if kind == KindPosition && len(m.Fills) > 0 {
		pairs = append(pairs, pair{"entry cost", money.Format(m.EntryCost)}, pair{"exit proceeds", money.Format(m.ExitProceeds)})
	}
	for _, asset := range slices.Sorted(maps.Keys(m.Fees)) {
		pairs = append(pairs, pair{"fees in " + asset, money.Format(m.Fees[asset])})
	}
	if len(m.Fees) > 0 {
		text := screen.Round(money.Format(m.FeesQuote))
		if m.FeesUnvalued > 0 {
			text += fmt.Sprintf(", and %d that could not be valued", m.FeesUnvalued)
		}
		pairs = append(pairs, pair{"fees in quote", text})
	}
	if c := m.Closed; c != nil {
		pairs = append(pairs, pair{"realized", screen.Round(c.RealizedPnL)}, pair{"fees", screen.Round(c.TotalFees)}, pair{"net", screen.Round(c.NetPnL)}, pair{"dust", c.Dust})
	}
	return pairs
}
