package actors

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// question is what a merger gathers an answer to: one or more rounds of asks
// to the shards, all for the same engine time, and the union of their parts.
type question interface {
	// ask is what shard p is asked in a round; nil: nothing. One that has failed is
	// not asked, if the question does not need it (partial).
	ask(round int, p messages.Partition, e messages.Micros) any
	// take gets a round's parts (nil where nothing was asked) and returns the
	// answer, or nil to go into the next round.
	take(round int, g gathered) any
}

// several is a question of more than one round. What a round asks follows from
// what the last one brought, so the shards stand still until the last.
type several interface{ several() bool }

func ofSeveralRounds(q question) bool {
	s, ok := q.(several)
	return ok && s.several()
}

// gathered is what one round brought.
type gathered struct {
	e       messages.Micros
	first   messages.Micros // earliest slice with a count over all shards, e's slice if there is none
	parts   []any           // by partition
	applied messages.Position
	messages.SketchError
}

// moment is the stretch of time that an answer about a window is about.
func (g *gathered) moment(w messages.Window) messages.Moment {
	i := window.Resolve(w, g.e)
	if w == messages.WindowAll {
		i.Start = g.first
	}
	return messages.Moment{Start: i.Start, End: i.End, AsOf: g.e}
}

// topAnswer is the union of the shards' first rows.
type topAnswer struct {
	messages.Moment
	messages.SketchError
	union   *rank.Part
	applied messages.Position
	// Where topics may be in several shards: how many rows each should list when
	// the same is asked again (0: not known), and whether longer lists were in vain.
	depth int
	vain  bool
}

type topQuestion struct{ window.TopAsk }

func (q *topQuestion) ask(_ int, _ messages.Partition, e messages.Micros) any {
	a := q.TopAsk
	a.E = e
	return &a
}

func (q *topQuestion) take(_ int, g gathered) any {
	return &topAnswer{Moment: g.moment(q.Window), SketchError: g.SketchError, union: rank.Union(partsOf[*rank.Part](g), q.K), applied: g.applied}
}

// countQuestion asks for each topic where it may have counts, and every shard
// for its share of the cell's total.
type countQuestion struct {
	*messages.CountQuery
	split split
}

func newCountQuestion(q *messages.CountQuery, homes homes) *countQuestion {
	return &countQuestion{CountQuery: q, split: homes.split(q.Topics)}
}

func (q *countQuestion) ask(_ int, p messages.Partition, e messages.Micros) any {
	return &window.CountAsk{Topics: q.split.topics[p], Window: q.Window, E: e, Cell: q.Cell}
}

// needs: the total can be told within bounds without the others.
func (q *countQuestion) needs(p messages.Partition) bool { return len(q.split.topics[p]) > 0 }

func (q *countQuestion) take(_ int, g gathered) any {
	c := &messages.Counts{Moment: g.moment(q.Window), SketchError: g.SketchError, Counts: make([]messages.Count, len(q.Topics))}
	for p, part := range g.parts {
		if part == nil { // it has failed: nobody knows what is in it
			c.Total = c.Total.Add(messages.Count{Upper: math.MaxUint64})
			continue
		}
		part := part.(*window.CountPart)
		c.Total = c.Total.Add(part.Total)
		for i, at := range q.split.at[p] {
			c.Counts[at] = c.Counts[at].Add(part.Counts[i])
		}
	}
	return c
}

// homes tells which shards may have counts of a topic: its own, or with a log
// that is not keyed by topic any.
type homes struct {
	routes messages.Routes
	spread bool
}

func (e *Engine) homes() homes { return homes{e.routes, e.spread()} }

// spread tells whether a topic may have counts in several shards.
func (e *Engine) spread() bool { return e.spreadOver() > 0 }

// spreadOver is how many shards may each have counts of a topic; 0: every topic
// has its own.
func (e *Engine) spreadOver() int {
	if n := e.routes.Partitions(); e.cfg.Unkeyed && n > 1 {
		return n
	}
	return 0
}

