package rank_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// scattered is a made-up cell of topics that have counts in several sources.
type scattered struct {
	sources []source
	truth   []rank.Row // the true order of those with a count
}

// source is what one source knows.
type source struct {
	counts map[string]messages.Count // of every topic with a count here
	floor  uint64                    // no other topic has more here
}

func newScattered(r *rand.Rand, exact bool) *scattered {
	w := &scattered{sources: make([]source, 1+r.IntN(6))}
	for i := range w.sources {
		w.sources[i].counts = make(map[string]messages.Count)
		if !exact && r.IntN(3) == 0 {
			w.sources[i].floor = r.Uint64N(4)
		}
	}
	most, keyed := uint64(1+r.IntN(30)), r.IntN(4) == 0
	for i := range r.IntN(60) {
		name, sum := fmt.Sprintf("t%02d", (i*17)%60), uint64(0)
		for s := range w.sources {
			if keyed && s != i%len(w.sources) || r.IntN(3) == 0 {
				continue
			}
			n := 1 + r.Uint64N(1+most/uint64(1+i/5))
			if floor := w.sources[s].floor; n <= floor && r.IntN(3) == 0 {
				sum += n // the source does not know of it
				continue
			}
			c := messages.ExactCount(n)
			if !exact && r.IntN(3) == 0 {
				c.Lower -= r.Uint64N(n)
				c.Estimate = c.Lower
				c.Upper += r.Uint64N(5)
			}
			w.sources[s].counts[name] = c
			sum += n
		}
		if sum > 0 {
			w.truth = append(w.truth, rank.Row{Topic: name, Count: messages.ExactCount(sum)})
		}
	}
	slices.SortFunc(w.truth, func(a, b rank.Row) int { return rank.Compare(&a, &b) })
	return w
}

// list is the source's first rows.
func (s *source) list(depth int) *rank.Part {
	p := &rank.Part{Rest: s.floor}
	for name, c := range s.counts {
		p.Rows = append(p.Rows, rank.Row{Topic: name, Count: c})
		p.Total = p.Total.Add(c)
	}
	return p.Cut(depth)
}

func (s *source) of(name string) messages.Count {
	if c, ok := s.counts[name]; ok {
		return c
	}
	return messages.Count{Upper: s.floor}
}

// sum goes through the rounds; lists have at most deepest rows.
func (w *scattered) sum(k, depth, deepest, named int) *rank.Sum {
	for {
		parts := make([]*rank.Part, len(w.sources))
		for i := range w.sources {
			parts[i] = w.sources[i].list(depth)
		}
		s := rank.NewSum(parts, k, false)
		for i, topics := range s.Wanted(named) {
			counts := make([]messages.Count, len(topics))
			for j, name := range topics {
				counts[j] = w.sources[i].of(name)
			}
			s.Add(i, counts)
		}
		if depth = s.Deeper(depth, deepest); depth == 0 {
			return s
		}
	}
}

func (w *scattered) ranking() (names []string) {
	for i := range w.truth {
		names = append(names, w.truth[i].Topic)
	}
	return names
}

// checkBounds fails where what a part says of a topic is not true.
func (w *scattered) checkBounds(t *testing.T, p *rank.Part) {
	t.Helper()
	listed := make(map[string]messages.Count)
	for i := range p.Rows {
		r := &p.Rows[i]
		if _, twice := listed[r.Topic]; twice {
			t.Errorf("%s is listed twice", r.Topic)
		}
		listed[r.Topic] = r.Count
	}
	for i := range w.truth {
		r := &w.truth[i]
		n := r.Count.Lower
		switch c, ok := listed[r.Topic]; {
		case ok && (n < c.Lower || n > c.Upper || c.Estimate < c.Lower || c.Estimate > c.Upper):
			t.Errorf("%s has %d, said to be within %+v", r.Topic, n, c)
		case !ok && (n > p.Rest || n == p.Rest && r.Topic < p.From):
			t.Errorf("%s is not listed and has %d; the rest is to have %d from %q on", r.Topic, n, p.Rest, p.From)
		}
	}
}

