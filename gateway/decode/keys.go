package decode

import (
	"math/rand/v2"

	"github.com/dchest/siphash"
)

// keySet finds the second occurrence of a key within one object, for all the
// objects of one event at once: an open-addressed table of 128-bit keyed
// hashes, so that it holds on to no text. Forgetting is counting the generation
// up. The first few keys of the objects that are looked into, mostly all there are,
// are compared as they stand instead. The key of the hash is drawn at random, so nobody can make two keys
// collide or aim many at one place, and the number of keys per event is
// bounded: neither time nor memory follows a hostile body.
type keySet struct {
	k0, k1     uint64
	slots      []keySlot // a power of two, at most half full
	generation uint32
	hashed     int    // keys in slots
	used       int    // keys in all
	objects    uint32 // the last object's number within the event
	texts      [8]keyText
	compared   int // keys in texts
}

// keyText is one key of one object, as it stands.
type keyText struct {
	text   []byte
	object uint32
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
	k.used, k.hashed, k.compared, k.objects = 0, 0, 0, 0
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

// release lets go of the texts.
func (k *keySet) release() {
	if k.compared > 0 {
		clear(k.texts[:k.compared])
		k.compared = 0
	}
}

// addText is add for a key whose text stays until the next reset. All keys of an
// object go the same way.
func (k *keySet) addText(object uint32, key []byte) bool {
	for i := range k.texts[:k.compared] {
		if t := &k.texts[i]; t.object == object && string(t.text) == string(key) {
			return false
		}
	}
	if k.compared == len(k.texts) {
		return k.add(object, key)
	}
	k.texts[k.compared] = keyText{key, object}
	k.compared++
	k.used++
	return true
}

// add remembers a key of an object and tells whether it is new.
func (k *keySet) add(object uint32, key []byte) bool {
	if 2*k.hashed >= len(k.slots) {
		k.grow()
	}
	lo, hi := siphash.Hash128(k.k0, k.k1, key)
	want := keySlot{lo, hi, object, k.generation}
	slot := k.find(want)
	if *slot == want {
		return false
	}
	*slot = want
	k.hashed++
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
