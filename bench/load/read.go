package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// readers bounds the reads under way at once.
const readers = 64

// measureRead asks for boards of random windows and cells.
func measureRead(ctx context.Context, c *config, t *target) (*measures, error) {
	rngs := make([]*rand.Rand, readers)
	for w := range rngs {
		rngs[w] = rand.New(rand.NewPCG(c.seed, uint64(w)))
	}
	m := &measures{}
	r, err := c.behind(ctx, t, m, &loop{
		workers: readers, rate: c.reads, warmup: c.warmup, span: c.span,
		work: func(ctx context.Context, w int, _ time.Time) error {
			q := client.TrendingQuery{Scope: randomScope(rngs[w]), Top: c.top}
			if _, err := t.client.Trending(ctx, q); err != nil {
				return fmt.Errorf("board %+v: %w", q.Scope, err)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	m.add("boards/s", r.perSecond())
	m.latency("board", r.latency)
	return m, nil
}

// randomScope is one of the standard windows, and with equal odds any, a
// category, a region, or both.
func randomScope(rng *rand.Rand) client.Scope {
	s := client.Scope{Window: messages.StandardWindows[rng.IntN(len(messages.StandardWindows))].String()}
	if rng.IntN(2) == 0 {
		s.Category = workload.CategoryNames[rng.IntN(len(workload.CategoryNames))]
	}
	if rng.IntN(2) == 0 {
		s.Region = workload.RegionNames[rng.IntN(len(workload.RegionNames))]
	}
	return s
}
