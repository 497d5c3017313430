package rank

import (
	"slices"
	"sort"

	"github.com/crestdb/crest/messages"
)

// Sum makes the board of topics that may have counts in several sources: what a
// topic has is the sum of what it has in each. Then lists of first rows alone
// prove little, since a topic that is nowhere among the first may have the
// greatest sum. So it takes two rounds, and more if those leave something open
// that longer lists decide:
//
//  1. Each source lists its first rows. No topic that none lists has more than
//     the sum of their Rests; one that some list has what these say, and
//     elsewhere at most the Rests of the others.
//  2. Topics that may be among the first k by that are asked for by name in
//     every source that did not list them (Wanted, Add).
//  3. Where the unlisted may still come before the k-th row, the lists were too
//     short (Deeper).
//
// These are the phases of TPUT (Cao & Wang, PODC 2004), a threshold algorithm
// (Fagin, Lotem & Naor, PODS 2001) with few rounds; but whatever round is the
// last, the Part is true: bounds hold, and what is not decided is not certified.
type Sum struct {
	k     int
	all   bool // sources may know more of what they did not list than Rest says
	parts []*Part
	rows  []summed
	at    [][]uint32 // by source: the rows that it lists
	asked [][]uint32 // by source: the rows that it was asked for by name
	rest  uint64     // of all sources together
	from  string
	total messages.Count
	board *Part
}

// summed is a topic that some source listed. Its count is the sum over those
// that have told it.
type summed struct {
	Row
	missing int    // open sources that have not told
	beside  uint64 // most that the topic has in those
}

func (s *summed) upper() uint64 { return addSaturating(s.Count.Upper, s.beside) }

// NewSum begins with the sources' lists, for a board of k rows. A source without
// a Rest has nothing of topics that it did not list; but not with all, as where
// Rest is about tracked topics only.
func NewSum(parts []*Part, k int, all bool) *Sum {
	s := &Sum{k: k, all: all, parts: parts, at: make([][]uint32, len(parts))}
	open, listed := 0, 0
	for _, p := range parts {
		s.total = s.total.Add(p.Total)
		listed += len(p.Rows)
		if p.Rest > 0 {
			// Who has as much as all Rests together has as much as each.
			s.rest, s.from = addSaturating(s.rest, p.Rest), max(s.from, p.From)
		}
		if s.open(p) {
			open++
		}
	}
	index := make(map[string]uint32, listed/2)
	for i, p := range parts {
		s.at[i] = make([]uint32, len(p.Rows))
		for j := range p.Rows {
			r := &p.Rows[j]
			n, known := index[r.Topic]
			if !known {
				n = uint32(len(s.rows))
				index[r.Topic] = n
				s.rows = append(s.rows, summed{Row{Topic: r.Topic}, open, s.rest})
			}
			s.at[i][j] = n
			s.tell(&s.rows[n], p, r.Count)
		}
	}
	return s
}

// open tells that the source may have counts of topics that it did not list.
func (s *Sum) open(p *Part) bool { return s.all || p.Rest > 0 }

// tell adds what a source has of a topic.
func (s *Sum) tell(r *summed, p *Part, n messages.Count) {
	r.Count = r.Count.Add(n)
	if !s.open(p) {
		return // nobody has taken it for missing
	}
	switch r.missing--; {
	case r.missing == 0:
		r.beside = 0
	case s.rest < noBound:
		r.beside -= p.Rest
	}
}

