package window

import "slices"

// A ghost is a row that counts what rows of a family had that left, so that the
// family's totals of any interval stay exact. Ghosts never leave and are ranked
// nowhere. They lie together, whosever they are: a family all of whose rows have
// left takes no page, and in a slice the ghosts' entries stand side by side.
//
// A ghost has no topic. Its link says whose it is: the family's index × 2 + 2,
// and 1 more if it counts forked rows.

// ghost finds or makes a ghost.
func (r *rows) ghost(f *family, forked bool) rowID {
	kind := uint32(0)
	if forked {
		kind = 1
	}
	if f.ghosts[kind] == 0 {
		if r.ghosts == 0 || len(r.pages[r.ghosts].rows) == pageRows {
			r.ghosts = r.newPage(ghostFamily, noKey)
		}
		p := r.ghosts
		id := p<<pageShift | r.put(p, row{topic: noTopic, link: f.index*2 + 2 + kind}, 0)
		f.ghosts[kind] = id
		r.n++
		r.ghostRows++
	}
	return f.ghosts[kind]
}

// owner is whose ghost a row is.
func (r *rows) owner(ghost *row) (f *family, forked bool) {
	return r.families[ghost.link/2-1], ghost.link&1 == 1
}

// eachGhost calls f for the ghosts that count for a part.
func (p *part) eachGhost(f func(id rowID)) {
	if id := p.family.ghosts[0]; id != 0 {
		f(id)
	}
	if id := p.family.ghosts[1]; id != 0 && !p.unforked {
		f(id)
	}
}

// ghostTotal is what a slice has of the parts' ghosts.
func (t *Table) ghostTotal(s *slice, parts []part) (n uint64) {
	ids := t.scratch.ids[:0]
	for i := range parts {
		parts[i].eachGhost(func(id rowID) { ids = append(ids, id) })
	}
	slices.Sort(ids)
	t.eachCount(s, ids, func(_ int, c uint64) { n = addSaturating(n, c) })
	t.scratch.ids = ids
	return n
}
