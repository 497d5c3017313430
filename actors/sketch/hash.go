package sketch

import (
	"math/bits"

	"github.com/dchest/siphash"
)

// Key is what a sketch knows of a key: two independent, keyed 64-bit hashes.
// Everything a structure here derives from a key, it derives from these 128
// bits, so whoever does not know the secret can neither find two keys that
// meet nor tell which do.
type Key struct{ A, B uint64 }

// Hasher makes keys under one secret. It belongs to the log: sketches of
// different secrets must never be merged.
type Hasher struct{ k0, k1 uint64 }

// NewHasher takes a 128-bit secret.
func NewHasher(k0, k1 uint64) Hasher { return Hasher{k0, k1} }

// Topic is the key of a topic: SipHash-2-4 with 128 bits of output (Aumasson &
// Bernstein 2012), a pseudo-random function of the name under the secret.
func (h *Hasher) Topic(name []byte) Key {
	a, b := siphash.Hash128(h.k0, h.k1, name)
	return Key{a, b}
}

// In is the key of a topic in a category and region; kind tells apart what
// would otherwise have the same two numbers (such as "any region" and "no
// region").
//
// It is SipHash's permutation over a state of the topic's key and the two
// words, under the same secret: four rounds, as SipHash-2-4 ends with, mix
// every bit of the 256 into every bit of the result. Two keys of one topic are
// as independent of each other as keys of two topics are.
func (h *Hasher) In(topic Key, kind uint8, category, region uint32) Key {
	v0 := topic.A ^ h.k0
	v1 := topic.B ^ h.k1
	v2 := (uint64(category)<<32 | uint64(region)) ^ bits.RotateLeft64(h.k0, 32)
	v3 := (uint64(kind) + 1) ^ bits.RotateLeft64(h.k1, 32)
	for range 4 {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	return Key{v0 ^ v2, v1 ^ v3}
}

// seeds set the rows of a sketch apart: the first 64 bits of the fractional
// parts of square roots (SHA-512's initial values and its next primes'), so
// that nobody chose them.
var seeds = [maxDepth]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
	0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
	0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4,
}

// row is the i-th of a key's independent 64-bit hashes.
//
// A count-min's (ε, δ) needs rows in which two keys meet independently. Double
// hashing (A + i·B) does not give that: keys that meet in two rows then have
// the same step and meet in all of them, so δ stays at about 1/w² however many
// rows there are. So every row multiplies the key's two halves anew, each
// under the row's own seed, folds all 128 bits of the product, and finishes
// with a round of MurmurHash3's mixer. TestRowsMeetIndependently counts.
func (k Key) row(i int) uint64 {
	s := seeds[i]
	hi, lo := bits.Mul64(k.A^s, k.B^bits.RotateLeft64(s, 32))
	x := hi ^ lo
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	return x ^ x>>33
}

// Rows is a key's hashes for the first rows of any sketch.
type Rows [maxDepth]uint64

// Rows sets to to the hashes of a key for sketches of so many rows: a key that is
// counted in several is hashed once.
func (k Key) Rows(depth int, to *Rows) {
	for i := range to[:depth] {
		to[i] = k.row(i)
	}
}

// reduce maps a hash onto 0 … n−1 (Lemire 2019).
func reduce(hash uint64, n int) int {
	hi, _ := bits.Mul64(hash, uint64(n))
	return int(hi)
}
