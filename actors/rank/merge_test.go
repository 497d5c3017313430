package rank_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/messages"
)

// world is a made-up cell: what is true of every topic, and what its source
// says about it.
type world struct {
	topics []topic
	parts  []*rank.Part // one per source, all its topics in Rows
}

type topic struct {
	name     string
	source   int
	true     uint64
	count    messages.Count // lower ≤ true ≤ upper
	category string
}

// newWorld makes few different counts, so that ties are common.
func newWorld(r *rand.Rand, exact bool) *world {
	w := &world{parts: make([]*rank.Part, 1+r.IntN(6))}
	for i := range w.parts {
		w.parts[i] = new(rank.Part)
	}
	counts := uint64(1 + r.IntN(30))
	for i := range r.IntN(40) {
		t := topic{name: fmt.Sprintf("t%02d", (i*17)%40), source: r.IntN(len(w.parts)), true: 1 + r.Uint64N(counts), category: fmt.Sprintf("c%d", r.IntN(3))}
		t.count = messages.ExactCount(t.true)
		if !exact && r.IntN(3) == 0 {
			t.count.Lower -= r.Uint64N(t.true)
			t.count.Estimate = t.count.Lower
			t.count.Upper += r.Uint64N(5)
		}
		w.topics = append(w.topics, t)
		p := w.parts[t.source]
		if !exact && r.IntN(20) == 0 { // nothing of it is sure, so it is not listed
			p.LeaveOut(t.count.Upper, t.name)
			p.Total = p.Total.Add(messages.Count{Upper: t.count.Upper})
			continue
		}
		p.Rows = append(p.Rows, rank.Row{Topic: t.name, Count: t.count, Category: t.category})
		p.Total = p.Total.Add(t.count)
	}
	return w
}

// ranking is the true order of the topics.
func (w *world) ranking() []string {
	rows := make([]rank.Row, len(w.topics))
	for i, t := range w.topics {
		rows[i] = rank.Row{Topic: t.name, Count: messages.ExactCount(t.true)}
	}
	slices.SortFunc(rows, func(a, b rank.Row) int { return rank.Compare(&a, &b) })
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = rows[i].Topic
	}
	return names
}

// cut is what the sources send for a board of k rows.
func (w *world) cut(k int) []*rank.Part {
	parts := make([]*rank.Part, len(w.parts))
	for i, p := range w.parts {
		all := *p
		all.Rows = slices.Clone(p.Rows)
		parts[i] = all.Cut(k)
	}
	return parts
}

type board struct {
	rows      []messages.Row
	certified int
	exact     bool
}

func merge(parts []*rank.Part, k int) (b board) {
	b.rows, b.certified, b.exact = rank.Merge(parts, k)
	return b
}

func first[T any](s []T, n int) []T { return s[:min(n, len(s))] }

// check fails where the board claims what is not true.
func (b *board) check(t *testing.T, truth []string, k int) {
	t.Helper()
	top := first(truth, k)
	for _, r := range b.rows {
		if r.Certified && !slices.Contains(top, r.Topic) {
			t.Errorf("%s is certified and not in the true top %d %v", r.Topic, k, top)
		}
	}
	claimed := make([]string, b.certified)
	for i := range claimed {
		claimed[i] = b.rows[i].Topic
	}
	want := slices.Clone(first(truth, b.certified))
	slices.Sort(claimed)
	slices.Sort(want)
	if !slices.Equal(claimed, want) {
		t.Errorf("the first %d are certified as a set: %v, true are %v", b.certified, claimed, want)
	}
	if b.exact {
		for i, r := range b.rows {
			if len(b.rows) != len(top) || r.Topic != top[i] {
				t.Errorf("called exact: %+v, true top is %v", b.rows, top)
			}
		}
	}
}

