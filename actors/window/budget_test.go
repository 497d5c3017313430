package window_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// cellBytes is what a busy cell takes beside its rows: its totals, also by slice,
// do not leave.
const cellBytes = 11 << 8

// TestBudgetIsKept: whatever takes the memory, a table holds little more than it
// may, and that the totals of its cells take, at every moment.
func TestBudgetIsKept(t *testing.T) {
	const memory = 2 << 20
	for _, load := range []struct {
		name     string
		category func(r *rand.Rand, topic uint64) uint64
		regions  int
		topics   uint64
		forked   bool
	}{
		{"topics in regions", func(_ *rand.Rand, topic uint64) uint64 { return topic % 3 }, 100, 40_000, false},
		{"topics in sixty categories each", func(r *rand.Rand, _ uint64) uint64 { return r.Uint64N(60) }, 0, 3_000, true},
		{"topics in sixty categories and ten regions", func(r *rand.Rand, _ uint64) uint64 { return r.Uint64N(60) }, 10, 3_000, true},
		{"the same topics all the time", func(*rand.Rand, uint64) uint64 { return 0 }, 0, 20_000, false},
	} {
		t.Run(load.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 7))
			zipf := rand.NewZipf(r, 1.05, 5, load.topics-1)
			table := window.New(window.Config{Hash: hashOf, Memory: memory, Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 2}})
			b := newBatch(100, 512, hashOf)
			clock := 1_700_000_000 * messages.Second
			var most int64
			for n := range 300_000 {
				topic, region := zipf.Uint64(), ""
				if load.regions > 0 {
					region = fmt.Sprint("r", r.IntN(load.regions))
				}
				b.add(event{clock.Floor(messages.SliceLength), fmt.Sprintf("topic/%d", topic), fmt.Sprint("c", load.category(r, topic)), region, 1})
				if n%500 == 499 {
					table.Apply(b.flush(clock))
					clock += 8 * messages.Day / 600
					m := table.Stats().Memory
					most = max(most, m.Engine())
				}
			}
			s := table.Stats()
			t.Logf("%.3f of the memory at most, %d cells; %d rows, %d topics, %d left, %s; %+v", float64(most)/memory, table.Families(), s.Rows, s.Topics, table.Left(), table.Sweep(), s.Memory)
			if table.Left() == 0 {
				t.Error("there was room for all")
			}
			limit := max(memory+memory/16, memory/2+int64(table.Families())*cellBytes)
			if load.forked { // the first topics stay, and all their categories with them
				limit = max(limit, memory+memory/4)
			}
			if most > limit {
				t.Errorf("%d bytes, not %d", most, limit)
			}
		})
	}
}
