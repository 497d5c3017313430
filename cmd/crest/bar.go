package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/cmd/crest/screen"
)

// bar shows on standard error how far a file is sent; only on a terminal.
// Messages go above it. Its methods are called one at a time.
type bar struct {
	world
	file   *input.File
	line   *progressbar.ProgressBar // nil: no terminal
	began  time.Time
	events int64
	said   time.Time // when a wait was last told of
}

func newBar(w world, file *input.File) *bar {
	b := &bar{world: w, file: file, began: time.Now()}
	f, ok := w.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return b
	}
	b.line = progressbar.NewOptions64(file.Size(),
		progressbar.OptionSetWriter(f),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(file.Size() > 0),
	)
	return b
}

// sent counts a block as acknowledged, now or by an earlier run.
func (b *bar) sent(block *feed.Block, before bool) {
	if !before {
		b.events += int64(block.Events())
	}
	if b.line == nil {
		return
	}
	rate := float64(b.events) / max(time.Since(b.began).Seconds(), 0.001)
	b.line.Describe(fmt.Sprintf("%s events, %s/s", screen.Number(uint64(b.events)), screen.Number(uint64(rate))))
	_ = b.line.Set64(b.file.Read()) // a bar that cannot be drawn is no reason to stop
}

// waiting tells why nothing moves, now and then.
func (b *bar) waiting(reason string) {
	if time.Since(b.said) < 10*time.Second {
		return
	}
	b.said = time.Now()
	b.say("trying again: " + reason)
}

// say prints a line above the bar.
func (b *bar) say(text string) {
	if b.line != nil {
		_ = b.line.Clear()
	}
	fmt.Fprintln(b.err, "crest: "+screen.Clean(text))
}

func (b *bar) close() {
	if b.line != nil {
		_ = b.line.Finish()
	}
}
