package window

import (
	"math"
	"slices"

	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/messages"
)

// leaver is a plain row that leaves, with its child rows.
type leaver struct {
	id     rowID
	topic  topicID
	region NameID
	key    sketch.Key
	since  admission
	// bound is what the key may have in each window, all told: first what was
	// hidden before the row was made, then the row's own counts as they are
	// found.
	bound [allWindow]uint64
}

// leaving is a batch of rows that leave: in one pass over the slices, since
// finding a page in a slice costs more than taking a row out of it.
type leaving struct {
	rows   []leaver
	chosen []uint64 // packed: the rows and their children, each with its owner
	ids    []rowID  // theirs, ascending
	owner  []int32  // per id: its index in rows, −1 for a child
	ghost  []int32  // per id: its index in ghosts
	ghosts []rowID
	sums   []uint64 // per ghost: what it takes over of the slice at hand
	starts [allWindow]messages.Micros
	from   messages.Micros // nothing of them is in older slices
}

// noOwner is the owner of a child row: what it has, its plain row has too.
const noOwner = math.MaxUint32

// add takes a plain row into the batch.
func (l *leaving) add(t *Table, id rowID) {
	p := &t.rows.pages[id>>pageShift]
	r, since := &p.rows[id&(pageRows-1)], p.since[id&(pageRows-1)]
	region := p.region
	if len(l.rows) == 0 {
		l.from = maxMoment
	}
	l.rows = append(l.rows, leaver{
		id: id, topic: r.topic, region: region, since: since,
		key: t.hidden.key(t.topics.Name(r.topic), region),
	})
	l.chosen = append(l.chosen, pack(id, uint32(len(l.rows)-1)))
	l.from = min(l.from, since.at(), p.oldest)
	if since.at() == maxMoment {
		l.from = minMoment
	}
	for link := r.link; link != 0; link = t.rows.at(link).link {
		l.chosen = append(l.chosen, pack(link, noOwner)) // nothing of it is older than what its plain row has
	}
}

// leave makes a batch of rows leave. What each counted in each kept slice goes
// into the slice's sketch; so that cells' totals stay what they are, also to
// the ghosts of their families.
func (t *Table) leave(l *leaving) {
	if len(l.rows) == 0 {
		return
	}
	t.hidden.begin(t.clock)
	l.prepare(t)
	t.boundBefore(l)
	i, _ := slices.BinarySearchFunc(t.line.slices, l.from-fresh, func(s *slice, m messages.Micros) int {
		return int(min(1, max(-1, s.start-m)))
	})
	for _, s := range t.line.slices[max(0, i-1):] {
		t.leaveSlice(l, s)
	}
	if len(t.merge.sources) > 0 {
		// What has been merged so far was taken out of the sources just now.
		t.merge.build.remove(l.ids, func(int, uint64) {})
	}
	for i := range l.rows {
		t.noteFloor(&l.rows[i])
	}
	for i := range l.rows {
		t.drop(&l.rows[i])
	}
	l.reset()
}

func (l *leaving) reset() {
	*l = leaving{rows: l.rows[:0], chosen: l.chosen[:0], ids: l.ids[:0], owner: l.owner[:0], ghost: l.ghost[:0], ghosts: l.ghosts[:0], sums: l.sums[:0]}
}

// prepare orders the rows and finds their ghosts.
func (l *leaving) prepare(t *Table) {
	for w := range l.starts {
		l.starts[w] = t.floorStart(w)
	}
	t.scratch.sorter.sort(l.chosen)
	last := [2]int32{-1, -1} // of the family at hand
	var family *family
	for _, e := range l.chosen {
		id, owner := packedRow(e), int32(packedCount(e))
		f, forked := t.rows.familyOf(id), 0
		if f != family {
			family, last = f, [2]int32{-1, -1}
		}
		if !f.child && t.rows.at(id).link != 0 {
			forked = 1
		}
		if last[forked] < 0 {
			last[forked] = int32(len(l.ghosts))
			l.ghosts = append(l.ghosts, t.rows.ghost(f, forked == 1))
		}
		l.ids, l.owner, l.ghost = append(l.ids, id), append(l.owner, owner), append(l.ghost, last[forked])
	}
	l.sums = append(l.sums[:0], make([]uint64, len(l.ghosts))...)
}