func eachScattered(t *testing.T, exact bool, f func(t *testing.T, r *rand.Rand, w *scattered, k int)) {
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 11))
		w := newScattered(r, exact)
		if f(t, r, w, 1+r.IntN(12)); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestSumsOfExactSourcesMakeTheTrueBoard: lists may be as short as the board;
// they are made longer as far as is needed.
func TestSumsOfExactSourcesMakeTheTrueBoard(t *testing.T) {
	eachScattered(t, true, func(t *testing.T, r *rand.Rand, w *scattered, k int) {
		s := w.sum(k, k+r.IntN(3), 1000, 1000)
		if !s.Settled() {
			t.Error("not settled")
		}
		w.checkBounds(t, s.Part())
		b := merge([]*rank.Part{s.Part()}, k)
		b.check(t, w.ranking(), k)
		if !b.exact || b.certified != len(b.rows) || len(b.rows) != min(k, len(w.truth)) {
			t.Errorf("not exact: %+v, true is %v", b, w.ranking())
		}
		for i, row := range b.rows {
			if row.Count != w.truth[i].Count || row.Topic != w.truth[i].Topic {
				t.Errorf("row %d: %+v, want %+v", i, row, w.truth[i])
			}
		}
	})
}

// TestSumsAreTrue: whatever the sources do not know, and however few rounds are
// made.
func TestSumsAreTrue(t *testing.T) {
	var rows, certified, unsettled int
	eachScattered(t, false, func(t *testing.T, r *rand.Rand, w *scattered, k int) {
		named := 1000
		if r.IntN(3) == 0 {
			named = r.IntN(k + 3)
		}
		s := w.sum(k, 1+r.IntN(k), 1+r.IntN(50), named)
		w.checkBounds(t, s.Part())
		b := merge([]*rank.Part{s.Part()}, k)
		b.check(t, w.ranking(), k)
		if !s.Settled() {
			unsettled++
		}
		for _, row := range b.rows {
			if rows++; row.Certified {
				certified++
			}
		}
		for _, row := range s.Told() {
			if n := w.count(row.Topic); n < row.Count.Lower || n > row.Count.Upper {
				t.Errorf("%s has %d, told is %+v", row.Topic, n, row.Count)
			}
		}
		exclude := []string{"t03", "t17", "t34"}
		filtered := merge([]*rank.Part{rank.Filter(s.Part(), exclude, 0)}, k)
		filtered.check(t, slices.DeleteFunc(w.ranking(), func(name string) bool { return slices.Contains(exclude, name) }), k)
	})
	if certified*4 < rows || unsettled == 0 {
		t.Errorf("%d of %d rows certified, %d boards unsettled: honest, but of no use", certified, rows, unsettled)
	}
}

func (w *scattered) count(name string) uint64 {
	for i := range w.truth {
		if w.truth[i].Topic == name {
			return w.truth[i].Count.Lower
		}
	}
	return 0
}