// split is a list of topics by partition; at is where each stands in the list.
type split struct {
	topics [][]string
	at     [][]int
}

func (h homes) split(topics []string) split {
	s := split{make([][]string, h.routes.Partitions()), make([][]int, h.routes.Partitions())}
	if h.spread {
		at := make([]int, len(topics))
		for i := range at {
			at[i] = i
		}
		for p := range s.topics {
			s.topics[p], s.at[p] = topics, at
		}
		return s
	}
	for i, t := range topics {
		p := h.routes.Of([]byte(t))
		s.topics[p] = append(s.topics[p], t)
		s.at[p] = append(s.at[p], i)
	}
	return s
}

// seriesQuestion asks for each topic's points where it may have counts. The
// cell's total (topic "") is asked of every shard and added up. With Top rounds
// before that find the first topics of the interval that the points cover.
type seriesQuestion struct {
	*messages.SeriesQuery
	homes   homes
	n       int     // points
	first   *firsts // of several shards' topics; nil: one round finds them
	top     []messages.Row
	topics  []string
	split   split
	totalAt []int // where "" stands in topics
}

func newSeriesQuestion(q *messages.SeriesQuery, homes homes) *seriesQuestion {
	s := &seriesQuestion{SeriesQuery: q, homes: homes, n: int(messages.Micros(q.Window) / q.Granularity)}
	if q.Top == 0 {
		s.setTopics(q.Topics)
	}
	return s
}

func (q *seriesQuestion) setTopics(topics []string) {
	q.topics = topics
	named, at := make([]string, 0, len(topics)), make([]int, 0, len(topics))
	for i, t := range topics {
		if t == "" {
			q.totalAt = append(q.totalAt, i)
			continue
		}
		named, at = append(named, t), append(at, i)
	}
	q.split = q.homes.split(named)
	for p, own := range q.split.at {
		if p > 0 && q.homes.spread {
			break // all are the same
		}
		for i := range own {
			own[i] = at[own[i]]
		}
	}
}

// start of the first point: points are aligned to the granularity, and the
// last one contains the engine time.
func (q *seriesQuestion) start(e messages.Micros) messages.Micros {
	return e.Floor(q.Granularity) - messages.Micros(q.n-1)*q.Granularity
}

func (q *seriesQuestion) several() bool { return q.Top > 0 }

func (q *seriesQuestion) needs(p messages.Partition) bool {
	return q.Top > 0 || len(q.totalAt) > 0 || len(q.split.topics[p]) > 0
}

func (q *seriesQuestion) ask(_ int, p messages.Partition, e messages.Micros) any {
	if q.topics == nil {
		// The window that ends now and begins where the points do; a microsecond
		// later, in the same slice, so that its length is not zero.
		ask := &window.TopAsk{Window: messages.Window(e + 1 - q.start(e)), E: e + 1, Cell: q.Cell, K: q.Top}
		if !q.homes.spread {
			return ask
		}
		if q.first == nil {
			q.first = newFirsts(lists{top: ask}, q.Top, q.homes.routes.Partitions())
		}
		return q.first.ask(p, e+1)
	}
	topics := q.split.topics[p]
	if len(q.totalAt) > 0 {
		topics = append([]string{""}, topics...)
	}
	if len(topics) == 0 {
		return nil
	}
	end := window.Resolve(messages.WindowAll, e).End
	return &window.SeriesAsk{Topics: topics, Start: q.start(e), Step: q.Granularity, N: q.n, End: end, Cell: q.Cell}
}

