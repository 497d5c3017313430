package window

import (
	"slices"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// topHidden is topOwn where up to floor of any topic may be in no row. A row
// that is not listed may have floor more than counted; so behind the first k
// rows all those are looked at that could come before the k-th, or as many of
// them as the search may go through, and those are listed that still could once
// what is hidden of each is known.
func (t *Table) topHidden(v *view, c cell, k int, floor uint64) *rank.Part {
	p := &rank.Part{Rest: floor}
	first := slices.Clone(t.best(v, c, k+1))
	if len(first) <= k { // there are no others with a count
		p.Rows = t.named(first)
		t.bound(v, first, p.Rows)
		return p
	}
	first = first[:k]
	p.Rows = t.named(first)
	t.bound(v, first, p.Rows)
	s := search{floor: floor, last: first[k-1], most: deepest*k + deepest*64}
	t.search(v, c, &s)
	t.listRivals(v, &s, p)
	if len(p.Rows) == k {
		return p
	}
	return p.Cut(k)
}

// search is a look behind the last of a cell's first rows.
type search struct {
	floor uint64
	last  rank.Item
	most  int // items
	// What is found: all rows behind the last but some with at most left.
	items []rank.Item
	left  uint64
}

// deepest is how many times as many rows as asked for are looked at in search
// of a certain board.
const deepest = 16

// least is the count from which a row may come before the last one.
func (s *search) least() uint64 {
	if s.last.Count <= s.floor {
		return 1
	}
	return s.last.Count - s.floor
}

// search finds the rows behind the last. The candidates are enough if all that
// may come before it are among them; else the cell is gone through, and no set
// grows by it. In a large cell that was in vain lately, the candidates have to do.
func (t *Table) search(v *view, c cell, s *search) {
	least := s.least()
	var set *watched
	if v.direct() {
		set = t.watches.of(c, v.base)
	}
	switch {
	case set != nil && (set.Open() || set.Least() < least):
		t.searchSet(set, s, least)
	case set != nil && set.vain > t.watches.now:
		t.searchSet(set, s, set.Least()+1)
	default:
		looked := t.searchCell(v, c, s, least)
		if set != nil && looked > searchFreely && addSaturating(s.left, s.floor) >= s.last.Count {
			set.vain = t.watches.now + searchPause
		}
	}
}

// A search in vain through more rows than searchFreely, about a millisecond, is
// tried again after searchPause deltas and slides.
const (
	searchFreely = 1 << 17
	searchPause  = 256
)

// searchSet is a search among the candidates with at least so many.
func (t *Table) searchSet(set *watched, s *search, least uint64) {
	for _, id := range set.Rows() {
		r := t.ofCell(set.watch.cell, id)
		if r == nil {
			continue
		}
		if n := t.total(id, r, set.window); n >= least {
			if it := t.item(id, r, n); rank.Precedes(&t.topics, &s.last, &it) {
				s.items = append(s.items, it)
			}
		}
	}
	s.left = least - 1
	s.limit()
}

// searchCell is a search among all rows with at least so many, and tells how
// many there are of any count.
func (t *Table) searchCell(v *view, c cell, s *search, least uint64) (looked int) {
	t.each(c, func(id rowID, r *row) {
		looked++
		n := t.total(id, r, v.within) // no less than in the view
		if n < least {
			return
		}
		it := t.item(id, r, n)
		if !v.direct() || rank.Precedes(&t.topics, &s.last, &it) {
			s.items = append(s.items, it)
		}
	})
	s.left = least - 1
	s.limit()
	if v.direct() {
		return looked
	}
	t.countItems(v, s.items)
	s.items = slices.DeleteFunc(s.items, func(it rank.Item) bool {
		return it.Count == 0 || !rank.Precedes(&t.topics, &s.last, &it)
	})
	return looked
}

// limit leaves out the items of the smallest counts if there are too many.
func (s *search) limit() {
	if len(s.items) <= s.most {
		return
	}
	var counts histogram
	for i := range s.items {
		counts[bucket(s.items[i].Count)]++
	}
	b, n := len(counts), 0
	for b > 0 && n+int(counts[b-1]) <= s.most {
		b--
		n += int(counts[b])
	}
	// Those of the buckets below b go; the greatest of their counts is left.
	s.items = slices.DeleteFunc(s.items, func(it rank.Item) bool {
		if bucket(it.Count) >= b {
			return false
		}
		s.left = max(s.left, it.Count)
		return true
	})
}

// listRivals adds the rows found that may come before the last, or have more
// than what is not listed anyhow. Of those that Cut would leave out, since so many
// others have a greater bound, it need not even be known how far theirs is below.
func (t *Table) listRivals(v *view, s *search, p *rank.Part) {
	k := len(p.Rows)
	p.Rest = max(p.Rest, addSaturating(s.left, s.floor))
	bar := max(p.Rest, s.last.Count-1)
	greatest := &t.scratch.selection // upper bounds
	greatest.Reset(k+1, &t.topics)
	for i := range p.Rows {
		greatest.Offer(rank.Item{Count: p.Rows[i].Count.Upper})
	}
	rivals, uppers := s.items[:0], make([]uint64, 0, k)
	for _, it := range s.items {
		enough := bar - min(bar, it.Count)
		upper := addSaturating(it.Count, s.floor)
		if upper > bar {
			upper = addSaturating(it.Count, t.hiddenOfRow(v, it.Row, enough))
		}
		if upper <= bar {
			p.Rest = max(p.Rest, upper)
			continue
		}
		rivals, uppers = append(rivals, it), append(uppers, upper)
		greatest.Offer(rank.Item{Count: upper})
		bar = max(bar, greatest.Least()-1)
	}
	listed := 0
	for i, upper := range uppers {
		if upper <= bar {
			p.Rest = max(p.Rest, upper)
			continue
		}
		rivals[listed], uppers[listed] = rivals[i], upper
		listed++
	}
	rows := t.named(rivals[:listed])
	for i := range rows {
		rows[i].Count.Upper = uppers[i]
	}
	p.Rows = append(p.Rows, rows...)
}

// bound sets rows' upper bounds, where something of them may be in no row.
func (t *Table) bound(v *view, items []rank.Item, rows []rank.Row) {
	for i := range items {
		rows[i].Count = rows[i].Count.Add(messages.Count{Upper: t.hiddenOfRow(v, items[i].Row, 0)})
	}
}
