package window

import (
	"errors"
	"slices"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// Count is how often topics occurred in a cell.
func (t *Table) Count(q *CountAsk) *CountPart {
	c := t.find(q.Cell)
	v := t.look(q.Window, q.E)
	p := &CountPart{Counts: make([]messages.Count, len(q.Topics)), Total: t.totals(&v, &c)}
	for i, name := range q.Topics {
		p.Counts[i] = t.countOfTopic(&v, &c, name)
	}
	return p
}

func (t *Table) countOfTopic(v *view, c *cells, name string) messages.Count {
	hash := t.hash([]byte(name))
	topic, ok := t.topics.find(hash, []byte(name))
	if !ok {
		return messages.Count{}
	}
	b := bounded{topic: topic}
	if c.known {
		b.lower = t.countOf(v, t.row(topic, hash, c.own))
	}
	for _, o := range c.others {
		b.others = addSaturating(b.others, t.countOf(v, t.row(topic, hash, o)))
	}
	return b.count()
}

// errTooOld: what a series asks for was dropped.
var errTooOld = errors.New("window: counts that far back are not kept")

// Series is how topics' counts developed: one list of points per topic. A
// *messages.NotKeptError if the begin or the steps are finer than what is kept
// for their age.
func (t *Table) Series(q *SeriesAsk) ([][]messages.Count, error) {
	grid := t.gridAt(q.Start)
	if q.Start.Floor(grid) != q.Start || q.Step.Floor(grid) != q.Step {
		return nil, &messages.NotKeptError{Finest: grid}
	}
	if q.Start < t.line.horizon() && t.first < t.line.horizon() {
		return nil, errTooOld
	}
	c := t.find(q.Cell)
	out := make([][]messages.Count, len(q.Topics))
	for i := range out {
		out[i] = make([]messages.Count, q.N)
	}
	end := q.Start + messages.Micros(q.N)*q.Step
	if q.End != 0 {
		end = min(end, q.End)
	}
	for _, s := range t.line.between(q.Start, end) {
		v := view{base: -1, plus: []*slice{s}}
		at := int((s.start - q.Start) / q.Step)
		for i, name := range q.Topics {
			var n messages.Count
			if name == "" {
				n = t.totals(&v, &c)
			} else {
				n = t.countOfTopic(&v, &c, name)
			}
			out[i][at] = out[i][at].Add(n)
		}
	}
	return out, nil
}

// gridAt is the length of the longest slice at the age of a moment or younger.
func (t *Table) gridAt(m messages.Micros) messages.Micros {
	for i := range tiers {
		if m+tiers[i].Keep >= t.line.open {
			return tiers[i].Grid
		}
	}
	return tiers[lastTier].Grid
}

// Around is what surrounds a topic of known count.
func (t *Table) Around(q *AroundAsk) *AroundPart {
	c := t.find(q.Cell)
	v := t.look(q.Window, q.E)
	p := &AroundPart{Total: t.totals(&v, &c)}
	asked := rank.Row{Topic: q.Topic, Count: q.Count}
	for _, b := range t.all(&v, &c) {
		r := rank.Row{Topic: string(t.topics.Name(b.topic)), Count: b.count()}
		if r.Topic == q.Topic {
			continue
		}
		if rank.MayPrecede(&r, &asked) {
			p.Possible++
			if !rank.MayPrecede(&asked, &r) {
				p.Sure++
			}
		}
		switch {
		case b.lower == 0:
		case rank.Compare(&r, &asked) < 0:
			p.Above = append(p.Above, r)
		default:
			p.Below = append(p.Below, r)
		}
	}
	byRank := func(a, b rank.Row) int { return rank.Compare(&a, &b) }
	slices.SortFunc(p.Above, byRank)
	slices.SortFunc(p.Below, byRank)
	p.Above = p.Above[max(0, len(p.Above)-q.Around):]
	p.Below = p.Below[:min(len(p.Below), q.Around)]
	return p
}

// Prefix are the greatest topics that begin with a prefix, those without a
// count in the window last.
func (t *Table) Prefix(q *PrefixAsk) []rank.Row {
	v := t.look(q.Window, q.E)
	var items []rank.Item
	t.each(cell{any: true}, func(id rowID, r *row) {
		if name := t.topics.Name(r.topic); len(name) >= len(q.Prefix) && string(name[:len(q.Prefix)]) == q.Prefix {
			items = append(items, t.item(id, r, 0))
		}
	})
	t.countItems(&v, items)
	slices.SortFunc(items, func(a, b rank.Item) int {
		if rank.Precedes(&t.topics, &a, &b) {
			return -1
		}
		return 1
	})
	return t.named(items[:min(len(items), q.Limit)])
}

// Cells is the totals of every category and region.
func (t *Table) Cells(q *CellsAsk) *CellsPart {
	v := t.look(q.Window, q.E)
	p := &CellsPart{
		Total:            messages.ExactCount(t.totalOf(&v, cell{any: true})),
		CategoriesFolded: t.categories.Folded(),
		RegionsFolded:    t.regions.Folded(),
	}
	p.Categories = t.cellTotals(&v, t.categories, func(name string) messages.Cell { return messages.Cell{Category: name} })
	p.Regions = t.cellTotals(&v, t.regions, func(name string) messages.Cell { return messages.Cell{Region: name} })
	return p
}

func (t *Table) cellTotals(v *view, names *Names, of func(string) messages.Cell) (out []messages.CellTotal) {
	total := func(name string) messages.Count {
		c := t.find(of(name))
		return t.totals(v, &c)
	}
	names.Each(func(_ NameID, name string) {
		out = append(out, messages.CellTotal{Name: name, Total: total(name)})
	})
	if n := total(messages.OtherName); n.Upper > 0 {
		out = append(out, messages.CellTotal{Name: messages.OtherName, Total: n})
	}
	return out
}

// fillCategories sets the rows' leading categories: the one that the topic,
// wherever it occurred, was counted under most often in the window; of equals
// the first in byte order.
func (t *Table) fillCategories(v *view, rows []rank.Row) {
	for i := range rows {
		rows[i].Category = t.leadingCategory(v, rows[i].Topic)
	}
}

func (t *Table) leadingCategory(v *view, name string) string {
	topic, _ := t.topics.find(t.hash([]byte(name)), []byte(name))
	plain := t.topics.at(topic).row
	link := t.rows.at(plain).link
	if link == 0 {
		return t.categories.Text(t.rows.familyOf(plain).category)
	}
	best, most, none := "", uint64(0), t.countOf(v, plain)
	for ; link != 0; link = t.rows.at(link).link {
		n := t.countOf(v, link)
		none -= n
		text := t.categories.Text(t.rows.familyOf(link).category)
		if n > most || n == most && n > 0 && text < best {
			best, most = text, n
		}
	}
	if none >= most { // "" is the first in byte order
		return ""
	}
	return best
}

// Known tells whether an event of this key would need no new row.
func (t *Table) Known(topic, category, region []byte) bool {
	hash := t.hash(topic)
	id, ok := t.topics.find(hash, topic)
	if !ok {
		return false
	}
	c, ok := knownName(t.categories, category)
	if !ok {
		return false
	}
	r, ok := knownName(t.regions, region)
	return ok && t.knownKey(id, hash, c, NoName) && (r == NoName || t.knownKey(id, hash, c, r))
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
