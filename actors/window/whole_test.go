package window

import (
	"testing"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// TestWholeWindowsForget: a count is read for its period and the next one, and
// then no more, however far the table slides at a time; that of "all" stays.
func TestWholeWindowsForget(t *testing.T) {
	const depth = 4
	key, other := sketch.Key{A: 1, B: 2}, sketch.Key{A: 3, B: 4}
	add := func(h *whole, k sketch.Key, n uint64, at messages.Micros) {
		var rows sketch.Rows
		k.Rows(depth, &rows)
		in := narrowsOf(at)
		h.add(&rows, n, &in, 0, nil)
	}
	for w, p := range periods {
		open := 1000 * p
		for _, jump := range []messages.Micros{2 * p, 2*p + messages.SliceLength, 3 * p, 7*p - messages.SliceLength, 400 * messages.Day} {
			h := newWhole(1000, depth, open)
			add(&h, key, 5, open)
			read := func(at messages.Micros, want uint64) {
				t.Helper()
				h.move(at)
				var r reading
				if h.read(key, &r); r[w] != want || r[allWindow] != 5 {
					t.Errorf("window %d, %d periods on: %d of 5 are read, %d of all; want %d", w, (at-open)/p, r[w], r[allWindow], want)
				}
			}
			read(open+p-messages.SliceLength, 5)
			read(open+p, 5)
			add(&h, other, 3, open+p)
			read(open+2*p-messages.SliceLength, 5)
			if read(open+jump, 0); jump < 3*p {
				var r reading
				if h.read(other, &r); r[w] != 3 {
					t.Errorf("window %d: %d of 3 are read", w, r[w])
				}
			}
		}
	}
}

// TestLookupMissesNoSlice: where something else bounds one window well enough, the
// slices that were not asked for it are asked for the next one.
func TestLookupMissesNoSlice(t *testing.T) {
	table := New(Config{Hash: func([]byte) uint64 { return 0 }, Memory: 1 << 20, Epsilon: 0.001, Delta: 0.01})
	table.Slide(1_700_000_000 * messages.Second)
	table.hidden.begin(table.clock)
	key := sketch.Key{A: 1, B: 2}
	var starts [allWindow]messages.Micros
	var truth [allWindow]uint64
	for w := range starts {
		starts[w] = table.floorStart(w)
		for v := w; v < allWindow; v++ {
			truth[v] += uint64(w + 1)
		}
		in := narrowsOf(starts[w])
		table.hidden.fold(table.line.at(starts[w]), &in, allWindow, key, uint64(w+1), nil)
	}
	for bounded := range 1 << allWindow {
		var read reading
		for w := range starts {
			if read[w] = 1000; bounded>>w&1 == 1 {
				read[w] = 1 // less than the slices read before
			}
		}
		l := lookup{t: table, key: key, read: &read, starts: &starts, end: maxMoment}
		for w := range starts {
			if n := l.in(w, 500, 0); n != min(read[w], truth[w]) {
				t.Errorf("windows %b bounded: %d in window %d, not %d", bounded, n, w, min(read[w], truth[w]))
			}
		}
	}
}