// boundBefore sets the rows' bounds to what may be hidden of them already.
func (t *Table) boundBefore(l *leaving) {
	t.hiding.batch++
	for i := range l.rows {
		if r := &l.rows[i]; r.since&clean == 0 {
			t.boundRow(l, r)
		}
	}
	t.hiding.floors = t.hiding.floors[:0]
}

// boundRow sets a row's bounds: the least of what the floor, the sketch of
// "all" and those of the slices say. The slices are asked only where the others
// would raise what is noted of the row's region at this step.
func (t *Table) boundRow(l *leaving, r *leaver) {
	f := t.hidingFloor(r.region, &l.starts)
	all, own := t.hidden.estimateAll(r.key), t.rows.at(r.id).all
	sum, bounded, end := uint64(0), true, min(r.since.at()+1, maxMoment)
	for w, start := range l.starts {
		if start > r.since.at() {
			continue
		}
		most := min(all, f.before[w])
		if addSaturating(most, own) > f.most[w] {
			if sum < most && bounded {
				n, ok := t.estimate(t.line.between(start, end), r.key)
				sum, bounded, end = addSaturating(sum, n), ok, start
			}
			if bounded {
				most = min(most, sum)
			}
			f.most[w] = max(f.most[w], most)
		}
		r.bound[w] = most
	}
}

// leaveSlice takes the rows out of a slice.
func (t *Table) leaveSlice(l *leaving, s *slice) {
	from := 0
	for from < allWindow && l.starts[from] > s.start {
		from++
	}
	found := 0
	s.remove(l.ids, &t.scratch.sorter, func(i int, n uint64) {
		found++
		l.sums[l.ghost[i]] = addSaturating(l.sums[l.ghost[i]], n)
		if l.owner[i] < 0 {
			return
		}
		r := &l.rows[l.owner[i]]
		t.hidden.fold(s, r.key, n)
		for w := from; w < allWindow; w++ {
			r.bound[w] = addSaturating(r.bound[w], n)
		}
	})
	if found == 0 {
		return
	}
	for g, n := range l.sums {
		if n > 0 {
			s.add(l.ghosts[g], n)
			l.sums[g] = 0
		}
	}
	t.merge.due = true
	t.merge.credit += creditPerRow * found
}

// noteFloor folds what the row counted in "all" and notes the moment's bounds.
func (t *Table) noteFloor(r *leaver) {
	h := &t.hidden
	f := h.floor(r.region)
	for w, bound := range r.bound {
		m := &f.recent[w]
		m.forget(t.floorStart(w))
		m.note(t.line.open.Floor(Grid(messages.StandardWindows[w])), bound)
	}
	n := t.rows.at(r.id).all
	before := uint64(0)
	if r.since&pristine == 0 {
		before = min(f.all, h.estimateAll(r.key))
	}
	f.all = max(f.all, addSaturating(n, before))
	h.foldAll(r.key, n)
	h.filter.Add(r.key, int64(t.clock))
}

// drop gives the row's place, and its children's, away, and the topic's when
// no row of it is left.
func (t *Table) drop(l *leaver) {
	topic := t.topics.at(l.topic)
	hash := topic.hash
	for id := l.id; id != 0; {
		r := t.rows.at(id)
		f := t.rows.familyOf(id)
		ghost := t.rows.at(t.rows.ghost(f, !f.child && r.link != 0))
		ghost.addAll(&r.totals)
		next := r.link
		t.rows.remove(id, hash)
		id = next
	}
	if l.region != NoName {
		topic.regions--
		return
	}
	t.topics.remove(l.topic)
}
