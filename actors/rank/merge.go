package rank

import (
	"slices"
	"sort"

	"github.com/crestdb/crest/messages"
)

// Union makes one part of several with disjoint topics, cut to what a board of
// k rows needs. Merging unions gives the board that merging their parts gives:
// the order and the grouping of parts do not matter.
func Union(parts []*Part, k int) *Part {
	u := new(Part)
	n := 0
	for _, p := range parts {
		n += len(p.Rows)
	}
	u.Rows = make([]Row, 0, n)
	for _, p := range parts {
		u.Rows = append(u.Rows, p.Rows...)
		u.LeaveOut(p.Rest, p.From)
		u.Total = u.Total.Add(p.Total)
	}
	return u.Cut(k)
}

// Merge makes the board of the first k rows of some parts with disjoint
// topics. A row is certified if it provably belongs to the true first k;
// certified is the largest n for which the first n rows are provably the true
// first n as a set; exact tells that the board is the true one.
func Merge(parts []*Part, k int) (rows []messages.Row, certified int, exact bool) {
	u := Union(parts, k)
	n := min(k, len(u.Rows))
	rows = make([]messages.Row, n)
	rivals := newRivals(u.Rows)
	exact = n == k || u.Rest == 0
	for i := range rows {
		r := &u.Rows[i]
		rows[i] = messages.Row{Topic: r.Topic, Count: r.Count, Category: r.Category}
		rows[i].Certified = !u.UnseenMayPrecede(r) && rivals.of(r) < k
		exact = exact && r.Count.Exact()
	}
	certified = u.certified(n)
	return rows, certified, exact && certified == n
}

// UnseenMayPrecede tells whether a topic that is not in the part may come
// before its row r.
func (p *Part) UnseenMayPrecede(r *Row) bool {
	return p.Rest > r.Count.Lower || p.Rest > 0 && p.Rest == r.Count.Lower && p.From < r.Topic
}

// certified is the largest n ≤ most for which no topic outside the first n
// rows may come before one of them. Of the first n the last is the one most
// easily overtaken; of the others the one with the greatest upper bound is the
// one most likely to.
func (p *Part) certified(most int) int {
	best := 0
	var rival *Row // of the rows behind the n-th, the first by upper bound
	for i := len(p.Rows) - 1; i >= 0; i-- {
		r := &p.Rows[i]
		if i < most && !p.UnseenMayPrecede(r) && (rival == nil || !MayPrecede(rival, r)) {
			best = i + 1
			break
		}
		if rival == nil || compareUpper(r, rival) < 0 {
			rival = r
		}
	}
	return best
}

// rivals are rows in the order of their upper bounds.
type rivals []Row

func newRivals(rows []Row) rivals {
	r := slices.Clone(rows)
	slices.SortFunc(r, func(a, b Row) int { return compareUpper(&a, &b) })
	return r
}

// of counts the rows that may come before r; r is one of them.
func (v rivals) of(r *Row) int {
	n := sort.Search(len(v), func(i int) bool { return !MayPrecede(&v[i], r) })
	if MayPrecede(r, r) {
		n-- // r itself, at its upper bound
	}
	return n
}
