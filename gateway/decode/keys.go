package decode

import "hash/maphash"

// keySet finds the second occurrence of a key within one object, for all the
// objects of one event at once: an open-addressed table of places in the
// source. Forgetting is counting the generation up. Keys are hashed with a
// seed of the process, so nobody can aim many at one place, and their number
// per event is bounded, so neither time nor memory follows a hostile body.
type keySet struct {
	hash       maphash.Seed
	slots      []keySlot // a power of two, at most half full
	generation uint32
	used       int
	objects    uint32 // the last object's number within the event
}

// keySlot is one key: where its text is, and whose it is.
type keySlot struct {
	generation uint32 // empty unless it is the set's
	object     uint32
	key        span
}

// span is a piece of the source text, or of the arena of unescaped text.
type span struct {
	start, end uint32
	arena      bool
}

func (k *keySet) seed() {
	k.hash = maphash.MakeSeed()
	k.slots = make([]keySlot, 64)
	k.generation = 1
}

func (k *keySet) bytes() int { return len(k.slots) * 20 }

// reset forgets all keys.
func (k *keySet) reset() {
	k.used, k.objects = 0, 0
	if k.generation++; k.generation == 0 {
		clear(k.slots)
		k.generation = 1
	}
}

// open numbers the next object.
func (k *keySet) open() uint32 {
	k.objects++
	return k.objects
}

// add remembers a key of an object and tells whether it is new. text resolves
// spans of this event.
func (k *keySet) add(object uint32, key span, text texts) bool {
	if 2*k.used >= len(k.slots) {
		k.grow(text)
	}
	slot, found := k.find(object, text.of(key), text)
	if found {
		return false
	}
	*slot = keySlot{k.generation, object, key}
	k.used++
	return true
}

func (k *keySet) find(object uint32, key []byte, text texts) (*keySlot, bool) {
	mask := uint64(len(k.slots) - 1)
	h := maphash.Bytes(k.hash, key) + uint64(object)*0x9e3779b97f4a7c15
	for i := h & mask; ; i = (i + 1) & mask {
		s := &k.slots[i]
		if s.generation != k.generation {
			return s, false
		}
		if s.object == object && string(text.of(s.key)) == string(key) {
			return s, true
		}
	}
}

func (k *keySet) grow(text texts) {
	old := k.slots
	k.slots = make([]keySlot, 2*len(old))
	for _, s := range old {
		if s.generation == k.generation {
			slot, _ := k.find(s.object, text.of(s.key), text)
			*slot = s
		}
	}
}

// texts are the two places text can be in.
type texts struct {
	src, arena []byte
}

func (t texts) of(s span) []byte {
	if s.arena {
		return t.arena[s.start:s.end]
	}
	return t.src[s.start:s.end]
}
