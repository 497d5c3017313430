package window_test

import (
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestFrozenBounds is TestFrozen for tables that have too little memory: what is
// loaded has the same bounds as what was saved, and those that follow are true,
// whatever memory it is given.
func TestFrozenBounds(t *testing.T) {
	n := uint64(60)
	if os.Getenv("CREST_SEEDS") != "" {
		n = seeds(t)
	}
	var sum tally
	froze := 0
	for seed := range n {
		froze += playFrozenBounds(t, seed, &sum)
		if t.Failed() {
			t.Fatalf("seed %d (%s)", seed, attacks[seed%uint64(len(attacks))].name)
		}
	}
	t.Logf("frozen %d times; %d checks, %d of them of counts that were not exact; %d rows left, %d cold counts; %d rows certified, %d not",
		froze, sum.checks, sum.inexact, sum.left, sum.drawn, sum.certified, sum.uncertain)
	if sum.left == 0 || sum.inexact == 0 || sum.drawn == 0 {
		t.Error("the streams test nothing")
	}
}

func playFrozenBounds(t *testing.T, seed uint64, sum *tally) int {
	hash := hashOf
	if seed%5 == 0 {
		hash = crowded
	}
	attack := attacks[seed%uint64(len(attacks))]
	const events = 1500
	memory := shortOf(newStream(seed), attack, events, hash, [...]int64{2, 10, 100}[seed/uint64(len(attacks))%3])
	s := newStream(seed)
	b := newBatch(s.maxCategories, s.maxRegions, hash)
	l := newLife(window.Config{Hash: hash, Memory: memory, Epsilon: 0.01, Delta: 0.02, Key: [2]uint64{seed, 1}})
	brute := actorstest.NewBrute()
	other := rand.New(rand.NewPCG(seed, 7))
	slowMerges := other.IntN(2) == 0
	var followers []*window.Table // one that was loaded with as much memory, one with another
	apply := func() {
		d := b.flush(s.clock)
		brute.Apply(d)
		l.apply(d)
		for _, table := range followers {
			table.Apply(d)
		}
	}
	for n := range events {
		e := s.next()
		attack.bend(s, n, &e)
		b.add(e)
		if other.IntN(8) == 0 {
			apply()
		}
		if other.IntN(16) == 0 {
			l.somethingLeaves(other.Uint64())
		}
		if other.IntN(8) == 0 && slowMerges {
			credit := other.IntN(200) - 100
			l.do(func(t *window.Table) { t.SetCredit(credit) })
		}
		switch {
		case l.frozen == nil && other.IntN(150) == 0:
			apply()
			at := l.table.Clock() + messages.Micros(other.IntN(2)*other.IntN(1+int(lateness[other.IntN(7)])))
			l.do(func(t *window.Table) { t.Slide(at) })
			brute.Slide(at)
			if other.IntN(2) == 0 { // with all slices in order
				l.somethingLeaves(other.Uint64())
			}
			twin := l.freeze(t, l.froze == 0)
			cfg := l.cfg
			cfg.Memory = [...]int64{0, memory / 4, memory / 2, memory * 2, memory * 1000}[other.IntN(5)]
			followers = []*window.Table{restored(t, l.cfg, l.saved), restored(t, cfg, l.saved)}
			if twin != nil {
				sameBounds(t, s, other, at, twin, restored(t, l.cfg, l.saved))
			}
		case l.frozen != nil && other.IntN(40) == 0:
			l.check(t)
		case l.frozen != nil && other.IntN(120) == 0:
			l.release(t)
		}
		if len(followers) > 0 && other.IntN(60) == 0 || n == events-1 {
			apply()
			at := l.table.Clock()
			for _, table := range followers {
				at = max(at, table.Clock())
			}
			if n == events-1 {
				followers = append(followers, l.table)
			}
			brute.Slide(at)
			questions := *s
			questions.Rand = other
			for _, table := range followers {
				table.Slide(at)
				for range 4 {
					c := checker{t, &questions, brute, table, questions.window(), at, questions.cell(), sum}
					c.all()
				}
			}
		}
		if t.Failed() {
			t.Fatalf("after event %d; memory %d", n, memory)
		}
	}
	if l.frozen != nil {
		l.release(t)
	}
	sum.left += l.table.Left()
	sum.drawn += l.table.Drawn()
	return l.froze
}

// somethingLeaves makes some rows leave, and some counts be hidden, that else would
// not.
func (l *life) somethingLeaves(seed uint64) {
	l.do(func(t *window.Table) {
		r := rand.New(rand.NewPCG(seed, 1))
		if t.Hide(r.Uint64N(12)); r.IntN(2) == 0 {
			share := r.IntN(10)
			t.Leave(func() bool { return r.IntN(10) < share })
		}
	})
}

// sameBounds asks two tables some of everything.
func sameBounds(t *testing.T, s *stream, r *rand.Rand, at messages.Micros, want, got *window.Table) {
	t.Helper()
	questions := *s
	questions.Rand = r
	same := func(question, want, got any) {
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%T%+v:\n%s", question, question, difference(got, want))
		}
	}
	a, b := want.Stats(), got.Stats()
	same("rows, topics, slices", [...]int{a.Rows, a.Topics, a.Slices}, [...]int{b.Rows, b.Topics, b.Slices})
	entries, dead := want.Lists()
	n, gone := got.Lists()
	same("entries, dead bytes", [...]int{entries, dead}, [...]int{n, gone})
	for range 8 {
		w, c := questions.window(), questions.cell()
		top := &window.TopAsk{Window: w, E: at, Cell: c, K: questions.k(), Categories: r.IntN(2) == 0}
		same(*top, want.Top(top), got.Top(top))
		count := &window.CountAsk{Topics: questions.someTopics(5), Window: w, E: at, Cell: c}
		same(*count, want.Count(count), got.Count(count))
		around := &window.AroundAsk{Topic: count.Topics[0], Count: want.Count(count).Counts[0], Window: w, E: at, Cell: c, Around: r.IntN(4)}
		same(*around, want.Around(around), got.Around(around))
		series := &window.SeriesAsk{Topics: append(count.Topics, ""), Start: at.Floor(messages.Minute) - messages.Hour, Step: messages.Minute, N: 60, Cell: c}
		points, err := want.Series(series)
		again, err2 := got.Series(series)
		same(*series, points, again)
		same(*series, err, err2)
		prefix := &window.PrefixAsk{Prefix: "t", Window: w, E: at, Limit: 20}
		same(*prefix, want.Prefix(prefix), got.Prefix(prefix))
		cells := &window.CellsAsk{Window: w, E: at}
		same(*cells, want.Cells(cells), got.Cells(cells))
		same(w, want.SketchError(w), got.SketchError(w))
	}
}
