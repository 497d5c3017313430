package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/messages"
)

// counted is the truth about one window: every topic's count, and its counts
// in the regions that are ranked.
type counted struct {
	stream  *stream
	any     []uint32   // by topic
	regions [][]uint32 // the first of them, by topic
	pairs   map[pair]uint32
	total   uint64
	totals  []uint64 // by region
}

// pair is a topic in a region.
type pair struct {
	topic  uint64
	region uint8
}

// newCounted makes room for a stream's topics, some regions and pairs.
func newCounted(s *stream, regions int, pairs []pair) *counted {
	c := &counted{stream: s, any: make([]uint32, s.topics), totals: make([]uint64, 256), pairs: map[pair]uint32{}}
	for range regions {
		c.regions = append(c.regions, make([]uint32, s.topics))
	}
	for _, p := range pairs {
		c.pairs[p] = 0
	}
	return c
}

// count counts [start, end) anew.
func (c *counted) count(start, end messages.Micros) {
	clear(c.any)
	clear(c.totals)
	for _, r := range c.regions {
		clear(r)
	}
	for p := range c.pairs {
		c.pairs[p] = 0
	}
	c.total = 0
	for i := c.stream.from(start); i < c.stream.events; i++ {
		e := c.stream.at(i)
		if e.at >= end {
			break
		}
		c.any[e.topic]++
		c.total++
		c.totals[e.region]++
		if int(e.region) < len(c.regions) {
			c.regions[e.region][e.topic]++
		}
		if n, ok := c.pairs[pair{e.topic, e.region}]; ok {
			c.pairs[pair{e.topic, e.region}] = n + 1
		}
	}
}

// tally is the truth about any region, k rows of it and one more.
func (c *counted) tally(k int) *truth.Tally { return c.tallyOf(c.any, c.total, k) }

// tallyIn is that about one of the regions.
func (c *counted) tallyIn(region, k int) *truth.Tally {
	return c.tallyOf(c.regions[region], c.totals[region], k)
}

func (c *counted) tallyOf(counts []uint32, total uint64, k int) *truth.Tally {
	return truth.NewTally(func(topic string) uint64 {
		if t, ok := c.stream.number(topic); ok {
			return uint64(counts[t])
		}
		return 0
	}, first(counts, k+1), total)
}

// first are the k topics with the greatest counts, and those that tie.
func first(counts []uint32, k int) []truth.Row {
	// How many have a count, up to where it no longer matters which.
	var have [1 << 12]int
	for _, n := range counts {
		have[min(n, uint32(len(have)-1))]++
	}
	least, sum := uint32(len(have)-1), 0
	for ; least > 1; least-- {
		if sum += have[least]; sum >= k {
			break
		}
	}
	least = max(least, 1)
	var rows []truth.Row
	for topic, n := range counts {
		if n >= least {
			rows = append(rows, truth.Row{Topic: nameOf(uint64(topic)), Count: uint64(n)})
		}
	}
	slices.SortFunc(rows, func(a, b truth.Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Topic, b.Topic))
	})
	return rows
}
