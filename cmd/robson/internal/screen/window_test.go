package screen

import (
	"bytes"
	"strings"
)

// window is a terminal of a size, which keeps all that was written to it.
type window struct {
	bytes.Buffer
	width, height int
}

func (w *window) Size() (width, height int) { return w.width, w.height }

// seen is what stands on the line where the cursor is, after all carriage returns.
func (w *window) seen() string {
	line := ""
	for part := range strings.SplitSeq(w.String(), "\r") {
		if len(part) >= len(line) {
			line = part
		} else {
			line = part + line[len(part):]
		}
	}
	return strings.TrimRight(line, " ")
}
