package actors

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// spreadWorld is a log's worth of events, spread over shards by whatever its
// writers thought of, and the obvious shard that has them all.
type spreadWorld struct {
	t       *testing.T
	r       *rand.Rand
	homes   homes
	shards  []*shardActor
	feeds   []*feed
	brute   *actorstest.Brute
	truth   *feed
	clock   messages.Micros
	writers int // how topics are spread
	topics  int
	waves   int // how long a group of topics lasts; 0: all are there all the time
	events  int
	zipf    *rand.Zipf
	exact   bool // every shard has the memory it needs, and no name is folded

	checks, inexact, certified, uncertain, exactBoards int
}

// feed makes a shard's deltas.
type feed struct {
	combiner            combiner
	delta               window.Delta
	categories, regions *window.Names
	most                int // names
	hash                func([]byte) uint64
}

func newFeed(most int, hash func([]byte) uint64) *feed {
	return &feed{categories: window.NewNames(), regions: window.NewNames(), most: most, hash: hash}
}

func (f *feed) add(e *messages.Record, slice messages.Micros) {
	name := func(names *window.Names, text []byte, d *window.NamesDelta) window.NameID {
		id, added := names.Intern(text, f.most)
		if added {
			d.Added = append(d.Added, names.Added(id))
		}
		return id
	}
	category, region := name(f.categories, e.Category, &f.delta.Categories), name(f.regions, e.Region, &f.delta.Regions)
	f.combiner.add(&f.delta, e.Topic, f.hash(e.Topic), slice, category, region, e.Count)
}

func (f *feed) flush(clock messages.Micros) *window.Delta {
	f.combiner.finish(&f.delta)
	d := f.delta
	d.Clock = clock
	d.Categories.Folded, d.Regions.Folded = f.categories.Folded(), f.regions.Folded()
	f.delta = window.Delta{}
	return &d
}

func newSpreadWorld(t *testing.T, seed uint64) *spreadWorld {
	r := rand.New(rand.NewPCG(seed, 21))
	id := &messages.LogIdentity{Partitions: 2 + r.IntN(6), HashKey: [32]byte{byte(seed)}, Settings: messages.DefaultSettings()}
	h := newHashes(id)
	w := &spreadWorld{
		t: t, r: r, exact: true,
		homes:   homes{messages.NewRoutes(id), true},
		brute:   actorstest.NewBrute(),
		truth:   newFeed(1000, h.topic),
		clock:   1_700_000_000 * messages.Second,
		writers: r.IntN(4),
		topics:  [...]int{5, 60, 2000, 10_000}[r.IntN(4)],
	}
	if r.IntN(2) == 0 {
		w.waves = 60 + r.IntN(1500)
	}
	w.zipf = rand.NewZipf(r, 1.01+r.Float64()/2, 1+20*r.Float64(), uint64(w.topics-1))
	names := 1000
	if r.IntN(5) == 0 {
		names, w.exact = 2, false
	}
	short := r.IntN(2) == 0
	for p := range id.Partitions {
		cfg := window.Config{Hash: h.topic, Epsilon: 0.01, Delta: 0.02, Key: [2]uint64{seed, uint64(p)}}
		if short && r.IntN(4) > 0 {
			cfg.Memory, w.exact = 1+r.Int64N(60<<10), false
		}
		w.shards = append(w.shards, &shardActor{partition: messages.Partition(p), core: window.New(cfg), progress: newProgress(id.Partitions, id.Settings)})
		w.feeds = append(w.feeds, newFeed(names, h.topic))
	}
	return w
}

