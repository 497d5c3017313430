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
	oldest messages.Micros // where late counts of it begin
	// bound is what the key may have in each window, all told: first what was
	// hidden before the row was made, then the row's own counts as they are
	// found.
	bound reading
}

// admitted is when the row was made, or a time before.
func (l *leaver) admitted() messages.Micros {
	if at := l.since.at(); at != maxMoment {
		return at
	}
	return minMoment + fresh
}

// leaving is a batch of rows that leave: in one pass over the slices, since
// finding a page in a slice costs more than taking a row out of it.
type leaving struct {
	rows   []leaver
	chosen []uint64 // packed: the rows and their children, each with its owner's place in rows
	ids    []rowID  // theirs, ascending
	goers  []goer   // what else is known of them
	ghosts []rowID
	sums   []uint64 // per ghost: what it takes over of the slice at hand
	starts [allWindow]messages.Micros

	entrants []uint64 // packed: the index of the slice to begin with, and that in ids
	active   []int32  // indices into ids: rows that the slice at hand may have, ascending
	merged   []int32
	sought   []rowID // their ids
}

// goer is a row that leaves, plain or child.
type goer struct {
	left  uint64 // of what it has counted: not found in any slice so far
	owner int32  // its plain row's index in leaving.rows
	ghost int32  // its index in leaving.ghosts
	child bool   // what it has, its plain row has too
}

// Bytes of a row in a batch, and of each child besides.
const (
	leaverBytes = 120
	goerBytes   = 72
)

// add takes a plain row into the batch.
func (l *leaving) add(t *Table, id rowID) {
	p := &t.rows.pages[id>>pageShift]
	i := p.index(id)
	r, since := &p.rows[i], p.since[i]
	owner := uint32(len(l.rows))
	l.rows = append(l.rows, leaver{
		id: id, topic: r.topic, region: p.region, since: since, oldest: p.oldest,
		key: t.hidden.key(t.topics.Name(r.topic), p.region),
	})
	l.chosen = append(l.chosen, pack(id, owner))
	for link := r.link; link != 0; link = t.rows.at(link).link {
		l.chosen = append(l.chosen, pack(link, owner))
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
	t.leaveSlices(l)
	if len(t.merge.sources) > 0 {
		// What has been merged so far was taken out of the sources just now.
		t.merge.build.remove(l.ids, func() {}, func(int, uint64) {})
	}
	for i := range l.goers {
		if g := &l.goers[i]; !g.child {
			t.noteFloor(&l.rows[g.owner], g.left)
		}
	}
	for i := range l.rows {
		t.drop(&l.rows[i])
	}
	l.reset()
}

func (l *leaving) reset() {
	l.rows, l.chosen, l.ids, l.goers, l.ghosts = l.rows[:0], l.chosen[:0], l.ids[:0], l.goers[:0], l.ghosts[:0]
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
		id := packedRow(e)
		f, r, forked := t.rows.familyOf(id), t.rows.at(id), 0
		if f != family {
			family, last = f, [2]int32{-1, -1}
		}
		if !f.child && r.link != 0 {
			forked = 1
		}
		if last[forked] < 0 {
			last[forked] = int32(len(l.ghosts))
			l.ghosts = append(l.ghosts, t.rows.ghost(f, forked == 1))
		}
		l.ids = append(l.ids, id)
		l.goers = append(l.goers, goer{left: t.rows.at(id).all, owner: int32(packedCount(e)), ghost: last[forked], child: f.child})
	}
	l.sums = append(l.sums[:0], make([]uint64, len(l.ghosts))...)
}

// leaveSlices takes the rows out of the slices. A row is looked for from the
// slice of its admission on, and until all it has counted is found: most that
// leave have been seen once or twice. Where something is missing then, it came
// late, and lies before, or has left with its slice.
func (t *Table) leaveSlices(l *leaving) {
	kept := t.line.slices
	l.entrants = l.entrants[:0]
	for i := range l.ids {
		l.entrants = append(l.entrants, pack(t.line.reaches(l.rows[l.goers[i].owner].admitted()-fresh), uint32(i)))
	}
	t.leaveFrom(l, len(kept))
	end := 0
	l.entrants = l.entrants[:0]
	for i := range l.goers {
		r := &l.rows[l.goers[i].owner]
		first, next := t.line.reaches(r.oldest), t.line.reaches(r.admitted()-fresh)
		if l.goers[i].left > 0 && first < next {
			l.entrants, end = append(l.entrants, pack(first, uint32(i))), max(end, int(next))
		}
	}
	t.leaveFrom(l, end)
}

// leaveFrom takes rows out of the slices before the end-th, each from where it
// enters.
func (t *Table) leaveFrom(l *leaving, end int) {
	slices.Sort(l.entrants)
	l.active = l.active[:0]
	waiting := l.entrants
	for at := 0; at < end; at++ {
		if len(l.active) == 0 {
			if len(waiting) == 0 {
				return
			}
			at = max(at, int(waiting[0]>>32))
			if at >= end {
				return
			}
		}
		waiting = l.enter(waiting, at)
		if t.leaveSlice(l, t.line.slices[at]) {
			l.active = slices.DeleteFunc(l.active, func(i int32) bool { return l.goers[i].left == 0 })
		}
	}
}

