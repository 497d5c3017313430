package actors

import "math/bits"

// eventID is the 96-bit keyed fingerprint of (topic, event_id).
type eventID struct {
	hi uint64
	lo uint32
}

// idSet is a set of event ids: open addressing, 12 bytes a slot, no pointers.
// The zero id marks a free slot; an id that happens to be zero is kept as 1.
type idSet struct {
	hi  []uint64
	lo  []uint32
	len int
}

const idSetMinSlots = 64

func (s *idSet) has(id eventID) bool {
	if s.len == 0 {
		return false
	}
	_, found := s.find(id.nonZero())
	return found
}

// add puts an id in that is not there.
func (s *idSet) add(id eventID) {
	if s.len*5 >= len(s.hi)*4 {
		s.grow()
	}
	id = id.nonZero()
	i, _ := s.find(id)
	s.hi[i], s.lo[i] = id.hi, id.lo
	s.len++
}

// find is the slot of id, or the free slot where it belongs.
func (s *idSet) find(id eventID) (slot int, found bool) {
	n := len(s.hi)
	h, _ := bits.Mul64(id.hi, uint64(n)) // the fingerprint is uniform: scale it
	for i := int(h); ; {
		if s.hi[i] == id.hi && s.lo[i] == id.lo {
			return i, true
		}
		if s.hi[i] == 0 && s.lo[i] == 0 {
			return i, false
		}
		if i++; i == n {
			i = 0
		}
	}
}

// grow by a half: between 15 and 23 bytes an id.
func (s *idSet) grow() {
	old := *s
	n := max(idSetMinSlots, len(s.hi)+len(s.hi)/2)
	*s = idSet{hi: make([]uint64, n), lo: make([]uint32, n), len: old.len}
	for i, hi := range old.hi {
		if id := (eventID{hi, old.lo[i]}); id != (eventID{}) {
			j, _ := s.find(id)
			s.hi[j], s.lo[j] = id.hi, id.lo
		}
	}
}

func (s *idSet) bytes() int64 { return int64(len(s.hi)) * 12 }

// growth is what the next growth adds, once the set is three quarters full.
func (s *idSet) growth() int64 {
	if s.len*4 < len(s.hi)*3 {
		return 0
	}
	return s.bytes() / 2
}

func (id eventID) nonZero() eventID {
	if id == (eventID{}) {
		return eventID{lo: 1}
	}
	return id
}
