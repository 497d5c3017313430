package window_test

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestStarvedMerges plays streams into tables that have too little memory and
// whose merges stand still for long, go on by a few entries, or catch up at
// once, at random: rows leave slices that should long be one, lists half
// written, and late counts that wait to be merged. What the table says is bound
// to be true all the same.
func TestStarvedMerges(t *testing.T) {
	n := uint64(48)
	if os.Getenv("CREST_SEEDS") != "" {
		n = seeds(t)
	}
	var sum tally
	var fasted fast
	for seed := range n {
		playStarved(t, seed, &sum, &fasted)
		if t.Failed() {
			t.Fatalf("seed %d (%s)", seed, attacks[seed%uint64(len(attacks))].name)
		}
	}
	t.Logf("%d checks, %d of them of counts that were not exact; %d rows left, %d of them a merge under way; up to %d slices, %d when fed",
		sum.checks, sum.inexact, sum.left, fasted.left, fasted.slices, fasted.fed)
	if n >= 16 && (sum.inexact == 0 || sum.certified == 0 || fasted.left == 0) {
		t.Error("the streams test nothing")
	}
}

// fast is what a run has seen of merges that stood still.
type fast struct {
	left   int // rows that left while a merge was under way
	slices int // most kept at a time
	fed    int // most kept when all merges were done
}

// diets are how much a table may merge at a time.
var diets = []func(r *rand.Rand) int{
	func(*rand.Rand) int { return -1 << 40 },
	func(r *rand.Rand) int { return -r.IntN(8000) },
	func(r *rand.Rand) int { return 1 + r.IntN(100) },
	func(*rand.Rand) int { return 1 << 40 },
}

func playStarved(t *testing.T, seed uint64, sum *tally, fasted *fast) {
	const events = 1500
	r := rand.New(rand.NewPCG(seed, 11))
	attack := attacks[seed%uint64(len(attacks))]
	hash := hashOf
	if seed%5 == 0 {
		hash = crowded
	}
	s := newStream(seed)
	memory := shortOf(newStream(seed), attack, events, hash, [...]int64{2, 10, 100}[r.IntN(3)])
	table := window.New(window.Config{Hash: hash, Memory: memory, Epsilon: 0.01, Delta: 0.02, Key: [2]uint64{seed, 3}})
	brute := actorstest.NewBrute()
	b := newBatch(s.maxCategories, s.maxRegions, hash)
	diet := diets[0]
	for n := range events {
		if r.IntN(100) == 0 {
			diet = diets[r.IntN(len(diets))]
		}
		e := s.next()
		attack.bend(s, n, &e)
		b.add(e)
		if r.IntN(8) == 0 {
			table.SetCredit(diet(r))
			applyBoth(b.flush(s.clock), brute, table, fasted)
			if r.IntN(6) == 0 { // not only what is cold leaves
				leaveSome(table, r, fasted)
			}
		}
		if r.IntN(40) == 0 {
			table.SetCredit(diet(r))
			table.Slide(s.clock + messages.Micros(r.Float64()*float64(lateness[r.IntN(7)])))
		}
		if r.IntN(150) == 0 || n == events-1 {
			applyBoth(b.flush(s.clock), brute, table, fasted)
			at := table.Clock()
			brute.Slide(at)
			questions := *s
			questions.Rand = r
			for range 6 {
				c := checker{t, &questions, brute, table, questions.window(), at, questions.cell(), sum}
				c.all()
			}
			if t.Failed() {
				t.Fatalf("after event %d; memory %d", n, memory)
			}
		}
	}
	fasted.slices = max(fasted.slices, table.Stats().Slices)
	table.SetCredit(1 << 40)
	table.Slide(table.Clock() + 5*messages.Second)
	fasted.fed = max(fasted.fed, table.Stats().Slices)
	if table.Merging() {
		t.Error("a merge is under way though there was no end of credit")
	}
	brute.Slide(table.Clock())
	c := checker{t, s, brute, table, s.window(), table.Clock(), s.cell(), sum}
	c.all()
	sum.left += table.Left()
}

// applyBoth counts a delta, and how many rows it made leave in the middle of a
// merge.
func applyBoth(d *window.Delta, brute *actorstest.Brute, table *window.Table, fasted *fast) {
	left := table.Left()
	brute.Apply(d)
	table.Apply(d)
	if table.Merging() {
		fasted.left += table.Left() - left
	}
	fasted.slices = max(fasted.slices, table.Stats().Slices)
}

// leaveSome makes an eighth of the rows leave.
func leaveSome(table *window.Table, r *rand.Rand, fasted *fast) {
	left := table.Left()
	table.Leave(func() bool { return r.IntN(8) == 0 })
	if table.Merging() {
		fasted.left += table.Left() - left
	}
}

// shortOf is memory for a share of what a bent stream needs beyond what a table
// of any size takes.
func shortOf(s *stream, attack attack, events int, hash func([]byte) uint64, share int64) int64 {
	whole := window.New(window.Config{Hash: hash})
	b := newBatch(s.maxCategories, s.maxRegions, hash)
	for n := range events {
		e := s.next()
		attack.bend(s, n, &e)
		b.add(e)
		if n%100 == 99 {
			whole.Apply(b.flush(s.clock))
		}
	}
	least := int64(150<<10 + 2048*len(s.categories))
	need := whole.Stats().Memory
	return least + need.Engine()/share
}