func eachWorld(t *testing.T, f func(t *testing.T, r *rand.Rand)) {
	for seed := range uint64(2000) {
		f(t, rand.New(rand.NewPCG(seed, 7)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestExactPartsMakeTheTrueBoard(t *testing.T) {
	eachWorld(t, func(t *testing.T, r *rand.Rand) {
		w, k := newWorld(r, true), 1+r.IntN(12)
		b := merge(w.cut(k), k)
		b.check(t, w.ranking(), k)
		if !b.exact || b.certified != len(b.rows) || len(b.rows) != min(k, len(w.topics)) {
			t.Errorf("not exact: %+v", b)
		}
	})
}

func TestWhatIsCertifiedIsTrue(t *testing.T) {
	certified, rows := 0, 0
	eachWorld(t, func(t *testing.T, r *rand.Rand) {
		w, k := newWorld(r, false), 1+r.IntN(12)
		b := merge(w.cut(k), k)
		b.check(t, w.ranking(), k)
		for _, row := range b.rows {
			rows++
			if row.Certified {
				certified++
			}
		}
	})
	if certified*4 < rows {
		t.Errorf("%d of %d rows certified: honest, but of no use", certified, rows)
	}
}

// TestGroupingDoesNotMatter merges unions of unions.
func TestGroupingDoesNotMatter(t *testing.T) {
	eachWorld(t, func(t *testing.T, r *rand.Rand) {
		exact := r.IntN(2) == 0
		w, k := newWorld(r, exact), 1+r.IntN(12)
		want := merge(w.cut(k), k)
		parts := w.cut(k + r.IntN(3))
		for len(parts) > 1 {
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			n := 1 + r.IntN(len(parts))
			parts = append(parts[n:], rank.Union(parts[:n], k))
		}
		got := merge(parts, k)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("one by one\n%+v\nall at once\n%+v", got, want)
		}
	})
}

// TestFilter compares with filtering what is true.
func TestFilter(t *testing.T) {
	eachWorld(t, func(t *testing.T, r *rand.Rand) {
		exact := r.IntN(2) == 0
		w, k, perCategory := newWorld(r, exact), 1+r.IntN(8), r.IntN(4)
		exclude := []string{"t03", "t17", "nobody"}
		categories := make(map[string]string)
		for _, t := range w.topics {
			categories[t.name] = t.category
		}
		var truth []string
		used := make(map[string]int)
		for _, name := range w.ranking() {
			c := categories[name]
			if slices.Contains(exclude, name) || perCategory > 0 && used[c] == perCategory {
				continue
			}
			used[c]++
			truth = append(truth, name)
		}
		long := 40
		if r.IntN(2) == 0 {
			long = k + r.IntN(4)
		}
		part := rank.Filter(rank.Union(w.cut(long), long), exclude, perCategory)
		b := merge([]*rank.Part{part}, k)
		b.check(t, truth, k)
		if exact && long == 40 && !b.exact {
			t.Errorf("everything is known, and the board is not exact: %+v", b)
		}
	})
}

func TestMergeExamples(t *testing.T) {
	row := func(topic string, lower, upper uint64) rank.Row {
		return rank.Row{Topic: topic, Count: messages.Count{Lower: lower, Estimate: lower, Upper: upper}}
	}
	tests := []struct {
		name      string
		part      rank.Part
		k         int
		certified []bool
		first     int
		exact     bool
	}{
		{"nothing", rank.Part{}, 3, []bool{}, 0, true},
		{"a vague leader is no rival of itself", rank.Part{Rows: []rank.Row{row("a", 5, 9), row("b", 3, 3)}}, 1, []bool{true}, 1, false},
		{"a rival behind", rank.Part{Rows: []rank.Row{row("a", 5, 5), row("b", 3, 6)}}, 1, []bool{false}, 0, false},
		{"room for both", rank.Part{Rows: []rank.Row{row("a", 5, 5), row("b", 3, 6)}}, 2, []bool{true, true}, 2, false},
		{"rest below", rank.Part{Rows: []rank.Row{row("a", 5, 5)}, Rest: 4}, 1, []bool{true}, 1, true},
		{"rest ties", rank.Part{Rows: []rank.Row{row("a", 5, 5)}, Rest: 5}, 1, []bool{false}, 0, false},
		{"rest ties and comes later", rank.Part{Rows: []rank.Row{row("a", 5, 5)}, Rest: 5, From: "b"}, 1, []bool{true}, 1, true},
		{"short, with more unseen", rank.Part{Rows: []rank.Row{row("a", 5, 5)}, Rest: 4}, 2, []bool{true}, 1, false},
	}
	for _, test := range tests {
		b := merge([]*rank.Part{&test.part}, test.k)
		certified := []bool{}
		for _, r := range b.rows {
			certified = append(certified, r.Certified)
		}
		if !slices.Equal(certified, test.certified) || b.certified != test.first || b.exact != test.exact {
			t.Errorf("%s: %+v", test.name, b)
		}
	}
}
