package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

const (
	feedStep    = 50 * time.Millisecond // events due within it make a request
	feedSenders = 4                     // requests in flight
	feedBatch   = 10_000                // events a request, at most
	feedLag     = time.Second           // what is due longer is left out: the demo is live
)

// feeder sends a generated stream to a node, every event at its time, and
// measures how long it takes until events are visible.
type feeder struct {
	node   *client.Client
	stream *workload.Stream
	rate   float64

	events atomic.Uint64 // acknowledged

	mu      sync.Mutex
	latency []time.Duration // the last ones measured, a ring
	samples int             // measured in all
}

func newFeeder(node *client.Client, stream *workload.Stream, rate float64) *feeder {
	return &feeder{node: node, stream: stream, rate: rate, latency: make([]time.Duration, 0, 256)}
}

// batch is a request's events.
type batch struct {
	body   []byte
	events int
}

// run feeds until ctx ends.
func (f *feeder) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	// Unbuffered: if all senders are busy, generating waits, and what cannot be
	// caught up with is left out.
	batches := make(chan batch)
	measure := make(chan sent, 1) // full: another measurement is under way, this one is dropped
	g.Go(func() error {
		defer close(batches)
		f.generate(ctx, batches)
		return nil
	})
	var senders sync.WaitGroup
	for range feedSenders {
		senders.Add(1)
		g.Go(func() error {
			defer senders.Done()
			for b := range batches {
				if err := f.send(ctx, b, measure); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		senders.Wait()
		close(measure)
		return nil
	})
	g.Go(func() error { return f.measure(ctx, measure) })
	return g.Wait()
}

// generate makes the batches that are due.
func (f *feeder) generate(ctx context.Context, batches chan<- batch) {
	began := time.Now()
	made := 0.0 // events up to now, those left out included
	var e workload.Event
	for sleep(ctx, feedStep) == nil {
		due := f.rate * time.Since(began).Seconds()
		made = max(made, due-f.rate*feedLag.Seconds())
		for made+1 <= due {
			n := min(int(due-made), feedBatch)
			b := batch{body: make([]byte, 0, n*128), events: n}
			for range n {
				f.stream.Next(&e)
				e.Time = 0 // it counts when it arrives
				b.body = e.AppendJSON(b.body)
			}
			made += float64(n)
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
		}
	}
}

// sent is an acknowledged batch.
type sent struct {
	at       time.Time // when its request began
	position string
}

// send sends a batch; it waits where the node asks for it.
func (f *feeder) send(ctx context.Context, b batch, measure chan<- sent) error {
	for {
		at := time.Now()
		answer, err := f.node.Ingest(ctx, &client.Events{Body: b.body, ContentType: client.NDJSON})
		var said *client.Error
		switch {
		case err == nil:
			f.events.Add(uint64(b.events))
			select {
			case measure <- sent{at, answer.Position}:
			default:
			}
			return nil
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &said) && said.Status == http.StatusTooManyRequests:
			if sleep(ctx, max(said.RetryAfter, 100*time.Millisecond)) != nil {
				return nil
			}
		default:
			return fmt.Errorf("send events: %w", err)
		}
	}
}

// measure asks for a board that has a batch counted, one after the other: from
// the begin of its request to that board's arrival an event becomes visible.
func (f *feeder) measure(ctx context.Context, batches <-chan sent) error {
	for s := range batches {
		q := client.TrendingQuery{Scope: client.Scope{Window: messages.Window5m.String(), After: s.position}, Top: 1}
		if _, err := f.node.Trending(ctx, q); err != nil {
			if ctx.Err() != nil {
				continue // drain, so that senders never wait
			}
			var said *client.Error
			if errors.As(err, &said) && said.Status == http.StatusServiceUnavailable {
				continue // not counted within the time a node waits: shown by its absence
			}
			return fmt.Errorf("ask for a board: %w", err)
		}
		f.measured(time.Since(s.at))
		if sleep(ctx, 100*time.Millisecond) != nil {
			continue
		}
	}
	return nil
}

func (f *feeder) measured(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.latency) < cap(f.latency) {
		f.latency = append(f.latency, d)
	} else {
		f.latency[f.samples%len(f.latency)] = d
	}
	f.samples++
}

// feedStats is how a feeding goes.
type feedStats struct {
	events  uint64
	latency []time.Duration // ascending
}

func (f *feeder) stats() feedStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return feedStats{f.events.Load(), slices.Sorted(slices.Values(f.latency))}
}

// visible is how long events took to become visible.
func (s feedStats) visible() string {
	n := len(s.latency)
	if n == 0 {
		return "–"
	}
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return fmt.Sprintf("%v (p99 %v)", round(s.latency[n/2]), round(s.latency[n*99/100]))
}
