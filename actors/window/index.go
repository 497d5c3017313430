package window

// index finds ids by 64-bit hashes: open addressing, 8 bytes a slot, no
// pointers into what it indexes. An id found is only a proposal: its 32-bit
// tag matches, and the caller compares the key itself. It is split into parts
// by the hash's upper bits, so that growing moves a few entries at a time.
type index struct {
	parts [indexParts]indexPart
	bytes int64
}

const (
	indexParts    = 256
	indexMinSlots = 8
)

// indexPart: a slot is tag<<32 | id+1; 0 is free. An entry's place follows
// from its tag, so growing does not look at what is indexed.
type indexPart struct {
	slots []uint64
	used  int
}

// probe walks the slots where an id of one hash may be.
type probe struct {
	slots []uint64
	at    uint32
	tag   uint32
}

func (x *index) probe(hash uint64) probe {
	tag := uint32(hash)
	return probe{x.parts[hash>>56].slots, tag, tag}
}

// next is the next id with the hash's tag; false: there is none left.
func (p *probe) next() (id uint32, ok bool) {
	if len(p.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(p.slots) - 1)
	for {
		s := p.slots[p.at&mask]
		if s == 0 {
			return 0, false
		}
		p.at++
		if uint32(s>>32) == p.tag {
			return uint32(s) - 1, true
		}
	}
}

// add enters an id that is not there.
func (x *index) add(hash uint64, id uint32) {
	p := &x.parts[hash>>56]
	if 4*(p.used+1) > 3*len(p.slots) {
		x.resize(p, max(indexMinSlots, 2*len(p.slots)))
	}
	p.place(uint64(uint32(hash))<<32 | uint64(id+1))
	p.used++
}

// resize gives a part so many slots.
func (x *index) resize(p *indexPart, slots int) {
	old := p.slots
	p.slots = make([]uint64, slots)
	x.bytes += int64(slots-len(old)) * 8
	for _, s := range old {
		if s != 0 {
			p.place(s)
		}
	}
}

func (p *indexPart) place(slot uint64) {
	mask := uint32(len(p.slots) - 1)
	i := uint32(slot>>32) & mask
	for p.slots[i] != 0 {
		i = (i + 1) & mask
	}
	p.slots[i] = slot
}

// remove takes an entry out. Those behind it move up, so that no walk ends
// before its time.
func (x *index) remove(hash uint64, id uint32) {
	p := &x.parts[hash>>56]
	mask := uint32(len(p.slots) - 1)
	entry := uint64(uint32(hash))<<32 | uint64(id+1)
	i := uint32(hash) & mask
	for p.slots[i] != entry {
		if p.slots[i] == 0 {
			panic("window: an index lacks what is to be removed")
		}
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		s := p.slots[j]
		if s == 0 {
			break
		}
		// s may move to i if i is not before where s would best be.
		if best := uint32(s>>32) & mask; (j-best)&mask >= (j-i)&mask {
			p.slots[i] = s
			i = j
		}
	}
	p.slots[i] = 0
	if p.used--; len(p.slots) > indexMinSlots && 4*p.used < len(p.slots) {
		x.resize(p, len(p.slots)/2)
	}
}
