package window_test

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// seeds is how many streams TestOracle plays: CREST_SEEDS, or enough for a run
// at every change.
func seeds(t *testing.T) uint64 {
	text := os.Getenv("CREST_SEEDS")
	if text == "" {
		return 400
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("CREST_SEEDS: %v", err)
	}
	return n
}

// TestOracle plays streams into a table that gets many small deltas and slides
// ahead, into another one that gets the same events in other deltas, and into
// the obvious engine; at random moments all three are asked everything.
func TestOracle(t *testing.T) {
	for seed := range seeds(t) {
		play(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func play(t *testing.T, seed uint64) {
	s := newStream(seed)
	hash := hashOf
	if seed%7 == 0 {
		hash = crowded
	}
	small := newBatch(s.maxCategories, s.maxRegions, hash)
	large := newBatch(s.maxCategories, s.maxRegions, hash)
	tables := [...]*window.Table{window.New(window.Config{Hash: hash}), window.New(window.Config{Hash: hash})}
	brute := actorstest.NewBrute()
	favourite := question{s.window(), s.cell(), s.k()}
	slowMerges := s.IntN(2) == 0
	end := s.clock + 40*messages.Day
	for n := 0; n < 1500 && s.clock < end; n++ {
		e := s.next()
		small.add(e)
		large.add(e)
		if s.IntN(8) == 0 {
			d := small.flush(s.clock)
			brute.Apply(d)
			tables[0].Apply(shuffled(s.Rand, d))
			if slowMerges {
				tables[0].SetCredit(-s.IntN(8000))
			}
		}
		if s.IntN(40) == 0 { // a quiet partition slides by the node clock
			tables[0].Slide(s.clock + messages.Micros(s.Float64()*float64(lateness[s.IntN(7)])))
		}
		if s.IntN(500) == 0 {
			s.maxCategories, s.maxRegions = s.maxCategories+1, s.maxRegions+2
			small.maxCategories, large.maxCategories = s.maxCategories, s.maxCategories
			small.maxRegions, large.maxRegions = s.maxRegions, s.maxRegions
		}
		if s.IntN(120) == 0 || n == 1499 {
			d := small.flush(s.clock)
			brute.Apply(d)
			tables[0].Apply(d)
			tables[1].Apply(large.flush(s.clock))
			ask(t, s, brute, tables[:], favourite)
			if t.Failed() {
				t.Fatalf("after event %d", n)
			}
		}
	}
}

// question is a board that is asked for again and again.
type question struct {
	window messages.Window
	cell   messages.Cell
	k      int
}

// ask asks all tables and the judge some of everything, for one moment.
func ask(t *testing.T, s *stream, brute *actorstest.Brute, tables []*window.Table, favourite question) {
	latest := messages.Micros(0)
	for _, table := range tables {
		latest = max(latest, table.Clock())
	}
	// Any moment not before the partition clock can be asked about, and those
	// up to the margin before the furthest table.
	e := latest
	switch s.IntN(3) {
	case 0:
		e += messages.Micros(s.Float64() * float64(lateness[s.IntN(7)]))
	case 1:
		e = max(0, e-messages.Micros(s.Float64()*float64(window.Margin)))
	}
	for _, table := range tables {
		table.Slide(e)
	}
	again := asker{t, s, brute, tables, favourite.window, e, favourite.cell}
	again.top(favourite.k)
	for range 6 {
		a := asker{t, s, brute, tables, s.window(), e, s.cell()}
		a.top(s.k())
		a.count()
		a.categories()
		a.around()
		a.series()
	}
	a := asker{t, s, brute, tables, s.window(), e, messages.Cell{}}
	a.prefix()
	a.cells()
	a.first()
}

func (s *stream) window() messages.Window {
	if s.IntN(3) > 0 {
		return messages.StandardWindows[s.IntN(len(messages.StandardWindows))]
	}
	longest := [...]messages.Micros{messages.Minute, 10 * messages.Minute, 3 * messages.Hour, 30 * messages.Day}[s.IntN(4)]
	return messages.Window(max(10*messages.Second, messages.Micros(s.Float64()*float64(longest)).Floor(messages.Second)))
}

func (s *stream) cell() (c messages.Cell) {
	pick := func(names []string) string {
		switch n := s.IntN(len(names) + 3); {
		case n < len(names):
			return names[n]
		case n == len(names):
			return "other"
		case n == len(names)+1 && s.IntN(4) == 0:
			return "never seen"
		}
		return ""
	}
	return messages.Cell{Category: pick(s.categories), Region: pick(s.regions)}
}

func (s *stream) someTopics(n int) (topics []string) {
	for range n {
		topics = append(topics, s.topics[s.IntN(len(s.topics))])
	}
	return append(topics, "never seen")
}

// asker puts one question after the other.
type asker struct {
	t      *testing.T
	s      *stream
	brute  *actorstest.Brute
	tables []*window.Table
	window messages.Window
	e      messages.Micros
	cell   messages.Cell
}

func (a *asker) same(question any, want any, of func(*window.Table) any) {
	a.t.Helper()
	for i, table := range a.tables {
		if got := of(table); !reflect.DeepEqual(got, want) {
			a.t.Errorf("table %d, clock %v: %T%+v\n%s", i, table.Clock().Time(), question, question, difference(got, want))
		}
	}
}

// difference shows where two answers part, with a little before it.
func difference(got, want any) string {
	g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	i := 0
	for i < len(g) && i < len(w) && g[i] == w[i] {
		i++
	}
	show := func(s string) string { return s[max(0, i-200):min(len(s), i+200)] }
	return fmt.Sprintf(" got …%s…\nwant …%s…", show(g), show(w))
}

func (a *asker) top(k int) {
	q := &window.TopAsk{Window: a.window, E: a.e, Cell: a.cell, K: k, Categories: a.s.IntN(4) == 0}
	a.same(*q, *a.brute.Top(q), func(t *window.Table) any {
		p := *t.Top(q)
		if len(p.Rows) == 0 {
			p.Rows = nil
		}
		return p
	})
}

func (s *stream) k() int {
	return [...]int{1, 2, 3, 10, 50, 100, 1000}[s.IntN(7)]
}

func (a *asker) count() {
	q := &window.CountAsk{Topics: a.s.someTopics(3), Window: a.window, E: a.e, Cell: a.cell}
	a.same(*q, *a.brute.Count(q), func(t *window.Table) any { return *t.Count(q) })
}

func (a *asker) around() {
	topic := a.s.someTopics(1)[0]
	count := a.brute.Count(&window.CountAsk{Topics: []string{topic}, Window: a.window, E: a.e, Cell: a.cell}).Counts[0]
	q := &window.AroundAsk{Topic: topic, Count: count, Window: a.window, E: a.e, Cell: a.cell, Around: a.s.IntN(5)}
	want := *a.brute.Around(q)
	a.same(*q, want, func(t *window.Table) any {
		got := *t.Around(q)
		if len(got.Above) == 0 {
			got.Above = want.Above[:len(got.Above):len(got.Above)]
		}
		if len(got.Below) == 0 {
			got.Below = want.Below[:len(got.Below):len(got.Below)]
		}
		return got
	})
}

func (a *asker) series() {
	length := [...]messages.Micros{messages.Minute, 10 * messages.Minute, messages.Hour, messages.Day, 7 * messages.Day, 30 * messages.Day}[a.s.IntN(6)]
	step := window.FinestGrid(length) * messages.Micros(1+a.s.IntN(5))
	n := int(length / step)
	q := &window.SeriesAsk{
		Topics: append(a.s.someTopics(2), ""),
		Start:  a.e.Floor(step) - messages.Micros(n-1)*step, Step: step, N: n,
		End:  a.e.Floor(messages.SliceLength) + messages.SliceLength,
		Cell: a.cell,
	}
	want, _ := a.brute.Series(q)
	a.same(*q, want, func(t *window.Table) any {
		got, err := t.Series(q)
		if err != nil {
			return err
		}
		return got
	})
}

func (a *asker) prefix() {
	q := &window.PrefixAsk{Prefix: [...]string{"", "t", "topic-with-a-l", "t1", "x"}[a.s.IntN(5)], Window: a.window, E: a.e, Limit: a.s.k()}
	want := a.brute.Prefix(q)
	a.same(*q, want, func(t *window.Table) any { return append(want[:0:0], t.Prefix(q)...) })
}

func (a *asker) cells() {
	q := &window.CellsAsk{Window: a.window, E: a.e}
	sorted := func(p *window.CellsPart) window.CellsPart {
		for _, c := range [][]messages.CellTotal{p.Categories, p.Regions} {
			slices.SortFunc(c, func(a, b messages.CellTotal) int { return cmp.Compare(a.Name, b.Name) })
		}
		return *p
	}
	a.same(*q, sorted(a.brute.Cells(q)), func(t *window.Table) any { return sorted(t.Cells(q)) })
}

func (a *asker) first() {
	type answer struct {
		first messages.Micros
		found bool
	}
	first, found := a.brute.First()
	a.same("first", answer{first, found}, func(t *window.Table) any {
		first, found := t.First()
		if !found {
			first = 0
		}
		return answer{first, found}
	})
}