func (q *seriesQuestion) take(_ int, g gathered) any {
	if q.topics == nil {
		parts := g.parts
		if q.first != nil {
			if !q.first.take(&g) {
				return nil
			}
			parts = []any{q.first.sum.Part()}
		}
		q.top, _, _ = rank.Merge(partsOf[*rank.Part](gathered{parts: parts}), q.Top)
		topics := make([]string, 0, len(q.top)+len(q.Topics))
		for i := range q.top {
			topics = append(topics, q.top[i].Topic)
		}
		q.setTopics(append(topics, q.Topics...))
		return nil
	}
	start := q.start(g.e)
	s := &messages.Series{
		SketchError: g.SketchError,

		Moment: messages.Moment{Start: start, End: start + messages.Micros(q.n)*q.Granularity, AsOf: g.e},
		Starts: make([]messages.Micros, q.n),
		Topics: q.topics,
		Top:    q.top,
		Counts: make([][]messages.Count, len(q.topics)),
	}
	for i := range s.Starts {
		s.Starts[i] = start + messages.Micros(i)*q.Granularity
	}
	if q.homes.spread {
		for i := range s.Counts {
			s.Counts[i] = make([]messages.Count, q.n)
		}
	}
	total := make([]messages.Count, q.n)
	for p, part := range g.parts {
		if part == nil {
			continue
		}
		counts := part.([][]messages.Count)
		if len(q.totalAt) > 0 {
			for i, c := range counts[0] {
				total[i] = total[i].Add(c)
			}
			counts = counts[1:]
		}
		for i, at := range q.split.at[p] {
			if !q.homes.spread {
				s.Counts[at] = counts[i]
				continue
			}
			for j, n := range counts[i] {
				s.Counts[at][j] = s.Counts[at][j].Add(n)
			}
		}
	}
	for _, at := range q.totalAt {
		s.Counts[at] = total
	}
	return s
}

// rankQuestion first asks the topic's own shard for its count, then every
// shard for what surrounds it. A board ranks by what topics have at least, so
// that is where the topic stands among its neighbours; how many rows surely come
// before it follows from what it has at most, and is asked for in a last round.
type rankQuestion struct {
	*messages.RankQuery
	home  messages.Partition
	count messages.Count
	rank  *messages.Rank
}

func (q *rankQuestion) several() bool { return true }

func (q *rankQuestion) ask(round int, p messages.Partition, e messages.Micros) any {
	around := &window.AroundAsk{Topic: q.Topic, Window: q.Window, E: e, Cell: q.Cell}
	switch {
	case round == 1:
		around.Count, around.Around = messages.ExactCount(q.count.Lower), q.Around
		return around
	case round == 2:
		around.Count = messages.ExactCount(q.count.Upper)
		return around
	case p != q.home:
		return nil
	}
	return &window.CountAsk{Topics: []string{q.Topic}, Window: q.Window, E: e, Cell: q.Cell}
}

func (q *rankQuestion) take(round int, g gathered) any {
	switch round {
	case 0:
		q.count = g.parts[q.home].(*window.CountPart).Counts[0]
		return nil
	case 1:
		if q.rank = q.surrounded(g); !q.count.Exact() {
			return nil
		}
	case 2:
		q.rank.Lower = 1
		for _, part := range partsOf[*window.AroundPart](g) {
			q.rank.Lower += part.Sure
		}
	}
	return q.rank
}

// surrounded is the rank of a topic that has just its lower bound.
func (q *rankQuestion) surrounded(g gathered) *messages.Rank {
	r := &messages.Rank{Moment: g.moment(q.Window), SketchError: g.SketchError, Count: q.count, Lower: 1, Upper: 1}
	var above, below []rank.Row
	for _, part := range partsOf[*window.AroundPart](g) {
		r.Lower += part.Sure
		r.Upper += part.Possible
		r.Total = r.Total.Add(part.Total)
		above, below = append(above, part.Above...), append(below, part.Below...)
	}
	slices.SortFunc(above, func(a, b rank.Row) int { return rank.Compare(&a, &b) })
	slices.SortFunc(below, func(a, b rank.Row) int { return rank.Compare(&a, &b) })
	above = above[max(0, len(above)-q.Around):]
	below = below[:min(len(below), q.Around)]
	r.First = r.Lower - len(above)
	for _, rows := range [][]rank.Row{above, {{Topic: q.Topic, Count: q.count}}, below} {
		for _, row := range rows {
			r.Neighbours = append(r.Neighbours, messages.Row{Topic: row.Topic, Count: row.Count})
		}
	}
	return r
}

