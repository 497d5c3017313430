package window

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/crestdb/crest/actors/rank"
)

// Around is what surrounds a topic of known count.
func (t *Table) Around(q *AroundAsk) *AroundPart {
	c := t.find(q.Cell)
	v := t.look(q.Window, q.E)
	p := &AroundPart{Total: t.totals(&v, &c)}
	name := []byte(q.Topic)
	self, _, known := t.findTopic(q.Topic)
	above, below := nearest{t: t, n: q.Around, direction: -1}, nearest{t: t, n: q.Around, direction: 1}
	floor := t.cellsFloor(&v, &c)
	for _, b := range t.allCounted(&v, &c) {
		if known && b.topic == self {
			continue
		}
		// before tells whether b, at n, comes before the asked topic at m.
		before := func(n, m uint64) bool {
			return n > m || n == m && bytes.Compare(t.topics.Name(b.topic), name) < 0
		}
		// What is hidden of b is looked up only if that decides.
		if n := b.count().Upper; !before(n, q.Count.Lower) && before(addSaturating(n, floor), q.Count.Lower) {
			enough := q.Count.Lower - min(q.Count.Lower, addSaturating(n, 1))
			t.setHidden(&v, &c, &b, enough)
		}
		if before(b.count().Upper, q.Count.Lower) {
			p.Possible++
		}
		if before(b.lower, q.Count.Upper) {
			p.Sure++
		}
		switch {
		case b.lower == 0: // not known to be of the cell: counted, not listed
		case before(b.lower, q.Count.Lower):
			above.add(b)
		default:
			below.add(b)
		}
	}
	p.Possible += t.hiddenBefore(&v, &c, q.Count.Lower)
	for _, side := range []*nearest{&above, &below} {
		side.cut()
		for i := range side.found {
			t.setHidden(&v, &c, &side.found[i], 0)
		}
	}
	p.Above, p.Below = above.rows(), below.rows()
	return p
}

// nearest keeps the first n topics in the order of a board, or the last n with
// direction −1.
type nearest struct {
	t            *Table
	n, direction int
	found        []bounded
}

func (s *nearest) add(b bounded) {
	if s.found = append(s.found, b); len(s.found) > 4*s.n+64 {
		s.cut()
	}
}

func (s *nearest) cut() {
	slices.SortFunc(s.found, func(x, y bounded) int {
		if x.lower != y.lower {
			return s.direction * cmp.Compare(y.lower, x.lower)
		}
		return s.direction * bytes.Compare(s.t.topics.Name(x.topic), s.t.topics.Name(y.topic))
	})
	s.found = s.found[:min(len(s.found), s.n)]
}

// rows are what is left after a cut, in the order of a board.
func (s *nearest) rows() []rank.Row {
	if s.direction < 0 {
		slices.Reverse(s.found)
	}
	rows := make([]rank.Row, len(s.found))
	for i := range s.found {
		rows[i] = rank.Row{Topic: string(s.t.topics.Name(s.found[i].topic)), Count: s.found[i].count()}
	}
	return rows
}