// enter makes those active that wait for the at-th slice, and returns the others.
func (l *leaving) enter(waiting []uint64, at int) []uint64 {
	n := 0
	for n < len(waiting) && int(waiting[n]>>32) <= at {
		n++
	}
	if n == 0 {
		return waiting
	}
	some, old := waiting[:n], l.active
	l.active = l.merged[:0]
	for _, i := range old {
		for len(some) > 0 && int32(some[0]&math.MaxUint32) < i {
			l.active, some = append(l.active, int32(some[0]&math.MaxUint32)), some[1:]
		}
		l.active = append(l.active, i)
	}
	for _, e := range some {
		l.active = append(l.active, int32(e&math.MaxUint32))
	}
	l.merged = old
	return waiting[n:]
}

// boundBefore sets the rows' bounds to what may be hidden of them already.
func (t *Table) boundBefore(l *leaving) {
	t.hiding.batch++
	for i := range l.rows {
		if r := &l.rows[i]; r.since&pristine == 0 {
			t.boundRow(l, r)
		}
	}
	t.hiding.floors = t.hiding.floors[:0]
}

// boundRow sets a row's bounds: the least of what the floor and the sketches
// say. They are asked only where the bound would raise what is noted of the row's
// region at this step.
func (t *Table) boundRow(l *leaving, r *leaver) {
	f, own := t.hidingFloor(r.region, &l.starts), t.rows.at(r.id).all
	var read reading
	t.hidden.whole.read(r.key, &read)
	look := lookup{t: t, key: r.key, read: &read, starts: &l.starts, end: min(r.since.at()+1, maxMoment)}
	for w := range r.bound {
		if w < allWindow && (r.since&clean != 0 || l.starts[w] > r.since.at()) {
			continue
		}
		r.bound[w] = look.in(w, f.before[w], f.most[w]-min(f.most[w], own))
		f.most[w] = max(f.most[w], r.bound[w])
	}
}

// leaveSlice takes the active rows out of a slice; false: it has none of them.
func (t *Table) leaveSlice(l *leaving, s *slice) bool {
	from := 0
	for from < allWindow && l.starts[from] > s.start {
		from++
	}
	l.sought = l.sought[:0]
	for _, i := range l.active {
		l.sought = append(l.sought, l.ids[i])
	}
	found, in := 0, narrowsOf(s.start)
	t.ownFrozen(s)
	entries := s.list.n
	s.remove(l.sought, &t.scratch.sorter, func(i int, n uint64) {
		found++
		g := &l.goers[l.active[i]]
		g.left -= min(n, g.left)
		l.sums[g.ghost] = addSaturating(l.sums[g.ghost], n)
		if g.child {
			return
		}
		r := &l.rows[g.owner]
		t.hidden.fold(s, &in, from, r.key, n, nil)
		for w := from; w < allWindow; w++ {
			r.bound[w] = addSaturating(r.bound[w], n)
		}
	})
	if found == 0 {
		return false
	}
	if s.list.n < entries {
		s.list.version = t.line.newVersion()
	}
	for g, n := range l.sums {
		if n > 0 {
			at := uint32(searchPacked(s.late, l.ghosts[g]))
			s.addTo(&at, l.ghosts[g], n)
			l.sums[g] = 0
		}
	}
	t.merge.due = true
	t.merge.credit += creditPerRow * found
	return true
}

// noteFloor notes the moment's bounds, and hides what was found in no slice:
// it left with its own.
func (t *Table) noteFloor(r *leaver, left uint64) {
	h := &t.hidden
	f := h.floor(r.region)
	for w, bound := range r.bound[:allWindow] {
		m := &f.recent[w]
		m.forget(t.floorStart(w))
		m.note(t.line.open.Floor(Grid(messages.StandardWindows[w])), bound)
	}
	if left > 0 {
		h.fold(nil, nil, allWindow, r.key, left, nil)
	}
	f.all = max(f.all, addSaturating(r.bound[allWindow], t.rows.at(r.id).all))
	h.filter.Add(r.key, int64(t.clock))
}

// drop gives the row's place, and its children's, away, and the topic's when
// no row of it is left.
func (t *Table) drop(l *leaver) {
	hash := t.topics.at(l.topic).hash
	for id := l.id; id != 0; {
		r := t.rows.at(id)
		f := t.rows.familyOf(id)
		t.rows.edit(t.rows.ghost(f, !f.child && r.link != 0)).addAll(&r.totals)
		next := r.link
		t.rows.remove(id, hash)
		id = next
	}
	if l.region != NoName {
		t.topics.edit(l.topic).regions--
		return
	}
	t.topics.remove(l.topic)
}
