package window_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// load is a shard with a number of rows, and the deltas that keep coming:
// Zipf topics, each in up to eight regions, one category.
type load struct {
	table  *window.Table
	rand   *rand.Rand
	zipf   *rand.Zipf
	batch  *batch
	names  []string
	clock  messages.Micros
	window map[uint64]bool // keys in the delta being made
}

const loadRegions = 8

// newLoad fills a table: every topic occurs once in every region within an
// hour, then it takes deltas for a while.
func newLoad(rows int) *load { return newBoundedLoad(rows, 0) }

// newBoundedLoad gives the table so much memory; 0: what it takes.
func newBoundedLoad(rows int, memory int64) *load {
	r := rand.New(rand.NewPCG(1, uint64(rows)))
	l := &load{
		table: window.New(window.Config{Hash: hashOf, Memory: memory, Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 2}}),
		rand:  r,
		batch: newBatch(64, 512, hashOf),
		names: make([]string, rows/(1+loadRegions)),
		clock: 1_700_000_000 * messages.Second,
	}
	l.zipf = rand.NewZipf(r, 1.1, 20, uint64(len(l.names)-1))
	for i := range l.names {
		l.names[i] = fmt.Sprintf("topic/%07d", r.IntN(1<<30))
	}
	per := len(l.names)*loadRegions/720 + 1
	n := 0
	for _, i := range r.Perm(len(l.names) * loadRegions) {
		l.add(i/loadRegions, i%loadRegions)
		if n++; n%per == 0 {
			l.table.Apply(l.batch.flush(l.clock))
			l.clock += 5 * messages.Second
		}
	}
	l.table.Apply(l.batch.flush(l.clock))
	return l
}

func (l *load) add(topic, region int) {
	l.batch.add(event{
		slice: l.clock.Floor(messages.SliceLength), topic: l.names[topic], count: 1 + l.rand.Uint64N(3),
		category: fmt.Sprintf("c%d", topic%20), region: fmt.Sprintf("r%d", (topic+region*17)%200),
	})
}

// delta is a flush of n rows, no key twice; the clock moves on by step.
func (l *load) delta(n int, step messages.Micros) *window.Delta {
	clear(l.window)
	if l.window == nil {
		l.window = make(map[uint64]bool)
	}
	for len(l.window) < n {
		topic, region := l.zipf.Uint64(), l.rand.Uint64N(loadRegions)
		if key := topic<<8 | region; !l.window[key] {
			l.window[key] = true
			l.add(int(topic), int(region))
		}
	}
	l.clock += step
	return l.batch.flush(l.clock)
}

// deltas are made ahead, so that a benchmark times the table alone.
func (l *load) deltas(n, rows int, step messages.Micros) []*window.Delta {
	d := make([]*window.Delta, n)
	for i := range d {
		d[i] = l.delta(rows, step)
		l.batch.d = window.Delta{}
	}
	return d
}

func BenchmarkApply(b *testing.B) {
	for _, rows := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			l := newLoad(rows)
			const perDelta = 2000
			b.ReportAllocs()
			n := 0
			var ready []*window.Delta
			for b.Loop() {
				if len(ready) == 0 {
					b.StopTimer()
					ready = l.deltas(64, perDelta, 100*messages.Millisecond)
					b.StartTimer()
				}
				l.table.Apply(ready[0])
				ready = ready[1:]
				n += perDelta
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
			s := l.table.Stats()
			m := s.Memory
			b.ReportMetric(float64(m.Engine())/float64(s.Rows), "B/row")
			b.ReportMetric(float64(m.Lists)/float64(s.Rows), "listB/row")
		})
	}
}

