package main

import (
	"context"
	"time"
)

// ingest is a loop that sends requests of n events from a number of workers;
// rate is in events per second.
func (c *config) ingest(t *target, workers, n int, rate float64) (*loop, error) {
	src, err := c.source()
	if err != nil {
		return nil, err
	}
	from := make([]*bodies, workers)
	conns := make([]*connection, workers)
	for w := range from {
		from[w], conns[w] = newBodies(src, n, c.ids), t.connect()
	}
	return &loop{
		workers: workers, rate: rate / float64(n), warmup: c.warmup, span: c.span,
		work: func(ctx context.Context, w int, _ time.Time) error {
			return t.post(ctx, conns[w], contentTypes[c.format], from[w].next(), n)
		},
	}, nil
}

func measureBatch(ctx context.Context, c *config, t *target) (*measures, error) {
	return c.measureIngest(ctx, t, c.connections, c.batch)
}

func measureSingle(ctx context.Context, c *config, t *target) (*measures, error) {
	return c.measureIngest(ctx, t, c.clients, 1)
}

func (c *config) measureIngest(ctx context.Context, t *target, workers, n int) (*measures, error) {
	if c.rate > 0 {
		workers *= 4 // an open loop must not wait for a free worker
	}
	l, err := c.ingest(t, workers, n, c.rate)
	if err != nil {
		return nil, err
	}
	r, err := l.run(ctx)
	if err != nil {
		return nil, err
	}
	m := &measures{}
	m.add("events/s", r.perSecond()*float64(n))
	m.add("requests/s", r.perSecond())
	m.latency("acknowledged", r.latency)
	return m, nil
}

// behind runs work while the background events come in, which begin with the
// warm-up and end with the span. It adds how many there were.
func (c *config) behind(ctx context.Context, t *target, m *measures, work *loop) (*result, error) {
	if c.background == 0 {
		return work.run(ctx)
	}
	back, err := c.ingest(t, 4*c.connections, c.batch, c.background)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		*result
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		r, err := back.run(ctx)
		ended <- outcome{r, err}
	}()
	got, err := work.run(ctx)
	if err != nil {
		cancel()
		<-ended
		return nil, err
	}
	b := <-ended
	if b.err != nil {
		return nil, b.err
	}
	m.add("background events/s", b.perSecond()*float64(c.batch))
	return got, nil
}
