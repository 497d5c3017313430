package window_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// frozenLoads are tables of about 100 MB: one that has all its rows, one that has a
// third of them.
var frozenLoads = []struct {
	name   string
	rows   int
	memory int64
}{
	{"exact", 1_000_000, 0},
	{"bounded", 3_000_000, 100 << 20},
}

func eachFrozenLoad(b *testing.B, f func(b *testing.B, l *load, cfg window.Config)) {
	for _, x := range frozenLoads {
		b.Run(fmt.Sprintf("%s/rows=%d", x.name, x.rows), func(b *testing.B) {
			f(b, newBoundedLoad(x.rows, x.memory), window.Config{Hash: hashOf, Memory: x.memory, Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 2}})
		})
	}
}

// nowhere counts what is written.
type nowhere struct{ bytes int64 }

func (n *nowhere) Write(b []byte) (int, error) {
	n.bytes += int64(len(b))
	return len(b), nil
}

func (n *nowhere) Part(_ string, write func(io.Writer) error) error   { return write(n) }
func (n *nowhere) Shared(_ string, write func(io.Writer) error) error { return write(n) }

// BenchmarkFreeze is how long the shard waits.
func BenchmarkFreeze(b *testing.B) {
	eachFrozenLoad(b, func(b *testing.B, l *load, _ window.Config) {
		b.ReportAllocs()
		for b.Loop() {
			l.table.Freeze().Release()
		}
	})
}

// BenchmarkSave also says how much is saved, as a share of the memory.
func BenchmarkSave(b *testing.B) {
	eachFrozenLoad(b, func(b *testing.B, l *load, _ window.Config) {
		f := l.table.Freeze()
		var n nowhere
		for b.Loop() {
			n.bytes = 0
			if err := f.Save(&n); err != nil {
				b.Fatal(err)
			}
		}
		f.Release()
		m := l.table.Stats().Memory
		b.SetBytes(n.bytes)
		b.ReportMetric(float64(n.bytes)/float64(m.Engine()), "of-memory")
		b.ReportMetric(float64(m.Engine())/1e6, "MB-memory")
	})
}

func BenchmarkLoad(b *testing.B) {
	eachFrozenLoad(b, func(b *testing.B, l *load, cfg window.Config) {
		f := l.table.Freeze()
		k := new(kept)
		if err := f.Save(k); err != nil {
			b.Fatal(err)
		}
		f.Release()
		b.SetBytes(int64(k.bytes()))
		rows := l.table.Stats().Rows
		l.table = nil
		n := 0
		for b.Loop() {
			if _, err := window.Load(cfg, reading{k}); err != nil {
				b.Fatal(err)
			}
			n += rows
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkApplyFrozen is the first deltas after a Freeze, all the copying in them,
// and the longest one; BenchmarkApply and BenchmarkBounded are the same without.
func BenchmarkApplyFrozen(b *testing.B) {
	for _, frozen := range []bool{false, true} {
		b.Run(fmt.Sprintf("frozen=%v", frozen), func(b *testing.B) {
			eachFrozenLoad(b, func(b *testing.B, l *load, _ window.Config) {
				const deltas, perDelta = 64, 2000
				var longest time.Duration
				for b.Loop() {
					b.StopTimer()
					ready := l.deltas(deltas, perDelta, 100*messages.Millisecond)
					var f *window.Frozen
					if frozen {
						f = l.table.Freeze()
					}
					b.StartTimer()
					for _, d := range ready {
						before := time.Now()
						l.table.Apply(d)
						longest = max(longest, time.Since(before))
					}
					if frozen {
						b.StopTimer()
						f.Release()
						b.StartTimer()
					}
				}
				b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
			})
		})
	}
}
