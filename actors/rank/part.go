package rank

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crestdb/crest/messages"
)

// Row is one topic of a candidate list.
type Row struct {
	Topic    string
	Count    messages.Count
	Category string // leading category in the window, where asked for
	// Unsure: the leading category may be another, since not all of the topic's
	// counts are known by category.
	Unsure bool
}

// Compare is the total order of every board: the greater lower bound first,
// then the topic in byte order.
func Compare(a, b *Row) int {
	if c := cmp.Compare(b.Count.Lower, a.Count.Lower); c != 0 {
		return c
	}
	return strings.Compare(a.Topic, b.Topic)
}

// compareUpper orders rows by what they may be at most.
func compareUpper(a, b *Row) int {
	if c := cmp.Compare(b.Count.Upper, a.Count.Upper); c != 0 {
		return c
	}
	return strings.Compare(a.Topic, b.Topic)
}

// MayPrecede tells whether x may come before r in the true order: x at the
// most it can be, r at the least.
func MayPrecede(x, r *Row) bool {
	if x.Count.Upper != r.Count.Lower {
		return x.Count.Upper > r.Count.Lower
	}
	return x.Topic < r.Topic
}

// SurelyPrecedes tells whether x comes before r in the true order whatever is
// true within their bounds.
func SurelyPrecedes(x, r *Row) bool {
	if x.Count.Lower != r.Count.Upper {
		return x.Count.Lower > r.Count.Upper
	}
	return x.Topic < r.Topic
}

// Part is what one source (a shard, a node) knows of a cell in a window. The
// sources' topics are disjoint. A part is immutable once it has been sent.
type Part struct {
	// Rows are the source's first rows by Compare. Behind them may follow some
	// that come later by their lower bound but may belong among the first (see
	// Cut).
	Rows []Row
	// Rest bounds the count of every topic of this source that is not in Rows;
	// 0: there is none with a count.
	Rest uint64
	// From decides ties with what is not in Rows: of that, no topic that may have
	// as much as Rest comes before From in byte order.
	From string
	// Total is the sum over all topics of the source in the cell.
	Total messages.Count
}

// LeaveOut lets the part know of topics that are not in its rows: they have at
// most upper, and those that may have as much do not come before from.
func (p *Part) LeaveOut(upper uint64, from string) {
	switch {
	case upper > p.Rest:
		p.Rest, p.From = upper, from
	case upper == p.Rest && upper > 0:
		p.From = min(p.From, from)
	}
}

// Cut makes the part of p that a board of k rows needs: its first k rows by
// Compare and, where bounds overlap, also those among its first k+1 by upper
// bound. Whether fewer than k topics may come before one of the first k rows
// then follows from the cut as it did from p. It sorts p.Rows and keeps them.
func (p *Part) Cut(k int) *Part {
	slices.SortFunc(p.Rows, func(a, b Row) int { return Compare(&a, &b) })
	if len(p.Rows) <= k {
		return p
	}
	cut := *p
	cut.Rows = p.Rows[:k:k]
	left := p.Rows[k:]
	if exact(left) {
		cut.LeaveOut(left[0].Count.Upper, left[0].Topic)
		return &cut
	}
	byUpper := slices.Clone(p.Rows)
	slices.SortFunc(byUpper, func(a, b Row) int { return compareUpper(&a, &b) })
	for i := range left {
		if compareUpper(&left[i], &byUpper[k]) <= 0 {
			cut.Rows = append(cut.Rows, left[i])
			continue
		}
		cut.LeaveOut(left[i].Count.Upper, left[i].Topic)
	}
	return &cut
}

func exact(rows []Row) bool {
	for i := range rows {
		if !rows[i].Count.Exact() {
			return false
		}
	}
	return true
}