// event happens to some topic, and lands in some shard.
func (w *spreadWorld) event() {
	if w.r.IntN(3) == 0 {
		w.clock += messages.Micros(w.r.Float64() * float64([...]messages.Micros{messages.Second, messages.Minute, messages.Hour, 12 * messages.Hour}[w.r.IntN(2+w.r.IntN(3))]))
	}
	n := w.zipf.Uint64()
	if w.waves > 0 { // groups of topics that take turns
		n = uint64(w.events/w.waves%3*w.waves/3 + w.r.IntN(w.waves/3))
	}
	w.events++
	e := event(fmt.Sprintf("t%d", n), [...]string{"", "music", "news", "sport"}[w.r.IntN(1+int(n%4))], [...]string{"", "IN", "US"}[w.r.IntN(3)], 1+w.r.Uint64N(3))
	slice := (w.clock - messages.Micros(w.r.IntN(2)*w.r.IntN(100))*messages.Second).Floor(messages.SliceLength)
	w.truth.add(&e, slice)
	w.feeds[w.home(n)].add(&e, slice)
}

func (w *spreadWorld) home(topic uint64) int {
	shards := len(w.shards)
	switch w.writers {
	case 0: // evenly
		return w.r.IntN(shards)
	case 1: // keyed after all
		return int(topic) % shards
	case 2: // two producers, each with a hash of its own
		return int(topic*[...]uint64{1, 7}[w.r.IntN(2)]) % shards
	}
	return min(w.r.IntN(shards), w.r.IntN(shards)) // not evenly
}

// flush counts what has happened, and makes all shards answer for one moment.
func (w *spreadWorld) flush() {
	w.brute.Apply(w.truth.flush(w.clock))
	for p, f := range w.feeds {
		w.shards[p].core.Apply(f.flush(w.clock))
	}
}

// ask gathers an answer as the merger does.
func (w *spreadWorld) ask(q question) any {
	w.t.Helper()
	for round := 0; ; round++ {
		g := gathered{e: w.clock, first: w.clock.Floor(messages.SliceLength), parts: make([]any, len(w.shards)), applied: make(messages.Position, len(w.shards))}
		for p, s := range w.shards {
			body := q.ask(round, messages.Partition(p), w.clock)
			if body == nil {
				continue
			}
			part, err := s.ask(&shardAsk{e: w.clock, deadline: time.Now().Add(time.Hour), body: body})
			if err != nil {
				w.t.Fatal(err)
			}
			if first, any := s.core.First(); any {
				g.first = min(g.first, first)
			}
			g.parts[p] = part
		}
		if answer := q.take(round, g); answer != nil {
			return answer
		}
		if round > 20 {
			w.t.Fatal("a question without an end")
		}
	}
}

