package counters

import "slices"

// spaceSaving is Space-Saving (Metwally, Agrawal & El Abbadi 2005) with a heap
// in place of the stream summary, so that events may count more than one: as
// many counters as memory has; a topic without one takes the least over,
// together with its count, which is from then on the most the topic may be
// overestimated by.
type spaceSaving struct {
	budget int64
	full   bool // no counter is added any more
	all    minHeap
}

func newSpaceSaving(bytes int64, _ int) Peer {
	return &spaceSaving{budget: bytes, all: newMinHeap()}
}

func (s *spaceSaving) Add(topic string, n uint64) {
	if i, ok := s.all.at[topic]; ok {
		s.all.raise(i, s.all.entries[i].count+n)
		return
	}
	if s.full = s.full || len(s.all.entries) > 0 && s.Bytes()+entryBytes+int64(len(topic)) > s.budget; !s.full {
		s.all.push(entry{topic: topic, count: n})
		return
	}
	least := s.all.entries[0].count
	s.all.replace(entry{topic: topic, count: least + n, over: least})
}

func (s *spaceSaving) Board(k int) Board {
	rows := make([]Row, len(s.all.entries))
	for i, e := range s.all.entries {
		rows[i] = Row{Topic: e.topic, Estimate: e.count, Lower: e.count - e.over, Upper: e.count, Bounded: true}
	}
	slices.SortFunc(rows, byEstimate)
	unseen := uint64(0) // the most a topic without a counter has
	if s.full {
		unseen = s.all.entries[0].count
	}
	n := min(k, len(rows))
	return Board{Rows: rows[:n], Certified: certified(rows, n, unseen)}
}

// certified is the largest n ≤ most for which the first n rows are provably
// the true first n: none of them can be overtaken by another row or by a topic
// that has none, each at the most it may have. (The paper's guarantee, with
// ties by topic as on a board. Rows stand by Upper, then topic.)
func certified(rows []Row, most int, unseen uint64) (n int) {
	for i := range most {
		// The one of the first rows that is overtaken most easily.
		last := rows[0]
		for _, r := range rows[:i+1] {
			if compareCounts(r.Lower, last.Lower, r.Topic, last.Topic) > 0 {
				last = r
			}
		}
		overtaken := i+1 < len(rows) && compareCounts(rows[i+1].Upper, last.Lower, rows[i+1].Topic, last.Topic) < 0
		if !overtaken && (unseen == 0 || unseen < last.Lower) {
			n = i + 1
		}
	}
	return n
}

func (s *spaceSaving) Bytes() int64 { return s.all.bytes() }
