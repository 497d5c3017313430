package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// readers bounds the reads under way at once.
const readers = 64

// measureRead asks for boards of random windows and cells: of any, or always of
// the same few.
func measureRead(ctx context.Context, c *config, t *target) (*measures, error) {
	rngs := make([]*rand.Rand, readers)
	conns := make([]*connection, readers)
	for w := range rngs {
		rngs[w], conns[w] = rand.New(rand.NewPCG(c.seed, uint64(w))), t.connect()
	}
	scope := randomScope
	if c.boards > 0 {
		few := someScopes(c.seed, c.boards)
		scope = func(rng *rand.Rand) client.Scope { return few[rng.IntN(len(few))] }
	}
	m := &measures{}
	r, err := c.behind(ctx, t, m, &loop{
		workers: readers, rate: c.reads, warmup: c.warmup, span: c.span,
		work: func(ctx context.Context, w int, _ time.Time) error {
			path := boardPath(scope(rngs[w]), c.top)
			r, err := conns[w].get(ctx, path)
			if err == nil && r.status != http.StatusOK {
				err = fmt.Errorf("answered %d: %s", r.status, r.problem)
			}
			if err != nil {
				return fmt.Errorf("board %s: %w", path, err)
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

// boardPath is the address of a board.
func boardPath(s client.Scope, top int) string {
	v := url.Values{"window": {s.Window}, "top": {strconv.Itoa(top)}}
	if s.Category != "" {
		v.Set("category", s.Category)
	}
	if s.Region != "" {
		v.Set("region", s.Region)
	}
	return "/api/v1/trending?" + v.Encode()
}

// someScopes are n scopes, the widest first: those of no category and region.
func someScopes(seed uint64, n int) []client.Scope {
	var all []client.Scope
	for _, w := range messages.StandardWindows {
		all = append(all, client.Scope{Window: w.String()})
	}
	rng := rand.New(rand.NewPCG(seed, 1<<32))
	for len(all) < n {
		all = append(all, randomScope(rng))
	}
	return all[:n]
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
