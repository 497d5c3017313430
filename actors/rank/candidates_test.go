package rank_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/crestdb/crest/actors/rank"
)

// names knows topics by their index.
type names []string

func (n names) Name(topic uint32) []byte { return []byte(n[topic]) }

func (n names) item(topic int, count uint64) rank.Item {
	return rank.Item{Count: count, Prefix: rank.Prefix([]byte(n[topic])), Topic: uint32(topic), Row: uint32(topic) + 1}
}

// similar makes names that share their first bytes, some the prefix of others.
func similar(n int) names {
	out := make(names, n)
	for i := range out {
		out[i] = fmt.Sprintf("%.*s%d", i%12, "same-beginning", (i*7919)%n)
	}
	return out
}

func inOrder(names names, items []rank.Item) {
	slices.SortFunc(items, func(a, b rank.Item) int {
		x := rank.Row{Topic: names[a.Topic]}
		y := rank.Row{Topic: names[b.Topic]}
		x.Count.Lower, y.Count.Lower = a.Count, b.Count
		return rank.Compare(&x, &y)
	})
}

func TestSelectionKeepsTheFirst(t *testing.T) {
	names := similar(300)
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s rank.Selection
		k := 1 + r.IntN(40)
		s.Reset(k, names)
		var all []rank.Item
		for _, i := range r.Perm(len(names))[:r.IntN(len(names))] {
			it := names.item(i, r.Uint64N(6))
			s.Offer(it)
			if it.Count > 0 {
				all = append(all, it)
			}
		}
		inOrder(names, all)
		if got := s.Sorted(); !slices.Equal(got, all[:min(k, len(all))]) {
			t.Fatalf("seed %d: k=%d: got %v, want %v", seed, k, got, all[:min(k, len(all))])
		}
	}
}

// TestCandidatesHoldTheFirst lets counts rise and fall and checks after each
// step that the first K are among the candidates, or that those say they are
// too few.
func TestCandidatesHoldTheFirst(t *testing.T) {
	names := similar(400)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		counts := make([]uint64, len(names))
		most := uint64(1 + r.IntN(20))
		c := rank.Candidates{K: 1 + r.IntN(30)}
		refill := func() {
			var s rank.Selection
			s.Reset(c.Want(), names)
			for i, n := range counts {
				s.Offer(names.item(i, n))
			}
			c.Refill(names, s.Sorted(), !s.Full())
		}
		refill()
		largest := 0
		for range 2000 {
			if i := r.IntN(len(names)); r.IntN(2) == 0 {
				counts[i] += r.Uint64N(most)
				it := names.item(i, counts[i])
				c.Take(names, &it)
			} else {
				counts[i] -= min(counts[i], r.Uint64N(most+2))
			}
			if c.Full() {
				refill()
			}
			largest = max(largest, len(c.Rows()))
			if r.IntN(10) > 0 {
				continue
			}
			var all, left []rank.Item
			for i, n := range counts {
				if n > 0 {
					all = append(all, names.item(i, n))
				}
			}
			for _, row := range c.Rows() {
				if it := names.item(int(row-1), counts[row-1]); c.Reaches(names, &it) {
					left = append(left, it)
				}
			}
			if len(left) < c.K && !c.Open() {
				refill()
				continue
			}
			inOrder(names, all)
			inOrder(names, left)
			if n := min(c.K, len(all)); !slices.Equal(left[:min(len(left), c.K)], all[:n]) {
				t.Fatalf("seed %d: candidates %v, want %v", seed, left, all[:n])
			}
		}
		if largest > 4*c.Want()+1 {
			t.Fatalf("seed %d: %d candidates for K=%d", seed, largest, c.K)
		}
	}
}
