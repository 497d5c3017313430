package main

import (
	"fmt"

	"github.com/crestdb/crest/cmd/crest/screen"
)

// view shows lines that change: in place on a terminal, else below each other,
// as plain text.
type view struct {
	world
	terminal *terminal
	painter  *screen.Painter
	last     []string
}

func newView(w world) *view {
	v := &view{world: w, terminal: w.terminal()}
	if v.terminal != nil {
		v.painter = screen.NewPainter(v.terminal.file, v.terminal.size)
	}
	return v
}

// draw shows what lines returns for the room there is; 0 means any.
func (v *view) draw(lines func(width, height int, color bool) []string) error {
	if v.painter == nil {
		v.last = lines(0, 0, false)
		return v.printLines(append(v.last, ""))
	}
	width, height := v.painter.Size()
	v.last = lines(width, height, v.terminal.color)
	return v.painter.Paint(v.last)
}

// note shows a line below what is shown.
func (v *view) note(text string) error {
	if v.painter == nil {
		_, err := fmt.Fprintln(v.err, "crest: "+text)
		return err
	}
	width, _ := v.painter.Size()
	text = screen.Fit(screen.Clean(text), width, false)
	return v.painter.Paint(append(v.last[:len(v.last):len(v.last)], screen.Red.Paint(text, v.terminal.color)))
}

// close leaves the last lines where they are; it passes err on.
func (v *view) close(err error) error {
	if v.painter == nil {
		return err
	}
	if e := v.painter.Close(); err == nil {
		err = e
	}
	return err
}
