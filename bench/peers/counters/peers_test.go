package counters

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPeersAgainstCounts: with room for everything all rank as a map does;
// with little each keeps what it states.
func TestPeersAgainstCounts(t *testing.T) {
	const k, events, topics = 20, 100_000, 20_000
	for _, kind := range Kinds {
		for _, bytes := range []int64{20 << 10, 200 << 10, 8 << 20} {
			for seed := range uint64(3) {
				what := fmt.Sprintf("%s, %d bytes, seed %d", kind.Name, bytes, seed)
				rng := rand.New(rand.NewPCG(seed, 3))
				zipf := rand.NewZipf(rng, 1.1, 1, topics-1)
				p, truth := kind.New(bytes, k), map[string]uint64{}
				for range events {
					topic, n := fmt.Sprintf("topic-%d", zipf.Uint64()), 1+rng.Uint64N(3)
					p.Add(topic, n)
					truth[topic] += n
				}
				if got := p.Bytes(); got > bytes+bytes/10 {
					t.Errorf("%s: takes %d", what, got)
				}
				check(t, what, kind, p.Board(k), truth, bytes == 8<<20)
			}
		}
	}
}

func check(t *testing.T, what string, kind Kind, b Board, truth map[string]uint64, exact bool) {
	t.Helper()
	var ranked []Row
	for topic, n := range truth {
		ranked = append(ranked, Row{Topic: topic, Estimate: n})
	}
	slices.SortFunc(ranked, byEstimate)
	if !slices.IsSortedFunc(b.Rows, func(x, y Row) int { return int(min(y.Estimate, 1<<40)) - int(min(x.Estimate, 1<<40)) }) {
		t.Errorf("%s: rows are not sorted", what)
	}
	outside := 0
	for i, r := range b.Rows {
		if r.Bounded && (truth[r.Topic] < r.Lower || truth[r.Topic] > r.Upper) {
			outside++
		}
		if exact && r.Estimate != ranked[i].Estimate {
			t.Errorf("%s: row %d is %+v, true %+v", what, i, r, ranked[i])
		}
	}
	if kind.Certain && outside > 0 || outside > 1 {
		t.Errorf("%s: %d rows are outside of what is stated", what, outside)
	}
	if !kind.Certain {
		if b.Certified != -1 {
			t.Errorf("%s: certified %d", what, b.Certified)
		}
		return
	}
	for i, r := range b.Rows[:b.Certified] {
		if truth[r.Topic] < ranked[b.Certified-1].Estimate {
			t.Errorf("%s: certified row %d is not in the true first %d", what, i, b.Certified)
		}
	}
	if exact && b.Certified != len(b.Rows) {
		t.Errorf("%s: certified %d with room for everything", what, b.Certified)
	}
}
