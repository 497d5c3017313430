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

// watched is a candidate set, when it was last asked, and the most rows asked
// of it since it was last looked at whether it may be smaller.
type watched struct {
	rank.Candidates
	watch    *watch
	window   int
	asked    uint64
	most     int
	reviewed uint64
	vain     uint64 // until when a search behind the set is not tried (see search)
}

// watches is every candidate set of a table. A set that nobody has asked for
// during watchIdle deltas and slides is dropped; so is the one asked longest
// ago when there are more than maxWatched or they hold more than their share of
// the memory. What would take half of that alone is chosen anew each time. A set
// of which less than half as many rows are asked as were gets smaller.
type watches struct {
	byCell map[cell]*watch
	sets   []*watched
	now    uint64 // deltas and slides so far
	fills  int    // scans so far
}

const (
	watchIdle    = 2048
	watchLook    = 64 // how often idle sets are looked for
	watchReview  = 512
	maxWatched   = 512
	watchedBytes = 8 << 20
	watchedShare = 32 // of the memory, if it is bounded
)

// watchedLimit is how many bytes the sets may take.
func (t *Table) watchedLimit() int64 {
	if m := t.hidden.memory; m > 0 {
		return min(watchedBytes, m/watchedShare)
	}
	return watchedBytes
}

func newWatches() watches { return watches{byCell: make(map[cell]*watch)} }

// age counts a delta or slide.
func (t *Table) age() {
	w := &t.watches
	if w.now++; w.now%watchLook != 0 {
		return
	}
	for i := len(w.sets) - 1; i >= 0; i-- {
		switch s := w.sets[i]; {
		case s.asked+watchIdle < w.now:
			t.unwatch(i)
		case s.reviewed+watchReview < w.now:
			t.review(s)
		}
	}
	t.fit(nil)
}

// review makes a set smaller if fewer rows are asked of it than once were.
func (t *Table) review(s *watched) {
	if s.most > 0 && 2*s.most < s.K {
		s.K = s.most
		t.trim(s)
	}
	s.most, s.reviewed = 0, t.watches.now
}

// watched is the candidate set of a cell and window, empty if it is new.
func (t *Table) watched(c cell, window int) *watched {
	w := t.watches.byCell[c]
	if w == nil || w.sets[window] == nil {
		if len(t.watches.sets) >= maxWatched {
			t.unwatch(t.watches.oldest(nil))
		}
		w = t.watchOf(c)
		w.sets[window] = &watched{watch: w, window: window, reviewed: t.watches.now}
		t.watches.sets = append(t.watches.sets, w.sets[window])
	}
	w.sets[window].asked = t.watches.now
	return w.sets[window]
}

// of is the candidate set of a cell and window, if there is one.
func (w *watches) of(c cell, window int) *watched {
	if w := w.byCell[c]; w != nil {
		return w.sets[window]
	}
	return nil
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

// fit drops sets, but not keep, until the others have room.
func (t *Table) fit(keep *watched) {
	for t.watches.bytes() > t.watchedLimit() {
		i := t.watches.oldest(keep)
		if i < 0 {
			return
		}
		t.unwatch(i)
	}
}

// oldest is the set asked longest ago, but not keep; −1: there is no other.
func (w *watches) oldest(keep *watched) int {
	oldest := -1
	for i, s := range w.sets {
		if s != keep && (oldest < 0 || s.asked < w.sets[oldest].asked) {
			oldest = i
		}
	}
	return oldest
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
	if 2*rank.CandidateBytes(k) > t.watchedLimit() {
		return t.scanned(c, window, k)
	}
	s := t.watched(c, window)
	s.most = max(s.most, k)
	if k > s.K {
		s.K = k
		t.fill(s)
	}
	if t.choose(s, k) < k && !s.Open() {
		t.fill(s)
		t.choose(s, k)
	}
	t.fit(s)
	return t.scratch.selection.Sorted()
}

// scanned are leaders without a set.
func (t *Table) scanned(c cell, window, k int) []rank.Item {
	sel := &t.scratch.selection
	sel.Reset(k, &t.topics)
	t.scan(sel, c, window)
	return sel.Sorted()
}

// choose selects the first k of the candidates, drops those that have fallen
// behind the threshold, and returns how many are left.
func (t *Table) choose(s *watched, k int) int {
	left, sel := t.scratch.ids[:0], &t.scratch.selection
	sel.Reset(k, &t.topics)
	for _, id := range s.Rows() {
		r := t.ofCell(s.watch.cell, id)
		if r == nil {
			continue
		}
		n := t.total(id, r, s.window)
		if n < s.Least() {
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

// ofCell is a candidate's row if it still is one of the cell; nil: it has left,
// its place may be another's, or it forked and is its category's no longer.
func (t *Table) ofCell(c cell, id rowID) *row {
	p := &t.rows.pages[id>>pageShift]
	if !p.has(id) {
		return nil
	}
	r := p.at(id)
	switch {
	case p.region != c.region:
		return nil
	case c.any && p.child, !c.any && (p.category != c.category || !p.child && r.link != 0):
		return nil
	}
	return r
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
			page := &t.rows.pages[p]
			for i := range page.rows {
				r, id := &page.rows[i], page.id(p, i)
				if n := t.total(id, r, window); n >= sel.Least() && (!part.unforked || r.link == 0) {
					sel.Offer(t.item(id, r, n))
				}
			}
		}
	}
}
