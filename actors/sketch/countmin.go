package sketch

import (
	"fmt"
	"math"
	"math/bits"
)

// CountMin is a set of count-min sketches of equal size, its slots, one per
// time slice (Cormode & Muthukrishnan 2005: d rows of w counters; a key adds
// to one counter of each row and reads the least of them).
//
// A reading is never below the true count. It is above it by more than ε·N,
// N everything added to the slot, with a probability of at most δ; ε = e/w,
// δ = e^-d. Within a slot the update is conservative (Estan & Varghese 2002):
// a counter is raised only as far as the key's new reading, which keeps the
// guarantee and never reads higher than plain addition. Slots, also of
// different shards, then add: the sum of two counters bounds the sum of what
// they bound, so merged slots and sums of readings keep (ε, δ) with the sum of
// their N.
//
// Counters have 32 bits and stop at the greatest. One that stopped bounds
// nothing; a key of which all have stopped reads "saturated".
//
// Layout: the counters of lanes slots at one position are one cache line. So
// an update touches d lines, as it would in any layout, and the sum over a
// window's slots touches one line per row for every 16 of them. Slots that are
// there but alone with their counters (1 lane) make updates and merges
// cheaper, but a reading of the longest window 2 to 5 times as dear, and
// readings are taken for every row that leaves. All of a position's counters
// side by side gain nothing more at the wanted ε, and would have to be laid
// out anew to grow. BenchmarkLayout, d 7, least of 3 runs on a busy 2-core
// machine, no allocations:
//
//	                 w 400, 4.3 MB               w 2,719, 29 MB
//	lanes            1        16       385       1        16       385
//	Add to a slot    71 ns    113 ns   169 ns    79 ns    111 ns   316 ns
//	Sum of 385       15 µs    7.6 µs   5.7 µs    38 µs    7.9 µs   8.1 µs
//	Merge            11 µs    22 µs    13 µs     94 µs    190 µs   506 µs
type CountMin struct {
	width, depth int
	groups       []group
}

// group is lanes slots: counters[position*lanes+lane], position = row*w +
// column. Without counters while none of them is in use.
type group struct {
	counters []uint32
	used     uint16 // a bit per lane
	shared   bool   // a frozen copy reads the counters too
}

const (
	lanes        = 16 // × 4 bytes are a cache line
	counterBytes = 4
	saturation   = math.MaxUint32
)

// NewCountMin makes a set without slots.
func NewCountMin(width, depth int) *CountMin {
	if width < 1 || depth < 1 || depth > maxDepth {
		panic(fmt.Sprintf("sketch: width %d, depth %d: want at least 1, and a depth of at most %d", width, depth, maxDepth))
	}
	return &CountMin{width: width, depth: depth}
}

// Acquire gives an empty slot, the first that is free: n slots never take
// more than ⌈n/16⌉ groups at their peak.
func (c *CountMin) Acquire() int {
	for i := range c.groups {
		if g := &c.groups[i]; g.used != math.MaxUint16 {
			return i*lanes + c.take(g)
		}
	}
	c.groups = append(c.groups, group{})
	return (len(c.groups)-1)*lanes + c.take(&c.groups[len(c.groups)-1])
}

func (c *CountMin) take(g *group) (lane int) {
	if g.counters == nil {
		g.counters = make([]uint32, c.width*c.depth*lanes)
	}
	lane = bits.TrailingZeros16(^g.used)
	g.used |= 1 << lane
	return lane
}

// Release empties a slot and gives it back; its memory goes with the last
// slot of its group.
func (c *CountMin) Release(slot int) {
	g := c.group(slot)
	g.used &^= 1 << (slot % lanes)
	if g.used == 0 {
		g.counters, g.shared = nil, false
		return
	}
	g.own()
	for i := slot % lanes; i < len(g.counters); i += lanes {
		g.counters[i] = 0
	}
}

// group is where a slot in use is.
func (c *CountMin) group(slot int) *group {
	g := &c.groups[slot/lanes]
	if g.used&(1<<(slot%lanes)) == 0 {
		panic(fmt.Sprintf("sketch: slot %d is not in use", slot))
	}
	return g
}

// places are where a key's counters are in any group, less the lane.
type places [maxDepth]int

func (c *CountMin) places(k Key, p *places) []int {
	var rows Rows
	k.Rows(c.depth, &rows)
	return c.placesOf(&rows, p)
}

func (c *CountMin) placesOf(rows *Rows, p *places) []int {
	for i := range c.depth {
		p[i] = (i*c.width + reduce(rows[i], c.width)) * lanes
	}
	return p[:c.depth]
}

// AddRows counts n times a key, given by its hashes, in a slot.
func (c *CountMin) AddRows(slot int, rows *Rows, n uint64) {
	var p places
	at := c.placesOf(rows, &p)
	g, lane := c.group(slot), slot%lanes
	g.own()
	reading := addSaturating(least(g, at, lane), n)
	for _, i := range at {
		g.counters[i+lane] = max(g.counters[i+lane], reading)
	}
}

func least(g *group, at []int, lane int) uint32 {
	n := uint32(saturation)
	for _, i := range at {
		n = min(n, g.counters[i+lane])
	}
	return n
}

func addSaturating(a uint32, n uint64) uint32 {
	if n >= saturation-uint64(a) {
		return saturation
	}
	return a + uint32(n)
}

// Sum is the sum of a key's readings in several slots: at least its count in
// all of them, unless saturated. (The sum of the least is at most the least of
// the sums, which merged slots read.)
func (c *CountMin) Sum(slots []int, k Key) (n uint64, saturated bool) {
	var p places
	at := c.places(k, &p)
	for _, slot := range slots {
		v := least(c.group(slot), at, slot%lanes)
		n += uint64(v)
		saturated = saturated || v == saturation
	}
	return n, saturated
}

// Merge adds what was counted in src to dst; src stays as it is.
func (c *CountMin) Merge(dst, src int) {
	c.group(dst).own()
	to, from := c.group(dst).counters, c.group(src).counters
	d, s := dst%lanes, src%lanes
	for ; d < len(to); d, s = d+lanes, s+lanes {
		to[d] = addSaturating(to[d], uint64(from[s]))
	}
}

// Bytes is the memory of all slots.
func (c *CountMin) Bytes() int64 {
	var n int64
	for i := range c.groups {
		n += int64(len(c.groups[i].counters)) * counterBytes
	}
	return n
}
