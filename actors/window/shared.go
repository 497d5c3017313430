package window

import "slices"

// A Frozen reads what the table had when it was made: pages of rows, chunks of
// topics' records, slices, sketches. As long as it is held, the table leaves what
// it reads as it is, and changes a copy. A page or chunk that is to be written to
// is asked for by own or edit, a part of a slice by its own…; whatever is only
// replaced, or appended to behind what was there, needs no copy.

// shared are the numbers of what a Frozen reads too; nil: there is none.
type shared []bool

func (s shared) has(i uint32) bool { return int(i) < len(s) && s[i] }

// sharedAll are the first n.
func sharedAll(n int) shared {
	s := make(shared, n)
	for i := range s {
		s[i] = true
	}
	return s
}

// unshare copies a page. What is kept for rows to come stays the same.
func (r *rows) unshare(p uint32) {
	r.shared[p] = false
	pg := &r.pages[p]
	pg.rows, pg.since = cloneRoom(pg.rows), cloneRoom(pg.since)
	pg.stored = cloneRoom(pg.stored)
	if s := pg.scattered; s != nil {
		pg.scattered = &scattered{places: cloneRoom(s.places), taken: s.taken}
	}
}

// unshare copies a chunk.
func (x *records) unshare(at uint32) {
	x.shared[at] = false
	if c := x.chunks[at]; c != nil {
		copied := *c
		x.chunks[at] = &copied
	}
}

// cloneRoom is a copy with the same capacity.
func cloneRoom[T any](s []T) []T {
	if s == nil {
		return nil
	}
	// Grown from nothing it need not be cleared first.
	return append([]T(nil), s[:cap(s)]...)[:len(s):cap(s)]
}

// ownLate is called before entries of late are changed in place.
func (s *slice) ownLate() {
	if s.sharedLate > 0 {
		s.late, s.sharedLate = cloneRoom(s.late), 0
	}
}

// ownList is called before the list is changed.
func (s *slice) ownList() {
	if s.sharedList {
		s.list.data, s.sharedList = slices.Clone(s.list.data), false
	}
}

// ownFrozen makes frozen the slice's own, and has a merge under way go on in it.
func (t *Table) ownFrozen(s *slice) {
	if !s.sharedFrozen {
		return
	}
	old := s.frozen
	s.frozen, s.sharedFrozen = cloneRoom(old), false
	for i := range t.merge.walks {
		// A run is what is left of one, up to the end.
		if run := t.merge.walks[i].run; len(run) > 0 && &run[len(run)-1] == &old[len(old)-1] {
			t.merge.walks[i].run = s.frozen[len(old)-len(run):]
		}
	}
}

// hasPacked tells whether removePacked would find one of the rows.
func hasPacked(run []uint64, ids []rowID) bool {
	found := false
	for i := 0; i < len(ids) && len(run) > 0 && !found; {
		switch row := packedRow(run[0]); {
		case row < ids[i]:
			run = run[gallop(len(run), func(k int) bool { return packedRow(run[k]) >= ids[i] }):]
		case row > ids[i]:
			i += searchIDs(ids[i:], row)
		default:
			found = true
		}
	}
	return found
}
