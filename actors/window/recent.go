package window

import (
	"math"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// recent knows what is hidden of a key in each standard window as a whole. The
// sketches of slices know it too, but as the sum of hundreds that share the
// memory; one of a whole window can be many times as wide.
//
// Time is cut into periods, for each window some of a little more than its length:
// what it may still reach lies in the current one and the one before. Each has a
// sketch. A count in a slice goes to the period that the slice begins in; a
// reading is of all slices that begin in the two, so it bounds what any question
// about the window, or about a part of it, may find hidden.
type recent struct {
	counts *sketch.CountMin           // slot: window × 2 + number of the period mod 2
	now    [allWindow]messages.Micros // number of the current period
}

// spread is counts by window and period, as the slots are.
type spread [2 * allWindow]uint64

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

func newRecent(width, depth int, open messages.Micros) recent {
	r := recent{counts: sketch.NewCountMin(width, depth)}
	for range len(spread{}) {
		r.counts.Acquire()
	}
	for w := range r.now {
		r.now[w] = periodOf(w, open)
	}
	return r
}

// move empties the sketches of the periods that have begun since.
func (r *recent) move(open messages.Micros) {
	for w := range r.now {
		now := periodOf(w, open)
		for p := max(r.now[w]+1, now-1); p <= now; p++ {
			r.counts.Clear(slotOf(w, p))
		}
		r.now[w] = now
	}
}

func slotOf(w int, period messages.Micros) int { return 2*w + int(period&1) }

// slots are where counts in a slice go, by window. Only windows that the slice
// is in have one.
type slots [allWindow]uint8

func slotsOf(start messages.Micros) (s slots) {
	for w := range s {
		s[w] = uint8(slotOf(w, periodOf(w, start)))
	}
	return s
}

// add counts n in the windows from the from-th on.
func (s *spread) add(n uint64, in *slots, from int) {
	for w := from; w < allWindow; w++ {
		s[in[w]] = addSaturating(s[in[w]], n)
	}
}

// fold counts what was spread for a key.
func (r *recent) fold(k sketch.Key, n *spread) { r.counts.AddEach(k, n[:]) }

// read sets out to the most that is hidden of a key in each window.
func (r *recent) read(k sketch.Key, out *reading) {
	var n spread
	r.counts.ReadEach(k, n[:])
	for w := range allWindow {
		a, b := n[2*w], n[2*w+1]
		if out[w] = a + b; max(a, b) >= math.MaxUint32 {
			out[w] = math.MaxUint64
		}
	}
}

// estimate is the most that is hidden of a key in a window.
func (r *recent) estimate(w int, k sketch.Key) uint64 {
	both := [2]int{2 * w, 2*w + 1}
	n, saturated := r.counts.Sum(both[:], k)
	if saturated {
		return math.MaxUint64
	}
	return n
}

// lookup finds what is hidden of a key in the windows, shortest first, and asks
// the sketches only as far as it matters: that of "all", then the window's, then
// those of the slices before end.
type lookup struct {
	t      *Table
	key    sketch.Key
	starts *[allWindow]messages.Micros
	end    messages.Micros
	all    uint64 // of "all"; 0: not asked
	sum    uint64 // of the slices asked
	sure   bool   // none of them is saturated
}

// in is the least that is known in a window beside most; what is at most enough
// will do.
func (l *lookup) in(w int, most, enough uint64) uint64 {
	if most <= enough {
		return most
	}
	if l.all == 0 {
		l.all = l.t.hidden.estimateAll(l.key)
	}
	if most = min(most, l.all); most <= enough || w == allWindow {
		return most
	}
	if most = min(most, l.t.hidden.recent.estimate(w, l.key)); most <= enough {
		return most
	}
	if l.sum < most && l.sure {
		n, sure := l.t.estimate(l.t.line.between(l.starts[w], l.end), l.key)
		l.sum, l.sure, l.end = addSaturating(l.sum, n), sure, l.starts[w]
	}
	if l.sure {
		most = min(most, l.sum)
	}
	return most
}
