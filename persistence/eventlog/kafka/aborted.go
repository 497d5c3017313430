package kafka

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// abortedTransaction is one that a fetch names: the records of its producer
// from the first offset on do not count, until the producer's abort marker.
type abortedTransaction struct{ producer, first int64 }

// abortedSet follows the aborted transactions through the batches of one fetch,
// which names all that reach into it.
type abortedSet struct {
	coming []abortedTransaction // by first offset
	open   []int64              // producers in one; few
}

func (s *abortedSet) reset(list []abortedTransaction) {
	s.coming = append(s.coming[:0], list...)
	slices.SortFunc(s.coming, func(a, b abortedTransaction) int { return cmp.Compare(a.first, b.first) })
	s.open = s.open[:0]
}

// skips tells whether a batch has no records for a reader: markers, and what
// was aborted.
func (s *abortedSet) skips(h *batchHead) bool {
	for len(s.coming) > 0 && s.coming[0].first < h.next {
		if p := s.coming[0].producer; !slices.Contains(s.open, p) {
			s.open = append(s.open, p)
		}
		s.coming = s.coming[1:]
	}
	if h.control {
		if h.abortMarker() {
			s.open = slices.DeleteFunc(s.open, func(p int64) bool { return p == h.producer })
		}
		return true
	}
	return h.transactional && slices.Contains(s.open, h.producer)
}

// abortMarker tells whether a control batch ends its producer's transaction by
// aborting it. Markers are never compressed.
func (h *batchHead) abortMarker() bool {
	var r record
	it := recordIter{head: h, b: h.records, left: h.count}
	if h.codec != 0 || !it.next(&r) || len(r.key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(r.key[2:]) == 0
}
