package window

import (
	"encoding/binary"
	"math"

	"github.com/crestdb/crest/messages"
)

// loadSlices reads the slices, and the lists that have no part of their own.
func (l *loader) loadSlices(r *blockReader) {
	t := l.t
	l.folded = make(map[int]bool)
	before := minMoment
	for r.more() {
		s := &slice{start: messages.Micros(r.varint())}
		s.total = r.uvarint()
		s.folded = int(r.most(math.MaxInt32))
		s.list.version = r.most(t.line.versions)
		r.must(s.start > before && s.start <= t.line.open && s.start.Floor(messages.SliceLength) == s.start)
		r.must(tiers[lastTier].slot(s.start).End > t.line.horizon())
		r.must(s.folded == 0 || !l.folded[s.folded-1])
		before = s.start
		if s.folded > 0 {
			l.folded[s.folded-1] = true
		}
		if size := r.most(1 + listFew); size > 0 {
			s.list.data = append(s.list.data, r.bytes(size-1)...)
			r.must(s.list.check(t.rows.pages))
		} else {
			l.lists = append(l.lists, savedList{&s.list, r.u32()})
		}
		l.loadEntries(r, s)
		t.line.slices = append(t.line.slices, s)
	}
}

// loadEntries reads what is not in the list.
func (l *loader) loadEntries(r *blockReader, s *slice) {
	row := uint64(0)
	for r.must(r.more()) {
		n := r.most(entriesMost)
		if n == 0 {
			break
		}
		for range n {
			row += r.most(math.MaxUint32)
			count := r.most(math.MaxUint32)
			if page := row >> pageShift; count == 0 || page >= uint64(len(l.t.rows.pages)) || !l.t.rows.pages[page].has(rowID(row)) {
				r.fail()
				return
			}
			s.late = append(s.late, pack(rowID(row), uint32(count)))
		}
	}
	s.sorted = len(s.late)
}

// loadList reads a list from its part.
func (l *loader) loadList(s savedList) error {
	return l.part(s.list.name(s.sum), func(r *blockReader) {
		for r.more() {
			s.list.data = append(s.list.data, r.bytes(uint64(len(r.b)))...)
		}
		if r.err == nil {
			r.must(len(s.list.data) > listFew && s.list.sum() == s.sum && s.list.check(l.t.rows.pages))
		}
	})
}

// check tells whether data is a list of rows that there are, and sets what follows
// from it: marks, and how much of it is dead.
func (l *list) check(pages []page) bool {
	if len(l.data) > math.MaxUint32 {
		return false
	}
	page, blocks := uint32(0), 0
	for at := 0; at < len(l.data); blocks++ {
		gap, n := binary.Uvarint(l.data[at:])
		if n <= 0 || gap == 0 || gap >= uint64(len(pages))-uint64(page) {
			return false
		}
		size, m := binary.Uvarint(l.data[at+n:])
		if m <= 0 || size > uint64(len(l.data)-at-n-m) {
			return false
		}
		if blocks%markEvery == 0 {
			l.marks = append(l.marks, mark{page, page + uint32(gap), uint32(at)})
		}
		page += uint32(gap)
		at += n + m
		if !l.checkBlock(l.data[at:at+int(size)], &pages[page]) {
			return false
		}
		at += int(size)
	}
	return true
}

// checkBlock is check for one block.
func (l *list) checkBlock(data []byte, pg *page) bool {
	place := -1
	for len(data) > 0 && data[0] != 0 {
		v, n := uvarint(data)
		if n <= 0 || v == 0 || (v-1)>>1 >= uint64(pageRows-1-place) {
			return false
		}
		place += int((v-1)>>1) + 1
		data = data[n:]
		if (v-1)&1 == 0 {
			count, n := binary.Uvarint(data)
			if n <= 0 || count == 0 {
				return false
			}
			data = data[n:]
		}
		if !pg.has(rowID(place)) {
			return false
		}
		l.n++
	}
	l.dead += len(data)
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}
