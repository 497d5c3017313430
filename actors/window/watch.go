package window

import (
	"math"
	"slices"

	"github.com/crestdb/crest/actors/rank"
)

// watch is the candidate sets kept of one cell, one per standard window that
// somebody asks for.
type watch struct {
	cell cell
	// least is the count from which a row may be a candidate; math.MaxUint64
	// where no set is kept.
	least [windows]uint64
	sets  [windows]*watched
}

// watched is a candidate set and when it was last asked.
type watched struct {
	rank.Candidates
	watch  *watch
	window int
	asked  uint64
}

// watches is every candidate set of a table. A set that nobody has asked for
// during watchIdle deltas and slides is dropped; so is the one asked longest
// ago when there are more than maxWatched or they hold more than watchedBytes.
type watches struct {
	byCell map[cell]*watch
	sets   []*watched
	now    uint64 // deltas and slides so far
	fills  int    // scans so far
}

const (
	watchIdle    = 2048
	watchLook    = 64 // how often idle sets are looked for
	maxWatched   = 512
	watchedBytes = 8 << 20
)

func newWatches() watches { return watches{byCell: make(map[cell]*watch)} }

// age counts a delta or slide.
func (t *Table) age() {
	w := &t.watches
	if w.now++; w.now%watchLook != 0 {
		return
	}
	for i := len(w.sets) - 1; i >= 0; i-- {
		if w.sets[i].asked+watchIdle < w.now {
			t.unwatch(i)
		}
	}
}

// watched is the candidate set of a cell and window, empty if it is new.
func (t *Table) watched(c cell, window int) *watched {
	w := t.watches.byCell[c]
	if w == nil || w.sets[window] == nil {
		t.makeRoom()
		w = t.watchOf(c)
		w.sets[window] = &watched{watch: w, window: window}
		t.watches.sets = append(t.watches.sets, w.sets[window])
	}
	w.sets[window].asked = t.watches.now
	return w.sets[window]
}

// watchOf finds or makes the watch of a cell.
func (t *Table) watchOf(c cell) *watch {
	w := t.watches.byCell[c]
	if w == nil {
		w = &watch{cell: c}
		for i := range w.least {
			w.least[i] = math.MaxUint64
		}
		t.watches.byCell[c] = w
		t.connect(w, w)
	}
	return w
}

// connect makes the families of w's cell point to to: w, or nil.
func (t *Table) connect(w, to *watch) {
	for _, p := range t.parts(w.cell) {
		if w.cell.any {
			p.family.wide = to
		} else {
			p.family.narrow = to
		}
	}
}

func (t *Table) makeRoom() {
	for len(t.watches.sets) >= maxWatched || t.watches.bytes() > watchedBytes {
		oldest := 0
		for i, s := range t.watches.sets {
			if s.asked < t.watches.sets[oldest].asked {
				oldest = i
			}
		}
		t.unwatch(oldest)
	}
}

// unwatch drops the i-th set.
func (t *Table) unwatch(i int) {
	s := t.watches.sets[i]
	t.watches.sets = slices.Delete(t.watches.sets, i, i+1)
	w := s.watch
	w.sets[s.window], w.least[s.window] = nil, math.MaxUint64
	for _, other := range w.sets {
		if other != nil {
			return
		}
	}
	delete(t.watches.byCell, w.cell)
	t.connect(w, nil)
}

func (w *watches) bytes() (n int64) {
	for _, s := range w.sets {
		n += s.Bytes()
	}
	return n
}

// notice lets the sets of a row's cells know that it gained n in the windows
// from the from-th on.
func (t *Table) notice(id rowID, r *row, f *family, from int, n uint64) {
	if f.wide != nil {
		t.offer(f.wide, id, r, from, n)
	}
	if f.narrow != nil && (f.child || r.link == 0) {
		t.offer(f.narrow, id, r, from, n)
	}
}

func (t *Table) offer(w *watch, id rowID, r *row, from int, n uint64) {
	for i := from; i < windows; i++ {
		// A row that was beyond the threshold before is in already.
		if total := r.in(i); total >= w.least[i] && total-n <= w.least[i] || r.full() {
			t.take(w.sets[i], id, r, total)
		}
	}
}

// noticeNew offers a row that came with totals.
func (t *Table) noticeNew(w *watch, id rowID) {
	r := t.rows.at(id)
	for i, s := range w.sets {
		t.take(s, id, r, t.total(id, r, i))
	}
}

// take offers a row to a set, if there is one.
func (t *Table) take(s *watched, id rowID, r *row, total uint64) {
	if s == nil {
		return
	}
	it := t.item(id, r, total)
	if s.Take(&t.topics, &it); s.Full() {
		t.trim(s)
	}
}

func (t *Table) item(id rowID, r *row, count uint64) rank.Item {
	return rank.Item{Count: count, Prefix: t.topics.at(r.topic).prefix, Topic: r.topic, Row: id}
}

// leaders are a cell's first k rows by their totals in a standard window, valid
// until the table is used again.
func (t *Table) leaders(c cell, window, k int) []rank.Item {
	s := t.watched(c, window)
	if k > s.K {
		s.K = k
		t.fill(s)
	}
	if t.choose(s, k) < k && !s.Open() {
		t.fill(s)
		t.choose(s, k)
	}
	return t.scratch.selection.Sorted()
}

// choose selects the first k of the candidates, drops those that have fallen
// behind the threshold, and returns how many are left.
func (t *Table) choose(s *watched, k int) int {
	left, sel := t.scratch.ids[:0], &t.scratch.selection
	sel.Reset(k, &t.topics)
	for _, id := range s.Rows() {
		r := t.rows.at(id)
		n := t.total(id, r, s.window)
		if n < s.Least() || !t.ofCell(s.watch.cell, id, r) {
			continue
		}
		if it := t.item(id, r, n); s.Reaches(&t.topics, &it) {
			left = append(left, id)
			sel.Offer(it)
		}
	}
	t.scratch.ids = left
	if 8*len(left) < 7*len(s.Rows()) {
		s.Keep(left)
	}
	return len(left)
}

// ofCell tells whether a row of a cell's families still is a row of the cell:
// forked rows are no longer those of their category.
func (t *Table) ofCell(c cell, id rowID, r *row) bool {
	return c.any || r.link == 0 || t.rows.familyOf(id).child
}

// trim raises the threshold of a set that has grown too large.
func (t *Table) trim(s *watched) {
	if t.choose(s, s.Want()) >= s.Want() {
		t.refill(s, t.scratch.selection.Sorted(), false)
	}
}

// fill scans the cell for its first rows.
func (t *Table) fill(s *watched) {
	t.watches.fills++
	sel := &t.scratch.selection
	sel.Reset(s.Want(), &t.topics)
	t.scan(sel, s.watch.cell, s.window)
	t.refill(s, sel.Sorted(), !sel.Full())
}

func (t *Table) refill(s *watched, sorted []rank.Item, whole bool) {
	s.Refill(&t.topics, sorted, whole)
	s.watch.least[s.window] = s.Least()
}

// scan offers all rows of a cell by their totals in a standard window.
func (t *Table) scan(sel *rank.Selection, c cell, window int) {
	for _, part := range t.parts(c) {
		for _, p := range part.family.pages {
			rows := t.rows.pages[p].rows
			for i := range rows {
				r, id := &rows[i], p<<pageShift|uint32(i)
				if n := t.total(id, r, window); n >= sel.Least() && (!part.unforked || r.link == 0) {
					sel.Offer(t.item(id, r, n))
				}
			}
		}
	}
}
