package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// loop is a number of workers that do the same thing again and again: each at
// its due time if rate is set (an open loop), else as soon as the last is done
// (a closed one).
type loop struct {
	workers int
	rate    float64 // times per second, over all workers; 0: closed
	warmup  time.Duration
	span    time.Duration // what is measured, behind the warm-up
	// work does it once, for worker w. due is when it should have begun. An
	// error ends the loop.
	work func(ctx context.Context, w int, due time.Time) error
}

// result is what a loop measured behind its warm-up.
type result struct {
	done    int64
	latency *hdrhistogram.Histogram // from due to done
	elapsed time.Duration
}

// run works until the span is over. What was due within it is finished and
// counted, however late.
func (l *loop) run(ctx context.Context) (*result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := time.Now()
	measured, end := start.Add(l.warmup), start.Add(l.warmup+l.span)
	var next, last atomic.Int64 // number of the next one; when the last was done, since start
	results := make([]result, l.workers)
	var wg sync.WaitGroup
	for w := range l.workers {
		r := &results[w]
		r.latency = newHistogram()
		wg.Go(func() {
			for {
				due := time.Now()
				if l.rate > 0 {
					due = start.Add(time.Duration(float64(next.Add(1)-1) / l.rate * float64(time.Second)))
				}
				if !due.Before(end) || !until(ctx, due) {
					return
				}
				if err := l.work(ctx, w, due); err != nil {
					cancel(err)
					return
				}
				if due.Before(measured) {
					continue
				}
				now := time.Now()
				r.done++
				record(r.latency, now.Sub(due))
				raise(&last, int64(now.Sub(start)))
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	all := &result{latency: newHistogram(), elapsed: time.Duration(last.Load()) - l.warmup}
	for _, r := range results {
		all.done += r.done
		all.latency.Merge(r.latency)
	}
	if all.done == 0 {
		return nil, errors.New("nothing was done in time to be measured")
	}
	return all, nil
}

// perSecond is how often it was done.
func (r *result) perSecond() float64 { return float64(r.done) / r.elapsed.Seconds() }

// until waits for a moment; false: ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func raise(v *atomic.Int64, to int64) {
	for old := v.Load(); old < to && !v.CompareAndSwap(old, to); old = v.Load() {
	}
}
