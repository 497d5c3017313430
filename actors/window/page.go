package window

import (
	"math"
	"math/bits"

	"github.com/crestdb/crest/messages"
)

// page holds up to pageRows rows of one family. A row keeps its place, and so its
// id, until it leaves; where it is stored is another matter: rows lie close
// together, whatever places are free between theirs.
type page struct {
	rows  []row
	since []admission // beside the rows, what bounds need of them
	// stored is where the row of a place is, scattered the way back. Both are nil
	// as long as the two are the same: until a row leaves before one that came
	// after it.
	stored    []uint8
	scattered *scattered

	family uint32
	familyKey
	oldest messages.Micros // where late counts of its rows begin
}

// scattered is the places of a page's rows, where they are not those they are
// stored at.
type scattered struct {
	places []uint8               // by where the row is stored
	taken  [pageRows / 64]uint64 // a bit for each place
}

// noTopic is the topic of a ghost.
const noTopic = ^topicID(0)

const (
	pageBytes      = 104 // a page without rows
	scatteredBytes = 64
	rowBytes       = 64 + 4 // a row with its admission
	placeFew       = 16     // places and stored grow by so many
	roomMost       = 8      // room is at most 1/roomMost of a bounded page's rows, or one row
)

// bytes is what a page takes beside pageBytes.
func (p *page) bytes() int64 {
	n := int64(cap(p.rows))*rowBytes + int64(cap(p.stored))
	if p.scattered != nil {
		n += scatteredBytes + int64(cap(p.scattered.places))
	}
	return n
}

// room is what of it is kept for rows to come.
func (p *page) room() int64 { return int64(cap(p.rows)-len(p.rows)) * rowBytes }

// index is where the row of an id is stored.
func (p *page) index(id rowID) int {
	if p.stored == nil {
		return int(uint8(id))
	}
	return int(p.stored[uint8(id)])
}

// at is a row to be read; to be written to in a page that is the table's own (see
// rows.own).
func (p *page) at(id rowID) *row { return &p.rows[p.index(id)] }

// has tells whether there is a row with an id.
func (p *page) has(id rowID) bool {
	place := uint8(id)
	if p.scattered == nil {
		return int(place) < len(p.rows)
	}
	return p.scattered.taken[place>>6]&(1<<(place&63)) != 0
}

// id is that of the i-th row stored in the page, whose number is page.
func (p *page) id(page uint32, i int) rowID {
	if p.scattered == nil {
		return page<<pageShift | rowID(i)
	}
	return page<<pageShift | rowID(p.scattered.places[i])
}

// add stores a row and gives it the first free place.
func (p *page) add(x row, since admission, tight bool) (place uint8) {
	n := len(p.rows)
	if n == cap(p.rows) {
		p.resize(grown(n, tight))
	}
	p.rows, p.since = append(p.rows, x), append(p.since, since)
	if p.scattered == nil {
		return uint8(n)
	}
	for w, word := range p.scattered.taken {
		if word != math.MaxUint64 {
			place = uint8(w<<6 | bits.TrailingZeros64(^word))
			break
		}
	}
	p.setPlace(n, place)
	return place
}

// grown is the capacity that follows n rows.
func grown(n int, tight bool) int {
	if tight {
		return min(pageRows, n+max(2, n/roomMost))
	}
	for _, c := range capacities {
		if c > n {
			return c
		}
	}
	return pageRows
}

// capacities are how many rows pages have room for: one by one at first, since most
// cells have few rows, then about half as many again from one to the next, and such
// that the rows take a size that the allocator has.
var capacities = [...]int{1, 2, 3, 4, 6, 8, 12, 18, 28, 42, 64, 96, 148, 212, pageRows}

// setPlace gives the row that is stored at the i-th position a place.
func (p *page) setPlace(i int, place uint8) {
	s := p.scattered
	s.places, p.stored = reach(s.places, i), reach(p.stored, int(place))
	s.places[i], p.stored[place] = place, uint8(i)
	s.taken[place>>6] |= 1 << (place & 63)
}

// reach makes b long enough for an i-th byte.
func reach(b []uint8, i int) []uint8 {
	if i >= cap(b) {
		b = append(make([]uint8, 0, min(pageRows, (i/placeFew+1)*placeFew)), b...)
	}
	return b[:max(len(b), i+1)]
}

// resize gives the page room for n rows.
func (p *page) resize(n int) {
	p.rows = append(make([]row, 0, n), p.rows...)
	p.since = append(make([]admission, 0, n), p.since...)
}

// remove takes the row of a place out; the last one stored takes its position.
func (p *page) remove(place uint8) {
	i, last := p.index(rowID(place)), len(p.rows)-1
	if i < last && p.scattered == nil {
		p.scattered = new(scattered)
		for j := range p.rows {
			p.setPlace(j, uint8(j))
		}
	}
	if i < last {
		p.rows[i], p.since[i] = p.rows[last], p.since[last]
		p.setPlace(i, p.scattered.places[last])
	}
	p.rows, p.since = p.rows[:last], p.since[:last]
	if s := p.scattered; s != nil {
		s.places = s.places[:last]
		s.taken[place>>6] &^= 1 << (place & 63)
	}
	p.fit()
}

// fit gives room back that is more than usual.
func (p *page) fit() {
	n := len(p.rows)
	if usual := max(1, n/roomMost); n > 0 && cap(p.rows)-n > 2*usual {
		p.resize(n + usual/2)
	}
}
