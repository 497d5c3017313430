package window

import (
	"slices"

	"github.com/crestdb/crest/messages"
)

// view says how counts over an interval are put together: a running total, or
// nothing, plus some slices minus some others. The windows that boards are
// asked for mostly need no slice at all.
type view struct {
	Interval
	base        int // standard window, −1: none
	plus, minus []*slice
	// within is a standard window, a short one, whose total no count exceeds;
	// base if no slice is needed.
	within int
}

// look is the cheapest way to count over window w as of e.
func (t *Table) look(w messages.Window, e messages.Micros) view {
	if e < t.clock-Margin {
		panic("window: asked about a moment before the margin that is kept")
	}
	return t.interval(Resolve(w, e))
}

func (t *Table) interval(i Interval) view {
	within := 0
	for t.starts[within] > i.Start {
		within++
	}
	after := t.line.between(i.End, maxMoment)
	if t.starts[within] == i.Start && (len(after) == 0 || within == allWindow) {
		return view{Interval: i, base: within, minus: after, within: within}
	}
	best := t.sum(i)
	best.within = within
	cost := entries(best.plus)
	for base := range allWindow {
		v := view{Interval: i, base: base, within: within, minus: after}
		if begin := t.starts[base]; begin <= i.Start {
			v.minus = slices.Concat(t.line.between(begin, i.Start), after)
		} else {
			v.plus = t.line.between(i.Start, begin)
		}
		if c := entries(v.plus) + entries(v.minus); c < cost {
			best, cost = v, c
		}
	}
	if best.direct() {
		best.within = best.base
	}
	return best
}

// sum is the view of the interval's slices alone.
func (t *Table) sum(i Interval) view {
	return view{Interval: i, base: -1, plus: t.line.between(i.Start, i.End)}
}

func entries(s []*slice) (n int) {
	for i := range s {
		n += s[i].entries()
	}
	return n
}

// direct: the counts are the running totals.
func (v *view) direct() bool { return v.base >= 0 && len(v.plus) == 0 && len(v.minus) == 0 }

// counts fills out with the counts of rows, which ascend; 0 is no row.
func (t *Table) counts(v *view, rows []rowID, out []uint64) {
	var full []int
	for i, id := range rows {
		out[i] = 0
		if v.base >= 0 && id != 0 {
			r := t.rows.at(id)
			if out[i] = r.in(v.base); r.full() && v.base != allWindow {
				full = append(full, i)
			}
		}
	}
	for _, s := range v.plus {
		t.eachCount(s, rows, func(i int, n uint64) { out[i] = addSaturating(out[i], n) })
	}
	for _, s := range v.minus {
		t.eachCount(s, rows, func(i int, n uint64) { out[i] -= n })
	}
	for _, i := range full {
		out[i] = t.recount(rows[i], v.Interval)
	}
}

// eachCount calls f with the index of every row of rows, which ascend, that has
// a count in the slice; several times if it has several.
func (t *Table) eachCount(s *slice, rows []rowID, f func(i int, n uint64)) {
	t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
	for k := range t.scratch.streams {
		w := &t.scratch.streams[k]
		for i := 0; i < len(rows); {
			page := rows[i] >> pageShift
			w.seek(page)
			next, more := w.page()
			if !more {
				break
			}
			end := i
			for end < len(rows) && rows[end]>>pageShift == page {
				end++
			}
			for ; more && next == page; next, more = w.page() {
				w.read(&t.scratch.block)
				matchBlock(&t.scratch.block, rows[i:end], i, f)
			}
			i = end
		}
	}
}

// matchBlock calls f for those rows, all of the block's page, that are in the
// block; the first of them has the index at.
func matchBlock(b *block, rows []rowID, at int, f func(i int, n uint64)) {
	j := 0
	for i := range rows {
		place := uint8(rows[i])
		for j < b.n && b.place[j] < place {
			j++
		}
		for k := j; k < b.n && b.place[k] == place; k++ {
			f(at+i, b.count[k])
		}
	}
}

// countOf is one row's count.
func (t *Table) countOf(v *view, id rowID) uint64 {
	switch {
	case id == 0:
		return 0
	case v.direct():
		return t.total(id, t.rows.at(id), v.base)
	}
	var n [1]uint64
	t.counts(v, []rowID{id}, n[:])
	return n[0]
}