func BenchmarkTop(b *testing.B) {
	l := newLoad(1_000_000)
	for _, d := range l.deltas(2000, 500, 500*messages.Millisecond) {
		l.table.Apply(d)
	}
	any, region, pair := messages.Cell{}, messages.Cell{Region: "r17"}, messages.Cell{Category: "c3", Region: "r20"}
	top := func(b *testing.B, w messages.Window, c messages.Cell) {
		e := l.table.Clock()
		for b.Loop() {
			if p := l.table.Top(&window.TopAsk{Window: w, E: e, Cell: c, K: 100}); len(p.Rows) == 0 {
				b.Fatal("empty")
			}
		}
	}
	b.Run("warm", func(b *testing.B) { top(b, messages.Window1h, any) })
	b.Run("window=37m", func(b *testing.B) { top(b, messages.Window(37*messages.Minute), any) })
	b.Run("window=37m/region", func(b *testing.B) { top(b, messages.Window(37*messages.Minute), region) })
	for name, c := range map[string]messages.Cell{"any": any, "region": region, "pair": pair} {
		b.Run("cold/"+name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				l.table.Unwatch()
				b.StartTimer()
				l.table.Top(&window.TopAsk{Window: messages.Window1h, E: l.table.Clock(), Cell: c, K: 100})
			}
		})
	}
}

// BenchmarkSlide is one 5 s step with the load of a busy shard between: what a
// slide costs, and the longest one seen.
func BenchmarkSlide(b *testing.B) {
	l := newLoad(1_000_000)
	var longest float64
	for b.Loop() {
		b.StopTimer()
		for _, d := range l.deltas(5, 4000, messages.Millisecond) {
			l.table.Apply(d)
		}
		l.clock += 5 * messages.Second
		before := b.Elapsed()
		b.StartTimer()
		l.table.Slide(l.clock)
		b.StopTimer()
		longest = max(longest, float64((b.Elapsed() - before).Microseconds()))
		b.StartTimer()
	}
	b.ReportMetric(longest, "longest-µs")
}

// BenchmarkBounded is BenchmarkApply with a part of the memory that the rows
// need, and the longest time that one delta took.
func BenchmarkBounded(b *testing.B) {
	const rows = 1_000_000
	for _, share := range []int64{1, 2, 10} {
		b.Run(fmt.Sprintf("need=1:%d", share), func(b *testing.B) {
			m := newLoad(rows).table.Stats().Memory
			need := m.Engine()
			memory := int64(0)
			if share > 1 {
				memory = need / share
			}
			l := newBoundedLoad(rows, memory)
			const perDelta = 2000
			n, left := 0, l.table.Left()
			var longest time.Duration
			var ready []*window.Delta
			for b.Loop() {
				if len(ready) == 0 {
					b.StopTimer()
					ready = l.deltas(64, perDelta, 100*messages.Millisecond)
					b.StartTimer()
				}
				before := time.Now()
				l.table.Apply(ready[0])
				longest = max(longest, time.Since(before))
				ready = ready[1:]
				n += perDelta
			}
			s := l.table.Stats()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
			b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
			b.ReportMetric(float64(s.Memory.Engine())/float64(need/share), "of-budget")
			b.ReportMetric(float64(s.Rows), "rows")
			b.ReportMetric(float64(l.table.Left()-left)/float64(n), "left/row")
			b.Logf("need %d: %+v, room %d; %s", need, s, l.table.Room(), l.table.Sweep())
		})
	}
}

// BenchmarkTopBounded is a board of a table with a tenth of the memory that its
// rows need.
func BenchmarkTopBounded(b *testing.B) {
	const rows = 1_000_000
	memory := newLoad(rows).table.Stats().Memory
	l := newBoundedLoad(rows, memory.Engine()/10)
	for _, d := range l.deltas(500, 2000, 500*messages.Millisecond) {
		l.table.Apply(d)
	}
	for _, w := range []messages.Window{messages.Window1h, messages.Window(37 * messages.Minute), messages.WindowAll} {
		for _, k := range []int{100, 1000, 4000} {
			b.Run(fmt.Sprintf("window=%s/k=%d", w, k), func(b *testing.B) {
				b.ReportAllocs()
				var certified int
				for b.Loop() {
					p := l.table.Top(&window.TopAsk{Window: w, E: l.table.Clock(), K: k})
					_, certified, _ = rank.Merge([]*rank.Part{p}, k)
				}
				b.ReportMetric(float64(certified), "certified")
			})
		}
	}
	b.Run("around", func(b *testing.B) {
		e := l.table.Clock()
		top := l.table.Top(&window.TopAsk{Window: messages.Window1h, E: e, K: 500})
		row := top.Rows[499]
		for b.Loop() {
			l.table.Around(&window.AroundAsk{Topic: row.Topic, Count: row.Count, Window: messages.Window1h, E: e, Around: 5})
		}
	})
}