// TestOneSourceIsSummedAsItIs: with every topic in one source the board is the
// one that Union makes.
func TestOneSourceIsSummedAsItIs(t *testing.T) {
	eachWorld(t, func(t *testing.T, r *rand.Rand) {
		w, k := newWorld(r, r.IntN(2) == 0), 1+r.IntN(12)
		s := rank.NewSum([]*rank.Part{rank.Union(w.cut(k), k)}, k, false)
		if topics := s.Wanted(1000); topics != nil {
			t.Errorf("%v are asked for by name", topics)
		}
		want := merge(w.cut(k), k)
		for i := range want.rows {
			want.rows[i].Category = "" // which sums do not know
		}
		if got := merge([]*rank.Part{s.Part()}, k); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
}

// TestReachSettlesAgain: asked for as many rows as Reach says, the lists settle
// the board in one go.
func TestReachSettlesAgain(t *testing.T) {
	shorter := 0
	eachScattered(t, true, func(t *testing.T, r *rand.Rand, w *scattered, k int) {
		const depth = 60
		reach := w.sum(k, depth, depth, 1000).Reach(depth)
		if reach < depth {
			shorter++
		}
		if reach = max(reach, k); !w.sum(k, reach, reach, 1000).Settled() {
			t.Errorf("a board of %d is not settled by %d rows each", k, reach)
		}
	})
	if shorter == 0 {
		t.Error("no list is ever shorter")
	}
}

// TestSumsThatSaturate: sources that bound nothing.
func TestSumsThatSaturate(t *testing.T) {
	const unbound = ^uint64(0)
	row := func(topic string, n uint64) rank.Row { return rank.Row{Topic: topic, Count: messages.ExactCount(n)} }
	parts := []*rank.Part{
		{Rows: []rank.Row{row("a", 9), row("b", 3)}, Rest: unbound},
		{Rows: []rank.Row{row("b", 5)}, Rest: unbound},
		{Rows: []rank.Row{row("c", 1)}},
	}
	s := rank.NewSum(parts, 2, false)
	topics := s.Wanted(10)
	for i := range topics {
		slices.Sort(topics[i])
	}
	if got := fmt.Sprint(topics); got != "[[c] [a c] []]" {
		t.Errorf("wanted %v", got)
	}
	s.Add(1, []messages.Count{{Upper: unbound}, {Upper: unbound}})
	got := s.Part()
	slices.SortFunc(got.Rows, func(a, b rank.Row) int { return strings.Compare(a.Topic, b.Topic) })
	want := []rank.Row{
		{Topic: "a", Count: messages.Count{Lower: 9, Estimate: 9, Upper: unbound}},
		row("b", 8),
		{Topic: "c", Count: messages.Count{Lower: 1, Estimate: 1, Upper: unbound}},
	}
	if got.Rest != unbound || !reflect.DeepEqual(got.Rows, want) {
		t.Errorf("got %+v", got)
	}
	if s.Deeper(2, 100) != 0 {
		t.Error("longer lists are asked for in vain")
	}
}

// benchParts are lists of 64 sources among which the topics of a Zipf
// distribution are spread, evenly or each to one source.
func benchParts(keyed bool, depth int) []*rank.Part {
	r := rand.New(rand.NewPCG(1, 1))
	counts := make([]map[string]uint64, 64)
	for i := range counts {
		counts[i] = make(map[string]uint64)
	}
	zipf := rand.NewZipf(r, 1.1, 1, 1<<17)
	for range 2_000_000 {
		topic := zipf.Uint64()
		at := topic * 0x9e3779b97f4a7c15 >> 58
		if !keyed {
			at = r.Uint64N(64)
		}
		counts[at][fmt.Sprintf("topic-%d", topic)]++
	}
	parts := make([]*rank.Part, len(counts))
	for i := range counts {
		var p rank.Part
		for name, n := range counts[i] {
			p.Rows = append(p.Rows, rank.Row{Topic: name, Count: messages.ExactCount(n)})
		}
		parts[i] = p.Cut(depth)
	}
	return parts
}

func BenchmarkSum(b *testing.B) {
	for _, keyed := range []bool{true, false} {
		for _, k := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("keyed=%v/k=%d", keyed, k), func(b *testing.B) {
				parts := benchParts(keyed, 2*k+16)
				b.ReportAllocs()
				named := 0
				for b.Loop() {
					s := rank.NewSum(parts, k, false)
					topics := s.Wanted(max(4*k, 512))
					named = 0
					for i := range topics {
						named += len(topics[i])
						s.Add(i, make([]messages.Count, len(topics[i])))
					}
					s.Part()
				}
				b.ReportMetric(float64(named), "named")
			})
		}
	}
}
