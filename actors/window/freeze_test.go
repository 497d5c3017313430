package window_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestFrozen plays streams into tables that are frozen at random moments, saved
// then and once more while they go on, and loaded. What is loaded must answer as
// the obvious engine does, at once and with what comes afterwards.
func TestFrozen(t *testing.T) {
	n := uint64(120)
	if os.Getenv("CREST_SEEDS") != "" {
		n = seeds(t)
	}
	for seed := range n {
		playFrozen(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func playFrozen(t *testing.T, seed uint64) {
	s := newStream(seed)
	hash := hashOf
	if seed%7 == 0 {
		hash = crowded
	}
	l := newLife(window.Config{Hash: hash})
	b := newBatch(s.maxCategories, s.maxRegions, hash)
	brute := actorstest.NewBrute()
	var followers []*window.Table
	apply := func() {
		d := b.flush(s.clock)
		brute.Apply(d)
		l.apply(d)
		for _, table := range followers {
			table.Apply(d)
		}
	}
	favourite := question{s.window(), s.cell(), s.k()}
	slowMerges := s.IntN(2) == 0
	end := s.clock + 40*messages.Day
	for n := 0; n < 1200 && s.clock < end; n++ {
		b.add(s.next())
		if s.IntN(8) == 0 {
			apply()
			if slowMerges {
				credit := -s.IntN(8000)
				l.do(func(t *window.Table) { t.SetCredit(credit) })
			}
		}
		if s.IntN(40) == 0 {
			at := s.clock + messages.Micros(s.Float64()*float64(lateness[s.IntN(7)]))
			l.do(func(t *window.Table) { t.Slide(at) })
		}
		switch {
		case l.frozen == nil && s.IntN(150) == 0:
			apply()
			if twin := l.freeze(t, l.froze < 2); twin != nil {
				followers = []*window.Table{twin}
			}
			followers = append(followers[:min(1, len(followers))], restored(t, l.cfg, l.saved))
			ask(t, s, brute, followers, favourite)
		case l.frozen != nil && s.IntN(60) == 0:
			l.check(t)
		case l.frozen != nil && s.IntN(120) == 0:
			l.release(t)
		case len(followers) > 0 && s.IntN(150) == 0:
			apply()
			ask(t, s, brute, followers, favourite)
		}
		if t.Failed() {
			t.Fatalf("after event %d", n)
		}
	}
	apply()
	if l.frozen != nil {
		l.check(t)
	}
	ask(t, s, brute, append(followers, l.table), favourite)
	if l.frozen != nil {
		l.release(t)
	}
}

// TestSavedMeanwhile saves in another goroutine, again and again, while all that
// can happen to a table happens. It says something with the race detector.
func TestSavedMeanwhile(t *testing.T) {
	for seed := range uint64(6) {
		s := newStream(seed)
		r := rand.New(rand.NewPCG(seed, 17))
		b := newBatch(s.maxCategories, s.maxRegions, hashOf)
		l := newLife(window.Config{Hash: hashOf, Memory: 1 << 20, Epsilon: 0.01, Delta: 0.02, Key: [2]uint64{seed, 1}})
		if seed == 0 {
			l.cfg.Memory = 0
		}
		live := func(steps int) {
			for range steps {
				for range 20 {
					e := s.next()
					attacks[r.IntN(len(attacks))].bend(s, r.IntN(4000), &e)
					e.slice = min(e.slice, s.clock.Floor(messages.SliceLength))
					b.add(e)
				}
				l.table.Apply(b.flush(s.clock))
				if seed > 0 && r.IntN(3) == 0 {
					l.table.Hide(r.Uint64N(12))
					l.table.Leave(func() bool { return r.IntN(3) == 0 })
				}
				l.table.Top(&window.TopAsk{Window: s.window(), E: l.table.Clock(), Cell: s.cell(), K: 10})
			}
		}
		for range 5 {
			live(40)
			l.frozen = l.table.Freeze()
			l.saved = save(t, l.frozen, nil)
			done := make(chan error, 1)
			go func() {
				var err error
				for range 5 {
					k := new(kept)
					if err = l.frozen.Save(k); err != nil {
						break
					}
					if d := l.saved.different(k); d != "" {
						err = errors.New(d)
						break
					}
				}
				done <- err
			}()
			var err error
			for saving := true; saving; {
				live(1)
				select {
				case err = <-done:
					saving = false
				default:
				}
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			l.release(t)
			restored(t, l.cfg, l.saved)
		}
	}
}

// TestFrozenTopicsMove: records and names move, and others take their places, while
// a state is held in which they stood elsewhere.
func TestFrozenTopicsMove(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 31))
	l := newLife(window.Config{Hash: hashOf, Memory: 1 << 24, Epsilon: 0.01, Delta: 0.01})
	b := newBatch(64, 64, hashOf)
	clock := messages.Hour
	add := func(from, to int) {
		for i := from; i < to; i++ {
			for c := range 1 + i%3%2 {
				b.add(event{clock, fmt.Sprintf("a topic with a name of some length %d", i), fmt.Sprint("c", c), [...]string{"", "r"}[i/100%2], 1})
			}
		}
		l.table.Apply(b.flush(clock))
	}
	add(0, 9000)
	moved := 0
	for round := range 4 {
		l.table.Leave(func() bool { return r.IntN(3) > 0 })
		l.freeze(t, false)
		moved += l.table.Tidy()
		l.check(t)
		add(9000+1000*round, 10000+1000*round)
		l.check(t)
		l.table.Leave(func() bool { return r.IntN(2) > 0 })
		moved += l.table.Tidy()
		l.release(t)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if moved <= 0 {
		t.Error("no topic has moved")
	}
}
