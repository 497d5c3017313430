package window_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestBounds plays streams into tables that have too little memory, and asks
// them at random moments about random windows. Nothing they say may be untrue:
// the obvious engine knows.
func TestBounds(t *testing.T) {
	n := uint64(60)
	if os.Getenv("CREST_SEEDS") != "" {
		n = seeds(t)
	}
	var sum tally
	for seed := range n {
		playBounded(t, seed, &sum)
		if t.Failed() {
			t.Fatalf("seed %d (%s)", seed, attacks[seed%uint64(len(attacks))].name)
		}
	}
	t.Logf("%d checks, %d of them of counts that were not exact; %d rows left, %d cold counts; %d rows certified, %d not",
		sum.checks, sum.inexact, sum.left, sum.drawn, sum.certified, sum.uncertain)
	if sum.left == 0 || sum.inexact == 0 || sum.certified == 0 || sum.uncertain == 0 {
		t.Error("the streams test nothing")
	}
}

// tally is what a run has looked at.
type tally struct{ checks, inexact, left, drawn, certified, uncertain int }

// attack bends a stream.
type attack struct {
	name string
	bend func(s *stream, n int, e *event)
}

var attacks = []attack{
	{"as it comes", func(*stream, int, *event) {}},
	{"ping-pong", func(s *stream, n int, e *event) { // two groups take turns
		e.topic = fmt.Sprint("p", n/150%2*40+s.IntN(40))
	}},
	{"returns", func(s *stream, n int, e *event) { // a crowd comes back after a window's length
		if n%200 == 0 {
			w := messages.StandardWindows[n/200%(len(messages.StandardWindows)-1)]
			s.clock += messages.Micros(w) + messages.Micros(s.IntN(5)-2)*window.Grid(w)/2
			e.slice = s.clock.Floor(messages.SliceLength)
		}
		if n%200 < 60 {
			e.topic = fmt.Sprint("back", n%200)
		}
	}},
	{"forks", func(s *stream, n int, e *event) { // topics change their category
		e.category = fmt.Sprint("c", (n/100+s.IntN(20)/19)%3)
	}},
	{"late", func(s *stream, n int, e *event) {
		if s.IntN(2) == 0 {
			e.slice = max(0, s.clock-messages.Micros(s.Float64()*float64(lateness[s.IntN(len(lateness))]))).Floor(messages.SliceLength)
		}
	}},
	{"decline", func(s *stream, n int, e *event) { // fewer and fewer topics
		e.topic = fmt.Sprint("d", s.IntN(1+600/(1+n/100)))
		e.count = 1 + 20/uint64(1+n/100)
	}},
	{"one slice", func(s *stream, n int, e *event) { // the open one never closes
		s.step = []messages.Micros{1}
		e.slice = min(e.slice, s.clock.Floor(messages.SliceLength))
	}},
	{"flood", func(s *stream, n int, e *event) { // names that never come back, and a riser among them
		if e.topic = fmt.Sprint("n", n); n%37 == 0 {
			e.topic = "riser"
		}
		e.count = 1
	}},
}

// playBounded plays one stream into a table with a part of the memory it needs.
func playBounded(t *testing.T, seed uint64, sum *tally) {
	hash := hashOf
	if seed%5 == 0 {
		hash = crowded
	}
	attack := attacks[seed%uint64(len(attacks))]
	share := [...]int64{2, 10, 100}[seed/uint64(len(attacks))%3]
	const events = 1500

	s := newStream(seed)
	whole := window.New(window.Config{Hash: hash})
	script := newBatch(s.maxCategories, s.maxRegions, hash)
	for n := range events {
		e := s.next()
		attack.bend(s, n, &e)
		script.add(e)
		if n%100 == 0 {
			whole.Apply(script.flush(s.clock))
		}
	}
	need := whole.Stats().Memory
	// What a table of any size takes; rows have the rest.
	least := int64(150<<10 + 2048*len(s.categories))
	memory := least + max(need.Engine()-least, 0)/share
	if seed%11 == 0 {
		memory = max(need.Engine()/share, 1) // not even that
	}

	s = newStream(seed)
	b := newBatch(s.maxCategories, s.maxRegions, hash)
	table := window.New(window.Config{Hash: hash, Memory: memory, Epsilon: 0.01, Delta: 0.02, Key: [2]uint64{seed, 1}})
	brute := actorstest.NewBrute()
	other := rand.New(rand.NewPCG(seed, 7))
	for n := range events {
		e := s.next()
		attack.bend(s, n, &e)
		b.add(e)
		if other.IntN(8) == 0 {
			d := b.flush(s.clock)
			brute.Apply(d)
			table.Apply(d)
		}
		if other.IntN(40) == 0 {
			table.Slide(s.clock + messages.Micros(other.Float64()*float64(lateness[other.IntN(7)])))
		}
		if other.IntN(150) == 0 || n == events-1 {
			d := b.flush(s.clock)
			brute.Apply(d)
			table.Apply(d)
			at := table.Clock()
			switch other.IntN(3) {
			case 0:
				at += messages.Micros(other.Float64() * float64(lateness[other.IntN(7)]))
			case 1:
				at = max(0, at-messages.Micros(other.Float64()*float64(window.Margin)))
			}
			table.Slide(at)
			brute.Slide(at)
			questions := *s
			questions.Rand = other
			for range 8 {
				c := checker{t, &questions, brute, table, questions.window(), at, questions.cell(), sum}
				c.all()
			}
			if t.Failed() {
				t.Fatalf("after event %d; memory %d of %d", n, memory, need.Engine())
			}
		}
	}
	sum.left += table.Left()
	sum.drawn += table.Drawn()
}

