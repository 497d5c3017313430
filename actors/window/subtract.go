package window

// expiry is counts that leave windows from … to−1. Their rows lie all over memory,
// and one after the other would be waited for; of some together the waits overlap.
type expiry struct {
	from, to int
	n        int
	ids      [expiryRows]rowID
	counts   [expiryRows]uint64
	waited   uint64 // see resolve
}

// expiryRows is how many counts leave together.
const expiryRows = 64

// subtract takes a slice out of the totals of windows from … to−1.
func (t *Table) subtract(s *slice, from, to int) {
	x := &t.scratch.expiry
	x.from, x.to = from, to
	t.scratch.streams = s.streams(t.scratch.streams[:0], &t.scratch.sorter)
	for i := range t.scratch.streams {
		w := &t.scratch.streams[i]
		for _, e := range w.run {
			x.add(t, packedRow(e), packedCount(e))
		}
		if w.cur.l == nil {
			continue
		}
		b := &t.scratch.block
		for ; !w.cur.done; w.cur.next() {
			w.cur.read(b)
			for j := range b.n {
				x.add(t, b.page<<pageShift|rowID(b.place[j]), b.count[j])
			}
		}
	}
	x.flush(t)
}

func (x *expiry) add(t *Table, id rowID, n uint64) {
	if n == 0 {
		return // removed, and its page may be nobody's any more
	}
	x.ids[x.n], x.counts[x.n] = id, n
	if x.n++; x.n == expiryRows {
		x.flush(t)
	}
}

// flush takes what there is out of the totals, of rows and of their families.
func (x *expiry) flush(t *Table) {
	ids, counts := x.ids[:x.n], x.counts[:x.n]
	x.n = 0
	var rows [expiryRows]*row
	var families [expiryRows]*family // nil: of a ghost
	for i, id := range ids {
		p := t.rows.own(id >> pageShift)
		rows[i] = p.at(id)
		if p.family != ghostFamily {
			families[i] = t.rows.families[p.family]
		}
	}
	var waited uint64
	for i := range ids {
		waited += rows[i].all
		if f := families[i]; f != nil {
			waited += f.all
		}
	}
	x.waited = waited // or the compiler leaves the reading out
	for i := 0; i < len(ids); {
		page := ids[i] >> pageShift
		var all, forked uint64
		j := i
		for ; j < len(ids) && ids[j]>>pageShift == page; j++ {
			r, n := rows[j], counts[j]
			r.leave(n, x.from, x.to)
			all += n
			if r.link != 0 {
				forked += n
			}
		}
		if f := families[i]; f != nil {
			f.leave(all, x.from, x.to)
			if forked > 0 && !f.child {
				f.forked.leave(forked, x.from, x.to)
			}
		} else {
			x.leaveGhosts(t, counts[i:j], rows[i:j])
		}
		i = j
	}
}

// leaveGhosts takes what ghosts counted out of the totals of their families.
func (x *expiry) leaveGhosts(t *Table, counts []uint64, ghosts []*row) {
	for i, n := range counts {
		f, forked := t.rows.owner(ghosts[i])
		f.leave(n, x.from, x.to)
		if forked {
			t.rows.forked(f).leave(n, x.from, x.to)
		}
	}
}
