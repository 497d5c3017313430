package window

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// Count is how often topics occurred in a cell.
func (t *Table) Count(q *CountAsk) *CountPart {
	c := t.find(q.Cell)
	v := t.look(q.Window, q.E)
	p := &CountPart{Counts: make([]messages.Count, len(q.Topics)), Total: t.totals(&v, &c)}
	rows := t.rowsOf(q.Topics, &c)
	ids, counts := rows.ids(), make([]uint64, len(rows))
	t.counts(&v, ids, counts)
	for i, r := range rows {
		r.add(&p.Counts[r.topic], counts[i])
	}
	for i, name := range q.Topics {
		t.addHidden(&v, &c, name, &p.Counts[i], 0)
	}
	return p
}

// askedRow is a row that has counts of an asked topic.
type askedRow struct {
	id    rowID
	topic int  // index in the ask
	own   bool // row of the cell itself, not of those beside it
}

// add adds what the row has to what is known of the topic.
func (r *askedRow) add(to *messages.Count, n uint64) {
	if !r.own {
		*to = to.Add(messages.Count{Upper: n})
		return
	}
	*to = to.Add(messages.ExactCount(n))
}

type askedRows []askedRow

// rowsOf finds the rows of topics in a cell, and in those beside it; ascending.
func (t *Table) rowsOf(topics []string, c *cells) (rows askedRows) {
	for i, name := range topics {
		topic, hash, ok := t.findTopic(name)
		if !ok {
			continue
		}
		add := func(c cell, own bool) {
			if id := t.row(topic, hash, c); id != 0 {
				rows = append(rows, askedRow{id, i, own})
			}
		}
		if c.known {
			add(c.own, true)
		}
		for _, o := range c.others {
			add(o, false)
		}
	}
	slices.SortFunc(rows, func(a, b askedRow) int { return cmp.Compare(a.id, b.id) })
	return rows
}

func (rows askedRows) ids() []rowID {
	ids := make([]rowID, len(rows))
	for i := range rows {
		ids[i] = rows[i].id
	}
	return ids
}

func (t *Table) findTopic(name string) (topic topicID, hash uint64, ok bool) {
	hash = t.hash([]byte(name))
	topic, ok = t.topics.find(hash, []byte(name))
	return topic, hash, ok
}

// errTooOld: what a series asks for was dropped.
var errTooOld = errors.New("window: counts that far back are not kept")

// Series is how topics' counts developed: one list of points per topic. A
// *messages.NotKeptError if the begin or the steps are finer than what is kept
// for their age.
func (t *Table) Series(q *SeriesAsk) ([][]messages.Count, error) {
	if grid := t.gridAt(q.Start); q.Start.Floor(grid) != q.Start || q.Step.Floor(grid) != q.Step {
		return nil, &messages.NotKeptError{Finest: grid}
	}
	if q.Start < t.line.horizon() && t.first < t.line.horizon() {
		return nil, errTooOld
	}
	out := make([][]messages.Count, len(q.Topics))
	for i := range out {
		out[i] = make([]messages.Count, q.N)
	}
	end := q.Start + messages.Micros(q.N)*q.Step
	if q.End != 0 {
		end = min(end, q.End)
	}
	c := t.find(q.Cell)
	rows := t.rowsOf(q.Topics, &c)
	ids := rows.ids()
	for _, s := range t.line.between(q.Start, end) {
		at := (s.start - q.Start) / q.Step
		t.eachCount(s, ids, func(i int, n uint64) { rows[i].add(&out[rows[i].topic][at], n) })
		var total *messages.Count
		for i, name := range q.Topics {
			if name != "" {
				continue
			}
			if total == nil {
				v := view{base: -1, plus: []*slice{s}}
				n := t.totals(&v, &c)
				total = &n
			}
			out[i][at] = out[i][at].Add(*total)
		}
	}
	t.seriesHidden(q, end, &c, out)
	return out, nil
}

// seriesHidden adds to the points what is in no row.
func (t *Table) seriesHidden(q *SeriesAsk, end messages.Micros, c *cells, out [][]messages.Count) {
	if t.hidden.sketches == nil {
		return
	}
	for at := range q.N {
		i := Interval{Start: q.Start + messages.Micros(at)*q.Step}
		i.End = min(end, i.Start+q.Step)
		v := t.sum(i)
		for k, name := range q.Topics {
			if name != "" {
				t.addHidden(&v, c, name, &out[k][at], 0)
			}
		}
	}
}

// gridAt is the grid on which an interval can begin at m: no slice at m or
// later is longer.
func (t *Table) gridAt(m messages.Micros) messages.Micros {
	for i := range tiers {
		if m+tiers[i].Keep >= t.line.open {
			return tiers[i].Grid
		}
	}
	return tiers[lastTier].Grid
}

// Prefix are the greatest topics that begin with a prefix, those without a
// count in the window last.
func (t *Table) Prefix(q *PrefixAsk) []rank.Row {
	v := t.look(q.Window, q.E)
	prefix := []byte(q.Prefix)
	first, mask := rank.Prefix(prefix), ^uint64(0)<<(64-8*min(8, len(prefix)))
	var items []rank.Item
	t.each(cell{any: true}, func(id rowID, r *row) {
		topic := t.topics.at(r.topic)
		if topic.prefix&mask == first && bytes.HasPrefix(t.topics.nameOf(topic), prefix) {
			items = append(items, t.item(id, r, 0))
		}
	})
	t.countItems(&v, items)
	sel := &t.scratch.selection
	sel.Reset(q.Limit, &t.topics)
	for _, it := range items {
		it.Count = min(it.Count, math.MaxUint64-1) + 1 // a selection takes none without a count
		sel.Offer(it)
	}
	items = sel.Sorted()
	for i := range items {
		items[i].Count--
	}
	rows := t.named(items)
	t.bound(&v, items, rows)
	return rows
}

// fillCategories sets the rows' leading categories: the one that the topic,
// wherever it occurred, was counted under most often in the window; of equals
// the first in byte order. It is not sure where what is in no row could make
// another one lead.
func (t *Table) fillCategories(v *view, rows []rank.Row) {
	for i := range rows {
		topic, _, _ := t.findTopic(rows[i].Topic)
		plain := t.topics.at(topic).row
		best, lead := t.leadingCategory(v, plain)
		hidden := t.hiddenOfRow(v, plain, 0)
		rows[i].Category, rows[i].Unsure = best, hidden > 0 && hidden >= lead
	}
}

// leadingCategory of the topic of a T row, and by how much it leads.
func (t *Table) leadingCategory(v *view, plain rowID) (best string, lead uint64) {
	link := t.rows.at(plain).link
	most, second, none := uint64(0), uint64(0), t.countOf(v, plain)
	if link == 0 {
		return t.categories.Text(t.rows.familyOf(plain).category), none
	}
	// What no child row has was counted without a category.
	for ; link != 0; link = t.rows.at(link).link {
		n, text := t.countOf(v, link), t.categories.Text(t.rows.familyOf(link).category)
		none -= n
		switch {
		case n > most || n == most && text < best:
			best, most, second = text, n, most
		case n > second:
			second = n
		}
	}
	if none >= most {
		return "", none - most
	}
	return best, most - max(second, none)
}
