package window

import "github.com/crestdb/crest/messages"

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
	totals
	topic topicID
	// link chains the rows of one (topic, region): a plain row begins the
	// chain, child rows follow. A plain row with a chain is forked.
	link rowID
}

// page holds rows of one family. It grows to pageRows rows.
type page struct {
	rows   []row
	family uint32
	familyKey
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
	totals // over all rows
	// wide watches the cell (any category, region) in plain families; narrow
	// the cell (category, region). nil: nobody asked for that cell.
	wide, narrow *watch
	// forked is, in a plain family, what forked rows have of the totals.
	forked totals

	familyKey
	index uint32 // in rows.families
	pages []uint32
}

// familyKey is what a family's rows have in common.
type familyKey struct {
	category, region NameID
	child            bool
}

// Bytes of a page and of a family without their rows.
const (
	pageBytes   = 44
	familyBytes = 256
)

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
	if i, ok := r.byKey[familyKey{category, region, child}]; ok {
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
	return !p.child && p.region == region
}

// findChild is the TC or TCR row of a topic.
func (r *rows) findChild(topic topicID, hash uint64, category, region NameID) rowID {
	for p := r.index.probe(rowHash(hash, true, category, region)); ; {
		id, ok := p.next()
		if !ok {
			return 0
		}
		p := &r.pages[id>>pageShift]
		if p.rows[id&(pageRows-1)].topic == topic && p.familyKey == (familyKey{category, region, true}) {
			return id
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
		r.pages = append(r.pages, page{family: f, familyKey: fam.familyKey})
		fam.pages = append(fam.pages, p)
		r.bytes += pageBytes
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
