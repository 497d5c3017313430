package window

import (
	"slices"

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
	totals
	topic topicID
	// link chains the rows of one (topic, region): a plain row begins the
	// chain, child rows follow. A plain row with a chain is forked.
	link rowID
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
	// forked is, in a plain family, what forked rows have of the totals; nil:
	// there are none.
	forked *totals

	familyKey
	index uint32   // in rows.families
	pages []uint32 // ascending
	// room is where in pages the first with a free place may be.
	room uint32
	// ghosts count what rows had that left (see ghost.go): the first those that
	// were rows of the category's cell, the second those that were forked. 0:
	// none has left.
	ghosts [2]rowID
	// ghostAt is where the first was counted last in a slice.
	ghostAt uint32
	cuts    cuts // in a plain family
}

// familyKey is what a family's rows have in common.
type familyKey struct {
	category, region NameID
	child            bool
}

// familyIndex finds families by their keys: open addressing, 4 bytes a slot, a
// family's index + 1. Where keys mostly have no row, every count asks for its
// family.
type familyIndex []uint32

// find is the place of a key's slot; free where it is in none.
func (x familyIndex) find(key *familyKey, families []*family) uint32 {
	mask := uint32(len(x) - 1)
	i := key.hash() & mask
	for x[i] != 0 && families[x[i]-1].familyKey != *key {
		i = (i + 1) & mask
	}
	return i
}

// grown has room for so many families, those there are among them.
func (x familyIndex) grown(families []*family) familyIndex {
	if 2*len(families) < len(x) {
		return x
	}
	x = make(familyIndex, max(16, 2*len(x)))
	for i, f := range families {
		x[x.find(&f.familyKey, families)] = uint32(i + 1)
	}
	return x
}

func (k *familyKey) hash() uint32 {
	h := uint32(k.category)*0x9e3779b1 ^ uint32(k.region)*0x85ebca6b
	return h ^ h>>15
}

// familyBytes is a family without its rows.
const familyBytes = 208

// rows holds all rows of a shard.
type rows struct {
	index    index // by topic and familyKey; plain rows with category NoName
	pages    []page
	families []*family
	byKey    familyIndex
	// plain are the plain families by region, children the others.
	plain, children map[NameID][]*family
	n               int
	// ghosts is the page that the next ghost goes to.
	ghosts uint32
	// ghostRows is how many of n are ghosts.
	ghostRows int
	// topical is how many are of topics, plain or by category.
	topical int
	// spare are pages without rows.
	spare []uint32
	bytes int64 // of pages and families
	free  int64 // what of them is kept for rows to come
	// tight: memory is short, pages keep little room for rows to come.
	tight bool
	// shared are the pages that a Frozen reads too (see own).
	shared shared
}

func newRows() rows {
	return rows{
		pages:    make([]page, 1), // page 0 stays empty: row 0 is no row
		byKey:    familyIndex(nil).grown(nil),
		plain:    make(map[NameID][]*family),
		children: make(map[NameID][]*family),
	}
}

// at is a row to be read.
func (r *rows) at(id rowID) *row { return r.pages[id>>pageShift].at(id) }

// edit is a row to be written to.
func (r *rows) edit(id rowID) *row { return r.own(id >> pageShift).at(id) }

// own is a page whose rows are to be written to: what a Frozen reads of it is left
// to it.
func (r *rows) own(p uint32) *page {
	if r.shared.has(p) {
		r.unshare(p)
	}
	return &r.pages[p]
}

// since is the admission of a row.
func (r *rows) since(id rowID) admission {
	p := &r.pages[id>>pageShift]
	return p.since[p.index(id)]
}

// count is how many rows a family has.
func (r *rows) count(f *family) (n int) {
	for _, p := range f.pages {
		n += len(r.pages[p].rows)
	}
	return n
}

func (r *rows) familyOf(id rowID) *family { return r.families[r.pages[id>>pageShift].family] }

// forked is where forked rows' part of a family's totals is kept.
func (r *rows) forked(f *family) *totals {
	if f.forked == nil {
		f.forked = new(totals)
		r.bytes += totalsBytes
	}
	return f.forked
}

const totalsBytes = 8 * int64(windows)

