package rank

import (
	"bytes"
	"slices"
)

// Item is a topic while it is being ranked by an exact count: small, without
// pointers, and mostly comparable without its name.
type Item struct {
	Count  uint64
	Prefix uint64 // of the name, see Prefix
	Topic  uint32 // names it to Names
	Row    uint32 // the caller's own
}

// Names knows topics by number. The bytes are only looked at.
type Names interface {
	Name(topic uint32) []byte
}

// Prefix is the first eight bytes of a name as a number: where two prefixes
// differ, they compare as the names do.
func Prefix(name []byte) uint64 {
	var p uint64
	for i := range min(8, len(name)) {
		p |= uint64(name[i]) << (56 - 8*i)
	}
	return p
}

// Precedes is Compare for items: whether a comes before b on a board.
func Precedes(names Names, a, b *Item) bool {
	switch {
	case a.Count != b.Count:
		return a.Count > b.Count
	case a.Prefix != b.Prefix:
		return a.Prefix < b.Prefix
	}
	return a.Topic != b.Topic && bytes.Compare(names.Name(a.Topic), names.Name(b.Topic)) < 0
}

// Selection keeps the first k of the items offered to it: a heap with the last
// of them on top, so most offers end after one comparison.
type Selection struct {
	k     int
	names Names
	heap  []Item
}

// Reset empties s for a selection of k items, k > 0.
func (s *Selection) Reset(k int, names Names) {
	s.k, s.names, s.heap = k, names, s.heap[:0]
}

// Least is the count below which an offer is in vain.
func (s *Selection) Least() uint64 {
	if len(s.heap) < s.k {
		return 1
	}
	return s.heap[0].Count
}

// Offer takes it if it is among the first k so far; items without a count
// never are.
func (s *Selection) Offer(it Item) {
	if it.Count == 0 {
		return
	}
	if len(s.heap) < s.k {
		s.heap = append(s.heap, it)
		s.up(len(s.heap) - 1)
		return
	}
	if Precedes(s.names, &it, &s.heap[0]) {
		s.heap[0] = it
		s.down(0)
	}
}

// Sorted are the items taken, first to last. They are the selection's own and
// valid until it is used again; nothing may be offered to it before Reset.
func (s *Selection) Sorted() []Item {
	slices.SortFunc(s.heap, func(a, b Item) int {
		switch {
		case Precedes(s.names, &a, &b):
			return -1
		case Precedes(s.names, &b, &a):
			return 1
		}
		return 0
	})
	return s.heap
}

func (s *Selection) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !Precedes(s.names, &s.heap[parent], &s.heap[i]) {
			return
		}
		s.heap[parent], s.heap[i] = s.heap[i], s.heap[parent]
		i = parent
	}
}

func (s *Selection) down(i int) {
	for {
		last := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.heap); child++ {
			if Precedes(s.names, &s.heap[last], &s.heap[child]) {
				last = child
			}
		}
		if last == i {
			return
		}
		s.heap[i], s.heap[last] = s.heap[last], s.heap[i]
		i = last
	}
}

// Full tells that there are k items: others may have been turned away.
func (s *Selection) Full() bool { return len(s.heap) == s.k }
