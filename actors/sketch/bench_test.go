package sketch

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// layout is the counters of so many slots with so many of them side by side:
// what CountMin does, for other numbers of lanes.
type layout struct {
	width, depth, lanes int
	groups              [][]uint32
}

func newLayout(width, depth, slots, lanes int) *layout {
	l := &layout{width, depth, lanes, make([][]uint32, (slots+lanes-1)/lanes)}
	for i := range l.groups {
		l.groups[i] = make([]uint32, width*depth*lanes)
	}
	return l
}

func (l *layout) places(k Key, p *places) []int {
	for i := range l.depth {
		p[i] = (i*l.width + reduce(k.row(i), l.width)) * l.lanes
	}
	return p[:l.depth]
}

func (l *layout) add(slot int, k Key) {
	var p places
	at, g, lane := l.places(k, &p), l.groups[slot/l.lanes], slot%l.lanes
	n := uint32(saturation)
	for _, i := range at {
		n = min(n, g[i+lane])
	}
	n = addSaturating(n, 1)
	for _, i := range at {
		g[i+lane] = max(g[i+lane], n)
	}
}

func (l *layout) sum(slots []int, k Key) (total uint64) {
	var p places
	at := l.places(k, &p)
	for _, slot := range slots {
		g, lane, n := l.groups[slot/l.lanes], slot%l.lanes, uint32(saturation)
		for _, i := range at {
			n = min(n, g[i+lane])
		}
		total += uint64(n)
	}
	return total
}

func (l *layout) merge(dst, src int) {
	to, from := l.groups[dst/l.lanes], l.groups[src/l.lanes]
	for d, s := dst%l.lanes, src%l.lanes; d < len(to); d, s = d+l.lanes, s+l.lanes {
		to[d] = addSaturating(to[d], uint64(from[s]))
	}
}

func someKeys(n int) []Key {
	h := NewHasher(1, 2)
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = number(&h, uint64(i))
	}
	return keys
}

// BenchmarkLayout compares layouts for the 385 slices of a timeline.
func BenchmarkLayout(b *testing.B) {
	const slots, depth = 385, 7
	keys := someKeys(1 << 16)
	all := make([]int, slots)
	for i := range all {
		all[i] = i
	}
	for _, width := range []int{400, 2719} {
		for _, lanes := range []int{1, 16, slots} {
			l := newLayout(width, depth, slots, lanes)
			run := func(what string, f func(i int)) {
				b.Run(fmt.Sprintf("%s/w=%d/lanes=%d", what, width, lanes), func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						f(i)
					}
				})
			}
			run("Add", func(i int) { l.add(7, keys[i%len(keys)]) })
			run("Sum", func(i int) { l.sum(all, keys[i%len(keys)]) })
			run("Merge", func(i int) { l.merge(i%slots, (i+100)%slots) })
		}
	}
}

func BenchmarkCountMin(b *testing.B) {
	for _, width := range []int{400, 2719} {
		c := NewCountMin(width, 7)
		var all []int
		for range 385 {
			all = append(all, c.Acquire())
		}
		keys := someKeys(1 << 16)
		b.Run(fmt.Sprintf("Add/w=%d", width), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Add(7, keys[i%len(keys)], 1)
			}
		})
		for _, n := range []int{1, 12, 60, 385} {
			b.Run(fmt.Sprintf("Sum/w=%d/slots=%d", width, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					c.Sum(all[:n], keys[i%len(keys)])
				}
			})
		}
		b.Run(fmt.Sprintf("Merge/w=%d", width), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Merge(i%385, (i+100)%385)
			}
		})
	}
}

func BenchmarkHasher(b *testing.B) {
	h := NewHasher(1, 2)
	name := []byte("dQw4w9WgXcQ")
	topic := h.Topic(name)
	b.Run("Topic", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Topic(name)
		}
	})
	b.Run("In", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint32(0); b.Loop(); i++ {
			h.In(topic, 1, 0, i)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	for _, bytes := range []int64{256 << 10, 8 << 20} {
		f := NewFilter(bytes, 1)
		keys := someKeys(1 << 18)
		for i := range bytes * 8 / 2 / BitsPerKey {
			f.Add(keys[i%int64(len(keys))], 0)
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		b.Run(fmt.Sprintf("Add/bytes=%d", bytes), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.Add(keys[i%len(keys)], 0)
			}
		})
		b.Run(fmt.Sprintf("Has/bytes=%d", bytes), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.Has(keys[i%len(keys)])
			}
		})
	}
}

// BenchmarkLines counts in the sketches of six windows and the wide one, and reads
// all of them.
func BenchmarkLines(b *testing.B) {
	for _, width := range []int{400, 2719} {
		h, s := NewHasher(1, 2), NewLines(width, 7)
		rng := rand.New(rand.NewPCG(1, 2))
		keys := make([]Key, 1<<16)
		for i := range keys {
			keys[i] = number(&h, rng.Uint64N(1<<20))
		}
		n := Readings{Wide: 1}
		for w := range Narrow / 2 {
			n.Narrow[2*w] = 1
		}
		var read Readings
		b.Run(fmt.Sprintf("add/w=%d", width), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Add(keys[i%len(keys)], &n, &read)
			}
		})
		b.Run(fmt.Sprintf("read/w=%d", width), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s.Read(keys[i%len(keys)], &read)
			}
		})
	}
}