type prefixQuestion struct{ *messages.TopicsQuery }

func (q *prefixQuestion) ask(_ int, _ messages.Partition, e messages.Micros) any {
	return &window.PrefixAsk{Prefix: q.Prefix, Window: q.Window, E: e, Limit: q.Limit}
}

func (q *prefixQuestion) take(_ int, g gathered) any {
	t := &messages.Topics{Moment: g.moment(q.Window), SketchError: g.SketchError}
	var rows []rank.Row
	for _, part := range partsOf[[]rank.Row](g) {
		rows = append(rows, part...)
	}
	slices.SortFunc(rows, func(a, b rank.Row) int { return rank.Compare(&a, &b) })
	for _, row := range rows[:min(len(rows), q.Limit)] {
		t.Rows = append(t.Rows, messages.Row{Topic: row.Topic, Count: row.Count})
	}
	return t
}

type cellsQuestion struct{ *messages.CellsQuery }

func (q *cellsQuestion) ask(_ int, _ messages.Partition, e messages.Micros) any {
	return &window.CellsAsk{Window: q.Window, E: e}
}

func (q *cellsQuestion) take(_ int, g gathered) any {
	c := &messages.Cells{Moment: g.moment(q.Window), SketchError: g.SketchError}
	parts := partsOf[*window.CellsPart](g)
	categories, regions := make([]namedTotals, len(parts)), make([]namedTotals, len(parts))
	for i, part := range parts {
		c.Total = c.Total.Add(part.Total)
		c.CategoriesFolded = c.CategoriesFolded || part.CategoriesFolded
		c.RegionsFolded = c.RegionsFolded || part.RegionsFolded
		categories[i] = namedTotals{part.Categories, part.CategoriesFolded}
		regions[i] = namedTotals{part.Regions, part.RegionsFolded}
	}
	c.Categories, c.Regions = sumTotals(categories), sumTotals(regions)
	return c
}

// namedTotals are a shard's totals by name; folded: a name that it does not
// list may be in its "other".
type namedTotals struct {
	totals []messages.CellTotal
	folded bool
}

// sumTotals adds the shards' totals up by name. A shard that has folded names
// and does not list one may have anything up to its "other" of it.
func sumTotals(shards []namedTotals) []messages.CellTotal {
	sums := make(map[string]messages.Count)
	for _, s := range shards {
		for _, t := range s.totals {
			sums[t.Name] = sums[t.Name].Add(t.Total)
		}
	}
	for _, s := range shards {
		if !s.folded {
			continue
		}
		listed := make(map[string]messages.Count, len(s.totals))
		for _, t := range s.totals {
			listed[t.Name] = t.Total
		}
		for name, sum := range sums {
			if _, ok := listed[name]; !ok {
				sums[name] = sum.Add(messages.Count{Upper: listed[messages.OtherName].Upper})
			}
		}
	}
	return sortTotals(sums)
}

func sortTotals(totals map[string]messages.Count) []messages.CellTotal {
	out := make([]messages.CellTotal, 0, len(totals))
	for name, total := range totals {
		out = append(out, messages.CellTotal{Name: name, Total: total})
	}
	slices.SortFunc(out, func(a, b messages.CellTotal) int {
		return cmp.Or(cmp.Compare(b.Total.Lower, a.Total.Lower), strings.Compare(a.Name, b.Name))
	})
	return out
}

// partsOf are the parts of a round in which every shard was asked, with their
// type, by partition.
func partsOf[T any](g gathered) []T {
	parts := make([]T, len(g.parts))
	for i, p := range g.parts {
		parts[i] = p.(T)
	}
	return parts
}
