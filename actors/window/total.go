package window

import (
	"math"

	"github.com/crestdb/crest/messages"
)

// totalOf is the sum over all rows of a cell.
func (t *Table) totalOf(v *view, c cell) (n uint64) {
	parts := t.parts(c)
	if v.base >= 0 {
		for i := range parts {
			n = addSaturating(n, t.partTotal(parts[i], v.base))
		}
		if n == math.MaxUint64 && v.base != allWindow && !v.direct() {
			sum := t.sum(v.Interval)
			return t.totalOf(&sum, c)
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

// partTotal is a part's total in a standard window.
func (t *Table) partTotal(p part, w int) (n uint64) {
	f := p.family
	if f.full() {
		add := func(id rowID, r *row) { n = addSaturating(n, t.total(id, r, w)) }
		t.eachOf(p, add)
		p.eachGhost(func(id rowID) { add(id, t.rows.at(id)) })
		return n
	}
	return familyTotal{f.in(w), f.forkedIn(w)}.of(p.unforked)
}

// sliceTotal is a slice's share of a cell's total.
func (t *Table) sliceTotal(s *slice, c cell, parts []part) (n uint64) {
	if c.any && c.region == NoName {
		return s.total
	}
	for _, p := range parts {
		t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
		for k := range t.scratch.streams {
			w := &t.scratch.streams[k]
			for _, page := range p.family.pages {
				w.seek(page)
				for next, more := w.page(); more && next == page; next, more = w.page() {
					w.read(&t.scratch.block)
					total := t.blockTotal(&t.scratch.block)
					n = addSaturating(n, total.of(p.unforked))
				}
			}
		}
	}
	return addSaturating(n, t.ghostTotal(s, parts))
}

// familyTotal is a total over rows of a family, and what forked rows have of it.
type familyTotal struct{ all, forked uint64 }

func (f familyTotal) of(unforked bool) uint64 {
	if unforked {
		return f.all - f.forked
	}
	return f.all
}

func (t *Table) blockTotal(b *block) (n familyTotal) {
	p := &t.rows.pages[b.page]
	for i := range b.n {
		n.all = addSaturating(n.all, b.count[i])
		if p.at(rowID(b.place[i])).link != 0 {
			n.forked = addSaturating(n.forked, b.count[i])
		}
	}
	return n
}

// totals is the total of a named cell.
func (t *Table) totals(v *view, c *cells) messages.Count {
	return t.totalsBy(c, func(c cell) uint64 { return t.totalOf(v, c) })
}

func (t *Table) totalsBy(c *cells, of func(cell) uint64) messages.Count {
	var b bounded
	if c.known {
		b.lower = of(c.own)
	}
	for _, o := range c.others {
		b.others = addSaturating(b.others, of(o))
	}
	return b.count()
}

// Cells is the totals of every category and region.
func (t *Table) Cells(q *CellsAsk) *CellsPart {
	v := t.look(q.Window, q.E)
	of := t.allTotals(&v)
	totals := func(names *Names, cellOf func(name string) messages.Cell) (out []messages.CellTotal) {
		total := func(name string) messages.Count {
			c := t.find(cellOf(name))
			return t.totalsBy(&c, of)
		}
		names.Each(func(_ NameID, name string) {
			out = append(out, messages.CellTotal{Name: name, Total: total(name)})
		})
		if n := total(messages.OtherName); n.Upper > 0 {
			out = append(out, messages.CellTotal{Name: messages.OtherName, Total: n})
		}
		return out
	}
	return &CellsPart{
		Total:            messages.ExactCount(of(cell{any: true})),
		Categories:       totals(t.categories, func(name string) messages.Cell { return messages.Cell{Category: name} }),
		Regions:          totals(t.regions, func(name string) messages.Cell { return messages.Cell{Region: name} }),
		CategoriesFolded: t.categories.Folded(),
		RegionsFolded:    t.regions.Folded(),
	}
}

// allTotals is totalOf for many cells: it goes through the slices once.
func (t *Table) allTotals(v *view) func(cell) uint64 {
	if v.direct() {
		return func(c cell) uint64 { return t.totalOf(v, c) }
	}
	families := make([]familyTotal, len(t.rows.families))
	if v.base >= 0 {
		for i, f := range t.rows.families {
			if f.full() && v.base != allWindow {
				sum := t.sum(v.Interval)
				return t.allTotals(&sum)
			}
			families[i] = familyTotal{f.in(v.base), f.forkedIn(v.base)}
		}
	}
	for _, s := range v.plus {
		t.eachFamily(s, func(family uint32, n familyTotal) {
			f := &families[family]
			*f = familyTotal{addSaturating(f.all, n.all), addSaturating(f.forked, n.forked)}
		})
	}
	for _, s := range v.minus {
		t.eachFamily(s, func(family uint32, n familyTotal) {
			f := &families[family]
			*f = familyTotal{f.all - n.all, f.forked - n.forked}
		})
	}
	return func(c cell) (n uint64) {
		for _, p := range t.parts(c) {
			n = addSaturating(n, families[p.family.index].of(p.unforked))
		}
		return n
	}
}

// eachFamily calls f with what a slice has of a family, page by page.
func (t *Table) eachFamily(s *slice, f func(family uint32, n familyTotal)) {
	b := &t.scratch.block
	t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
	for k := range t.scratch.streams {
		w := &t.scratch.streams[k]
		for _, more := w.page(); more; _, more = w.page() {
			if w.read(b); b.n == 0 {
				continue
			}
			page := &t.rows.pages[b.page]
			if page.family != ghostFamily {
				f(page.family, t.blockTotal(b))
				continue
			}
			for i := range b.n {
				owner, forked := t.rows.owner(page.at(rowID(b.place[i])))
				n := familyTotal{all: b.count[i]}
				if forked {
					n.forked = n.all
				}
				f(owner.index, n)
			}
		}
	}
}
