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
	if cap(s.spare) > spareMost {
		s.spare = nil
	}
}

// spareMost bounds the buffer that a sorter keeps, in entries.
const spareMost = 1 << 16

// mergePacked merges two ascending runs.
func mergePacked(a, b []uint64) []uint64 {
	out := make([]uint64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if packedRow(a[0]) <= packedRow(b[0]) {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// combine adds neighbouring entries of one row up, in place, where the sum
// fits.
func combine(e []uint64) []uint64 {
	out := e[:0]
	for _, x := range e {
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
