package window

import (
	"math"
	"slices"

	"github.com/crestdb/crest/messages"
)

// view says how a count over an interval is put together: a running total, or
// nothing, plus some slices minus some others. The windows that boards are
// asked for mostly need no slice at all.
type view struct {
	base        int // standard window, −1: none
	plus, minus []*slice
	// within is a standard window, a short one, whose total no count exceeds.
	// With a direct view it is base.
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
	if within == allWindow && i.Start == minMoment {
		return view{base: allWindow, minus: after, within: allWindow}
	}
	best := view{base: -1, plus: t.line.between(i.Start, i.End), within: within}
	cost := entries(best.plus)
	for base := range allWindow {
		v := view{base: base, within: within, minus: after}
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

func entries(s []*slice) (n int) {
	for i := range s {
		n += s[i].entries()
	}
	return n
}

// direct: the counts are the running totals.
func (v *view) direct() bool { return v.base >= 0 && len(v.plus) == 0 && len(v.minus) == 0 }

// counts fills out with the counts of rows, which ascend.
func (t *Table) counts(v *view, rows []rowID, out []uint64) {
	for i, id := range rows {
		out[i] = 0
		if v.base >= 0 && id != 0 {
			out[i] = t.rows.at(id).total[v.base]
		}
	}
	for _, s := range v.plus {
		t.eachCount(s, rows, func(i int, n uint64) { out[i] = addSaturating(out[i], n) })
	}
	for _, s := range v.minus {
		t.eachCount(s, rows, func(i int, n uint64) {
			if out[i] != math.MaxUint64 {
				out[i] -= n
			}
		})
	}
}

// eachCount calls f with the index of every row of rows, which ascend, that has
// a count in the slice; several times if it has several.
func (t *Table) eachCount(s *slice, rows []rowID, f func(i int, n uint64)) {
	t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
	b := &t.scratch.block
	for k := range t.scratch.streams {
		w := &t.scratch.streams[k]
		for i := 0; i < len(rows); {
			page := rows[i] >> pageShift
			w.seek(page)
			next, more := w.page()
			if !more {
				break
			}
			if next > page {
				for i < len(rows) && rows[i]>>pageShift < next {
					i++
				}
				continue
			}
			w.read(b)
			i = matchBlock(b, rows, i, f)
			// A block may be a part of its page only: stay on the page if so.
			if p, more := w.page(); more && p == page {
				for i > 0 && rows[i-1]>>pageShift == page {
					i--
				}
			}
		}
	}
}

// matchBlock finds the rows of the block's page from rows[i] on and returns
// where the next page's begin.
func matchBlock(b *block, rows []rowID, i int, f func(i int, n uint64)) int {
	j := 0
	for ; i < len(rows) && rows[i]>>pageShift == b.page; i++ {
		place := uint8(rows[i])
		for j < b.n && b.place[j] < place {
			j++
		}
		for k := j; k < b.n && b.place[k] == place; k++ {
			f(i, b.count[k])
		}
	}
	return i
}

// countOf is one row's count.
func (t *Table) countOf(v *view, id rowID) uint64 {
	if id == 0 {
		return 0
	}
	if v.direct() {
		return t.rows.at(id).total[v.base]
	}
	var n [1]uint64
	t.counts(v, []rowID{id}, n[:])
	return n[0]
}

// totalOf is the sum over all rows of a cell.
func (t *Table) totalOf(v *view, c cell) uint64 {
	var n uint64
	parts := t.parts(c)
	if v.base >= 0 {
		for i := range parts {
			n = addSaturating(n, parts[i].total(v.base))
		}
	}
	for _, s := range v.plus {
		n = addSaturating(n, t.sliceTotal(s, c, parts))
	}
	for _, s := range v.minus {
		n -= t.sliceTotal(s, c, parts)
	}
	return n
}

// sliceTotal is a slice's share of a cell's total.
func (t *Table) sliceTotal(s *slice, c cell, parts []part) uint64 {
	if c.any && c.region == NoName {
		return s.total
	}
	var n uint64
	b := &t.scratch.block
	for i := range parts {
		t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
		for k := range t.scratch.streams {
			w := &t.scratch.streams[k]
			for _, p := range parts[i].family.pages {
				w.seek(p)
				for page, more := w.page(); more && page == p; page, more = w.page() {
					w.read(b)
					n = addSaturating(n, t.blockTotal(b, parts[i].unforked))
				}
			}
		}
	}
	return n
}

func (t *Table) blockTotal(b *block, unforked bool) (n uint64) {
	rows := t.rows.pages[b.page].rows
	for i := range b.n {
		if !unforked || rows[b.place[i]].link == 0 {
			n = addSaturating(n, b.count[i])
		}
	}
	return n
}
