package screen

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/robson/robson/pkg/clock"
)

const (
	// redrawEvery is how often a line on a terminal changes at most: as often as an eye can follow.
	redrawEvery = 100 * time.Millisecond
	// plainEvery is how often a line is written at most where lines stay, in a log of a nightly job for example.
	plainEvery = 5 * time.Second
	// rateWindow is how many readings, a second or more apart, the speed is taken over: long enough to be calm, short enough to
	// tell that something has become slow.
	rateWindow = 10
	// barWidth is how many columns the bar takes within its brackets.
	barWidth = 24
)

// ProgressOptions say what is counted and how it is told.
type ProgressOptions struct {
	// Things are what is counted, in the plural; empty: events.
	Things string
	// Silent tells nothing.
	Silent bool
	// JSON writes a line of JSON instead of text: {"done":1,"total":2,"per_second":3,"seconds_left":4}.
	JSON bool
}

// Progress tells how far a long run is: on a terminal in one line that is drawn anew, else in lines that come every few
// seconds. It belongs on standard error, so that results alone are on standard output. One goroutine uses it.
type Progress struct {
	out     *Terminal
	clk     clock.Clock
	options ProgressOptions
	// readings are the newest ones that are a second or more apart, oldest first.
	readings []reading
	last     step
	// pending says that last is not shown yet; shown that anything is.
	pending, shown bool
	shownAt        time.Time
	width          int
}

// reading is how much was done at a time.
type reading struct {
	at   time.Time
	done int64
}

// step is how far a run is. A total of 0 is not known; likewise a speed below 0.
type step struct{ done, total, perSecond int64 }

// NewProgress tells nothing yet.
func NewProgress(out io.Writer, clk clock.Clock, options ProgressOptions) *Progress {
	if options.Things == "" {
		options.Things = "events"
	}
	return &Progress{out: terminalOf(out), clk: clk, options: options}
}

// Update says that so many of so many are done, and works out the speed. A run that resumes begins with what it had done. A
// total of 0 means that nobody knows; it may change while the run goes on.
func (p *Progress) Update(done, total int64) {
	now := p.clk.Now()
	perSecond := int64(-1)
	if len(p.readings) > 0 {
		if oldest := p.readings[0]; now.Sub(oldest.at) >= time.Second {
			perSecond = int64(float64(done-oldest.done) / now.Sub(oldest.at).Seconds())
		}
	}
	if n := len(p.readings); n == 0 || now.Sub(p.readings[n-1].at) >= time.Second {
		p.readings = append(p.readings, reading{at: now, done: done})
		p.readings = p.readings[max(0, len(p.readings)-rateWindow):]
	}
	p.show(step{done: done, total: total, perSecond: perSecond}, now)
}

// Told is Update for whoever was told the speed by the one who does the work.
func (p *Progress) Told(done, total, perSecond int64) {
	p.show(step{done: done, total: total, perSecond: perSecond}, p.clk.Now())
}

// End leaves a terminal as it was; where lines stay, the last one tells how far it came. It may be called more than once.
func (p *Progress) End() {
	switch {
	case p.options.Silent:
	case p.live():
		p.erase()
	case p.pending:
		p.write(p.last)
	}
	p.pending = false
}

func (p *Progress) live() bool { return p.out.Live() && !p.options.JSON }

// show writes a step unless the one before it has only just been written.
func (p *Progress) show(s step, now time.Time) {
	if p.options.Silent {
		return
	}
	p.last, p.pending = s, true
	every := plainEvery
	if p.live() {
		every = redrawEvery
	}
	if p.shown && now.Sub(p.shownAt) < every {
		return
	}
	p.write(s)
	p.shown, p.shownAt, p.pending = true, now, false
}

// write writes a step: over the one before it on a terminal, else in a line of its own.
func (p *Progress) write(s step) {
	switch {
	case p.options.JSON:
		p.writeJSON(s)
	case p.live():
		columns, _ := p.out.Size()
		line := p.line(s, columns-1)
		fmt.Fprintf(p.out, "\r%-*s", min(p.width, columns-1), line)
		p.width = len(line)
	default:
		fmt.Fprintln(p.out, p.text(s))
	}
}

// erase clears the line that was drawn last.
func (p *Progress) erase() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%*s\r", p.width, "")
		p.width = 0
	}
}

// line is a step within so many columns: the bar goes first where there is no room for it.
func (p *Progress) line(s step, columns int) string {
	text := p.text(s)
	if bar := s.bar(); bar != "" && len(bar)+1+len(text) <= columns {
		text = bar + " " + text
	}
	return text[:max(0, min(len(text), columns))]
}

// text is a step as a person reads it.
func (p *Progress) text(s step) string {
	var text strings.Builder
	if s.total > 0 {
		fmt.Fprintf(&text, "%3d %%  %d of %d %s", s.percent(), s.done, s.total, p.options.Things)
	} else {
		fmt.Fprintf(&text, "%d %s", s.done, p.options.Things)
	}
	if s.perSecond >= 0 {
		fmt.Fprintf(&text, ", %d a second", s.perSecond)
	}
	if left, known := s.left(); known {
		fmt.Fprintf(&text, ", %s left", left)
	}
	return text.String()
}

// writeJSON writes a step as a line of JSON; what is not known is left out.
func (p *Progress) writeJSON(s step) {
	line := struct {
		Done        int64  `json:"done"`
		Total       int64  `json:"total,omitempty"`
		PerSecond   *int64 `json:"per_second,omitempty"`
		SecondsLeft *int64 `json:"seconds_left,omitempty"`
	}{Done: s.done, Total: s.total}
	if s.perSecond >= 0 {
		line.PerSecond = &s.perSecond
	}
	if left, known := s.left(); known {
		seconds := int64(left / time.Second)
		line.SecondsLeft = &seconds
	}
	data, err := json.Marshal(line)
	if err != nil {
		return // four numbers can always be written
	}
	fmt.Fprintf(p.out, "%s\n", data)
}

// percent is never 100 before all is done, and never more.
func (s step) percent() int64 {
	done := min(max(s.done, 0), s.total)
	return int64(float64(done) / float64(s.total) * 100)
}

// bar draws a step; empty where its end is not known.
func (s step) bar() string {
	if s.total <= 0 {
		return ""
	}
	full := int(s.percent()) * barWidth / 100
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "]"
}

// left is how long the rest takes at this speed, to the second, rounded up; not known without total or speed.
func (s step) left() (time.Duration, bool) {
	rest := s.total - s.done
	if s.total <= 0 || s.perSecond <= 0 || rest <= 0 {
		return 0, false
	}
	seconds := rest / s.perSecond
	if rest%s.perSecond != 0 {
		seconds++
	}
	const daysMax = 99 * 24 * 3600 // past that a guess says nothing
	if seconds > daysMax {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}
