package actors

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// combiner turns the records of a flush into one row per (slice, topic,
// category, region), so that a topic that occurs a thousand times between two
// flushes costs the shard one row. It is an open-addressing table over the
// delta's own rows; reset with the delta.
type combiner struct {
	slots []uint32 // row index + 1; 0 is free; a power of two
	used  int
}

const combinerMinSlots = 1 << 10

// add counts one record in d. hash is the topic's keyed hash.
func (c *combiner) add(d *window.Delta, topic []byte, hash uint64, slice messages.Micros, category, region window.NameID, count uint64) {
	if c.used*4 >= len(c.slots)*3 {
		c.grow(d)
	}
	mask := uint64(len(c.slots) - 1)
	i := mix(hash, slice, category, region) & mask
	for ; c.slots[i] != 0; i = (i + 1) & mask {
		r := &d.Rows[c.slots[i]-1]
		if r.Hash == hash && r.Slice == slice && r.Category == category && r.Region == region && bytes.Equal(d.Topic(r), topic) {
			r.Count = addSaturating(r.Count, count)
			return
		}
	}
	at := uint32(len(d.Topics))
	// Records of one topic often follow each other in other cells: share the name.
	if n := len(d.Rows); n > 0 && d.Rows[n-1].Hash == hash && bytes.Equal(d.Topic(&d.Rows[n-1]), topic) {
		at = d.Rows[n-1].TopicAt
	} else {
		d.Topics = append(d.Topics, topic...)
	}
	d.Rows = append(d.Rows, window.DeltaRow{
		Slice: slice, Count: count, Hash: hash,
		TopicAt: at, TopicLen: uint16(len(topic)),
		Category: category, Region: region,
	})
	c.slots[i] = uint32(len(d.Rows))
	c.used++
}

func (c *combiner) grow(d *window.Delta) {
	n := max(combinerMinSlots, 2*len(c.slots))
	c.slots = make([]uint32, n)
	mask := uint64(n - 1)
	for j := range d.Rows {
		r := &d.Rows[j]
		i := mix(r.Hash, r.Slice, r.Category, r.Region) & mask
		for c.slots[i] != 0 {
			i = (i + 1) & mask
		}
		c.slots[i] = uint32(j + 1)
	}
}

// finish orders d's rows by slice, as the shard wants them, and empties the
// table for the next delta.
func (c *combiner) finish(d *window.Delta) {
	ascending := true
	for i := 1; i < len(d.Rows) && ascending; i++ {
		ascending = d.Rows[i-1].Slice <= d.Rows[i].Slice
	}
	if !ascending {
		slices.SortStableFunc(d.Rows, func(a, b window.DeltaRow) int { return cmp.Compare(a.Slice, b.Slice) })
	}
	clear(c.slots)
	c.used = 0
}

// bytes is what the table holds.
func (c *combiner) bytes() int64 { return int64(cap(c.slots)) * 4 }

// mix spreads a row's key over the table; the topic's hash is keyed, so nobody
// outside can aim at one slot.
func mix(hash uint64, slice messages.Micros, category, region window.NameID) uint64 {
	h := hash ^ uint64(slice/messages.SliceLength)*0x9e3779b97f4a7c15
	h ^= (uint64(category)<<32 | uint64(region)) * 0xc2b2ae3d27d4eb4f
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

func addSaturating(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return ^uint64(0)
}
