package window

import (
	"cmp"
	"slices"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// Top is the first K rows of a cell, and what is left out.
func (t *Table) Top(q *TopAsk) *rank.Part {
	c := t.find(q.Cell)
	v := t.look(q.Window, q.E)
	var p *rank.Part
	switch {
	case len(c.others) > 0:
		p = t.topBounded(&v, &c).Cut(q.K)
	case c.known:
		p = t.topOwn(&v, c.own, q.K)
	default:
		return new(rank.Part)
	}
	p.Total = t.totals(&v, &c)
	if q.Categories {
		t.fillCategories(&v, p.Rows)
	}
	return p
}

// topOwn is the answer of a cell with nothing in "other".
func (t *Table) topOwn(v *view, c cell, k int) *rank.Part {
	floor := t.viewFloor(v, c.region)
	if floor > 0 {
		return t.topHidden(v, c, k, floor)
	}
	items := t.best(v, c, k+1)
	p := new(rank.Part)
	if len(items) > k {
		p.LeaveOut(items[k].Count, string(t.topics.Name(items[k].Topic)))
		items = items[:k]
	}
	p.Rows = t.named(items)
	return p
}

// named makes rows of items; their names share one allocation.
func (t *Table) named(items []rank.Item) []rank.Row {
	n := 0
	for i := range items {
		n += int(t.topics.at(items[i].Topic).size)
	}
	text := make([]byte, 0, n)
	for i := range items {
		text = append(text, t.topics.Name(items[i].Topic)...)
	}
	names := string(text)
	rows := make([]rank.Row, len(items))
	for i := range items {
		size := int(t.topics.at(items[i].Topic).size)
		rows[i] = rank.Row{Topic: names[:size], Count: messages.ExactCount(items[i].Count)}
		names = names[size:]
	}
	return rows
}

// best are the first k rows of a cell, valid until the table is used again.
func (t *Table) best(v *view, c cell, k int) []rank.Item {
	if v.direct() {
		return t.leaders(c, v.base, k)
	}
	// No count is greater than the row's total in a window around the interval.
	// So count the first rows of that window, and then those behind them that
	// may still be among the first.
	sel := &t.scratch.selection
	sel.Reset(2*k+64, &t.topics)
	t.scan(sel, c, v.within)
	items, whole := slices.Clone(sel.Sorted()), !sel.Full()
	if whole {
		sel.Reset(k, &t.topics)
		t.offerCounted(sel, v, items)
		return sel.Sorted()
	}
	last := items[len(items)-1]
	sel.Reset(k, &t.topics)
	t.offerCounted(sel, v, items)
	t.offerCounted(sel, v, t.behind(c, v.within, last, sel.Least()))
	return sel.Sorted()
}

// behind are the rows of a cell that come behind an item by their totals in a
// standard window, down to a least total.
func (t *Table) behind(c cell, window int, last rank.Item, least uint64) (items []rank.Item) {
	t.each(c, func(id rowID, r *row) {
		n := t.total(id, r, window)
		if n < least {
			return
		}
		if it := t.item(id, r, n); rank.Precedes(&t.topics, &last, &it) {
			items = append(items, it)
		}
	})
	return items
}

// offerCounted offers items with their counts in the view.
func (t *Table) offerCounted(sel *rank.Selection, v *view, items []rank.Item) {
	t.countItems(v, items)
	for i := range items {
		sel.Offer(items[i])
	}
}

// countItems sorts items by row and sets their counts to those in the view.
func (t *Table) countItems(v *view, items []rank.Item) {
	slices.SortFunc(items, func(a, b rank.Item) int { return cmp.Compare(a.Row, b.Row) })
	ids, counts := make([]rowID, len(items)), make([]uint64, len(items))
	for i := range items {
		ids[i] = items[i].Row
	}
	t.counts(v, ids, counts)
	for i := range items {
		items[i].Count = counts[i]
	}
}

// bounded is a topic's count in a cell and in those others that may hold more
// of it.
type bounded struct {
	topic         topicID
	lower, others uint64
	hidden        uint64 // in no row
}

// all are the topics with a count in a cell or the others beside it.
func (t *Table) all(v *view, c *cells) []bounded {
	all := t.allCounted(v, c)
	if t.cellsFloor(v, c) == 0 {
		return all
	}
	for i := range all {
		t.setHidden(v, c, &all[i], 0)
	}
	return all
}

// setHidden sets what is in no row of a topic; enough is as in hiddenOf.
func (t *Table) setHidden(v *view, c *cells, b *bounded, enough uint64) {
	var n messages.Count
	t.addHidden(v, c, string(t.topics.Name(b.topic)), &n, enough)
	b.hidden = n.Upper
}

// eachCounted calls f for what allCounted is.
func (t *Table) eachCounted(v *view, c *cells, f func(b bounded)) {
	if c.known && len(c.others) == 0 && v.direct() {
		t.each(c.own, func(id rowID, r *row) {
			if n := t.total(id, r, v.base); n > 0 {
				f(bounded{topic: r.topic, lower: n})
			}
		})
		return
	}
	for _, b := range t.allCounted(v, c) {
		f(b)
	}
}

// allCounted is all without what is in no row.
func (t *Table) allCounted(v *view, c *cells) (out []bounded) {
	if c.known {
		for _, it := range t.counted(v, c.own) {
			out = append(out, bounded{topic: it.Topic, lower: it.Count})
		}
	}
	if len(c.others) == 0 {
		return out
	}
	for _, o := range c.others {
		for _, it := range t.counted(v, o) {
			out = append(out, bounded{topic: it.Topic, others: it.Count})
		}
	}
	slices.SortFunc(out, func(a, b bounded) int { return cmp.Compare(a.topic, b.topic) })
	sum := out[:0]
	for _, b := range out {
		if n := len(sum); n > 0 && sum[n-1].topic == b.topic {
			sum[n-1].lower = addSaturating(sum[n-1].lower, b.lower)
			sum[n-1].others = addSaturating(sum[n-1].others, b.others)
			continue
		}
		sum = append(sum, b)
	}
	return sum
}

// counted are a cell's rows with a count in the view.
func (t *Table) counted(v *view, c cell) (items []rank.Item) {
	t.each(c, func(id rowID, r *row) {
		if n := t.total(id, r, v.within); n > 0 {
			items = append(items, t.item(id, r, n))
		}
	})
	if v.direct() { // by v.within
		return items
	}
	t.countItems(v, items)
	return slices.DeleteFunc(items, func(it rank.Item) bool { return it.Count == 0 })
}

func (b *bounded) count() messages.Count {
	return messages.Count{Lower: b.lower, Estimate: b.lower, Upper: addSaturating(b.lower, addSaturating(b.others, b.hidden))}
}

// topBounded is everything known of a cell some of which may be in "other".
// Topics of which all may be there are not listed: who knows whether they are
// of the cell at all.
func (t *Table) topBounded(v *view, c *cells) *rank.Part {
	p := &rank.Part{Rest: t.cellsFloor(v, c)}
	for _, b := range t.all(v, c) {
		if b.lower == 0 {
			p.LeaveOut(b.count().Upper, string(t.topics.Name(b.topic)))
			continue
		}
		p.Rows = append(p.Rows, rank.Row{Topic: string(t.topics.Name(b.topic)), Count: b.count()})
	}
	return p
}

// cellsFloor bounds what is in no row of a topic in a cell and those beside it.
func (t *Table) cellsFloor(v *view, c *cells) (n uint64) {
	for _, region := range c.regions() {
		n = addSaturating(n, t.viewFloor(v, region))
	}
	return n
}
