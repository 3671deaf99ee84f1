package screen

import (
	"io"
	"os"

	"golang.org/x/term"
)

// What a terminal that does not tell its size is taken for.
const (
	widthDefault  = 80
	heightDefault = 24
)

// Terminal is an output that knows what may be shown on it: colours, and lines that are written over. It is an io.Writer, so
// whatever prints to it need not care. The zero value of all but Writer is a file or a pipe: neither.
type Terminal struct {
	io.Writer
	size         func() (width, height int)
	live, colors bool
}

// sized is an output that is a window by its own word, as a file's terminal is by the system's.
type sized interface {
	Size() (width, height int)
}

// Look finds out what an output can show. Colours are only for a terminal that has them, and only where nobody has asked to
// go without: by noColor, by the variable NO_COLOR (https://no-color.org), or by TERM=dumb.
func Look(w io.Writer, noColor bool) *Terminal {
	t := &Terminal{Writer: w}
	switch window := w.(type) {
	case *os.File:
		if term.IsTerminal(int(window.Fd())) && os.Getenv("TERM") != "dumb" {
			t.live = true
			t.size = func() (int, int) { return sizeOf(window) }
		}
	case sized:
		t.live, t.size = true, window.Size
	}
	t.colors = t.live && !noColor && os.Getenv("NO_COLOR") == ""
	return t
}

// sizeOf asks the system for a window's size.
func sizeOf(file *os.File) (width, height int) {
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 1 || height < 1 {
		return widthDefault, heightDefault
	}
	return width, height
}

// Through is the same terminal, reached through another writer that wraps its own.
func (t *Terminal) Through(wrap func(io.Writer) io.Writer) *Terminal {
	through := *t
	through.Writer = wrap(t.Writer)
	return &through
}

// Live says whether somebody looks on, and lines may be written over.
func (t *Terminal) Live() bool { return t.live }

// Size is how many columns and lines there are now; it changes when the window does.
func (t *Terminal) Size() (width, height int) {
	if t.size == nil {
		return widthDefault, heightDefault
	}
	return t.size()
}

// terminalOf is an output as a terminal; one that says nothing of itself shows neither colours nor lines that change.
func terminalOf(w io.Writer) *Terminal {
	if t, knows := w.(*Terminal); knows {
		return t
	}
	return &Terminal{Writer: w}
}