// TestSpreadTopics asks everything of logs that are not keyed by topic: 24, or
// CREST_SEEDS.
func TestSpreadTopics(t *testing.T) {
	n := uint64(24)
	if text := os.Getenv("CREST_SEEDS"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatalf("CREST_SEEDS: %v", err)
		}
	}
	var sum spreadWorld
	for seed := range n {
		w := newSpreadWorld(t, seed)
		events := 500 + w.r.IntN(4000)
		for n := range events {
			w.event()
			if w.r.IntN(4) == 0 {
				p := w.r.IntN(len(w.shards))
				w.shards[p].core.Apply(w.feeds[p].flush(w.clock))
			}
			if n == events-1 || n%(events/3) == 0 {
				w.flush()
				for range 6 {
					w.check()
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		sum.checks += w.checks
		sum.inexact += w.inexact
		sum.certified += w.certified
		sum.uncertain += w.uncertain
		sum.exactBoards += w.exactBoards
	}
	t.Logf("%d checks, %d of them of counts that were not exact; %d rows certified, %d not; %d boards exact", sum.checks, sum.inexact, sum.certified, sum.uncertain, sum.exactBoards)
	if n >= 16 && (sum.inexact == 0 || sum.certified == 0 || sum.uncertain == 0 || sum.exactBoards == 0) {
		t.Error("the logs test nothing")
	}
}

// spreadAsk is about one cell and window.
type spreadAsk struct {
	*spreadWorld
	window messages.Window
	cell   messages.Cell
	truth  *rank.Part
	counts map[string]uint64
}

func (w *spreadWorld) check() {
	a := spreadAsk{spreadWorld: w, window: messages.StandardWindows[w.r.IntN(len(messages.StandardWindows))]}
	if w.r.IntN(3) == 0 {
		a.window = messages.Window(1+w.r.IntN(600)) * messages.Window(messages.Minute)
	}
	a.cell = messages.Cell{Category: [...]string{"", "", "music", "news", "never"}[w.r.IntN(5)], Region: [...]string{"", "IN", "US"}[w.r.IntN(3)]}
	a.truth = w.brute.Top(&window.TopAsk{Window: a.window, E: w.clock, Cell: a.cell, K: 1 << 20, Categories: true})
	a.counts = make(map[string]uint64)
	for _, r := range a.truth.Rows {
		a.counts[r.Topic] = r.Count.Lower
	}
	a.board()
	a.count()
	a.rank()
	a.prefix()
	if a.r.IntN(4) == 0 {
		a.series()
	}
}

func (a *spreadAsk) errorf(format string, args ...any) {
	a.t.Helper()
	a.t.Errorf("%v of %+v, %d shards, writers %d: %s", a.window, a.cell, len(a.shards), a.writers, fmt.Sprintf(format, args...))
}

func (a *spreadAsk) within(n uint64, c messages.Count, what string, args ...any) {
	a.t.Helper()
	if !c.Exact() {
		a.inexact++
	}
	if a.checks++; n < c.Lower || n > c.Upper || c.Estimate < c.Lower || c.Estimate > c.Upper || a.exact && !c.Exact() {
		a.errorf("%s: %d is not within %+v", fmt.Sprintf(what, args...), n, c)
	}
}

// total checks a cell's total: exact even where topics are not, unless names
// are folded.
func (a *spreadAsk) total(c messages.Count) {
	a.t.Helper()
	a.within(a.truth.Total.Lower, c, "total")
}

func (a *spreadAsk) board() {
	k := [...]int{1, 3, 10, 50, 100}[a.r.IntN(5)]
	q := newSpreadTop(window.TopAsk{Window: a.window, Cell: a.cell, K: k, Categories: a.r.IntN(3) == 0}, len(a.shards))
	if a.r.IntN(2) == 0 {
		q.depth = 1 + a.r.IntN(k)
	}
	once := a.r.IntN(4) == 0
	if once {
		q.most = q.depth
	}
	answer := a.ask(q).(*topAnswer)
	a.total(answer.union.Total)
	p := pulled{topAnswer: *answer, k: k, categories: q.Categories, at: time.Now()}
	query := &messages.BoardQuery{Window: a.window, Cell: a.cell, K: k}
	a.checkBoard(p.board(query), query, a.truth, a.exact && !once)
	query.K = 1 + a.r.IntN(k)
	a.checkBoard(p.board(query), query, a.truth, a.exact && !once)
	if len(a.truth.Rows) > 2 {
		query.Exclude = []string{a.truth.Rows[0].Topic, a.truth.Rows[2].Topic}
		query.K = max(1, k-2)
		a.checkBoard(p.board(query), query, rank.Filter(a.truth, query.Exclude, 0), a.exact && !once && k > 2)
	}
	if q.Categories {
		query.Exclude, query.MaxPerCategory = nil, 1+a.r.IntN(3)
		// Where enough rows are left the filtered board is exact; there may not be.
		a.checkBoard(p.board(query), query, rank.Filter(a.truth, nil, query.MaxPerCategory), a.exact && !once && k >= len(a.truth.Rows))
	}
	if !once && a.exact && (answer.vain || answer.depth < 1) {
		a.errorf("a board of exact shards is not settled: %+v", answer)
	}
}

// checkBoard fails where a board claims what is not true.
func (a *spreadAsk) checkBoard(b *messages.Board, q *messages.BoardQuery, truth *rank.Part, exact bool) {
	a.t.Helper()
	want := truth.Rows[:min(q.K, len(truth.Rows))]
	place := make(map[string]int)
	for i := range want {
		place[want[i].Topic] = i + 1
	}
	for i, r := range b.Rows {
		if a.checks++; a.counts[r.Topic] < r.Count.Lower || a.counts[r.Topic] > r.Count.Upper {
			a.errorf("row %d: %s has %d, said to be within %+v", i, r.Topic, a.counts[r.Topic], r.Count)
		}
		if !r.Certified {
			a.uncertain++
			continue
		}
		a.certified++
		if place[r.Topic] == 0 {
			a.errorf("row %d, %s, is wrongly certified among %d (%+v)", i, r.Topic, q.K, q)
		}
	}
	for i, r := range b.Rows[:b.Certified] {
		if at := place[r.Topic]; at == 0 || at > b.Certified {
			a.errorf("row %d, %s, is not among the first %d", i, r.Topic, b.Certified)
		}
	}
	if exact && !b.Exact {
		a.errorf("not exact: %+v of %+v", b.Rows, want)
	}
	if !b.Exact {
		return
	}
	a.exactBoards++
	rows := make([]string, len(b.Rows))
	for i := range rows {
		rows[i] = fmt.Sprintf("%s=%d", b.Rows[i].Topic, b.Rows[i].Count.Upper)
	}
	truly := make([]string, len(want))
	for i := range want {
		truly[i] = fmt.Sprintf("%s=%d", want[i].Topic, want[i].Count.Lower)
	}
	if !slices.Equal(rows, truly) {
		a.errorf("an exact board is none:\n got %v\nwant %v", rows, truly)
	}
}

func (a *spreadAsk) someTopics(n int) (topics []string) {
	for range n {
		topics = append(topics, fmt.Sprintf("t%d", a.r.Uint64N(1+a.zipf.Uint64())))
	}
	return append(topics, fmt.Sprintf("t%d", a.r.IntN(a.topics)), "never")
}

func (a *spreadAsk) count() {
	q := &messages.CountQuery{Topics: a.someTopics(3), Window: a.window, Cell: a.cell}
	c := a.ask(newCountQuestion(q, a.homes)).(*messages.Counts)
	a.total(c.Total)
	for i, topic := range q.Topics {
		a.within(a.counts[topic], c.Counts[i], "count of %s", topic)
	}
}

func (a *spreadAsk) rank() {
	q := &messages.RankQuery{Topic: a.someTopics(1)[a.r.IntN(3)], Window: a.window, Cell: a.cell, Around: a.r.IntN(4)}
	got := a.ask(&spreadRank{RankQuery: q, shards: len(a.shards)}).(*messages.Rank)
	a.total(got.Total)
	n := a.counts[q.Topic]
	a.within(n, got.Count, "count of %s", q.Topic)
	self := rank.Row{Topic: q.Topic, Count: messages.ExactCount(n)}
	others := slices.DeleteFunc(slices.Clone(a.truth.Rows), func(r rank.Row) bool { return r.Topic == q.Topic })
	place, _ := slices.BinarySearchFunc(others, self, func(x, y rank.Row) int { return rank.Compare(&x, &y) })
	a.checks++
	if got.Lower > place+1 || got.Upper < place+1 {
		a.errorf("%s has rank %d, said to be %d to %d", q.Topic, place+1, got.Lower, got.Upper)
	}
	for _, r := range got.Neighbours {
		a.within(a.counts[r.Topic], r.Count, "neighbour %s", r.Topic)
	}
	if !slices.ContainsFunc(got.Neighbours, func(r messages.Row) bool { return r.Topic == q.Topic }) {
		a.errorf("%s is not among %+v", q.Topic, got.Neighbours)
	}
	if !a.exact || place+q.Around >= messages.MaxK {
		return
	}
	want := slices.Concat(others[max(0, place-q.Around):place], []rank.Row{self}, others[place:min(len(others), place+q.Around)])
	if got.Lower != got.Upper || got.First != place+1-min(place, q.Around) || !slices.Equal(topicsOf(got.Neighbours), topicsOf(neighbours(want))) {
		a.errorf("rank of %s: %+v, want %d among %+v", q.Topic, got, place+1, want)
	}
}

func topicsOf(rows []messages.Row) (topics []string) {
	for i := range rows {
		topics = append(topics, rows[i].Topic)
	}
	return topics
}

func (a *spreadAsk) series() {
	length := [...]messages.Micros{10 * messages.Minute, messages.Hour, messages.Day}[a.r.IntN(3)]
	q := &messages.SeriesQuery{
		Topics: append(a.someTopics(2), ""), Top: a.r.IntN(2) * (1 + a.r.IntN(20)), Cell: a.cell,
		Window: messages.Window(length), Granularity: window.FinestGrid(length) * messages.Micros(2+a.r.IntN(9)),
	}
	q.Window = messages.Window(messages.Micros(q.Window).Floor(q.Granularity))
	question := newSeriesQuestion(q, a.homes)
	got := a.ask(question).(*messages.Series)
	want, err := a.brute.Series(&window.SeriesAsk{
		Topics: got.Topics, Start: got.Start, Step: q.Granularity, N: question.n, Cell: a.cell,
		End: window.Resolve(messages.WindowAll, a.clock).End,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	for i, topic := range got.Topics {
		for p := range got.Starts {
			a.within(want[i][p].Lower, got.Counts[i][p], "point %d of %q", p, topic)
		}
	}
	if q.Top == 0 {
		return
	}
	of := &window.TopAsk{Window: messages.Window(a.clock + 1 - got.Start), E: a.clock + 1, Cell: a.cell, K: 1 << 20}
	truth := *a
	truth.truth, truth.counts = a.brute.Top(of), make(map[string]uint64)
	for _, r := range truth.truth.Rows {
		truth.counts[r.Topic] = r.Count.Lower
	}
	for _, r := range got.Top {
		a.within(truth.counts[r.Topic], r.Count, "first row %s", r.Topic)
	}
	if rows := truth.truth.Rows; a.exact && !slices.Equal(topicsOf(got.Top), topicsOf(neighbours(rows[:min(len(rows), q.Top)]))) {
		a.errorf("the first %d are %+v, want %+v", q.Top, got.Top, rows)
	}
}

func (a *spreadAsk) prefix() {
	q := &messages.TopicsQuery{Prefix: [...]string{"", "t", "t1", "t12", "x"}[a.r.IntN(5)], Window: a.window, Limit: 1 + a.r.IntN(30)}
	got := a.ask(newSpreadPrefix(q, len(a.shards))).(*messages.Topics)
	ask := &window.PrefixAsk{Prefix: q.Prefix, Window: q.Window, E: a.clock, Limit: 1 << 20}
	want := a.brute.Prefix(ask)
	counts := make(map[string]uint64)
	for _, r := range want {
		counts[r.Topic] = r.Count.Lower
	}
	for i, r := range got.Rows {
		a.within(counts[r.Topic], r.Count, "%s by prefix", r.Topic)
		if !strings.HasPrefix(r.Topic, q.Prefix) {
			a.errorf("%s does not begin with %q", r.Topic, q.Prefix)
		}
		if i > 0 && cmp.Or(cmp.Compare(got.Rows[i-1].Count.Lower, r.Count.Lower), strings.Compare(r.Topic, got.Rows[i-1].Topic)) < 0 {
			a.errorf("row %d by prefix is out of order", i)
		}
	}
	if want = want[:min(len(want), q.Limit)]; a.exact && !reflect.DeepEqual(topicsOf(got.Rows), topicsOf(neighbours(want))) {
		a.errorf("by prefix %q: %+v\nwant %+v", q.Prefix, got.Rows, want)
	}
}
