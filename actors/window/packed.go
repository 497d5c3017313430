package window

import (
	"math"
	"slices"
	"sort"
)

// Packed entries hold a row above and a count below 2^32 in one number: what a
// slice collects before it is merged into a list. A greater count takes several
// entries; there are never more of them than events, whose counts are at most
// messages.MaxCount.

func pack(id rowID, n uint32) uint64 { return uint64(id)<<32 | uint64(n) }

func packedRow(e uint64) rowID    { return rowID(e >> 32) }
func packedCount(e uint64) uint64 { return e & math.MaxUint32 }
func packedPage(e uint64) uint32  { return uint32(e >> (32 + pageShift)) }
func packedPlace(e uint64) uint8  { return uint8(e >> 32) }

// sorter sorts packed entries by row.
type sorter struct {
	spare []uint64
	most  int // entries that spare may have from one time to the next
	heads [1 << radixBits]uint32
}

const (
	radixBits  = 11
	radixLeast = 512 // fewer entries are sorted by comparing
)

// sort sorts by row: least significant digit first, two passes for up to four
// million rows.
func (s *sorter) sort(e []uint64) {
	if len(e) < radixLeast {
		slices.Sort(e)
		return
	}
	var all uint64
	for _, x := range e {
		all |= x
	}
	if cap(s.spare) < len(e) {
		s.spare = make([]uint64, len(e)+len(e)/4)
	}
	from, to := e, s.spare[:len(e)]
	swapped := false
	for shift := 32; shift < 64 && all>>shift != 0; shift += radixBits {
		clear(s.heads[:])
		for _, x := range from {
			s.heads[x>>shift&(1<<radixBits-1)]++
		}
		at := uint32(0)
		for i, n := range s.heads {
			s.heads[i] = at
			at += n
		}
		for _, x := range from {
			h := &s.heads[x>>shift&(1<<radixBits-1)]
			to[*h] = x
			*h++
		}
		from, to = to, from
		swapped = !swapped
	}
	if swapped {
		copy(e, from)
	}
	if cap(s.spare) > s.most {
		s.spare = nil
	}
}

// spareMost bounds a buffer that is kept for later, in entries; one of a table
// with little memory also has no more than spareShare of it.
const (
	spareMost  = 1 << 16
	spareShare = 64
)

// spareIn is how many entries a buffer may have in so much memory; 0: in any.
func spareIn(memory int64) int {
	if memory == 0 {
		return spareMost
	}
	return int(min(spareMost, memory/spareShare/8))
}

// merge merges two ascending runs that stand one behind the other, the second
// from n on, in place.
func (s *sorter) merge(e []uint64, n int) {
	if cap(s.spare) < len(e)-n {
		s.spare = make([]uint64, len(e)-n)
	}
	b := s.spare[:copy(s.spare[:cap(s.spare)], e[n:])]
	for to := len(e) - 1; len(b) > 0; to-- {
		if last := b[len(b)-1]; n > 0 && packedRow(e[n-1]) > packedRow(last) {
			e[to] = e[n-1]
			n--
		} else {
			e[to] = last
			b = b[:len(b)-1]
		}
	}
	if cap(s.spare) > s.most {
		s.spare = nil
	}
}

// combine adds neighbouring entries of one row up, in place, where the sum
// fits, and drops those that were removed.
func combine(e []uint64) []uint64 {
	out := e[:0]
	for _, x := range e {
		if packedCount(x) == 0 {
			continue
		}
		if n := len(out); n > 0 && packedRow(out[n-1]) == packedRow(x) && packedCount(out[n-1])+packedCount(x) <= math.MaxUint32 {
			out[n-1] += packedCount(x)
			continue
		}
		out = append(out, x)
	}
	return out
}

// searchPacked is where the entries of rows ≥ id begin in an ascending run.
func searchPacked(e []uint64, id rowID) int {
	return sort.Search(len(e), func(i int) bool { return packedRow(e[i]) >= id })
}

// countPacked is a row's count in an ascending run.
func countPacked(e []uint64, id rowID) (n uint64) {
	for i := searchPacked(e, id); i < len(e) && packedRow(e[i]) == id; i++ {
		n = addSaturating(n, packedCount(e[i]))
	}
	return n
}
