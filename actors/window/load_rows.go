package window

import (
	"math"
	"slices"

	"github.com/crestdb/crest/messages"
)

// loadRows reads the pages, and makes anew what follows from them: families'
// totals, the index, chains, what topics know of their rows.
func (l *loader) loadRows(r *blockReader) {
	t := l.t
	x := &t.rows
	r.must(r.more())
	said := r.uvarint()
	for r.more() {
		l.loadPage(r)
	}
	if !r.must(uint64(x.n) == said) {
		return
	}
	slices.Reverse(x.spare)
	x.index.reserve(x.n)
	var children []uint32
	for p := range x.pages {
		if f := x.pages[p].family; f >= ghostFamily {
			continue
		}
		if x.pages[p].child {
			children = append(children, uint32(p))
		} else if x.pages[p].region == NoName {
			continue
		}
		l.indexPage(r, uint32(p))
	}
	for _, p := range children {
		l.chainPage(r, p)
	}
	for p := range x.pages {
		l.sumPage(r, uint32(p))
	}
	for _, c := range t.topics.records.chunks {
		if c == nil {
			continue
		}
		for i := range c.topic {
			r.must(c.topic[i].size == 0 || c.topic[i].row != 0)
		}
	}
}

// loadPage reads one page.
func (l *loader) loadPage(r *blockReader) {
	t := l.t
	x := &t.rows
	number := uint32(len(x.pages))
	if number >= 1<<(32-pageShift) {
		r.fail()
		return
	}
	x.bytes += pageBytes
	kind := r.uvarint()
	if kind == 0 {
		x.pages = append(x.pages, page{family: noFamily, familyKey: noKey})
		x.spare = append(x.spare, number)
		return
	}
	places, family := (kind-1)&1 == 1, (kind-1)>>1
	if family > uint64(len(x.families)) {
		r.fail()
		return
	}
	pg := page{family: ghostFamily, familyKey: noKey, oldest: maxMoment}
	if family > 0 {
		f := x.families[family-1]
		pg.family, pg.familyKey = f.index, f.familyKey
		f.pages = append(f.pages, number)
	}
	n := l.loadPlaces(r, &pg, places)
	if r.bool() {
		pg.oldest = messages.Micros(r.varint())
	}
	if r.err != nil {
		return
	}
	pg.rows, pg.since = make([]row, n), make([]admission, n)
	var key, since int64
	for i := range pg.rows {
		key += r.varint()
		since += r.varint()
		r.must(key >= 0 && key <= math.MaxUint32 && since >= 0 && since <= math.MaxUint32)
		loadTotals(r, &pg.rows[i].totals)
		pg.since[i] = admission(since)
		if r.err != nil {
			return
		}
		if id := pg.id(number, i); family == 0 {
			l.loadGhost(r, id, &pg.rows[i], uint64(key))
		} else {
			l.loadRow(r, id, &pg.rows[i], topicID(key), &pg)
		}
	}
	if family == 0 && n < pageRows {
		r.must(x.ghosts == 0) // they fill one page after the other
		x.ghosts = number
	}
	x.n += n
	x.pages = append(x.pages, pg)
	x.bytes += pg.bytes()
}

// loadPlaces reads how many rows there are, and their places if they are not those
// they are stored at.
func (l *loader) loadPlaces(r *blockReader, pg *page, places bool) (n int) {
	n = int(r.byte()) + 1
	if !places {
		return n
	}
	pg.scattered = new(scattered)
	for i, place := range r.bytes(uint64(n)) {
		r.must(!pg.has(rowID(place)))
		pg.setPlace(i, place)
	}
	return n
}

func loadTotals(r *blockReader, t *totals) {
	mask := r.byte()
	var parts [windows]uint64
	for i := range parts {
		switch {
		case mask&(1<<i) == 0:
		case mask&onlyOnes != 0:
			parts[i] = 1
		default:
			parts[i] = r.uvarint()
		}
	}
	sum := uint64(0)
	for i := range allWindow {
		sum += parts[i]
		t.out[allWindow-1-i] = sum
	}
	t.all = sum + parts[allWindow]
}

func (l *loader) loadGhost(r *blockReader, id rowID, x *row, link uint64) {
	rows := &l.t.rows
	if link < 2 || link/2-1 >= uint64(len(rows.families)) {
		r.fail()
		return
	}
	x.topic, x.link = noTopic, rowID(link)
	f := rows.families[link/2-1]
	r.must(f.ghosts[link&1] == 0)
	f.ghosts[link&1] = id
	rows.ghostRows++
}

func (l *loader) loadRow(r *blockReader, id rowID, x *row, topic topicID, pg *page) {
	records := &l.t.topics.records
	if topic>>topicShift >= uint32(len(records.chunks)) {
		r.fail()
		return
	}
	record := records.find(topic)
	if record == nil || record.size == 0 {
		r.fail()
		return
	}
	x.topic = topic
	if pg.region == NoName {
		l.t.rows.topical++
	}
	switch {
	case pg.child:
	case pg.region != NoName:
		record.regions++
	default:
		r.must(record.row == 0)
		record.row = id
	}
}

// indexPage enters the rows of a page into the index; none may be there twice.
func (l *loader) indexPage(r *blockReader, p uint32) {
	x, topics := &l.t.rows, &l.t.topics
	pg := &x.pages[p]
	for i := range pg.rows {
		topic := pg.rows[i].topic
		hash := topics.at(topic).hash
		if pg.child {
			r.must(x.findChild(topic, hash, pg.category, pg.region) == 0)
			x.index.add(rowHash(hash, true, pg.category, pg.region), pg.id(p, i))
		} else {
			r.must(x.findPlain(topic, hash, pg.region) == 0)
			x.index.add(rowHash(hash, false, NoName, pg.region), pg.id(p, i))
		}
	}
}

// chainPage links the child rows of a page to their plain rows.
func (l *loader) chainPage(r *blockReader, p uint32) {
	x, topics := &l.t.rows, &l.t.topics
	pg := &x.pages[p]
	for i := range pg.rows {
		child := &pg.rows[i]
		plain := topics.at(child.topic).row
		if pg.region != NoName {
			plain = x.findPlain(child.topic, topics.at(child.topic).hash, pg.region)
		}
		if plain == 0 {
			r.fail()
			return
		}
		first := x.at(plain)
		child.link, first.link = first.link, pg.id(p, i)
	}
}

// sumPage adds the rows of a page up for their family.
func (l *loader) sumPage(r *blockReader, p uint32) {
	x := &l.t.rows
	pg := &x.pages[p]
	if pg.family == noFamily || len(pg.rows) == 0 {
		return
	}
	for i := range pg.rows {
		row := &pg.rows[i]
		if pg.family == ghostFamily {
			f, forked := x.owner(row)
			f.addAll(&row.totals)
			if forked {
				x.forked(f).addAll(&row.totals)
			}
			continue
		}
		f := x.families[pg.family]
		f.addAll(&row.totals)
		if !pg.child && row.link != 0 {
			x.forked(f).addAll(&row.totals)
		}
	}
}

// reserve makes room for so many entries, as if they had come one by one.
func (x *index) reserve(n int) {
	slots := indexMinSlots
	for 3*slots < 4*(n/indexParts+1) {
		slots *= 2
	}
	for i := range x.parts {
		x.resize(&x.parts[i], slots)
	}
}
