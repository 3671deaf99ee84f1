package screen

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"google.golang.org/protobuf/proto"
)

// Redraw shows a text on a terminal in the place of the one before it.
type Redraw struct {
	out   *Terminal
	lines int
}

// NewRedraw shows nothing yet.
func NewRedraw(out *Terminal) *Redraw { return &Redraw{out: out} }

// Show draws what a function writes over what was shown before. What is wider or longer than the window is cut: a line that
// wrapped, or scrolled away, could not be drawn over.
func (r *Redraw) Show(write func(w io.Writer)) {
	var drawn strings.Builder
	write(&Terminal{Writer: &drawn, live: r.out.live, colors: r.out.colors, size: r.out.size})
	columns, rows := r.out.Size()
	lines := strings.Split(strings.TrimRight(drawn.String(), "\n"), "\n")
	if most := max(rows-1, 1); len(lines) > most {
		hidden := len(lines) - most + 1
		lines = append(lines[:most-1], fmt.Sprintf("… %d lines more: the window is too small", hidden))
	}
	for i, line := range lines {
		lines[i] = text.Trim(line, columns-1)
	}
	if r.lines > 0 {
		fmt.Fprintf(r.out, "\x1b[%dA\x1b[J", r.lines)
	}
	fmt.Fprintf(r.out, "%s\n", strings.Join(lines, "\n"))
	r.lines = len(lines)
}

// Forget leaves what was shown where it is: what comes next is drawn below, as after something else was written.
func (r *Redraw) Forget() { r.lines = 0 }

// RowLine writes a row in one line, "HEADING value" for each column that has one, for where lines stay.
func RowLine(w io.Writer, columns []Column, row proto.Message) {
	var parts []string
	for _, c := range columns {
		if value := c.text(row); value != "" {
			parts = append(parts, c.title+" "+Paint(w, inkOfWord(value), value))
		}
	}
	fmt.Fprintln(w, strings.Join(parts, "  "))
}
