package window_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestLeave makes rows of a few topics leave and come back at every turn, with
// time steps that bring slices just to and just past the edges of windows.
func TestLeave(t *testing.T) {
	n := uint64(150)
	if os.Getenv("CREST_SEEDS") != "" {
		n = seeds(t)
	}
	var sum tally
	for seed := range n {
		playLeave(t, seed, &sum)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d checks, %d of them of counts that were not exact; %d rows left, %d cold counts; %d rows certified, %d not",
		sum.checks, sum.inexact, sum.left, sum.drawn, sum.certified, sum.uncertain)
	if sum.drawn == 0 {
		t.Error("no count was hidden at once")
	}
}

func playLeave(t *testing.T, seed uint64, sum *tally) {
	r := rand.New(rand.NewPCG(seed, 3))
	s := newStream(seed)
	s.topics = nil
	for i := range 3 + r.IntN(12) {
		s.topics = append(s.topics, fmt.Sprint("t", i))
	}
	s.categories, s.regions = nil, nil
	for i := range r.IntN(4) {
		s.categories = append(s.categories, fmt.Sprint("c", i))
	}
	for i := range r.IntN(3) {
		s.regions = append(s.regions, fmt.Sprint("r", i))
	}
	s.maxCategories, s.maxRegions = 1+r.IntN(4), 1+r.IntN(3)
	s.clock = max(s.clock, messages.Micros(window.Margin))
	hash := hashOf
	if seed%5 == 0 {
		hash = crowded
	}
	// A sketch of three counters reads what many keys have, a wide one what each
	// has.
	epsilon := [...]float64{0.99, 0.01}[r.IntN(2)]
	table := window.New(window.Config{Hash: hash, Memory: 1 << 22, Epsilon: epsilon, Delta: 0.3, Key: [2]uint64{seed, 2}})
	brute := actorstest.NewBrute()
	b := newBatch(s.maxCategories, s.maxRegions, hash)
	for n := range 220 {
		if r.IntN(60) == 0 { // names whose first events are in "other"
			b.maxCategories, b.maxRegions = b.maxCategories+1, b.maxRegions+1
		}
		step(s, r)
		for range r.IntN(4) {
			e := s.next()
			e.count = 1 + r.Uint64N(3)
			if r.IntN(3) > 0 {
				e.slice = s.clock.Floor(messages.SliceLength)
			}
			b.add(e)
		}
		d := b.flush(s.clock)
		brute.Apply(d)
		if r.IntN(3) > 0 {
			table.Hide(r.Uint64N(12))
		}
		table.Apply(d)
		if r.IntN(3) > 0 {
			share := r.IntN(4)
			table.Leave(func() bool { return r.IntN(4) <= share })
		}
		if n%5 > 0 {
			continue
		}
		at := table.Clock()
		switch r.IntN(3) {
		case 0:
			at += messages.Micros(r.IntN(8)) * messages.SliceLength
		case 1:
			at = max(0, at-messages.Micros(r.IntN(7))*messages.SliceLength)
		}
		table.Slide(at)
		brute.Slide(at)
		questions := *s
		questions.Rand = r
		for range 4 {
			c := checker{t, &questions, brute, table, questions.window(), at, questions.cell(), sum}
			if r.IntN(2) == 0 { // boards that are asked again and again
				c.window, c.cell = messages.StandardWindows[6-r.IntN(2)], messages.Cell{}
				if len(s.regions) > 0 {
					c.cell.Region = s.regions[0]
				}
			}
			c.all()
		}
		if t.Failed() {
			t.Fatalf("after step %d", n)
		}
	}
	sum.left += table.Left()
	sum.drawn += table.Drawn()
}

// step moves the clock on: a little, or by about the length of a window.
func step(s *stream, r *rand.Rand) {
	switch r.IntN(12) {
	case 0:
		w := messages.StandardWindows[r.IntN(len(messages.StandardWindows)-1)]
		s.clock += messages.Micros(w) + messages.Micros(r.IntN(9)-4)*messages.SliceLength
	case 1:
		s.clock += window.Grid(messages.StandardWindows[r.IntN(len(messages.StandardWindows)-1)])
	case 2, 3, 4, 5:
		s.clock += messages.Micros(r.IntN(4)) * messages.SliceLength / 2
	}
	s.step = []messages.Micros{1}
}
