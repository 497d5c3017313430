package window

import (
	"testing"

	"github.com/crestdb/crest/actors/rank"
)

// TestSearchKnowsWhatItLeavesOut: what a search cannot look at has at most what it
// says is left.
func TestSearchKnowsWhatItLeavesOut(t *testing.T) {
	const items = 1_000
	for most := 10; most < items; most += 30 {
		s := search{most: most, left: 1}
		for n := range uint64(items) {
			s.items = append(s.items, rank.Item{Count: n*n%977 + 1})
		}
		dropped := make(map[uint64]int)
		for _, it := range s.items {
			dropped[it.Count]++
		}
		s.limit()
		if len(s.items) > most {
			t.Errorf("%d items, at most %d were wanted", len(s.items), most)
		}
		for _, it := range s.items {
			dropped[it.Count]--
		}
		for n, times := range dropped {
			if times > 0 && n > s.left {
				t.Fatalf("at most %d: one with %d is left out, and at most %d are said to be left", most, n, s.left)
			}
		}
	}
}
