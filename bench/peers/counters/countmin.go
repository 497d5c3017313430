package counters

import (
	"math"
	"math/bits"
	"slices"
)

// countMin is the textbook's: a count-min sketch of everything, plainly
// updated, and a heap of the k topics that read highest (Cormode &
// Muthukrishnan 2005). A count is at most its reading, and with probability
// 1 − δ at least the reading less ε·N; a counter at its end bounds nothing.
type countMin struct {
	k        int
	width    int
	counters [countMinDepth][]uint32 // saturating
	total    uint64
	top      minHeap
}

// countMinDepth is for δ = 0.001, as crest's sketches have it.
const countMinDepth = 7

// typicalName is what a heap is reckoned with before its topics are known.
const typicalName = 24

func newCountMin(bytes int64, k int) Peer {
	c := &countMin{k: k, top: newMinHeap()}
	c.width = max(1, int((bytes-int64(k)*(entryBytes+typicalName))/(4*countMinDepth)))
	for i := range c.counters {
		c.counters[i] = make([]uint32, c.width)
	}
	return c
}

func (c *countMin) Add(topic string, n uint64) {
	c.total += n
	h := hash(topic)
	reading := uint64(math.MaxUint32)
	for i := range c.counters {
		at, _ := bits.Mul64(mix(h+uint64(i)*0x9e3779b97f4a7c15), uint64(c.width))
		v := &c.counters[i][at]
		*v = uint32(min(uint64(*v)+n, math.MaxUint32))
		reading = min(reading, uint64(*v))
	}
	if i, ok := c.top.at[topic]; ok {
		c.top.raise(i, reading)
	} else if len(c.top.entries) < c.k {
		c.top.push(entry{topic: topic, count: reading})
	} else if reading > c.top.entries[0].count {
		c.top.replace(entry{topic: topic, count: reading})
	}
}

func (c *countMin) Board(k int) Board {
	slack := uint64(math.Ceil(math.E / float64(c.width) * float64(c.total)))
	b := Board{Certified: -1}
	for _, e := range c.top.entries {
		b.Rows = append(b.Rows, Row{
			Topic: e.topic, Estimate: e.count,
			Lower: e.count - min(slack, e.count), Upper: e.count, Bounded: e.count < math.MaxUint32,
		})
	}
	slices.SortFunc(b.Rows, byEstimate)
	b.Rows = b.Rows[:min(k, len(b.Rows))]
	return b
}

func (c *countMin) Bytes() int64 {
	return int64(c.width)*4*countMinDepth + c.top.bytes()
}

// hash is FNV-1a: the peers' streams are nobody's attack.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is SplitMix64's finaliser.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
