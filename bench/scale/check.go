package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// Rows of the boards asked for, and topics in one request.
const (
	smallBoard, largeBoard = 100, 1000
	askedTopics            = 1000
)

// finding is what was found of the answers of one kind in one window.
type finding struct {
	boards                int
	recall, least         float64
	certified, whole      int // certified rows; rows there could be
	exact, counts, untrue int
	widths                []uint64
	maxError              uint64
}

func (f *finding) board(b *api.Board, v truth.Verdict, rows int) {
	f.boards++
	f.recall += v.Recall
	if f.boards == 1 {
		f.least = 1
	}
	f.least = min(f.least, v.Recall)
	f.certified += b.Certified
	f.whole += rows
	if b.Exact {
		f.exact++
	}
	f.untrue += len(v.False)
	f.maxError = max(f.maxError, v.MaxError)
	for _, r := range b.Topics {
		f.widths = append(f.widths, r.Upper-r.Lower)
	}
}

func (f *finding) countsOf(c *api.Counts, v truth.Verdict) {
	f.counts += len(c.Counts)
	f.untrue += len(v.False)
	f.maxError = max(f.maxError, v.MaxError)
	for _, r := range c.Counts {
		f.widths = append(f.widths, r.Upper-r.Lower)
	}
}

func (f *finding) cells() []string {
	slices.Sort(f.widths)
	width := func(q float64) string {
		if len(f.widths) == 0 {
			return "–"
		}
		return bench.Number(float64(f.widths[int(q*float64(len(f.widths)-1))]))
	}
	recall, least, certified, exact := "", "", "", ""
	if f.boards > 0 {
		recall, least = fmt.Sprintf("%.4f", f.recall/float64(f.boards)), fmt.Sprintf("%.4f", f.least)
		certified = fmt.Sprintf("%d of %d", f.certified, f.whole)
		exact = fmt.Sprintf("%d of %d", f.exact, f.boards)
	}
	return []string{recall, least, certified, exact, fmt.Sprint(f.counts), width(0.5), width(0.99), bench.Number(float64(f.maxError)), fmt.Sprint(f.untrue)}
}

// check compares the answers about every window with the truth.
func (r *run) check(ctx context.Context) (*bench.Table, error) {
	rng := rand.New(rand.NewPCG(r.seed, 4))
	pairs := r.somePairs(rng)
	known := newCounted(r.stream, r.regions, pairs)
	t := &bench.Table{
		Title: "what it says",
		Head:  []string{"window", "asked", "recall", "least", "certified", "exact", "counts", "width p50", "p99", "max error", "false"},
	}
	for _, w := range messages.StandardWindows {
		scope := client.Scope{Window: w.String()}
		board, err := r.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: smallBoard})
		if err != nil {
			return nil, err
		}
		known.count(messages.MicrosOf(board.WindowStart), messages.MicrosOf(board.WindowEnd))
		found := []struct {
			what string
			of   func(context.Context, *finding, *counted, client.Scope, *rand.Rand) error
		}{
			{fmt.Sprintf("any, %d rows", smallBoard), r.boards(smallBoard)},
			{fmt.Sprintf("any, %d rows", largeBoard), r.boards(largeBoard)},
			{fmt.Sprintf("%d regions, %d rows", r.regions, smallBoard), r.regionBoards},
			{"topics", r.someCounts},
			{"topics in regions", r.pairCounts(pairs)},
		}
		for _, q := range found {
			f := &finding{}
			if err := q.of(ctx, f, known, scope, rng); err != nil {
				return nil, err
			}
			t.Add(slices.Concat([]string{w.String(), q.what}, f.cells())...)
			r.untrue += f.untrue
		}
	}
	return t, nil
}

// boards asks for one of any region.
func (r *run) boards(k int) func(context.Context, *finding, *counted, client.Scope, *rand.Rand) error {
	return func(ctx context.Context, f *finding, known *counted, scope client.Scope, _ *rand.Rand) error {
		b, err := r.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: k})
		if err != nil {
			return err
		}
		r.judge(f, b, known.tally(k), scope, k)
		return nil
	}
}

// regionBoards asks for the largest regions'.
func (r *run) regionBoards(ctx context.Context, f *finding, known *counted, scope client.Scope, _ *rand.Rand) error {
	for region := range r.regions {
		scope.Region = workload.RegionNames[region]
		b, err := r.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: smallBoard})
		if err != nil {
			return err
		}
		r.judge(f, b, known.tallyIn(region, smallBoard), scope, smallBoard)
	}
	return nil
}

func (r *run) judge(f *finding, b *api.Board, t *truth.Tally, scope client.Scope, k int) {
	v := t.Board(b)
	f.board(b, v, min(k, len(t.Ranked())))
	r.keep(fmt.Sprintf("board %+v", scope), v.False)
}

// keep keeps the first false statements, to be printed.
func (r *run) keep(what string, untrue []string) {
	for _, text := range untrue {
		if len(r.samples) < maxSamples {
			r.samples = append(r.samples, what+": "+text)
		}
	}
}

const maxSamples = 20

// someCounts asks for random topics, each as likely as any other.
func (r *run) someCounts(ctx context.Context, f *finding, known *counted, scope client.Scope, rng *rand.Rand) error {
	t := known.tally(1)
	for left := r.counts; left > 0; left -= askedTopics {
		names := make([]string, min(left, askedTopics))
		for i := range names {
			names[i] = nameOf(rng.Uint64N(r.stream.topics + r.stream.topics/100)) // some that never come
		}
		c, err := r.client.Counts(ctx, names, scope)
		if err != nil {
			return err
		}
		v := t.Counts(c)
		f.countsOf(c, v)
		r.keep(fmt.Sprintf("counts %+v", scope), v.False)
	}
	return nil
}

// somePairs draws topics in regions: half of events, half of chance.
func (r *run) somePairs(rng *rand.Rand) []pair {
	pairs := make([]pair, r.pairs)
	for i := range pairs {
		if e := r.stream.at(rng.Uint64N(r.stream.events)); i%2 == 0 {
			pairs[i] = pair{e.topic, e.region}
		} else {
			pairs[i] = pair{e.topic, uint8(rng.IntN(len(workload.RegionNames)))}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.region) - int(b.region) })
	return pairs
}

func (r *run) pairCounts(pairs []pair) func(context.Context, *finding, *counted, client.Scope, *rand.Rand) error {
	return func(ctx context.Context, f *finding, known *counted, scope client.Scope, _ *rand.Rand) error {
		for len(pairs) > 0 {
			n := 1
			for n < len(pairs) && pairs[n].region == pairs[0].region && n < askedTopics {
				n++
			}
			names, of := make([]string, n), map[string]uint64{}
			for i, p := range pairs[:n] {
				names[i] = nameOf(p.topic)
				of[names[i]] = uint64(known.pairs[p])
			}
			scope.Region = workload.RegionNames[pairs[0].region]
			c, err := r.client.Counts(ctx, names, scope)
			if err != nil {
				return err
			}
			v := truth.NewTally(func(topic string) uint64 { return of[topic] }, nil, 0).Counts(c)
			f.countsOf(c, v)
			r.keep(fmt.Sprintf("counts %+v", scope), v.False)
			pairs = pairs[n:]
		}
		return nil
	}
}