// forkedIn is what forked rows have of a window's total.
func (f *family) forkedIn(w int) uint64 {
	if f.forked == nil {
		return 0
	}
	return f.forked.in(w)
}

// family is the one with a key, or nil.
func (r *rows) family(child bool, category, region NameID) *family {
	key := familyKey{category, region, child}
	if i := r.byKey[r.byKey.find(&key, r.families)]; i != 0 {
		return r.families[i-1]
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
	if p.at(id).topic != topic {
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
		if p.at(id).topic == topic && p.familyKey == (familyKey{category, region, true}) {
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
func (r *rows) add(topic topicID, hash uint64, f uint32, since admission) rowID {
	fam := r.families[f]
	id := r.place(fam, row{topic: topic}, since)
	r.n++
	if fam.region == NoName {
		r.topical++
	}
	switch {
	case fam.child:
		r.index.add(rowHash(hash, true, fam.category, fam.region), id)
	case fam.region != NoName:
		r.index.add(rowHash(hash, false, NoName, fam.region), id)
	}
	return id
}

// place puts a row into a family's pages.
func (r *rows) place(f *family, x row, since admission) rowID {
	for ; int(f.room) < len(f.pages); f.room++ {
		p := f.pages[f.room]
		if len(r.pages[p].rows) < pageRows {
			return p<<pageShift | r.put(p, x, since)
		}
	}
	p := r.newPage(f.index, f.familyKey)
	i, _ := slices.BinarySearch(f.pages, p)
	f.pages = slices.Insert(f.pages, i, p)
	f.room = uint32(i)
	return p<<pageShift | r.put(p, x, since)
}

// filled is how many rows the page has that the family's next one probably goes to.
func (r *rows) filled(f *family) uint64 {
	if int(f.room) == len(f.pages) {
		return 0
	}
	return uint64(len(r.pages[f.pages[f.room]].rows))
}

// fit gives room of a page back that is more than usual. Its rows are written to
// new places then, so that it need not be the table's own.
func (r *rows) fit(pg *page) {
	r.bytes -= pg.bytes()
	r.free -= pg.room()
	pg.fit()
	r.bytes += pg.bytes()
	r.free += pg.room()
}

func (r *rows) newPage(family uint32, key familyKey) (p uint32) {
	if n := len(r.spare); n > 0 {
		p, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		p = uint32(len(r.pages))
		r.pages = append(r.pages, page{})
		r.bytes += pageBytes
	}
	r.pages[p] = page{family: family, familyKey: key, oldest: maxMoment}
	return p
}

// put puts a row into a page.
func (r *rows) put(p uint32, x row, since admission) rowID {
	pg := r.own(p)
	r.bytes -= pg.bytes()
	r.free -= pg.room()
	place := pg.add(x, since, r.tight)
	r.bytes += pg.bytes()
	r.free += pg.room()
	return rowID(place)
}

// remove gives a row's place away; hash is its topic's. Nothing may name the
// row any more but candidate sets, which look before they believe.
func (r *rows) remove(id rowID, hash uint64) {
	p := id >> pageShift
	pg := r.own(p)
	f := r.families[pg.family]
	switch {
	case f.child:
		r.index.remove(rowHash(hash, true, f.category, f.region), id)
	case f.region != NoName:
		r.index.remove(rowHash(hash, false, NoName, f.region), id)
	}
	r.n--
	if f.region == NoName {
		r.topical--
	}
	if len(pg.rows) == pageRows {
		i, _ := slices.BinarySearch(f.pages, p)
		f.room = min(f.room, uint32(i))
	}
	r.bytes -= pg.bytes()
	r.free -= pg.room()
	if pg.remove(uint8(id)); len(pg.rows) > 0 {
		r.bytes += pg.bytes()
		r.free += pg.room()
		return
	}
	*pg = page{family: noFamily, familyKey: noKey}
	i, _ := slices.BinarySearch(f.pages, p)
	f.pages = slices.Delete(f.pages, i, i+1)
	f.room = min(f.room, uint32(i))
	r.spare = append(r.spare, p)
}

// What a page is that belongs to no family: one without rows, or one of ghosts.
const (
	noFamily    = ^uint32(0)
	ghostFamily = noFamily - 1
)

// noKey is such a page's, that of no cell.
var noKey = familyKey{child: true, category: ^NameID(0), region: ^NameID(0)}
