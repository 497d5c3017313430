package window

import (
	"math"

	"github.com/crestdb/crest/messages"
)

// slice is what was counted in one stretch of time. Counts come in as packed
// entries, cheap to append; sooner or later they are merged into the list.
// A row's count is the sum over list, frozen and late.
type slice struct {
	start messages.Micros
	list  list
	// frozen is being merged, with the list, into another list: it is ascending
	// and does not change.
	frozen []uint64
	// late is what came since: the first sorted entries ascend by row, without
	// repetition where counts allow, the others are as they came.
	late   []uint64
	sorted int
	// total is the sum over T rows: the share of the cell (any, any).
	total uint64
	// What a Frozen reads too: the list, frozen, and so many entries of late.
	sharedList, sharedFrozen bool
	sharedLate               int
	// folded is the slot of the sketch that holds what rows that left had in
	// the slice, plus 1; 0: none has left.
	folded int
}

// add counts n for a row: in as many entries as n takes, see packed.go.
func (s *slice) add(id rowID, n uint64) {
	for ; n > math.MaxUint32; n -= math.MaxUint32 {
		s.late = append(s.late, pack(id, math.MaxUint32))
	}
	s.late = append(s.late, pack(id, uint32(n)))
}

// addTo counts n for a row, if it can be, in the entry at *at, where it was
// counted last.
func (s *slice) addTo(at *uint32, id rowID, n uint64) {
	if i := int(*at); i < len(s.late) && packedRow(s.late[i]) == id && packedCount(s.late[i])+n <= math.MaxUint32 {
		if i < s.sharedLate {
			s.ownLate()
		}
		s.late[i] += n
		return
	}
	s.add(id, n)
	*at = uint32(len(s.late) - 1)
}

// entries is how many entries a walk over the slice sees.
func (s *slice) entries() int { return s.list.n + len(s.frozen) + len(s.late) }

// settle sorts what came unsorted.
func (s *slice) settle(by *sorter) {
	if s.sorted == len(s.late) {
		return
	}
	s.ownLate()
	by.sort(s.late[s.sorted:])
	if s.sorted > 0 {
		by.merge(s.late, s.sorted)
	}
	s.late = combine(s.late)
	s.sorted = len(s.late)
}

// spare makes room for some counts by adding up those there are, where that may
// free more than growing would add.
func (s *slice) spare(by *sorter) {
	if cap(s.late)-len(s.late) < 4*resolveRows && len(s.late)-s.sorted > len(s.late)/2+tailMax {
		s.settle(by)
	}
}

// tailMax is how many unsorted entries a look-up walks rather than sorts.
const tailMax = 1024

// count is what a row has in the slice.
func (s *slice) count(id rowID, by *sorter) uint64 {
	n := s.list.count(id)
	n = addSaturating(n, countPacked(s.frozen, id))
	if len(s.late)-s.sorted > tailMax+s.sorted/4 {
		s.settle(by)
	}
	n = addSaturating(n, countPacked(s.late[:s.sorted], id))
	for _, e := range s.late[s.sorted:] {
		if packedRow(e) == id {
			n = addSaturating(n, packedCount(e))
		}
	}
	return n
}

func (l *list) count(id rowID) uint64 {
	if l.n == 0 {
		return 0
	}
	var c cursor
	c.start(l)
	if c.seek(id >> pageShift); c.done || c.page != id>>pageShift {
		return 0
	}
	var b block
	c.read(&b)
	for i := range b.n {
		if b.place[i] == uint8(id) {
			return b.count[i]
		}
	}
	return 0
}

// stream walks one ascending part of a slice, a list or packed entries, page
// by page.
type stream struct {
	cur cursor
	run []uint64
}

// streams appends the walks that together see all of s.
func (s *slice) streams(to []stream, by *sorter) []stream {
	s.settle(by)
	if s.list.n > 0 {
		to = append(to, stream{})
		to[len(to)-1].cur.start(&s.list)
	}
	for _, run := range [...][]uint64{s.frozen, s.late} {
		if len(run) > 0 {
			to = append(to, stream{run: run})
		}
	}
	return to
}

// page is the page of the next block; false: the walk is over.
func (w *stream) page() (uint32, bool) {
	if w.cur.l != nil {
		return w.cur.page, !w.cur.done
	}
	if len(w.run) == 0 {
		return 0, false
	}
	return packedPage(w.run[0]), true
}

// seek goes forward to the first block of a page ≥ page.
func (w *stream) seek(page uint32) {
	if w.cur.l != nil {
		w.cur.seek(page)
		return
	}
	if len(w.run) > 0 && packedPage(w.run[0]) < page {
		w.run = w.run[searchPacked(w.run, page<<pageShift):]
	}
}

// read decodes the next block, or a part of it if its page has more entries
// than rows, and goes on behind it. A block may turn out to be empty, and then
// its page may be nobody's any more: what was in it was removed.
func (w *stream) read(b *block) {
	if w.cur.l != nil {
		w.cur.read(b)
		w.cur.next()
		return
	}
	b.page, b.n = packedPage(w.run[0]), 0
	for len(w.run) > 0 && packedPage(w.run[0]) == b.page && b.n < pageRows {
		if n := packedCount(w.run[0]); n > 0 { // not removed
			b.place[b.n], b.count[b.n] = packedPlace(w.run[0]), n
			b.n++
		}
		w.run = w.run[1:]
	}
}
