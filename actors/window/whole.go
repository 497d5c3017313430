package window

import (
	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// whole knows what is hidden of a key in each standard window as a whole, and in
// "all". The sketches of slices know of the windows too, but as sums of hundreds
// that share the memory; one of a whole window can be many times as wide.
//
// Time is cut into periods, for each window some of a little more than its length:
// what it may still reach lies in the current one and the one before. Each has a
// sketch. A count in a slice goes to the period that the slice begins in; a
// reading is of all slices that begin in the two, so it bounds what any question
// about the window, or about a part of it, may find hidden.
type whole struct {
	lines *sketch.Lines              // narrow: window × 2 + number of the period mod 2
	now   [allWindow]messages.Micros // number of the current period
}

// periodOf is the number of the period of a window that a moment lies in. The
// earliest question that may be asked begins less than a period before the open slice.
func periodOf(w int, m messages.Micros) messages.Micros {
	return m.Floor(periods[w]) / periods[w]
}

var periods = func() (p [allWindow]messages.Micros) {
	for w := range p {
		length := messages.StandardWindows[w]
		p[w] = messages.Micros(length) + Margin + 2*Grid(length)
	}
	return p
}()

func newWhole(width, depth int, open messages.Micros) whole {
	h := whole{lines: sketch.NewLines(width, depth)}
	for w := range h.now {
		h.now[w] = periodOf(w, open)
	}
	return h
}

// move empties the sketches of the periods that have begun since.
func (h *whole) move(open messages.Micros) {
	for w := range h.now {
		now := periodOf(w, open)
		for p := max(h.now[w]+1, now-1); p <= now; p++ {
			h.lines.Clear(narrowOf(w, p))
		}
		h.now[w] = now
	}
}

func narrowOf(w int, period messages.Micros) int { return 2*w + int(period&1) }

// narrows are the sketches where counts in a slice go, by window.
type narrows [allWindow]uint8

func narrowsOf(start messages.Micros) (s narrows) {
	for w := range s {
		s[w] = uint8(narrowOf(w, periodOf(w, start)))
	}
	return s
}

// reading is what is hidden of a key: by window, and of "all".
type reading [windows]uint64

// add counts n for a key in the windows from the from-th on, of those that a slice
// is in, and in "all"; read, if not nil, is what it reads then.
func (h *whole) add(k *sketch.Rows, n uint64, in *narrows, from int, read *reading) {
	counts, after := sketch.Readings{Wide: n}, sketch.Readings{}
	for w := from; w < allWindow; w++ {
		counts.Narrow[in[w]] = n
	}
	h.lines.AddRows(k, &counts, &after)
	if read != nil {
		read.set(&after)
	}
}

// read sets out to the most that is hidden of a key.
func (h *whole) read(k sketch.Key, out *reading) {
	var r sketch.Readings
	h.lines.Read(k, &r)
	out.set(&r)
}

func (r *reading) set(of *sketch.Readings) {
	for w := range allWindow {
		r[w] = min(addSaturating(of.Narrow[2*w], of.Narrow[2*w+1]), of.Wide)
	}
	r[allWindow] = of.Wide
}

// lookup finds what is hidden of a key in the windows, shortest first, and asks
// the sketches of the slices before end, the dearest, only where it matters.
type lookup struct {
	t      *Table
	key    sketch.Key
	read   *reading
	starts *[allWindow]messages.Micros
	end    messages.Micros
	sum    uint64 // of the slices asked
	vague  bool   // one of them is saturated
}

// in is the least that is known in a window beside most; what is at most enough
// will do.
func (l *lookup) in(w int, most, enough uint64) uint64 {
	if most = min(most, l.read[w]); most <= enough || w == allWindow {
		return most
	}
	if l.sum < most && !l.vague {
		n, sure := l.t.estimate(l.t.line.between(l.starts[w], l.end), l.key)
		l.sum, l.vague, l.end = addSaturating(l.sum, n), !sure, l.starts[w]
	}
	if l.vague {
		return most
	}
	return min(most, l.sum)
}
