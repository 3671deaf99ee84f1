package explain

import (
	"fmt"
	"io"
	"strconv"

	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/money"
)

// writeBalance prints samples, and what lies between them.
func writeBalance(w io.Writer, x *Explanation) {
	heading(w, "samples, and what lies between them")
	table := screen.NewTable(screen.Text("POS"), screen.Text("WHAT"), screen.Decimal("CHANGE"), screen.Decimal("TOTAL"), screen.Decimal("FREE"), screen.Decimal("LOCKED"),
		screen.Decimal("UNEXPLAINED"), screen.Text("WHEN (UTC)"))
	moves := func(moves []Move) {
		for _, m := range moves {
			table.Add("#"+strconv.FormatInt(m.Position, 10), m.What, money.Format(m.Delta), "", "", "", "", "")
		}
	}
	unexplained := 0
	for _, s := range x.Balance.Spans {
		moves(s.Moves)
		rest := s.Unexplained
		if rest == "0" {
			rest = ""
		}
		if rest != "" {
			unexplained++
		}
		table.Add("#"+strconv.FormatInt(s.Sample.Position, 10), screen.Paint(w, screen.Fact, "sample")+" by "+s.Sample.Source, "= "+blank(s.Change), s.Sample.Total, s.Sample.Free, s.Sample.Locked,
			screen.Paint(w, screen.Bad, rest), shown(s.Sample.SampledAt))
	}
	moves(x.Balance.After)
	table.Write(w)
	if unexplained > 0 {
		fmt.Fprintf(w, "%d of %d samples differ from what was recorded: a report that came late evens out with a later sample\n", unexplained, len(x.Balance.Spans))
	}
}

// blank shows a change that is not known.
func blank(change string) string {
	if change == "" {
		return "?"
	}
	return change
}
