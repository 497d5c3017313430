package window

import (
	"math"

	"github.com/crestdb/crest/messages"
)

// windows is the number of standard windows, "all" included: the running
// totals of a row, in the order of messages.StandardWindows.
const (
	windows   = len(messages.StandardWindows)
	allWindow = windows - 1
)

// rowID names a row: its page << pageShift | its place there. 0 is no row.
type rowID = uint32

const (
	pageShift = 8
	pageRows  = 1 << pageShift
)

// row counts one key, 64 bytes. Its topic and its page's family are the key.
type row struct {
	total [windows]uint64
	topic topicID
	// link chains the rows of one (topic, region): a plain row begins the
	// chain, child rows follow. A plain row with a chain is forked.
	link rowID
}

// page holds rows of one family. It grows to pageRows rows.
type page struct {
	rows   []row
	family uint32
}

// family is the rows that differ in the topic only; they lie together, so a
// cold board scans nothing but its own pages.
//
// Plain families hold T rows (region NoName) and TR rows: a row counts
// whatever happens to its topic (in its region), in any category, and lies in
// the family of the category it was first seen under. As long as it is seen
// under that one only it is the (category) or (category, region) row as well.
// With the second category it forks: from then on child rows, TC and TCR,
// count by category.
type family struct {
	index    uint32 // in rows.families
	child    bool
	category NameID
	region   NameID
	pages    []uint32
	// sum is the total over all rows, forked, in a plain family, over those that
	// are forked.
	sum, forked [windows]uint64
	// wide watches the cell (any category, region) in plain families; narrow
	// the cell (category, region). nil: nobody asked for that cell.
	wide, narrow *watch
}

type familyKey struct {
	child            bool
	category, region NameID
}

// rows holds all rows of a shard.
type rows struct {
	index    index // by topic and familyKey; plain rows with category NoName
	pages    []page
	families []*family
	byKey    map[familyKey]uint32
	// plain are the plain families by region.
	plain map[NameID][]*family
	n     int
	bytes int64 // of pages and families
}

func newRows() rows {
	return rows{
		pages: make([]page, 1), // page 0 stays empty: row 0 is no row
		byKey: make(map[familyKey]uint32),
		plain: make(map[NameID][]*family),
	}
}

func (r *rows) at(id rowID) *row { return &r.pages[id>>pageShift].rows[id&(pageRows-1)] }

func (r *rows) familyOf(id rowID) *family { return r.families[r.pages[id>>pageShift].family] }

// family is the one with a key, or nil.
func (r *rows) family(child bool, category, region NameID) *family {
	if i, ok := r.byKey[familyKey{child, category, region}]; ok {
		return r.families[i]
	}
	return nil
}

// findPlain is the TR row of a topic in a region.
func (r *rows) findPlain(topic topicID, hash uint64, region NameID) rowID {
	for p := r.index.probe(rowHash(hash, false, NoName, region)); ; {
		id, ok := p.next()
		if !ok {
			return 0
		}
		if r.isPlain(id, topic, region) {
			return id
		}
	}
}

// isPlain tells whether a row is the plain one of a topic in a region.
func (r *rows) isPlain(id rowID, topic topicID, region NameID) bool {
	p := &r.pages[id>>pageShift]
	if p.rows[id&(pageRows-1)].topic != topic {
		return false
	}
	f := r.families[p.family]
	return !f.child && f.region == region
}

// findChild is the TC or TCR row of a topic.
func (r *rows) findChild(topic topicID, hash uint64, category, region NameID) rowID {
	for p := r.index.probe(rowHash(hash, true, category, region)); ; {
		id, ok := p.next()
		if !ok {
			return 0
		}
		if r.at(id).topic == topic {
			if f := r.familyOf(id); f.child && f.category == category && f.region == region {
				return id
			}
		}
	}
}

// rowHash depends on the topic's keyed hash, so nobody outside can aim many
// rows at one slot.
func rowHash(topic uint64, child bool, category, region NameID) uint64 {
	key := uint64(category)<<32 | uint64(region)<<1
	if child {
		key |= 1
	}
	h := (topic ^ key*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	return h ^ h>>29
}

// add makes a row. T rows are found by their topic and have no index entry.
func (r *rows) add(topic topicID, hash uint64, f uint32) rowID {
	fam := r.families[f]
	var p uint32
	if n := len(fam.pages); n > 0 && len(r.pages[fam.pages[n-1]].rows) < pageRows {
		p = fam.pages[n-1]
	} else {
		p = uint32(len(r.pages))
		r.pages = append(r.pages, page{family: f})
		fam.pages = append(fam.pages, p)
		r.bytes += 36
	}
	pg := &r.pages[p]
	if len(pg.rows) == cap(pg.rows) {
		grown := make([]row, len(pg.rows), max(1, 2*cap(pg.rows)))
		copy(grown, pg.rows)
		r.bytes += int64(cap(grown)-cap(pg.rows)) * 64
		pg.rows = grown
	}
	id := p<<pageShift | uint32(len(pg.rows))
	pg.rows = append(pg.rows, row{topic: topic})
	r.n++
	switch {
	case fam.child:
		r.index.add(rowHash(hash, true, fam.category, fam.region), id)
	case fam.region != NoName:
		r.index.add(rowHash(hash, false, NoName, fam.region), id)
	}
	return id
}

// addSaturating adds two counts; the greatest number stands for "that many or
// more".
func addSaturating(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxUint64
}

// subtract takes what has left window w out of the totals. Where the total is
// not known any more, only that it is great, it stays so.
func (f *family) subtract(w int, sum, forked uint64) {
	if f.sum[w] != math.MaxUint64 {
		f.sum[w] -= sum
		f.forked[w] -= forked
	}
}
