package truth

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crestdb/crest/messages"
)

// Tally is what was counted in one cell during one interval.
type Tally struct {
	events *Events
	counts map[uint32]uint64 // by topic
	total  uint64
	ranked []Row // made when first asked for
	count  func(topic string) uint64
}

// NewTally is what somebody else has counted: a topic's count, the first rows
// (all there are, or at least one more than a judged board may have) in their
// order, and the sum over all topics.
func NewTally(count func(topic string) uint64, ranked []Row, total uint64) *Tally {
	return &Tally{count: count, ranked: ranked, total: total}
}

// Row is a topic with its true count.
type Row struct {
	Topic string
	Count uint64
}

// Tally counts several cells in [start, end). The window "all" begins at its
// answer's start like any other.
func (e *Events) Tally(start, end messages.Micros, cells []messages.Cell) []*Tally {
	type filter struct {
		category, region       uint32
		anyCategory, anyRegion bool
		possible               bool
		*Tally
	}
	filters := make([]filter, len(cells))
	tallies := make([]*Tally, len(cells))
	for i, c := range cells {
		tallies[i] = &Tally{events: e, counts: map[uint32]uint64{}}
		f := filter{anyCategory: c.Category == "", anyRegion: c.Region == "", possible: true, Tally: tallies[i]}
		var ok bool
		if !f.anyCategory {
			f.category, ok = e.names.find(c.Category)
			f.possible = f.possible && ok
		}
		if !f.anyRegion {
			f.region, ok = e.names.find(c.Region)
			f.possible = f.possible && ok
		}
		filters[i] = f
	}
	for _, v := range e.all {
		if v.time < start || v.time >= end {
			continue
		}
		for _, f := range filters {
			if f.possible && (f.anyCategory || f.category == v.category) && (f.anyRegion || f.region == v.region) {
				f.counts[v.topic] += v.count
				f.total += v.count
			}
		}
	}
	return tallies
}

// Count is a topic's count.
func (t *Tally) Count(topic string) uint64 {
	if t.count != nil {
		return t.count(topic)
	}
	i, ok := t.events.topics.find(topic)
	if !ok {
		return 0
	}
	return t.counts[i]
}

// Total is the count of the cell.
func (t *Tally) Total() uint64 { return t.total }

// Ranked are all topics with a count: higher count first, then topic in byte
// order.
func (t *Tally) Ranked() []Row {
	if t.ranked == nil && t.events != nil {
		for i, n := range t.counts {
			t.ranked = append(t.ranked, Row{t.events.topics.list[i], n})
		}
		slices.SortFunc(t.ranked, func(a, b Row) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Topic, b.Topic))
		})
	}
	return t.ranked
}

// Between is a topic's count in [start, end), in a cell.
func (e *Events) Between(topic string, start, end messages.Micros, cell messages.Cell) uint64 {
	i, ok := e.topics.find(topic)
	if !ok {
		return 0
	}
	var sum uint64
	for _, at := range e.byTopic[i] {
		v := e.all[at]
		if v.time >= start && v.time < end &&
			(cell.Category == "" || cell.Category == e.names.list[v.category]) &&
			(cell.Region == "" || cell.Region == e.names.list[v.region]) {
			sum += v.count
		}
	}
	return sum
}
