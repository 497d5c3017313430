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
	return out, nil
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
	return t.named(items)
}

// fillCategories sets the rows' leading categories: the one that the topic,
// wherever it occurred, was counted under most often in the window; of equals
// the first in byte order.
func (t *Table) fillCategories(v *view, rows []rank.Row) {
	for i := range rows {
		topic, _, _ := t.findTopic(rows[i].Topic)
		rows[i].Category = t.leadingCategory(v, t.topics.at(topic).row)
	}
}

// leadingCategory of the topic of a T row.
func (t *Table) leadingCategory(v *view, plain rowID) (best string) {
	link := t.rows.at(plain).link
	if link == 0 {
		return t.categories.Text(t.rows.familyOf(plain).category)
	}
	// What no child row has was counted without a category.
	most, none := uint64(0), t.countOf(v, plain)
	for ; link != 0; link = t.rows.at(link).link {
		n, text := t.countOf(v, link), t.categories.Text(t.rows.familyOf(link).category)
		if none -= n; n > most || n == most && text < best {
			best, most = text, n
		}
	}
	if none >= most {
		return ""
	}
	return best
}

// Known tells whether an event of this key would need no new row.
func (t *Table) Known(topic, category, region []byte) bool {
	hash := t.hash(topic)
	id, ok := t.topics.find(hash, topic)
	c, okCategory := knownName(t.categories, category)
	r, okRegion := knownName(t.regions, region)
	return ok && okCategory && okRegion &&
		t.knownKey(id, hash, c, NoName) && (r == NoName || t.knownKey(id, hash, c, r))
}

// knownName is the id that an event's category or region counts under; false:
// it may get a new one.
func knownName(names *Names, text []byte) (NameID, bool) {
	id, known, whole := names.Find(string(text))
	return id, known || !whole
}

func (t *Table) knownKey(topic topicID, hash uint64, category, region NameID) bool {
	plain := t.row(topic, hash, cell{any: true, region: region})
	if plain == 0 {
		return false
	}
	if t.rows.at(plain).link == 0 {
		return t.rows.familyOf(plain).category == category
	}
	return category == NoName || t.rows.findChild(topic, hash, category, region) != 0
}
