package window_test

import (
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestSketchesGoWithTheirSlices: a slice that is merged into another one or kept
// no longer gives its sketch back. A slot that stays behind would be memory that
// nobody misses until there is none.
func TestSketchesGoWithTheirSlices(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 17))
	s := newStream(5)
	s.step = []messages.Micros{messages.Second, messages.Minute, 3 * messages.Hour}
	table := window.New(window.Config{Hash: hashOf, Memory: 1 << 22, Epsilon: 0.05, Delta: 0.1, Key: [2]uint64{5, 5}})
	b := newBatch(s.maxCategories, s.maxRegions, hashOf)
	for round := range 3 {
		most := int64(0)
		for range 400 {
			for range 5 {
				b.add(s.next())
			}
			table.Apply(b.flush(s.clock))
			table.Leave(func() bool { return r.IntN(2) == 0 })
			most = max(most, table.SliceSketchBytes())
		}
		if most == 0 {
			t.Fatal("nothing is in the slices' sketches")
		}
		s.clock += 40 * messages.Day
		table.Slide(s.clock)
		if n := table.SliceSketchBytes(); n != 0 {
			t.Fatalf("round %d: no slice is kept, and their sketches take %d bytes (at most %d before)", round, n, most)
		}
	}
}
