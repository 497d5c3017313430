package decode

import (
	"math/rand/v2"

	"github.com/dchest/siphash"
)

// keySet finds the second occurrence of a key within one object, for all the
// objects of one event at once: an open-addressed table of 128-bit keyed
// hashes, so that it holds on to no text. Forgetting is counting the generation
// up. The key of the hash is drawn at random, so nobody can make two keys
// collide or aim many at one place, and the number of keys per event is
// bounded: neither time nor memory follows a hostile body.
type keySet struct {
	k0, k1     uint64
	slots      []keySlot // a power of two, at most half full
	generation uint32
	used       int
	objects    uint32 // the last object's number within the event
}

// keySlot is one key of one object.
type keySlot struct {
	lo, hi     uint64
	object     uint32
	generation uint32 // empty unless it is the set's
}

func newKeySet() keySet {
	return keySet{k0: rand.Uint64(), k1: rand.Uint64(), slots: make([]keySlot, 64), generation: 1}
}

func (k *keySet) bytes() int { return len(k.slots) * 24 }

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

// add remembers a key of an object and tells whether it is new.
func (k *keySet) add(object uint32, key []byte) bool {
	if 2*k.used >= len(k.slots) {
		k.grow()
	}
	lo, hi := siphash.Hash128(k.k0, k.k1, key)
	want := keySlot{lo, hi, object, k.generation}
	slot := k.find(want)
	if *slot == want {
		return false
	}
	*slot = want
	k.used++
	return true
}

// find is the key's slot, or the empty one where it belongs.
func (k *keySet) find(want keySlot) *keySlot {
	mask := uint64(len(k.slots) - 1)
	for i := want.lo + uint64(want.object); ; i++ {
		if s := &k.slots[i&mask]; s.generation != k.generation || *s == want {
			return s
		}
	}
}

func (k *keySet) grow() {
	old := k.slots
	k.slots = make([]keySlot, 2*len(old))
	for _, s := range old {
		if s.generation == k.generation {
			*k.find(s) = s
		}
	}
}
