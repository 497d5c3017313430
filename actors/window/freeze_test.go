package window_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// kept is a snapshot in memory: the parts, and those of the ones before that they
// share with.
type kept struct {
	names []string
	parts map[string][]byte
	older map[string][]byte
}

func (k *kept) Part(name string, write func(io.Writer) error) error {
	if _, twice := k.parts[name]; twice {
		return fmt.Errorf("part %s is written twice", name)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if k.parts == nil {
		k.parts = make(map[string][]byte)
	}
	k.names, k.parts[name] = append(k.names, name), b.Bytes()
	return nil
}

// Shared writes what an older snapshot has all the same, and compares.
func (k *kept) Shared(name string, write func(io.Writer) error) error {
	if err := k.Part(name, write); err != nil {
		return err
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(name, "list-"), "-")
	if b, ok := k.older[version]; ok && !bytes.Equal(b, k.parts[name]) {
		return fmt.Errorf("list %s has had other bytes", version)
	}
	if k.older != nil {
		k.older[version] = k.parts[name]
	}
	return nil
}

func (k *kept) bytes() (n int) {
	for _, b := range k.parts {
		n += len(b)
	}
	return n
}

// reading reads what was kept.
type reading struct{ *kept }

func (r reading) Names() []string { return r.names }

func (r reading) Part(name string, read func(io.Reader) error) error {
	b, ok := r.parts[name]
	if !ok {
		return fmt.Errorf("there is no part %s", name)
	}
	return read(bytes.NewReader(b))
}

// different says which parts of two snapshots are not the same.
func (k *kept) different(o *kept) string {
	for _, name := range k.names {
		if a, b := k.parts[name], o.parts[name]; !bytes.Equal(a, b) {
			i := 0
			for i < len(a) && i < len(b) && a[i] == b[i] {
				i++
			}
			return fmt.Sprintf("part %s: %d bytes, not %d, and other ones from %d on", name, len(b), len(a), i)
		}
	}
	if len(k.names) != len(o.names) {
		return fmt.Sprintf("parts %v, not %v", o.names, k.names)
	}
	return ""
}

func save(t *testing.T, f *window.Frozen, older map[string][]byte) *kept {
	t.Helper()
	k := &kept{older: older}
	if err := f.Save(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func restored(t *testing.T, cfg window.Config, k *kept) *window.Table {
	t.Helper()
	table, err := window.Load(cfg, reading{k})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// life is what happens to a table, so that it can happen to another one.
type life struct {
	cfg   window.Config
	table *window.Table
	done  []func(*window.Table)
	older map[string][]byte // lists by version
	// While it is frozen: the state, and what was saved of it at once.
	frozen *window.Frozen
	saved  *kept
	froze  int
}

func newLife(cfg window.Config) *life {
	return &life{cfg: cfg, table: window.New(cfg), older: make(map[string][]byte)}
}

func (l *life) do(what func(*window.Table)) {
	l.done = append(l.done, what)
	what(l.table)
}

func (l *life) apply(d *window.Delta) {
	d = &window.Delta{
		Rows: slices.Clone(d.Rows), Topics: slices.Clone(d.Topics), Clock: d.Clock,
		Categories: window.NamesDelta{Added: slices.Clone(d.Categories.Added), Folded: d.Categories.Folded},
		Regions:    window.NamesDelta{Added: slices.Clone(d.Regions.Added), Folded: d.Regions.Folded},
	}
	l.do(func(t *window.Table) { t.Apply(d) })
}

// again is another table with the same life.
func (l *life) again() *window.Table {
	t := window.New(l.cfg)
	for _, what := range l.done {
		what(t)
	}
	return t
}

// freeze freezes the table. What is saved must be what is saved of a table that has
// had the same life without ever being frozen, and what is saved of one that is
// loaded from it.
func (l *life) freeze(t *testing.T, compare bool) (twin *window.Table) {
	t.Helper()
	l.frozen = l.table.Freeze()
	l.froze++
	l.saved = save(t, l.frozen, l.older)
	if compare {
		twin = l.again()
		f := twin.Freeze()
		if d := l.saved.different(save(t, f, nil)); d != "" {
			t.Errorf("a table that was never frozen: %s", d)
		}
		f.Release()
	}
	f := restored(t, l.cfg, l.saved).Freeze()
	if d := l.saved.different(save(t, f, nil)); d != "" {
		t.Errorf("loaded and saved again: %s", d)
	}
	return twin
}

// check saves what is frozen once more.
func (l *life) check(t *testing.T) {
	t.Helper()
	if d := l.saved.different(save(t, l.frozen, nil)); d != "" {
		t.Errorf("what is frozen has changed: %s", d)
	}
}

func (l *life) release(t *testing.T) {
	t.Helper()
	l.check(t)
	l.frozen.Release()
	l.frozen = nil
}

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
		switch {
		case l.frozen == nil && other.IntN(150) == 0:
			apply()
			at := l.table.Clock() + messages.Micros(other.IntN(2)*other.IntN(1+int(lateness[other.IntN(7)])))
			l.do(func(t *window.Table) { t.Slide(at) })
			brute.Slide(at)
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
