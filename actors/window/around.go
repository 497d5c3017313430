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
	s := surrounding{
		t: t, v: &v, c: &c, ask: q, floor: t.cellsFloor(&v, &c),
		name: []byte(q.Topic), prefix: rank.Prefix([]byte(q.Topic)),
		above: nearest{t: t, n: q.Around, direction: -1},
		below: nearest{t: t, n: q.Around, direction: 1},
	}
	self, _, known := t.findTopic(q.Topic)
	t.eachCounted(&v, &c, func(b bounded) {
		if !known || b.topic != self {
			s.add(&b)
		}
	})
	p := &s.AroundPart
	p.Total = t.totals(&v, &c)
	p.Possible += t.hiddenBefore(&v, &c, q.Count.Lower)
	for _, side := range []*nearest{&s.above, &s.below} {
		side.cut()
		for i := range side.found {
			t.setHidden(&v, &c, &side.found[i], 0)
		}
	}
	p.Above, p.Below = s.above.rows(), s.below.rows()
	return p
}

// surrounding is an AroundPart while topic after topic is looked at.
type surrounding struct {
	AroundPart
	t            *Table
	v            *view
	c            *cells
	ask          *AroundAsk
	floor        uint64 // no topic has more in no row
	name         []byte // of the asked topic
	prefix       uint64 // of name
	above, below nearest
}

// add counts a topic, and lists it if it is near.
func (s *surrounding) add(b *bounded) {
	asked := &s.ask.Count
	// What is hidden of b is looked up only if that decides.
	if n := b.count().Upper; s.floor > 0 && !s.before(b, n, asked.Lower) && s.before(b, addSaturating(n, s.floor), asked.Lower) {
		s.t.setHidden(s.v, s.c, b, asked.Lower-min(asked.Lower, addSaturating(n, 1)))
	}
	if s.before(b, b.count().Upper, asked.Lower) {
		s.Possible++
	}
	if s.before(b, b.lower, asked.Upper) {
		s.Sure++
	}
	switch {
	case b.lower == 0: // not known to be of the cell: counted, not listed
	case s.before(b, b.lower, asked.Lower):
		s.above.add(b)
	default:
		s.below.add(b)
	}
}

// before tells whether b, at n, comes before the asked topic at m.
func (s *surrounding) before(b *bounded, n, m uint64) bool {
	if n != m {
		return n > m
	}
	topic := s.t.topics.at(b.topic)
	if topic.prefix != s.prefix {
		return topic.prefix < s.prefix
	}
	return bytes.Compare(s.t.topics.nameOf(topic), s.name) < 0
}

// nearest keeps the first n topics in the order of a board, or the last n with
// direction −1.
type nearest struct {
	t            *Table
	n, direction int
	found        []bounded
	last         bounded // of the n that the last cut left, if it left so many
	full         bool
}

func (s *nearest) add(b *bounded) {
	if s.n == 0 || s.full && s.compare(b, &s.last) > 0 {
		return
	}
	if s.found = append(s.found, *b); len(s.found) > 4*s.n+64 {
		s.cut()
	}
}

func (s *nearest) compare(x, y *bounded) int {
	if x.lower != y.lower {
		return s.direction * cmp.Compare(y.lower, x.lower)
	}
	a, b := s.t.topics.at(x.topic), s.t.topics.at(y.topic)
	if a.prefix != b.prefix {
		return s.direction * cmp.Compare(a.prefix, b.prefix)
	}
	return s.direction * bytes.Compare(s.t.topics.nameOf(a), s.t.topics.nameOf(b))
}

func (s *nearest) cut() {
	slices.SortFunc(s.found, func(x, y bounded) int { return s.compare(&x, &y) })
	s.found = s.found[:min(len(s.found), s.n)]
	if s.full = s.n > 0 && len(s.found) == s.n; s.full {
		s.last = s.found[s.n-1]
	}
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
