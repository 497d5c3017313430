package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/client"
)

// riserWatch follows the riser through the stream.
type riserWatch struct {
	counted  uint64            // events so far
	counts   [firstOnce]uint64 // of the head and the riser, since the beginning
	rows     []riserPoint      // one per stop
	violated int               // intervals that did not hold the true count
	late     int               // stops at which it should have been a row and was not
}

// riserPoint is what is known of the riser at one stop.
type riserPoint struct {
	true, hundredth     uint64
	lower, upper        uint64
	tracked, onTheBoard bool
}

// look compares the riser's count in "all" with the truth, after n events.
func (w *riserWatch) look(ctx context.Context, r *run, n uint64) error {
	for ; w.counted < n; w.counted++ {
		if t := r.stream.at(w.counted).topic; t <= riserTopic {
			w.counts[t]++
		}
	}
	name, scope := nameOf(riserTopic), client.Scope{Window: "all"}
	ranked := slices.Clone(w.counts[:headTopics])
	slices.SortFunc(ranked, func(a, b uint64) int { return int(b) - int(a) })
	p := riserPoint{true: w.counts[riserTopic], hundredth: ranked[smallBoard-1]}

	c, err := r.client.Count(ctx, name, scope)
	if err != nil {
		return err
	}
	p.lower, p.upper = c.Lower, c.Upper
	if p.true < p.lower || p.true > p.upper {
		w.violated++
	}
	topics, err := r.client.Topics(ctx, name, "all", 1)
	if err != nil {
		return err
	}
	p.tracked = len(topics.Topics) > 0
	board, err := r.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: smallBoard})
	if err != nil {
		return err
	}
	for _, row := range board.Topics {
		p.onTheBoard = p.onTheBoard || row.Topic == name
	}
	if p.true >= 2*p.hundredth && !p.tracked {
		w.late++
	}
	w.rows = append(w.rows, p)
	return nil
}

func (w *riserWatch) table(at []progress) *bench.Table {
	t := &bench.Table{
		Title: fmt.Sprintf("the riser in \"all\": %d intervals were false, at %d stops it should have been a row and was not", w.violated, w.late),
		Head:  []string{"events", "true", "100th count", "lower", "upper", "a row", "on the board"},
	}
	for i, p := range w.rows {
		t.Add(bench.Number(float64(at[i].events)), fmt.Sprint(p.true), fmt.Sprint(p.hundredth), fmt.Sprint(p.lower), fmt.Sprint(p.upper), fmt.Sprint(p.tracked), fmt.Sprint(p.onTheBoard))
	}
	return t
}
