package window_test

import (
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

func TestResolveRoundsOutwardByLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	check := func(w messages.Window, share messages.Micros) {
		length := messages.Micros(w)
		e := messages.Micros(r.Int64N(int64(60 * 365 * messages.Day)))
		i, grid := window.Resolve(w, e), window.Grid(w)
		if grid*share > length {
			t.Errorf("window %v: grid %v is more than 1/%d of it", w, grid.Duration(), share)
		}
		if i.Start > e-length || i.Start <= e-length-grid || i.Start.Floor(grid) != i.Start {
			t.Errorf("window %v as of %d begins at %d", w, e, i.Start)
		}
		if i.End <= e || i.End > e+messages.SliceLength || i.End.Floor(messages.SliceLength) != i.End {
			t.Errorf("window %v as of %d ends at %d", w, e, i.End)
		}
	}
	for _, w := range messages.StandardWindows {
		if w != messages.WindowAll {
			check(w, 60)
		}
	}
	for s := messages.Micros(60); s <= 30*86400; s += 1 + s/997 {
		check(messages.Window(s*messages.Second), 12)
	}
	for s := messages.Micros(10); s < 60; s++ {
		if grid := window.Grid(messages.Window(s * messages.Second)); grid != messages.SliceLength {
			t.Errorf("window %ds: grid %v", s, grid.Duration())
		}
	}
}
