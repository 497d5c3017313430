package window

import "math"

// totals is a running total per standard window, kept so that counting costs
// one addition: everything ever counted, and per window what of it the window
// does not hold, because it has left or came too late. The second never
// exceeds the first. Sums of what is left out wrap around together with the
// whole, so differences stay right; only the whole stands still at the greatest
// number, "that many or more", and then no window can be told from it.
type totals struct {
	all uint64
	out [allWindow]uint64
}

// add counts n in the windows from the from-th on.
func (t *totals) add(n uint64, from int) {
	t.all = addSaturating(t.all, n)
	for w := range from {
		t.out[w] += n
	}
}

// leave takes n out of the windows from … to−1.
func (t *totals) leave(n uint64, from, to int) {
	for w := from; w < to; w++ {
		t.out[w] += n
	}
}

// addAll adds other totals.
func (t *totals) addAll(o *totals) {
	t.all = addSaturating(t.all, o.all)
	for w := range t.out {
		t.out[w] += o.out[w]
	}
}

// in is the total of a window; not to be asked if full, but for "all".
func (t *totals) in(w int) uint64 {
	if w == allWindow {
		return t.all
	}
	return t.all - t.out[w]
}

// full: what has been counted exceeds the greatest number.
func (t *totals) full() bool { return t.all == math.MaxUint64 }

// total is a row's total in a standard window.
func (t *Table) total(id rowID, r *row, w int) uint64 {
	if r.full() && w != allWindow {
		return t.recount(id, Interval{t.starts[w], maxMoment})
	}
	return r.in(w)
}

// recount adds up a row's slices.
func (t *Table) recount(id rowID, i Interval) (n uint64) {
	for _, s := range t.line.between(i.Start, i.End) {
		n = addSaturating(n, s.count(id, &t.scratch.sorter))
	}
	return n
}

// addSaturating adds two counts; the greatest number stands for "that many or
// more".
func addSaturating(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxUint64
}
