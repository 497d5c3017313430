package counters

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/keilerkonzept/topk"
)

// TestWeightedDecayIsUnitsInARow: a bucket of one topic meets n units of
// another. What is left of it, and how often it changes hands, is on average what
// the library's own loop over the units leaves.
func TestWeightedDecayIsUnitsInARow(t *testing.T) {
	const trials = 10_000
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct{ count, n uint32 }{{1, 1}, {1, 5}, {2, 3}, {5, 10}, {10, 40}, {20, 30}, {30, 300}} {
		t.Run(fmt.Sprintf("%d meets %d", c.count, c.n), func(t *testing.T) {
			var ours, theirs moments
			s := topk.New(1, topk.WithDepth(1), topk.WithWidth(1))
			for range trials {
				left, rest := decayed(rng, float64(s.Decay), c.count, c.n)
				ours.add(float64(left)-float64(rest), rest > 0)

				s.Buckets[0] = topk.Bucket{Fingerprint: topk.Fingerprint("a"), Count: c.count}
				s.Add("b", c.n)
				b := s.Buckets[0]
				if taken := b.Fingerprint == topk.Fingerprint("b"); taken {
					theirs.add(-float64(b.Count), true)
				} else {
					theirs.add(float64(b.Count), false)
				}
			}
			// Five standard errors of a difference, and no less than what one trial makes.
			if d, most := math.Abs(ours.mean()-theirs.mean()), 5*math.Hypot(ours.stderr(), theirs.stderr())+2.0/trials; d > most {
				t.Errorf("on average %.3f, the library %.3f: off by %.4f, more than %.4f", ours.mean(), theirs.mean(), d, most)
			}
			p, q := ours.share(), theirs.share()
			if most := 5*math.Sqrt((p*(1-p)+q*(1-q))/trials) + 2.0/trials; math.Abs(p-q) > most {
				t.Errorf("changes hands in %.4f, with the library in %.4f", p, q)
			}
		})
	}
}

// moments are of a sample; taken counts how often.
type moments struct {
	n, sum, squares, taken float64
}

func (m *moments) add(x float64, taken bool) {
	m.n, m.sum, m.squares = m.n+1, m.sum+x, m.squares+x*x
	if taken {
		m.taken++
	}
}

func (m *moments) mean() float64   { return m.sum / m.n }
func (m *moments) share() float64  { return m.taken / m.n }
func (m *moments) stderr() float64 { return math.Sqrt(max(0, m.squares/m.n-m.mean()*m.mean()) / m.n) }

// TestHugeCountsAreQuick: the greatest weights of an event, into full buckets.
func TestHugeCountsAreQuick(t *testing.T) {
	for _, kind := range Kinds {
		p := kind.New(4<<10, 10)
		for i := range uint64(100_000) {
			p.Add(fmt.Sprint("topic ", i%1000), 1<<31-i)
		}
		if rows := p.Board(10).Rows; len(rows) != 10 {
			t.Errorf("%s: %d rows, want 10", kind.Name, len(rows))
		}
	}
}

// TestFullCountersBoundNothing: where a count-min's counters are at their end,
// no bound is stated that is too low.
func TestFullCountersBoundNothing(t *testing.T) {
	p := newCountMin(8<<10, 10)
	for range 5 {
		p.Add("a", 1<<31)
	}
	if r := p.Board(10).Rows[0]; r.Bounded && r.Upper < 5<<31 {
		t.Errorf("5 × 2^31 is at most %d", r.Upper)
	}
	h := newHeavyKeeper(8<<10, 10)
	for range 5 {
		h.Add("a", 1<<31)
	}
	if r := h.Board(10).Rows[0]; r.Estimate < math.MaxUint32 {
		t.Errorf("HeavyKeeper's counter went round to %d", r.Estimate)
	}
}
