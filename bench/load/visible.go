package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// watchers bounds the probes under way at once.
const watchers = 64

// probeRegion is where the probes are counted, so that they have a board of
// their own.
const probeRegion = "probe"

// between two looks at the same answer; an event is seen this much late.
const lookEvery = time.Millisecond

// probes are events that are watched. Each counts one more than the one before
// it, so the newest is the first of its board.
type probes struct {
	t     *target
	conns []*connection // by worker
	run   string
	last  atomic.Uint64
	from  time.Time // what is due earlier is warm-up

	mu                   sync.Mutex // guards the histograms
	acked, counted, seen *hdrhistogram.Histogram
}

func measureVisible(ctx context.Context, c *config, t *target) (*measures, error) {
	p := &probes{
		t: t, run: fmt.Sprintf("probe-%d", time.Now().UnixMicro()), from: time.Now().Add(c.warmup),
		acked: newHistogram(), counted: newHistogram(), seen: newHistogram(),
	}
	for range watchers {
		p.conns = append(p.conns, t.connect())
	}
	m := &measures{}
	if _, err := c.behind(ctx, t, m, &loop{
		workers: watchers, rate: c.probes, warmup: c.warmup, span: c.span,
		work: p.watch,
	}); err != nil {
		return nil, err
	}
	m.latency("event → acknowledged", p.acked)
	m.latency("event → counted", p.counted)
	m.latency("event → on the board", p.seen)
	return m, nil
}

// watch, of worker w, sends a probe and looks until it is counted and on the board.
func (p *probes) watch(ctx context.Context, w int, due time.Time) error {
	n := p.last.Add(1)
	topic := fmt.Sprintf("%s-%d", p.run, n)
	body := fmt.Appendf(nil, `{"topic":%q,"region":%q,"count":%d}`, topic, probeRegion, n)
	if err := p.t.post(ctx, p.conns[w], client.NDJSON, body, 1); err != nil {
		return fmt.Errorf("send probe: %w", err)
	}
	p.note(p.acked, due)
	scope := client.Scope{Window: messages.Window5m.String(), Region: probeRegion}
	err := p.look(ctx, func() (bool, error) {
		c, err := p.t.client.Count(ctx, topic, scope)
		return err == nil && c.Lower == n, err
	})
	if err != nil {
		return fmt.Errorf("look for the count of a probe: %w", err)
	}
	p.note(p.counted, due)
	err = p.look(ctx, func() (bool, error) {
		b, err := p.t.client.Trending(ctx, client.TrendingQuery{Scope: scope, Top: messages.MaxK})
		return err == nil && slices.ContainsFunc(b.Topics, func(r api.BoardRow) bool { return r.Topic == topic }), err
	})
	if err != nil {
		return fmt.Errorf("look for a probe on the board: %w", err)
	}
	p.note(p.seen, due)
	return nil
}

func (p *probes) note(h *hdrhistogram.Histogram, due time.Time) {
	if due.Before(p.from) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	record(h, time.Since(due))
}

// look asks again and again until the answer is yes.
func (p *probes) look(ctx context.Context, ask func() (bool, error)) error {
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		if !until(ctx, time.Now().Add(lookEvery)) {
			return ctx.Err()
		}
	}
}
