package actorstest

import (
	"slices"
	"strings"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// Brute is the obvious shard: a list of everything that was counted, and a map
// and a sort for every question. It is the judge of window.Table and stays as
// simple as it is: no tiers, no totals, no rows, no candidates.
type Brute struct {
	entries             []bruteEntry
	categories, regions *window.Names
	clock               messages.Micros
}

type bruteEntry struct {
	slice            messages.Micros
	topic            string
	category, region window.NameID
	count            uint64
}

// NewBrute has counted nothing.
func NewBrute() *Brute {
	return &Brute{categories: window.NewNames(), regions: window.NewNames()}
}

// Apply counts a delta.
func (b *Brute) Apply(d *window.Delta) {
	b.categories.Apply(&d.Categories)
	b.regions.Apply(&d.Regions)
	for i := range d.Rows {
		r := &d.Rows[i]
		b.entries = append(b.entries, bruteEntry{r.Slice, string(d.Topic(r)), r.Category, r.Region, r.Count})
	}
	b.Slide(d.Clock)
}

// Slide moves the clock on.
func (b *Brute) Slide(e messages.Micros) { b.clock = max(b.clock, e) }

// Clock is how far Brute has slid.
func (b *Brute) Clock() messages.Micros { return b.clock }

// First is the earliest slice with a count.
func (b *Brute) First() (first messages.Micros, any bool) {
	for i := range b.entries {
		if s := b.entries[i].slice; !any || s < first {
			first, any = s, true
		}
	}
	return first, any
}

// bruteCell tells what is of a named cell: entries whose ids are the names'
// own certainly are; those in "other" may be, unless all of a name is under
// its own id.
type bruteCell struct {
	category, region           string
	ownCategory, ownRegion     window.NameID
	knownCategory, knownRegion bool
	otherCategory, otherRegion bool
}

func (b *Brute) cell(c messages.Cell) bruteCell {
	category, knownCategory, wholeCategory := b.categories.Find(c.Category)
	region, knownRegion, wholeRegion := b.regions.Find(c.Region)
	return bruteCell{c.Category, c.Region, category, region, knownCategory, knownRegion, !wholeCategory, !wholeRegion}
}

func (c *bruteCell) holds(e *bruteEntry) (certainly, maybe bool) {
	own := func(name string, known bool, own, id window.NameID) bool { return name == "" || known && own == id }
	inCategory := own(c.category, c.knownCategory, c.ownCategory, e.category)
	inRegion := own(c.region, c.knownRegion, c.ownRegion, e.region)
	maybeCategory := inCategory || c.otherCategory && e.category == window.OtherName
	maybeRegion := inRegion || c.otherRegion && e.region == window.OtherName
	return inCategory && inRegion, maybeCategory && maybeRegion
}

// counts is what every topic has of a cell in an interval.
func (b *Brute) counts(i window.Interval, cell messages.Cell) map[string]messages.Count {
	c, counts := b.cell(cell), make(map[string]messages.Count)
	for j := range b.entries {
		e := &b.entries[j]
		if e.slice < i.Start || e.slice >= i.End {
			continue
		}
		if certainly, maybe := c.holds(e); certainly {
			counts[e.topic] = counts[e.topic].Add(messages.ExactCount(e.count))
		} else if maybe {
			counts[e.topic] = counts[e.topic].Add(messages.Count{Upper: e.count})
		}
	}
	return counts
}

func total(counts map[string]messages.Count) (sum messages.Count) {
	for _, c := range counts {
		sum = sum.Add(c)
	}
	return sum
}

// ranked are the topics in the order of a board.
func ranked(counts map[string]messages.Count) []rank.Row {
	rows := make([]rank.Row, 0, len(counts))
	for topic, c := range counts {
		rows = append(rows, rank.Row{Topic: topic, Count: c})
	}
	slices.SortFunc(rows, func(a, b rank.Row) int { return rank.Compare(&a, &b) })
	return rows
}

// Top is all rows of the cell with a sure count, cut to K.
func (b *Brute) Top(q *window.TopAsk) *rank.Part {
	i := window.Resolve(q.Window, q.E)
	counts := b.counts(i, q.Cell)
	p := &rank.Part{Total: total(counts)}
	for _, r := range ranked(counts) {
		if r.Count.Lower == 0 {
			p.LeaveOut(r.Count.Upper, r.Topic)
			continue
		}
		if q.Categories {
			r.Category = b.leadingCategory(i, r.Topic)
		}
		p.Rows = append(p.Rows, r)
	}
	return p.Cut(q.K)
}

// leadingCategory is the one with the topic's greatest count, of equals the
// first by name.
func (b *Brute) leadingCategory(i window.Interval, topic string) (best string) {
	counts := make(map[string]uint64)
	for j := range b.entries {
		if e := &b.entries[j]; e.topic == topic && e.slice >= i.Start && e.slice < i.End {
			counts[b.categories.Text(e.category)] += e.count
		}
	}
	for name, n := range counts {
		if m, any := counts[best]; !any || n > m || n == m && name < best {
			best = name
		}
	}
	return best
}

// Count is how often topics occurred.
func (b *Brute) Count(q *window.CountAsk) *window.CountPart {
	counts := b.counts(window.Resolve(q.Window, q.E), q.Cell)
	p := &window.CountPart{Total: total(counts)}
	for _, t := range q.Topics {
		p.Counts = append(p.Counts, counts[t])
	}
	return p
}

// Categories is what topics have by category.
func (b *Brute) Categories(q *window.CategoriesAsk) []window.TopicCategories {
	i := window.Resolve(q.Window, q.E)
	out := make([]window.TopicCategories, len(q.Topics))
	for n, topic := range q.Topics {
		counts := make(map[string]uint64)
		for j := range b.entries {
			if e := &b.entries[j]; e.topic == topic && e.slice >= i.Start && e.slice < i.End {
				counts[b.categories.Text(e.category)] += e.count
			}
		}
		if b.categories.Folded() {
			out[n].Unsure = counts[messages.OtherName]
			delete(counts, messages.OtherName)
		}
		for name, c := range counts {
			out[n].Counts = append(out[n].Counts, window.CategoryCount{Category: name, Count: c})
		}
	}
	return out
}

// Series is counts in consecutive intervals.
func (b *Brute) Series(q *window.SeriesAsk) ([][]messages.Count, error) {
	out := make([][]messages.Count, len(q.Topics))
	for n := range q.N {
		i := window.Interval{Start: q.Start + messages.Micros(n)*q.Step}
		i.End = i.Start + q.Step
		if q.End != 0 {
			i.End = min(i.End, q.End)
		}
		counts := b.counts(i, q.Cell)
		for j, topic := range q.Topics {
			if topic == "" {
				out[j] = append(out[j], total(counts))
			} else {
				out[j] = append(out[j], counts[topic])
			}
		}
	}
	return out, nil
}

// Around is what comes before and behind a topic.
func (b *Brute) Around(q *window.AroundAsk) *window.AroundPart {
	counts := b.counts(window.Resolve(q.Window, q.E), q.Cell)
	p := &window.AroundPart{Total: total(counts)}
	asked := rank.Row{Topic: q.Topic, Count: q.Count}
	for _, r := range ranked(counts) {
		if r.Topic == q.Topic {
			continue
		}
		if r.Count.Upper > asked.Count.Lower || r.Count.Upper == asked.Count.Lower && r.Topic < asked.Topic {
			p.Possible++
		}
		if r.Count.Lower > asked.Count.Upper || r.Count.Lower == asked.Count.Upper && r.Topic < asked.Topic {
			p.Sure++
		}
		switch {
		case r.Count.Lower == 0: // never listed
		case rank.Compare(&r, &asked) < 0:
			p.Above = append(p.Above, r)
		default:
			p.Below = append(p.Below, r)
		}
	}
	p.Above = p.Above[max(0, len(p.Above)-q.Around):]
	p.Below = p.Below[:min(len(p.Below), q.Around)]
	return p
}

// Prefix is every topic ever seen that begins with the prefix.
func (b *Brute) Prefix(q *window.PrefixAsk) []rank.Row {
	counts := b.counts(window.Resolve(q.Window, q.E), messages.Cell{})
	found := make(map[string]messages.Count)
	for i := range b.entries {
		if t := b.entries[i].topic; strings.HasPrefix(t, q.Prefix) {
			found[t] = counts[t]
		}
	}
	rows := ranked(found)
	return rows[:min(len(rows), q.Limit)]
}

// Cells is the totals of all names.
func (b *Brute) Cells(q *window.CellsAsk) *window.CellsPart {
	of := func(c messages.Cell) messages.Count { return total(b.counts(window.Resolve(q.Window, q.E), c)) }
	p := &window.CellsPart{
		Total:            of(messages.Cell{}),
		CategoriesFolded: b.categories.Folded(),
		RegionsFolded:    b.regions.Folded(),
	}
	each := func(names *window.Names, cell func(name string) messages.Cell) (out []messages.CellTotal) {
		names.Each(func(_ window.NameID, name string) {
			out = append(out, messages.CellTotal{Name: name, Total: of(cell(name))})
		})
		if n := of(cell(messages.OtherName)); n.Upper > 0 {
			out = append(out, messages.CellTotal{Name: messages.OtherName, Total: n})
		}
		return out
	}
	p.Categories = each(b.categories, func(name string) messages.Cell { return messages.Cell{Category: name} })
	p.Regions = each(b.regions, func(name string) messages.Cell { return messages.Cell{Region: name} })
	return p
}
