package screen

import (
	"fmt"
	"io"
	"strings"
)

// Painter redraws lines in place at the bottom of a terminal. It belongs to
// one goroutine. Whatever happens, Close gives the cursor back.
type Painter struct {
	w    io.Writer
	size func() (width, height int)

	painted       int // lines that stand on the screen
	width, height int // at that time
}

// NewPainter paints on w. size is asked before each painting, so that a
// terminal may change while it goes on.
func NewPainter(w io.Writer, size func() (width, height int)) *Painter {
	return &Painter{w: w, size: size}
}

// Size is the room there is for lines now.
func (p *Painter) Size() (width, height int) {
	width, height = p.size()
	return width, max(1, height-1) // the cursor's line stays free
}

// Paint draws the lines over those drawn before. Lines that do not fit into
// the height are left out; callers see to the width. All goes out in one write,
// and every line is overwritten before what is behind it is erased, so that
// nothing flickers.
func (p *Painter) Paint(lines []string) error {
	width, height := p.size()
	lines = lines[:min(len(lines), max(1, height-1))]
	var b strings.Builder
	b.WriteString("\x1b[?2026h") // terminals that know it show nothing half-done
	switch {
	case p.painted == 0:
		b.WriteString("\x1b[?25l") // hide the cursor
	case width != p.width || height != p.height:
		b.WriteString("\x1b[H\x1b[2J") // old lines may have been folded: begin anew
	default:
		fmt.Fprintf(&b, "\r\x1b[%dA", p.painted)
	}
	for _, line := range lines {
		b.WriteString(line)
		b.WriteString("\x1b[K\r\n")
	}
	b.WriteString("\x1b[J\x1b[?2026l")
	p.painted, p.width, p.height = len(lines), width, height
	_, err := io.WriteString(p.w, b.String())
	return err
}

// Close leaves the last painting where it is and gives the cursor back.
func (p *Painter) Close() error {
	if p.painted == 0 {
		return nil
	}
	p.painted = 0
	_, err := io.WriteString(p.w, "\x1b[?25h")
	return err
}