// checker compares what a table says with what is true.
type checker struct {
	t      *testing.T
	s      *stream
	brute  *actorstest.Brute
	table  *window.Table
	window messages.Window
	e      messages.Micros
	cell   messages.Cell
	sum    *tally
}

func (c *checker) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%v of %+v at %d, clock %d: %s", c.window, c.cell, c.e, c.table.Clock(), fmt.Sprintf(format, args...))
}

// within checks a count: what it may be truly, by its cells, must lie in it.
func (c *checker) within(got, true messages.Count, what string, args ...any) {
	c.t.Helper()
	c.sum.checks++
	if !got.Exact() {
		c.sum.inexact++
	}
	if got.Lower > true.Lower || got.Upper < true.Upper || got.Estimate < got.Lower || got.Estimate > got.Upper {
		c.errorf("%s: got %+v, true is %+v", fmt.Sprintf(what, args...), got, true)
	}
}

func (c *checker) all() {
	truth := c.brute.Top(&window.TopAsk{Window: c.window, E: c.e, Cell: c.cell, K: 1 << 30})
	c.top(truth)
	c.counts(truth)
	c.categories()
	c.around(truth)
	c.series()
	c.prefix()
	c.cells()
}

func (c *checker) top(truth *rank.Part) {
	k := c.s.k()
	q := &window.TopAsk{Window: c.window, E: c.e, Cell: c.cell, K: k}
	got := c.table.Top(q)
	c.within(got.Total, truth.Total, "total")
	if got.Total != truth.Total {
		c.errorf("total: got %+v, want %+v", got.Total, truth.Total)
	}
	known := make(map[string]messages.Count)
	for _, r := range truth.Rows {
		known[r.Topic] = r.Count
	}
	listed := make(map[string]bool)
	for i := range got.Rows {
		r := &got.Rows[i]
		listed[r.Topic] = true
		c.within(r.Count, known[r.Topic], "row %d, %s", i, r.Topic)
		if i > 0 && i < k && rank.Compare(&got.Rows[i-1], r) >= 0 {
			c.errorf("row %d is out of order", i)
		}
	}
	for _, r := range truth.Rows {
		if listed[r.Topic] {
			continue
		}
		c.sum.checks++
		if r.Count.Upper > got.Rest {
			c.errorf("%s is not listed and has %+v; the rest is to have at most %d", r.Topic, r.Count, got.Rest)
		}
		if r.Count.Upper == got.Rest && r.Topic < got.From {
			c.errorf("%s is not listed and has %+v; no topic before %s is to have as much", r.Topic, r.Count, got.From)
		}
	}
	c.sum.checks++
	if got.Rest < truth.Rest {
		c.errorf("what is not listed has up to %d, and is said to have at most %d", truth.Rest, got.Rest)
	}
	c.board(got, truth, k)
	c.filtered(k)
}

// filtered checks boards with a bound per category: what is certified must be
// on the board that the true counts make.
func (c *checker) filtered(k int) {
	q := &window.TopAsk{Window: c.window, E: c.e, Cell: c.cell, K: 1 << 20, Categories: true}
	truth := c.brute.Top(q)
	for _, r := range truth.Rows {
		if !r.Count.Exact() || truth.Rest > 0 {
			return
		}
	}
	q.K = k
	per := 1 + c.s.IntN(3)
	got, _, exact := rank.Merge([]*rank.Part{rank.Filter(c.table.Top(q), nil, per)}, k)
	want, _, _ := rank.Merge([]*rank.Part{rank.Filter(truth, nil, per)}, k)
	on := make(map[string]bool)
	for _, r := range want {
		on[r.Topic] = true
	}
	for i, r := range got {
		c.sum.checks++
		if r.Certified && !on[r.Topic] {
			c.errorf("row %d, %s, of at most %d a category, is wrongly certified", i, r.Topic, per)
		}
	}
	if exact && !reflect.DeepEqual(got, want) {
		c.errorf("an exact board of at most %d a category is none:\n got %+v\nwant %+v", per, got, want)
	}
}

