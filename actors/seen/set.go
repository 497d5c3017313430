package seen

// MaxSet is how many ids a Set takes. A full one has 20 bytes an id.
const MaxSet = 1 << 17

const (
	minSlots = 64
	// A slot holds the number of an id, counted from 1, and a part of the id, so
	// that another's is mostly told without looking at it.
	numberBits = 18
	numberMask = 1<<numberBits - 1
)

// Set is a set of ids in the order in which they came: appended, never moved,
// with open addressing beside them. So what was there at one moment can be
// read for ever (IDs) while more are added. The zero value is an empty set.
type Set struct {
	ids   []Packed
	slots []uint32 // 0: free
}

// NewSet is an empty set with room for MaxSet ids at once.
func NewSet() *Set {
	return &Set{ids: make([]Packed, 0, MaxSet), slots: make([]uint32, 2*MaxSet)}
}

// Len is the number of ids.
func (s *Set) Len() int { return len(s.ids) }

// Full tells whether the set takes no more.
func (s *Set) Full() bool { return len(s.ids) == MaxSet }

// IDs are those there now, in the order in which they came. They never change.
func (s *Set) IDs() []Packed { return s.ids[:len(s.ids):len(s.ids)] }

// Has tells whether the id is there.
func (s *Set) Has(id ID) bool {
	if len(s.ids) == 0 {
		return false
	}
	p := id.Pack()
	for i := scale(id.Hi, len(s.slots)); ; {
		slot := s.slots[i]
		if slot == 0 {
			return false
		}
		if slot&^numberMask == id.Lo&^numberMask && s.ids[slot&numberMask-1] == p {
			return true
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}

// Touch is as the filters' Touch.
func (s *Set) Touch(ids []ID) (nothing uint64) {
	if len(s.slots) == 0 {
		return 0
	}
	for i := range ids {
		nothing += uint64(s.slots[scale(ids[i].Hi, len(s.slots))])
	}
	return nothing
}

// Add puts an id in that is not there. The set must not be full.
func (s *Set) Add(id ID) {
	if len(s.ids) == cap(s.ids) {
		ids := make([]Packed, len(s.ids), moreIDs(cap(s.ids)))
		copy(ids, s.ids)
		s.ids = ids
	}
	if 4*len(s.ids) >= 3*len(s.slots) {
		s.slots = make([]uint32, moreSlots(len(s.slots)))
		for i, p := range s.ids {
			s.place(p, i)
		}
	}
	s.ids = append(s.ids, id.Pack())
	s.place(id.Pack(), len(s.ids)-1)
}

func (s *Set) place(p Packed, number int) {
	i := scale(p.hi(), len(s.slots))
	for s.slots[i] != 0 {
		if i++; i == len(s.slots) {
			i = 0
		}
	}
	s.slots[i] = p[2]&^numberMask | uint32(number+1)
}

// moreIDs is the room after the next growth: by a quarter.
func moreIDs(room int) int { return min(MaxSet, max(minSlots*3/4, room+room/4)) }

// moreSlots is the number of slots after the next growth: by a half, and no
// growth is left to do where a full set would need one more.
func moreSlots(slots int) int {
	more := max(minSlots, slots+slots/2)
	if more*3 >= MaxSet*4 {
		return 2 * MaxSet
	}
	return more
}

// Bytes is what the set takes; next what it takes after the growths that are
// near, those of a part that is three quarters as full as it may be.
func (s *Set) Bytes() (now, next int64) {
	ids, slots := cap(s.ids), len(s.slots)
	now = setBytes(ids, slots)
	if 4*len(s.ids) >= 3*ids && ids < MaxSet {
		ids = moreIDs(ids)
	}
	if 16*len(s.ids) >= 9*slots && slots < 2*MaxSet {
		slots = moreSlots(slots)
	}
	return now, setBytes(ids, slots)
}

// FullSetBytes is what a set of MaxSet ids takes.
const FullSetBytes = int64(MaxSet)*12 + 2*MaxSet*4

func setBytes(ids, slots int) int64 { return int64(ids)*12 + int64(slots)*4 }