// Wanted are the topics that each source is to be asked for by name: of those
// that may be among the first k as far as is known, what it did not list. Of
// more than most topics those with the greatest counts so far are. nil: the lists
// have told everything. The source's answer goes to Add.
func (s *Sum) Wanted(most int) [][]string {
	least := s.least()
	var wanted []uint32
	for i := range s.rows {
		if r := &s.rows[i]; r.missing > 0 && r.upper() >= least {
			wanted = append(wanted, uint32(i))
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if len(wanted) > most {
		slices.SortFunc(wanted, func(a, b uint32) int { return Compare(&s.rows[a].Row, &s.rows[b].Row) })
		wanted = wanted[:most]
	}
	s.asked = make([][]uint32, len(s.parts))
	topics := make([][]string, len(s.parts))
	listedBy := make([]int, len(s.rows)) // source + 1, of the last that was looked at
	for i, p := range s.parts {
		if !s.open(p) {
			continue
		}
		for _, n := range s.at[i] {
			listedBy[n] = i + 1
		}
		for _, n := range wanted {
			if listedBy[n] != i+1 {
				s.asked[i] = append(s.asked[i], n)
				topics[i] = append(topics[i], s.rows[n].Topic)
			}
		}
	}
	return topics
}

// Add takes a source's counts of the topics that were wanted of it.
func (s *Sum) Add(source int, counts []messages.Count) {
	for i, n := range s.asked[source] {
		s.tell(&s.rows[n], s.parts[source], counts[i])
	}
}

// Part is what is known of all sources together, cut to what a board of k rows
// needs. It is made once, when nothing is added any more.
func (s *Sum) Part() *Part {
	if s.board != nil {
		return s.board
	}
	u := &Part{Rest: s.rest, From: s.from, Total: s.total}
	least := s.least()
	for i := range s.rows {
		r := &s.rows[i]
		// What cannot reach the k-th row is nobody's rival.
		if n := r.upper(); n < least {
			u.LeaveOut(n, r.Topic)
			continue
		}
		row := r.Row
		row.Count.Upper = r.upper()
		u.Rows = append(u.Rows, row)
	}
	s.board = u.Cut(s.k)
	return s.board
}

// Told are the topics of which every source has told what it has.
func (s *Sum) Told() (rows []Row) {
	for i := range s.rows {
		if r := &s.rows[i]; r.missing == 0 {
			rows = append(rows, r.Row)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return Compare(&a, &b) })
	return rows
}

// Settled tells that longer lists would decide nothing about the first k rows.
func (s *Sum) Settled() bool {
	u := s.Part()
	if len(u.Rows) < s.k {
		return s.rest == 0
	}
	last := &u.Rows[s.k-1]
	unlisted := Part{Rest: s.rest, From: s.from}
	if unlisted.UnseenMayPrecede(last) {
		return false
	}
	for i := range s.rows {
		r := &s.rows[i]
		if r.missing == 0 {
			continue
		}
		most := Row{Topic: r.Topic, Count: messages.Count{Upper: r.upper()}}
		if MayPrecede(&most, last) && Compare(&r.Row, last) > 0 {
			return false // one too many to be asked for by name
		}
	}
	return true
}

// Deeper is how many rows each source, of which depth were asked, should list
// now, at most most. 0: it is settled, or nothing would be gained, since what
// sources do not know of topics outweighs what they did not list.
func (s *Sum) Deeper(depth, most int) int {
	next := min(4*depth, most)
	if next <= depth || s.Settled() {
		return 0
	}
	var slack uint64
	short := true
	for _, p := range s.parts {
		slack = addSaturating(slack, p.slack(depth))
		short = short && len(p.Rows) < depth
	}
	if short || slack >= s.least() && len(s.rows) >= s.k {
		return 0
	}
	return next
}

// Reach is about how many of the depth rows listed by each source it takes to
// settle the board with few topics to be asked for by name: down to where the
// unlisted have at most half of what the k-th row has.
func (s *Sum) Reach(depth int) int {
	enough := s.least() / 2
	return sort.Search(depth, func(d int) bool {
		var rest uint64
		for _, p := range s.parts {
			n := p.Rest
			if d < min(depth, len(p.Rows)) {
				n = addSaturating(p.Rows[d].Count.Lower, p.slack(depth))
			}
			rest = addSaturating(rest, n)
		}
		return rest <= enough
	})
}

// slack is what Rest is greater than the last of the depth rows that were asked
// for: what would bound the rest of a longer list too.
func (p *Part) slack(depth int) uint64 {
	if len(p.Rows) < depth {
		return p.Rest
	}
	return p.Rest - min(p.Rest, p.Rows[depth-1].Count.Lower)
}

// least is what the k-th row has at least; 0 if there are fewer.
func (s *Sum) least() uint64 {
	if len(s.rows) < s.k {
		return 0
	}
	// A heap of the k greatest, the least of them on top.
	heap := make([]uint64, 0, s.k)
	for i := range s.rows {
		n := s.rows[i].Count.Lower
		switch {
		case len(heap) < s.k:
			if heap = append(heap, n); len(heap) == s.k {
				slices.Sort(heap) // which is a heap
			}
		case n > heap[0]:
			heap[0] = n
			sink(heap)
		}
	}
	return heap[0]
}

// sink moves the top of a heap to its place.
func sink(heap []uint64) {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if heap[child] < heap[least] {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// noBound is a sum that saturated.
const noBound = ^uint64(0)

func addSaturating(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return noBound
}
