package seen

import (
	"math/bits"
	"slices"
)

// ID is a 96-bit keyed fingerprint. Ids are ordered by Hi, then Lo.
type ID struct {
	Hi uint64
	Lo uint32
}

// Packed is an ID in 12 bytes: the two halves of Hi, then Lo.
type Packed [3]uint32

// Pack is the id in 12 bytes.
func (id ID) Pack() Packed { return Packed{uint32(id.Hi >> 32), uint32(id.Hi), id.Lo} }

// ID is what was packed.
func (p Packed) ID() ID { return ID{p.hi(), p[2]} }

func (p Packed) hi() uint64 { return uint64(p[0])<<32 | uint64(p[1]) }

// less tells whether p is before q.
func (p Packed) less(q Packed) bool {
	a, b := p.hi(), q.hi()
	return a < b || a == b && p[2] < q[2]
}

// compare orders ids.
func (p Packed) compare(q Packed) int {
	switch {
	case p.less(q):
		return -1
	case q.less(p):
		return 1
	}
	return 0
}

// scale spreads a fingerprint evenly over n places, in its order.
func scale(hi uint64, n int) int {
	place, _ := bits.Mul64(hi, uint64(n))
	return int(place)
}

// perBucket is how many ids sorting puts into a bucket, if they are spread
// evenly.
const perBucket = 4

// sortInto writes the ids of from in order into to, which is as long. counts is
// scratch and is given back, perhaps larger.
func sortInto(to, from []Packed, counts []uint32) []uint32 {
	n := len(from)/perBucket + 1
	if cap(counts) < n+1 {
		counts = make([]uint32, n+1)
	}
	counts = counts[:n+1]
	clear(counts)
	for i := range from {
		counts[scale(from[i].hi(), n)+1]++
	}
	for i := 1; i <= n; i++ {
		counts[i] += counts[i-1]
	}
	for i := range from {
		bucket := scale(from[i].hi(), n)
		to[counts[bucket]] = from[i]
		counts[bucket]++
	}
	start := uint32(0)
	for _, end := range counts[:n] {
		sortBucket(to[start:end])
		start = end
	}
	return counts
}

func sortBucket(ids []Packed) {
	if len(ids) > 8*perBucket {
		slices.SortFunc(ids, Packed.compare)
		return
	}
	for i := 1; i < len(ids); i++ {
		for j := i; j > 0 && ids[j].less(ids[j-1]); j-- {
			ids[j], ids[j-1] = ids[j-1], ids[j]
		}
	}
}