// board checks the certificates.
func (c *checker) board(got, truth *rank.Part, k int) {
	rows, certified, exact := rank.Merge([]*rank.Part{got}, k)
	if truth.Rest > 0 {
		return // nobody knows what is true of the cell
	}
	for _, r := range truth.Rows {
		if !r.Count.Exact() {
			return
		}
	}
	first := make(map[string]int)
	for i, r := range truth.Rows[:min(k, len(truth.Rows))] {
		first[r.Topic] = i + 1
	}
	for i, r := range rows {
		c.sum.checks++
		if !r.Certified {
			c.sum.uncertain++
			continue
		}
		c.sum.certified++
		if first[r.Topic] == 0 {
			c.errorf("row %d, %s, is wrongly certified", i, r.Topic)
		}
	}
	for i, r := range rows[:certified] {
		if at := first[r.Topic]; at == 0 || at > certified {
			c.errorf("row %d, %s, is not among the first %d", i, r.Topic, certified)
		}
	}
	if !exact {
		return
	}
	var want []messages.Row
	for _, r := range truth.Rows[:min(k, len(truth.Rows))] {
		want = append(want, messages.Row{Topic: r.Topic, Count: r.Count, Certified: true})
	}
	if len(rows) != len(want) || len(rows) > 0 && !reflect.DeepEqual(rows, want) {
		c.errorf("an exact board is none:\n got %+v\nwant %+v", rows, want)
	}
}

// topics are some that count, some that do not.
func (c *checker) topics(truth *rank.Part) []string {
	topics := c.s.someTopics(2)
	for range min(len(truth.Rows), 6) {
		topics = append(topics, truth.Rows[c.s.IntN(len(truth.Rows))].Topic)
	}
	return topics
}

func (c *checker) counts(truth *rank.Part) {
	q := &window.CountAsk{Topics: c.topics(truth), Window: c.window, E: c.e, Cell: c.cell}
	got, want := c.table.Count(q), c.brute.Count(q)
	for i, topic := range q.Topics {
		c.within(got.Counts[i], want.Counts[i], "count of %s", topic)
	}
	if got.Total != want.Total {
		c.errorf("count total: got %+v, want %+v", got.Total, want.Total)
	}
}

func (c *checker) around(truth *rank.Part) {
	topics := c.topics(truth)
	topic := topics[c.s.IntN(len(topics))]
	ask := &window.CountAsk{Topics: []string{topic}, Window: c.window, E: c.e, Cell: c.cell}
	asked, true := c.table.Count(ask).Counts[0], c.brute.Count(ask).Counts[0]
	q := &window.AroundAsk{Topic: topic, Count: asked, Window: c.window, E: c.e, Cell: c.cell, Around: c.s.IntN(4)}
	got := c.table.Around(q)
	q.Count = true
	want := c.brute.Around(q)
	c.sum.checks++
	if got.Sure > want.Sure || got.Possible < want.Possible {
		c.errorf("%s, %+v, has %d to %d before it; got %d to %d for %+v", topic, true, want.Sure, want.Possible, got.Sure, got.Possible, asked)
	}
	for _, r := range slices.Concat(got.Above, got.Below) {
		ask.Topics[0] = r.Topic
		c.within(r.Count, c.brute.Count(ask).Counts[0], "neighbour %s", r.Topic)
	}
}

func (c *checker) series() {
	length := [...]messages.Micros{messages.Minute, 10 * messages.Minute, messages.Hour, messages.Day, 7 * messages.Day, 30 * messages.Day}[c.s.IntN(6)]
	step := window.FinestGrid(length) * messages.Micros(1+c.s.IntN(5))
	n := int(length / step)
	q := &window.SeriesAsk{
		Topics: append(c.s.someTopics(2), ""),
		Start:  c.e.Floor(step) - messages.Micros(n-1)*step, Step: step, N: n,
		End:  c.e.Floor(messages.SliceLength) + messages.SliceLength,
		Cell: c.cell,
	}
	want, _ := c.brute.Series(q)
	got, err := c.table.Series(q)
	if err != nil {
		c.errorf("series: %v", err)
		return
	}
	for i, topic := range q.Topics {
		for p := range n {
			c.within(got[i][p], want[i][p], "point %d of %q", p, topic)
			if topic == "" && got[i][p] != want[i][p] {
				c.errorf("point %d of the total: got %+v, want %+v", p, got[i][p], want[i][p])
			}
		}
	}
}

func (c *checker) prefix() {
	q := &window.PrefixAsk{Prefix: [...]string{"", "t", "b", "p1"}[c.s.IntN(4)], Window: c.window, E: c.e, Limit: c.s.k()}
	ask := &window.CountAsk{Window: c.window, E: c.e}
	rows := c.table.Prefix(q)
	for _, r := range rows {
		ask.Topics = append(ask.Topics, r.Topic)
	}
	want := c.brute.Count(ask)
	for i, r := range rows {
		c.within(r.Count, want.Counts[i], "%s by prefix", r.Topic)
	}
}

func (c *checker) cells() {
	a := asker{c.t, c.s, c.brute, []*window.Table{c.table}, c.window, c.e, messages.Cell{}}
	a.cells()
}
